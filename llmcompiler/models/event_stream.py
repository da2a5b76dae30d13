"""Reading the event streams of OpenAI-compatible servers: chat completions and raw ones, as bytes, however split. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmcompiler.models.model import CallPiece, Chunk, Usage, writable


@dataclass(slots=True)
class EventStream:
    """Reads the server-sent events of one reply.

    `skipped` counts events that could not be read; `is_finished` says that the server finished a reply of which something
    could; `error` is what the server itself says went wrong, after which nothing counts.
    """

    skipped: int = 0
    is_finished: bool = False
    error: str | None = None
    _has_read: bool = False
    _rest: bytes = b""

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield what these bytes complete."""
        *lines, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if line.startswith(b"data:") and self.error is None:
                yield from self._event(line[5:].strip())

    def _event(self, data: bytes) -> Iterator[Chunk]:
        if data == b"[DONE]":
            self.is_finished = self.is_finished or self._has_read or not self.skipped
            return
        try:
            event = json.loads(data)
            self.error = self.error or _error_text(event)
            choices, usage = event.get("choices") or (), event.get("usage")
            choice = choices[0] if choices else {}
            delta, finish = choice.get("delta"), choice.get("finish_reason") or None
            if delta is None and "text" in choice:  # of a raw completion
                delta = {"content": choice["text"]}
            text = (delta or {}).get("content") or ""
            calls = tuple(map(_piece, (delta or {}).get("tool_calls") or ()))
            if not isinstance(text, str) or not (isinstance(delta, Mapping) or finish or usage):
                raise ValueError("neither text nor usage")
        except (ValueError, AttributeError, TypeError, LookupError, RecursionError):
            self.skipped += 1
            return
        self._has_read = True
        self.is_finished = self.is_finished or finish is not None
        if text or calls or usage or finish or _thinks(delta or {}):
            yield Chunk(writable(text), _usage(usage) if usage else None, finish, calls)


def _piece(data: Any) -> CallPiece:
    """Return a piece of a call. Servers leave out what they like, and some send the arguments as an object."""
    function = data.get("function") or {}
    index, arguments = data.get("index"), function.get("arguments") or ""
    return CallPiece(
        index if type(index) is int else None,
        writable(str(data.get("id") or "")),
        writable(str(function.get("name") or "")),
        writable(arguments if isinstance(arguments, str) else json.dumps(arguments)),
    )


def _thinks(delta: Mapping[str, Any]) -> bool:
    """Return whether the model thinks aloud, in a field of its own: a sign of life, which an empty piece of text is not."""
    return any(text for name, text in delta.items() if name.startswith("reasoning"))


def _error_text(event: Mapping[str, Any]) -> str | None:
    error = event if event.get("object") == "error" else event.get("error")
    said = error.get("message") if isinstance(error, Mapping) else error
    return str(said or error)[:500] if error else None


def _usage(data: Any) -> Usage | None:
    if not isinstance(data, Mapping):
        return None
    details = data.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return Usage(1, _count(data.get("prompt_tokens")), _count(data.get("completion_tokens")), _count(cached))


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
