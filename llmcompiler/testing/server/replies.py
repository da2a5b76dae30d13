"""What the loopback server says, when, and what goes wrong on the way. Plain data: nothing here sends anything.

A *chunk* is one streamed event with text of the model in it. Faults are placed by counting chunks: `after=0` is before
the first, `after=n` of n chunks is between the last one and the finish event, anything beyond is after `[DONE]`.
A reply that is not streamed, and an error body, is one chunk. Faults at one place happen in the order they are given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class Timing:
    """When chunks are due, in seconds: `first_token + per_prompt_token * prompt tokens + per_token * i` for chunk i.

    The count starts when the last byte of the request has arrived. All are 0 by default: everything is due at once.
    """

    first_token: float = 0.0
    per_token: float = 0.0
    per_prompt_token: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """A usage record to send instead of counted tokens; `cached_tokens=None` leaves the details out."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call in OpenAI's form; `arguments` is JSON text, sent as it is, right or wrong."""

    name: str
    arguments: str = "{}"
    id: str = "call_0"


def error_body(
    message: str, *, kind: str = "server_error", code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """Return an error body in OpenAI's form; `kind` is what it calls `type`."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Status:
    """Answer at once with HTTP `code` and an error body; `body=None` gives the usual one of that code.

    A mapping is sent as JSON, text and bytes as they are. `headers` are added, a content-type among them replaces ours.
    """

    code: int
    headers: Sequence[tuple[str, str]] = ()
    body: Mapping[str, Any] | str | bytes | None = None

    @classmethod
    def rate_limit(cls, retry_after: float | datetime | str | None = None) -> Self:
        """Return a 429 whose Retry-After holds seconds, an HTTP date (an aware datetime), any text, or is missing."""
        if retry_after is None:
            return cls(429)
        if isinstance(retry_after, datetime):
            return cls(429, (("retry-after", format_datetime(retry_after, usegmt=True)),))
        return cls(429, (("retry-after", str(retry_after)),))

    @classmethod
    def context_length(cls, limit: int = 8192) -> Self:
        """Return the 400 that OpenAI sends for a prompt of more than `limit` tokens."""
        message = f"This model's maximum context length is {limit} tokens. Please reduce the length of the messages."
        kind, code = "invalid_request_error", "context_length_exceeded"
        return cls(400, body=error_body(message, kind=kind, code=code, param="messages"))


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing for `seconds` once `after` chunks are out; None: until the client leaves or the server closes.

    Deadlines stay where they were, as when a network hangs: what became due meanwhile goes out in one burst.
    `Stall(0)` holds the response headers back as well.
    """

    after: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """End the response early, after so many bytes of its body or so many chunks (give one of the two).

    `after_bytes=0` is before the first byte of the response, `after_chunks=0` is after its headers. A body that is
    shorter is cut after its last byte. `how`: "close" drops the connection without ending the chunked body; "reset"
    does so by a TCP reset (what is on its way may be lost); "end" ends the body properly, so that only text is missing.
    """

    after_bytes: int | None = None
    after_chunks: int | None = None
    how: Literal["close", "reset", "end"] = "close"

    def __post_init__(self) -> None:
        if (self.after_bytes is None) == (self.after_chunks is None):
            raise ValueError("a Cut takes after_bytes or after_chunks, one of the two")


@dataclass(frozen=True, slots=True)
class Inject:
    """Send `raw` as it is, at once, when `after` chunks are out: broken JSON, comments, strange events (`sse`)."""

    after: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class SplitPackets:
    """Write the body `size` bytes at a time, each an HTTP chunk and a TCP write: lines and characters are split."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"SplitPackets takes a size of at least 1 byte, not {self.size}")


@dataclass(frozen=True, slots=True)
class Drip:
    """Once `after` chunks are out send a keep-alive each `seconds`, for ever, and nothing else.

    `text=None` sends an SSE comment (white space where the reply is not streamed), else a chunk with that text.
    """

    seconds: float
    text: str | None = None
    after: int = 0


Fault = Status | Stall | Cut | Inject | SplitPackets | Drip


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says to one request: text, calls, or both.

    `chunks`: the text as it shall be cut when streamed (None: a token each); it may stand in for `text`.
    `finish`: the finish reason; None: "tool_calls" where there are calls, "stop" or "length" where a stop string or
    max_tokens cut the reply, else "stop"; a text is sent whether it is true or not.
    `usage`: "count" counts with `tokenize`, None leaves it out, a `Usage` or a mapping is sent as it is.
    `timing`: None takes the server's. `fault`: one, or a tuple of several. `headers` are added to the response's.
    """

    text: str = ""
    _: KW_ONLY
    chunks: Sequence[str] | None = None
    tool_calls: Sequence[ToolCall] = ()
    finish: str | None = None
    usage: Literal["count"] | Usage | Mapping[str, Any] | None = "count"
    timing: Timing | None = None
    fault: Fault | tuple[Fault, ...] | None = None
    headers: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        if self.chunks is not None:
            joined = "".join(self.chunks)
            if self.text not in ("", joined):
                raise ValueError(f"the chunks join to {joined!r}, the text is {self.text!r}: give one of the two")
            object.__setattr__(self, "text", joined)
        for kind in (Status, SplitPackets):
            if sum(isinstance(fault, kind) for fault in self.faults) > 1:
                raise ValueError(f"a reply takes one {kind.__name__}, not several")

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults of this reply, in their order."""
        if self.fault is None:
            return ()
        return self.fault if isinstance(self.fault, tuple) else (self.fault,)

    @property
    def status(self) -> Status | None:
        """The error status this reply answers with; None: 200."""
        return next((fault for fault in self.faults if isinstance(fault, Status)), None)

    @property
    def packet_size(self) -> int | None:
        """The bytes a TCP write may hold; None: as many as are due."""
        return next((fault.size for fault in self.faults if isinstance(fault, SplitPackets)), None)
