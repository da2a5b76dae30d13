"""ScriptedModel: a model whose replies are written down in advance."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

from llmcompiler.models.model import CallPiece, Chunk, Prompt, ToolCall, Usage

_PIECES = re.compile(r"\s*\S{1,4}|\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """One reply: text, then calls. Seconds are of the loop's clock; `error` is raised after both.

    chunks: the pieces in which the text comes, about 4 characters each unless given. calls: each comes as its name, then
    its arguments in pieces of about 4 characters; or as the pieces given.
    """

    text: str = ""
    chunks: Sequence[str] | None = None
    first_token: float = 0.0
    per_chunk: float = 0.0
    calls: Sequence[ToolCall | CallPiece] = ()
    usage: Usage | None = None
    finish: str = "stop"
    error: Exception | None = None


ScriptedReply: TypeAlias = str | Scripted | Exception


class ScriptedModel:
    """Gives its replies in order, one a request, and keeps the prompts.

    Use it as a context manager, or call `assert_consumed()`, to be sure that every reply was asked for.
    """

    def __init__(self, replies: Iterable[ScriptedReply]) -> None:
        self.prompts: list[Prompt] = []
        self._replies = [_scripted(reply) for reply in replies]

    def __enter__(self) -> "ScriptedModel":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.assert_consumed()

    async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk]:
        """Yield the next reply. Raises `AssertionError` when there is none left."""
        number = len(self.prompts)
        self.prompts.append(prompt)
        if number >= len(self._replies):
            raise AssertionError(f"request {number + 1} came, but only {len(self._replies)} replies are scripted")
        reply = self._replies[number]
        await asyncio.sleep(reply.first_token)
        for chunk in _chunks(reply):
            yield chunk
            await asyncio.sleep(reply.per_chunk)
        if reply.error is not None:
            raise reply.error
        yield Chunk("", reply.usage, reply.finish)

    def assert_consumed(self) -> None:
        """Raise `AssertionError` unless every reply was asked for."""
        left = self._replies[len(self.prompts) :]
        if left:
            raise AssertionError(
                f"{len(left)} scripted replies were never asked for; the next is {left[0].text[:80]!r}"
            )


def _chunks(reply: Scripted) -> Iterator[Chunk]:
    yield from map(Chunk, reply.chunks if reply.chunks is not None else _PIECES.findall(reply.text))
    for index, call in enumerate(reply.calls):
        yield from (Chunk(calls=(piece,)) for piece in _call_pieces(index, call))


def _call_pieces(index: int, call: ToolCall | CallPiece) -> Iterator[CallPiece]:
    if isinstance(call, CallPiece):
        yield call
        return
    yield CallPiece(index, call.id, call.name)
    yield from (CallPiece(index, arguments=piece) for piece in _PIECES.findall(call.arguments))


def _scripted(reply: ScriptedReply) -> Scripted:
    if isinstance(reply, Exception):
        return Scripted(error=reply)
    return Scripted(text=reply) if isinstance(reply, str) else reply
