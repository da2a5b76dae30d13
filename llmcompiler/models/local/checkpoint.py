"""A model and its tokenizer, loaded: what generations need of transformers, and nothing else."""

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from llmcompiler.errors import BadModelRequest, ModelError
from llmcompiler.models.local.calls import CallForm, ChatMessage, call_form
from llmcompiler.models.local.costs import PrefillCost
from llmcompiler.models.model import Message
from llmcompiler.models.openai import function_of
from llmcompiler.plan.tools import ToolSpec

if TYPE_CHECKING:
    import torch

_ANCHOR = "a"  # a token's text is read behind another one, since tokenizers strip the space that a text begins with


@dataclass(eq=False)
class Checkpoint:
    """A causal language model of transformers and its tokenizer."""

    model: Any
    tokenizer: Any
    cost: PrefillCost = field(default_factory=PrefillCost)

    @cached_property
    def context(self) -> int | None:
        """Return how many tokens the model can read, None where its configuration does not say."""
        size = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return size if isinstance(size, int) and size > 0 else None

    @cached_property
    def ends(self) -> frozenset[int]:
        """Return the tokens with which a text ends."""
        said = self.model.generation_config.eos_token_id
        ids = [self.tokenizer.eos_token_id, *(said if isinstance(said, list) else [said])]
        return frozenset(id for id in ids if id is not None)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Return the text of each token; it is empty where the model has more tokens than the tokenizer."""
        anchor = self.encode(_ANCHOR)
        start = len(self.decode(anchor))
        width = self.model.get_output_embeddings().weight.shape[0]
        decoded = self.tokenizer.batch_decode([[*anchor, id] for id in range(width)], **_AS_WRITTEN)
        return tuple(text[start:] for text in decoded)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text that stands inside another one."""
        tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return tokens

    def encode_foreign(self, text: str, marks: Sequence[str]) -> list[int]:
        """Return the tokens of a text that others wrote: of the tokenizer's control tokens it can hold `marks` alone."""
        tokens = self.encode(text)
        if {*tokens} & self._controls <= {token for mark in marks for token in self.encode(mark)}:
            return tokens
        parts = re.split(f"({'|'.join(map(re.escape, marks))})", text)
        return [token for part in parts for token in (self.encode(part) if part in marks else self._spelt_out(part))]

    def _spelt_out(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return tokens

    @cached_property
    def _controls(self) -> frozenset[int]:
        return frozenset(self.tokenizer.added_tokens_encoder.values()) | self.ends

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, special ones as they are written."""
        return str(self.tokenizer.decode(list(tokens), **_AS_WRITTEN))

    def decode_reply(self, tokens: Sequence[int], marks: str = "") -> str:
        """Return the text of tokens without special ones, but for those that occur in `marks`."""
        if not marks:
            return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True, **_NOT_CLEANED))
        added = self.tokenizer.added_tokens_decoder
        silent = {id for id, token in added.items() if token.special} - {*self.encode(marks)}
        return self.decode([token for token in tokens if token not in silent])

    def prompt(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> list[int]:
        """Return the tokens of a conversation, in the tokenizer's own chat template if it has one, and where a reply begins.

        A template may refuse messages of the system, and a user's behind any but the assistant's: then they are joined or
        parted, so that it takes them. Raises `BadModelRequest` for a conversation that it does not take even so.
        """
        if self.tokenizer.chat_template is None:
            text = "".join(f"{message.role}: {message.text}\n\n" for message in messages) + "assistant:"
            tokens: list[int] = self.tokenizer.encode(text)
            return tokens
        said = [_said(message) for message in messages]
        try:
            return self.encode(self._rendered(said, tools=tools))
        except BadModelRequest:
            return self.encode(self._rendered(_in_turn(said), tools=tools))

    @cached_property
    def call_form(self) -> CallForm | None:
        """Return how the model writes native tool calls, None where its chat template knows of none."""
        if self.tokenizer.chat_template is None:
            return None
        asked: list[ChatMessage] = [{"role": "user", "content": "?"}]
        render = partial(self._rendered, tools=[_NO_TOOL])  # some templates take no conversation without tools
        try:
            if _NO_TOOL.name not in render(asked):
                return None
            return call_form(render, [self.decode([end]) for end in self.ends])
        except BadModelRequest:
            return None

    def _rendered(
        self, messages: Sequence[ChatMessage], is_to_go_on: bool = True, tools: Sequence[ToolSpec] = ()
    ) -> str:
        import jinja2

        try:
            return str(
                self.tokenizer.apply_chat_template(
                    list(messages),
                    tools=[function_of(spec) for spec in tools] or None,
                    tokenize=False,
                    add_generation_prompt=is_to_go_on,
                )
            )
        except (jinja2.TemplateError, TypeError) as error:
            raise BadModelRequest(f"the chat template of the model does not take this conversation: {error}") from error

    def generator(self, seed: int | None) -> "torch.Generator":
        """Return a source of randomness; the same seed gives the same choices."""
        import torch

        source = torch.Generator(self.model.device)
        if seed is None:
            source.seed()
        else:
            source.manual_seed(seed)
        return source

    def forward(self, tokens: Sequence[int], cache: Any) -> tuple["torch.Tensor", Any]:
        """Read tokens behind those of a cache; return the logits of the next token in float32, and the cache."""
        import torch
        from transformers import DynamicCache

        if cache is None:
            cache = DynamicCache(config=self.model.config)
        ids = torch.tensor([list(tokens)], device=self.model.device)
        with torch.inference_mode():
            read = self.model(input_ids=ids, cache=cache, use_cache=True, logits_to_keep=1)
        return read.logits[0, -1].float(), cache


_NOT_CLEANED = {"clean_up_tokenization_spaces": False}
_AS_WRITTEN = {"skip_special_tokens": False, **_NOT_CLEANED}
_WAITING: ChatMessage = {"role": "assistant", "content": "(waiting)"}
_NO_TOOL = ToolSpec("llmcompiler_no_tool", "Does nothing.", {})


def _said(message: Message) -> ChatMessage:
    """Return a message as chat templates take it: they write arguments themselves, and know calls by their places."""
    said: ChatMessage = {"role": message.role, "content": message.text}
    if message.calls:
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in message.calls
        ]
    return said | {"tool_call_id": message.call_id} if message.call_id else said


def _in_turn(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return messages without one of the system, in which each of the user's but the first stands behind the assistant's."""
    turns: list[ChatMessage] = []
    for message in messages:
        before = turns[-1]["role"] if turns else ""
        if message["role"] == "user" and before in ("system", "user"):
            turns[-1] = {"role": "user", "content": f"{turns[-1]['content']}\n\n{message['content']}"}
            continue
        if message["role"] == "user" and before == "tool":
            turns.append(_WAITING)
        turns.append(message)
    return turns


def load(name: str) -> Checkpoint:
    """Return what lies in a folder, or on the hub under this name, on the fastest device. Raises a `ModelError`.

    Weights are read from safetensors alone and no code of the checkpoint is run.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with no_progress_bar():
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                name, dtype="auto", trust_remote_code=False, use_safetensors=True
            )
    except Exception as error:
        raise ModelError(f"local:{name} cannot be loaded: {type(error).__name__}: {error}") from error
    if "cache" not in inspect.signature(model.forward).parameters:
        raise ModelError(f"local:{name} cannot be used: {type(model).__name__} takes no cache of keys and values")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Checkpoint(model.eval().to(device), tokenizer)


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing on the terminal, where a run may be shown."""
    from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()
