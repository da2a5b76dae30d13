"""The `Model` protocol: a prompt in, a stream of chunks out: text, and native tool calls where tools were offered."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from llmcompiler.plan.tools import ToolSpec

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Purpose: TypeAlias = str  # "planner", "joiner", "agent", ...: who asks; usage is told apart by it


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A native tool call as a message of the assistant holds it; `arguments` is the text of a JSON object."""

    id: str
    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A piece of a native tool call: what a chunk adds to its id, its name, its arguments.

    `index` tells the calls of one message apart; None where the provider gives none, `CallReader` then goes by the rest.
    """

    index: int | None = None
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. `calls`: the assistant's. `call_id`: which of them a message of role `tool` answers."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked. It stops before any text in `stop`, and may call `tools` natively.

    The names of `tools` are such as every provider takes: 1 to 64 of A-Z, a-z, 0-9, `_` and `-`.
    """

    messages: tuple[Message, ...]
    purpose: Purpose = "planner"
    stop: tuple[str, ...] = ()
    tools: tuple[ToolSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests and tokens. None means that the provider did not say; it is never guessed as 0."""

    requests: int = 1
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.cached_tokens, other.cached_tokens),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """Usage per purpose (planner, joiner, ...)."""

    by_purpose: Mapping[str, Usage] = field(default_factory=dict)

    @property
    def total(self) -> Usage:
        """Return the sum; a number is None as soon as one request did not say it."""
        return sum(self.by_purpose.values(), Usage(0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of text or of calls; the last ones may carry usage and why the model finished (`stop`, `length`, ...)."""

    text: str = ""
    usage: Usage | None = None
    finish: str | None = None
    calls: tuple[CallPiece, ...] = ()

    @property
    def has_content(self) -> bool:
        """Return whether something of the reply itself is in it."""
        return bool(self.text or self.calls)


@runtime_checkable
class Model(Protocol):
    """Anything that streams text for a prompt. Plain `str` chunks are taken as well.

    A model that cannot call tools need not look at `prompt.tools`: it answers in text.
    """

    def stream(self, prompt: Prompt) -> AsyncIterator[Chunk | str]:
        """Return the reply, piece by piece. Raises `ModelError` when the request fails."""
        ...


@runtime_checkable
class Connected(Protocol):
    """A model that keeps connections, which nobody needs for the time being."""

    def release(self) -> None:
        """Close those that are idle, the others once they are; return at once, in any thread."""
        ...


def writable(text: str) -> str:
    """Return text without lone surrogates: JSON's escapes can carry one, and no text that holds it could be sent on."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)
