"""LangChain's chat models as models. langchain_core is imported only once there is such a model, so it is loaded already.

Whatever a chat model raises is told apart by its HTTP status and by the names of its classes: the providers' clients are
many, and the errors of most of them have the same names.
"""

import json
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from llmcompiler.errors import (
    BadModelRequest,
    ContextTooLong,
    LLMCompilerError,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    StreamCut,
)
from llmcompiler.models.failures import refused
from llmcompiler.models.model import CallPiece, Chunk, Message, Prompt, Usage, writable
from llmcompiler.models.openai import function_of
from llmcompiler.models.stopping import StopStrings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, UsageMetadata
    from langchain_core.runnables import Runnable

_TIMEOUTS = frozenset({"TimeoutError", "TimeoutException", "APITimeoutError", "ModelTimeoutError"})
_LOSSES = frozenset({"ConnectionError", "TransportError", "APIConnectionError", "ModelConnectionError"})
_PASSING = frozenset({"ModelRateLimitError", "ModelAPIError"})
_FINISHES = ("finish_reason", "stop_reason", "stopReason", "done_reason")  # what providers call it
_CAPPED = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_STOP = re.compile(r"\bstop\b", re.IGNORECASE)


def is_runnable(candidate: object) -> bool:
    """Return whether something is a LangChain `Runnable`. Where langchain_core is not loaded nothing is."""
    kind = getattr(sys.modules.get("langchain_core.runnables.base"), "Runnable", None)
    return kind is not None and isinstance(candidate, kind)


def is_chat_model(candidate: object) -> "TypeGuard[BaseChatModel]":
    """Return whether something is a LangChain `BaseChatModel`."""
    kind = getattr(sys.modules.get("langchain_core.language_models.chat_models"), "BaseChatModel", None)
    return kind is not None and isinstance(candidate, kind)


class LangChainModel:
    """A LangChain chat model, streamed.

    Usage is what the chat model tells; some tell it only when asked to (`ChatOpenAI(stream_usage=True)` at a server of
    your own). Give it `max_retries=0`: then `ModelRetries` tries again, with Retry-After honoured and the deadlines kept.
    A chat model whose `max_retries` is anything else tries again by itself, so what it then reports is not tried again
    here: there is one retry layer either way. Stop strings are passed on, and kept here too, for a model that ignores
    them (what it used is then unknown, since nobody hears it out); one that refuses them is asked without. Tools are
    bound by its `bind_tools`; one that has none raises `BadModelRequest` where tools are offered.
    """

    def __init__(self, model: "BaseChatModel") -> None:
        self._model = model
        self._takes_stop = True

    def __repr__(self) -> str:
        return f"LangChainModel({self._where()})"

    @property
    def can_call(self) -> bool:
        """Return whether the chat model has a `bind_tools` of its own."""
        from langchain_core.language_models import BaseChatModel

        return type(self._model).bind_tools is not BaseChatModel.bind_tools

    @property
    def secrets(self) -> frozenset[str]:
        """Return the keys of the chat model, so that they can be kept out of every text that is shown."""
        from pydantic import SecretStr

        values = [getattr(self._model, name) for name in type(self._model).model_fields]
        return frozenset(value.get_secret_value() for value in values if isinstance(value, SecretStr)) - {""}

    async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk]:
        """Yield the reply; the last chunk carries what the chat model said of usage and finish. Raises a `ModelError`."""
        reply = _Reply(prompt.stop)
        try:
            async with aclosing(self._messages(prompt)) as messages:
                async for message in messages:
                    chunk = reply.read(message)
                    if chunk is not None:
                        yield chunk
                    if reply.has_stopped:
                        break
        except Exception as error:
            typed = self._typed(error, reply)
            if typed is None:
                raise
            raise typed from error
        yield reply.end()

    async def _messages(self, prompt: Prompt) -> "AsyncGenerator[AIMessage, None]":
        has_begun = False
        if prompt.stop and self._takes_stop:
            try:
                async with aclosing(self._ask(prompt, list(prompt.stop))) as messages:
                    async for message in messages:
                        has_begun = True
                        yield message
                return
            except Exception as error:
                if has_begun or not _refuses_stop(error):
                    raise
            self._takes_stop = False
        async with aclosing(self._ask(prompt, None)) as messages:
            async for message in messages:
                yield message

    def _ask(self, prompt: Prompt, stop: list[str] | None) -> "AsyncGenerator[AIMessageChunk, None]":
        messages = [_message(message) for message in prompt.messages]
        # The purpose as a tag: traces and event streams tell planner from joiner by it.
        stream = self._asked(prompt).astream(messages, {"tags": [prompt.purpose]}, stop=stop)
        return cast("AsyncGenerator[AIMessageChunk, None]", stream)

    def _asked(self, prompt: Prompt) -> "Runnable[Any, Any]":
        """Return the chat model, with the tools of the prompt bound to it. Raises `BadModelRequest` if it takes none."""
        if not prompt.tools:
            return self._model
        try:
            return self._model.bind_tools([function_of(spec) for spec in prompt.tools])
        except NotImplementedError as error:
            said = f"{self._where()} cannot call tools natively: it has no bind_tools; use another strategy or model"
            raise BadModelRequest(said) from error

    def _where(self) -> str:
        name = getattr(self._model, "model_name", None) or getattr(self._model, "model", None)
        kind = type(self._model).__name__
        return f"{kind}:{name}" if isinstance(name, str) else kind

    def _typed(self, error: Exception, reply: "_Reply") -> ModelError | None:
        """Return what an error of the chat model means, None for one that may mean anything."""
        if isinstance(error, LLMCompilerError):
            return None
        typed = _meaning(self._where(), error, reply)
        # Clients of providers take None for a number of their own, of at least 2.
        if typed is not None and not reply.has_begun and getattr(self._model, "max_retries", 0) != 0:
            typed.retried = True
            typed.add_note(f"{self._where()} has tried again by itself; with its max_retries=0 ModelRetries would")
        return typed


class _Reply:
    """One reply as its messages come: the text up to a stop string, usage, finish."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self.has_begun = False
        self.has_content = False
        self._stopping = StopStrings(stop)
        self._usage: UsageMetadata | None = None
        self._finish: str | None = None

    @property
    def has_stopped(self) -> bool:
        return self._stopping.has_stopped

    def read(self, message: "AIMessage") -> Chunk | None:
        """Return what a message adds: text, or an empty sign of life, such as a thought; None for neither."""
        from langchain_core.messages.ai import add_usage

        self.has_begun = True
        if message.usage_metadata is not None:
            self._usage = add_usage(self._usage, message.usage_metadata)
        text = self._stopping.feed(writable(str(message.text)))
        self._finish = "stop" if self.has_stopped else _finish(message.response_metadata) or self._finish
        calls = _calls(message)
        self.has_content = self.has_content or bool(text or calls)
        return Chunk(text, calls=calls) if message.content or message.additional_kwargs or calls else None

    def end(self) -> Chunk:
        """Return the last chunk."""
        return Chunk(self._stopping.held, _usage(self._usage), self._finish)


def _message(message: Message) -> "BaseMessage | tuple[str, str]":
    from langchain_core.messages import AIMessage, ToolMessage

    if message.role == "tool":
        return ToolMessage(message.text, tool_call_id=message.call_id)
    if message.calls:
        calls = [{"name": call.name, "args": json.loads(call.arguments), "id": call.id} for call in message.calls]
        return AIMessage(message.text, tool_calls=calls)
    return message.role, message.text


def _calls(message: "AIMessage") -> tuple[CallPiece, ...]:
    """Return the pieces of calls in a message; a chat model that does not stream gives whole calls."""
    said: list[Any] = getattr(message, "tool_call_chunks", None) or [*message.tool_calls, *message.invalid_tool_calls]
    return tuple(map(_piece, said))


def _piece(said: Mapping[str, Any]) -> CallPiece:
    arguments = said.get("args") or ""
    return CallPiece(
        said.get("index"),
        writable(said.get("id") or ""),
        writable(said.get("name") or ""),
        writable(arguments if isinstance(arguments, str) else json.dumps(arguments)),
    )


def _finish(metadata: Mapping[str, Any]) -> str | None:
    """Return why the model finished, "length" for every provider's word for its token cap."""
    details = metadata.get("incomplete_details")
    said = details.get("reason") if isinstance(details, Mapping) else None
    said = said or next((metadata[name] for name in _FINISHES if metadata.get(name)), None)
    word = None if said is None else str(said).rpartition(".")[2]  # an enum's member, perhaps
    return "length" if word is not None and word.lower() in _CAPPED else word


def _usage(said: "UsageMetadata | None") -> Usage | None:
    if said is None:
        return None
    return Usage(1, said["input_tokens"], said["output_tokens"], said.get("input_token_details", {}).get("cache_read"))


def _meaning(where: str, error: Exception, reply: _Reply) -> ModelError | None:
    names = {kind.__name__ for kind in type(error).__mro__}
    status, said = _status(error), f"{where}: {str(error) or type(error).__name__}"
    if "ContextOverflowError" in names:
        return ContextTooLong(said, status=status)
    if status is not None:
        return refused(where, status, error)
    if names & _TIMEOUTS:
        return ModelTimeout(said, which="idle" if reply.has_content else "first token")
    if names & _PASSING:
        return ModelUnavailable(said)
    if names & _LOSSES:
        return StreamCut(said) if reply.has_begun else ModelUnavailable(said)
    if "APIError" in names:  # without a status: the server reports an error in its stream
        return StreamCut(said)
    return None


def _status(error: Exception) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int):
            return int(status)
    return None


def _refuses_stop(error: Exception) -> bool:
    """Return whether a chat model does not want stop strings: what it says of its request names them."""
    is_about_request = _status(error) in (400, 422) or isinstance(error, (TypeError, ValueError, NotImplementedError))
    return is_about_request and _STOP.search(str(error)) is not None
