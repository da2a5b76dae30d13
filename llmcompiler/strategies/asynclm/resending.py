"""Resending: a generation by an endpoint that takes nothing into a reply. Each injection ends the request, and asks anew."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple, TypeAlias

from llmcompiler.models.model import Chunk, Model, Prompt
from llmcompiler.strategies.asynclm.engine import Counts
from llmcompiler.strategies.run import Reply, Run


class Part(NamedTuple):
    """A stretch of text, of the model or of the runtime."""

    text: str
    is_injected: bool


Ask: TypeAlias = Callable[[Sequence[Part]], tuple[Model, Prompt]]


class Resending:
    """A `Generation`. ask: returns what is asked of whom, given the text so far.

    A server tells what a reply used at its end; of one that was ended from here nobody knows, so `counts` are then None.
    """

    def __init__(self, run: Run, ask: Ask) -> None:
        self.counts = Counts()
        self.finish: str | None = None
        self._run, self._ask = run, ask
        self._parts: list[Part] = []
        self._stream: AsyncGenerator[Chunk, None] | None = None
        self._is_stale = False  # something was injected since the request
        self._reply = Reply()
        self._known: int | None = 0  # tokens that the model has read or written in the latest request

    async def read(self) -> str | None:
        """Return the next piece; ask first if need be."""
        if self._is_stale:
            await self.stop()
            self._is_stale = False
        if self.finish is not None:
            return None
        if self._stream is None:
            self._begin()
        assert self._stream is not None
        async for chunk in self._stream:
            if chunk.text:
                self._add(Part(chunk.text, is_injected=False))
                return chunk.text
        self.finish = self._reply.finish or "stop"
        await self.stop()
        return None

    def inject(self, text: str, *, drop: int = 0) -> None:
        """Add to the text; the next `read` asks with it."""
        while drop > 0:
            last, _ = self._parts.pop()
            if len(last) > drop:
                self._parts.append(Part(last[:-drop], is_injected=False))
            drop -= len(last)
        self._add(Part(text, is_injected=True))
        self._is_stale, self.finish = True, None

    async def pause(self, seconds: float | None) -> None:
        """End the request: the model would write on."""
        await self.stop()

    async def stop(self) -> None:
        """End the request, if one is under way, and count it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()
            self._known = self.counts.request(self._reply.usage, self._known)

    def _begin(self) -> None:
        model, prompt = self._ask(self._parts)
        self._reply = Reply()
        self._stream = self._run.chunks(model, prompt, self._reply)

    def _add(self, part: Part) -> None:
        if self._parts and self._parts[-1].is_injected == part.is_injected:
            part = Part(self._parts.pop().text + part.text, part.is_injected)
        self._parts.append(part)
