"""The chat engine: any chat endpoint. Each injection closes the stream and asks again, with the text so far.

Chat endpoints let nobody put text into a reply. So what the model has written becomes a message of the assistant, what is
put in becomes one of the user, and the model goes on in a further message (the paper's Async-Naive). Where the server can
go on with a message (`continues`), all stays one message.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from llmcompiler.errors import UsageError
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.engine import SafePoints
from llmcompiler.strategies.asynclm.resending import Part, Resending
from llmcompiler.strategies.run import Run

_CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}  # vLLM, SGLang


class ChatEngine:
    """Writes with any `Model`. continues: its server, such as vLLM, can go on with the assistant's last message.

    Raises `UsageError` for `continues` with what is not an `OpenAIModel`.
    """

    safe_points: SafePoints = "line"

    def __init__(self, model: Model, *, continues: bool = False) -> None:
        if continues and not isinstance(model, OpenAIModel):
            raise UsageError("continues=True takes a model openai:NAME at a server that can go on with a message")
        self._model = model
        self._continues = continues

    def begin(self, prompt: Prompt, run: Run, delimiters: Delimiters) -> Resending:
        """Return the generation for a prompt, not begun."""
        return Resending(run, partial(self._continued if self._continues else self._in_turns, prompt))

    def _in_turns(self, prompt: Prompt, parts: Sequence[Part]) -> tuple[Model, Prompt]:
        messages = list(prompt.messages)
        for text, is_injected in parts:
            role: Literal["user", "assistant"] = "user" if is_injected else "assistant"
            if not text.strip():
                continue
            if messages and messages[-1].role == role:  # many templates want them in turns
                messages[-1] = Message(role, f"{messages[-1].text}\n\n{text.strip()}")
            else:
                messages.append(Message(role, text.strip()))
        return self._model, replace(prompt, messages=tuple(messages))

    def _continued(self, prompt: Prompt, parts: Sequence[Part]) -> tuple[Model, Prompt]:
        text = "".join(part.text for part in parts)
        if not text:
            return self._model, prompt
        assert isinstance(self._model, OpenAIModel)
        messages = (*prompt.messages, Message("assistant", text))
        return self._model.with_fields(_CONTINUE), replace(prompt, messages=messages)
