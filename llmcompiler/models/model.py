"""The `Model` protocol: a prompt in, a stream of text chunks out."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Purpose: TypeAlias = str  # "planner", "joiner", "agent", ...: who asks; usage is told apart by it


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked. It stops before any text in `stop`."""

    messages: tuple[Message, ...]
    purpose: Purpose = "planner"
    stop: tuple[str, ...] = ()


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
    """A piece of text; the last ones may carry the usage and why the model finished (`stop`, `length`, ...)."""

    text: str = ""
    usage: Usage | None = None
    finish: str | None = None


@runtime_checkable
class Model(Protocol):
    """Anything that streams text for a prompt. Plain `str` chunks are taken as well."""

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
