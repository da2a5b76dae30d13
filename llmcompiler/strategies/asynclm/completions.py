"""The completions engine: raw `/v1/completions` (vLLM, llama.cpp). The prompt and all text so far are sent as one text.

So what is put in stands within the model's own text, as with an engine in process, and the server's prefix cache serves for
all that it has read before.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial

from llmcompiler.errors import UsageError
from llmcompiler.models.model import Chunk, Message, Model, Prompt
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.engine import SafePoints
from llmcompiler.strategies.asynclm.resending import Part, Resending
from llmcompiler.strategies.run import Run

SLOTS = ("{system}", "{question}")
_SLOT = re.compile("|".join(map(re.escape, SLOTS)))
PLAIN = "{system}\n\nQuestion: {question}\n\n"


class CompletionsEngine:
    """Writes with an `OpenAIModel` by raw completions.

    template: how the prompt is written, with the slots `{system}` and `{question}`: for a model that was tuned for chats,
    the marks that it knows, such as `<|im_start|>system...`. Raises `UsageError` for another model or template.
    """

    safe_points: SafePoints = "line"

    def __init__(self, model: Model, *, template: str = PLAIN) -> None:
        if not isinstance(model, OpenAIModel):
            raise UsageError(f"raw completions take a model openai:NAME, not {model!r}"[:300])
        if any(template.count(slot) != 1 for slot in SLOTS):
            raise UsageError(f"the template needs each of the slots {' and '.join(SLOTS)} once")
        self._model = _Raw(model)
        self._template = template

    def begin(self, prompt: Prompt, run: Run, delimiters: Delimiters) -> Resending:
        """Return the generation for a prompt, not begun."""
        return Resending(run, partial(self._ask, prompt))

    def _ask(self, prompt: Prompt, parts: Sequence[Part]) -> tuple[Model, Prompt]:
        said = dict(zip(SLOTS, (message.text for message in prompt.messages), strict=True))
        asked = _SLOT.sub(lambda slot: said[slot[0]], self._template)
        text = asked + "".join(part.text for part in parts)
        return self._model, replace(prompt, messages=(Message("user", text),))


class _Raw:
    """A `Model` whose prompt is one text, as it stands."""

    def __init__(self, model: OpenAIModel) -> None:
        self._model = model

    def __repr__(self) -> str:
        return repr(self._model)

    def stream(self, prompt: Prompt) -> AsyncIterator[Chunk]:
        """Yield how the model goes on."""
        return self._model.complete(prompt.messages[0].text, prompt.stop)
