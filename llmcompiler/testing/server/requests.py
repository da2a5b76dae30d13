"""Read the body of a request into a `ChatRequest`. Pure: bytes in, frozen data out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmcompiler.testing.server.tokens import count_tokens

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
MODELS = "/v1/models"


class RequestError(ValueError):
    """The body is not a request that an OpenAI-compatible server takes; the text says why."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request for text, chat or raw. `raw` is the whole JSON body; the other fields are what was read out of it.

    `prompt` is the text of a raw completion and None for a chat; `messages` and `tools` are then the other way round.
    `stop` is a tuple whether one string or a list was sent; `max_tokens` may have come as `max_completion_tokens`.
    """

    model: str
    messages: tuple[Mapping[str, Any], ...]
    prompt: str | None
    stream: bool
    stop: tuple[str, ...]
    tools: tuple[Mapping[str, Any], ...]
    stream_options: Mapping[str, Any]
    temperature: float | None
    max_tokens: int | None
    raw: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The text of all messages, a line end between them; of a raw completion its prompt."""
        return self.prompt if self.prompt is not None else "\n".join(_text(message) for message in self.messages)

    @property
    def last_user(self) -> str:
        """The text of the last message with role "user", "" without one; of a raw completion its prompt."""
        if self.prompt is not None:
            return self.prompt
        return next((_text(message) for message in reversed(self.messages) if message.get("role") == "user"), "")

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the model reads: text, earlier tool calls and tool definitions; no overhead per message."""
        calls = [message["tool_calls"] for message in self.messages if message.get("tool_calls")]
        definitions = [json.dumps(part, ensure_ascii=False) for part in (*calls, *self.tools)]
        return count_tokens(self.text) + sum(count_tokens(part) for part in definitions)

    @property
    def wants_usage(self) -> bool:
        """Whether a stream shall end with a usage record."""
        return bool(self.stream_options.get("include_usage"))


def read_request(path: str, body: bytes) -> ChatRequest:
    """Return the request in `body`, sent to `path` (`CHAT` or `COMPLETIONS`); `RequestError` says what is wrong."""
    raw = _json_object(body)
    messages, prompt = ((), _prompt(raw)) if path == COMPLETIONS else (_messages(raw), None)
    if not raw.get("model"):
        raise RequestError("you must provide a model parameter")
    limit = _typed(raw, "max_completion_tokens", int) or _typed(raw, "max_tokens", int)
    return ChatRequest(
        model=_typed(raw, "model", str) or "",
        messages=messages,
        prompt=prompt,
        stream=bool(raw.get("stream")),
        stop=_stop(raw.get("stop")),
        tools=tuple(_typed(raw, "tools", list) or ()),
        stream_options=_typed(raw, "stream_options", dict) or {},
        temperature=_typed(raw, "temperature", float, int),
        max_tokens=limit,
        raw=raw,
    )


def _typed(raw: Mapping[str, Any], key: str, *types: type) -> Any:
    """Return what stands under `key`, None if nothing does; anything but one of `types` is refused."""
    value = raw.get(key)
    if value is not None and not isinstance(value, types):
        raise RequestError(f"{key} cannot be {value!r}")
    return value


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(body)
    except ValueError as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise RequestError(f"the body must be a JSON object, not {type(raw).__name__}")
    return raw


def _messages(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    messages = raw.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise RequestError("messages must be a list of at least one message")
    return tuple(messages)


def _prompt(raw: Mapping[str, Any]) -> str:
    match raw.get("prompt"):
        case str() as prompt:
            return prompt
        case [str() as prompt]:
            return prompt
    raise RequestError("prompt must be one string; lists of prompts or of token ids are not served here")


def _stop(stop: object) -> tuple[str, ...]:
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or not all(isinstance(one, str) for one in stops):
        raise RequestError(f"stop must be a string or a list of strings, not {stop!r}")
    return tuple(one for one in stops if one)


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part.get("text") or "" for part in parts if isinstance(part, dict))
