"""Who speaks on the ground of a model in this process: that model, forced to write what the ideal one says."""

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Literal, TypeAlias

from llmcompiler.bench.asynclm.ground import Costs
from llmcompiler.bench.asynclm.ideal import PIECES, CmlIdeal, Ideal
from llmcompiler.bench.asynclm.virtual import request_of
from llmcompiler.models.local.model import LocalModel
from llmcompiler.models.model import Chunk, Prompt, Purpose
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.engine import Generation, SafePoints
from llmcompiler.strategies.asynclm.local import LocalEngine
from llmcompiler.strategies.run import Run
from llmcompiler.testing.checkpoint import CALL, REPLY
from llmcompiler.testing.forcing import Given, GoesOn
from llmcompiler.testing.server import ToolCall

Phase: TypeAlias = Literal["starting", "generating", "injecting"]

_BEHIND = f"\n{CALL[2]}"  # of a call; the line's end keeps it apart from the arguments
_AROUND = rf'(?:{re.escape(_BEHIND)})?{re.escape(CALL[0])}[^"]*{re.escape(CALL[1].rstrip())}|{re.escape(_BEHIND)}'
FORCED_PIECES = f"{_AROUND}|{PIECES}"  # what its tokens look like


class Floor:
    """What one model writes for whoever has the floor. Sessions have it in turn; what is read meanwhile is theirs."""

    def __init__(self) -> None:
        self.given = Given()
        self._goes_on: GoesOn = str

    def goes_on(self, read: str) -> str:
        """Return how the text of whoever has the floor goes on."""
        return self._goes_on(read)

    @contextmanager
    def taken(self, goes_on: GoesOn, costs: Costs) -> Iterator[None]:
        """Have the floor; what is read and written goes into `costs`."""
        texts, tokens, own = self.given.texts, self.given.tokens, self.given.own
        self._goes_on = goes_on
        try:
            yield
        finally:
            costs.requests += self.given.texts - texts
            costs.tokens_in += self.given.tokens - tokens
            costs.tokens_out += self.given.own - own


@contextmanager
def _timed(costs: Costs, phase: Phase) -> Iterator[None]:
    began = perf_counter()
    try:
        yield
    finally:
        setattr(costs, phase, getattr(costs, phase) + perf_counter() - began)


class AskedAnew:
    """A `Model` that plays a script, and reads every prompt from its beginning."""

    def __init__(self, model: LocalModel, ideal: Ideal, floor: Floor, costs: Costs) -> None:
        self._model, self._ideal, self._floor, self._costs = model, ideal, floor, costs

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """Yield the reply, a token each."""
        costs, said = self._costs, self._ideal.say(request_of(prompt))
        text = calls_text(said.calls) or "".join(said.tokens)
        phase: Phase = "injecting" if costs.requests else "starting"
        before = self._floor.given.tokens
        with self._floor.taken(lambda read: text, costs):
            async with aclosing(self._model.stream(prompt)) as chunks:
                while True:
                    with _timed(costs, phase):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        return
                    if chunk.has_content:
                        if phase != "generating":
                            self._has_read(self._floor.given.tokens - before, prompt.purpose)
                        phase = "generating"
                    yield _with_ids(chunk, said.calls)

    def _has_read(self, tokens: int, purpose: Purpose) -> None:
        if purpose == "joiner":
            self._costs.joiner_tokens = tokens
        elif not self._costs.prompt_tokens:
            self._costs.prompt_tokens = tokens


def _with_ids(chunk: Chunk, calls: Sequence[ToolCall]) -> Chunk:
    """Return a chunk whose calls have ids, by which the ideal model knows its steps again: as a provider gives them."""
    pieces = (replace(piece, id=calls[piece.index or 0].id) if piece.name else piece for piece in chunk.calls)
    return replace(chunk, calls=tuple(pieces))


def calls_text(calls: Sequence[ToolCall]) -> str:
    """Return native calls as the model writes them.

    Of what stands around the arguments, all of it up to the next arguments is one token, as over the server.
    """
    return "".join(f"{CALL[0]}{call.name}{CALL[1]}{call.arguments}{_BEHIND}" for call in calls)


class LiveEngine:
    """An `Engine`, that of local models, which plays a script.

    What comes in the midst of its answer waits for the end of that, as on the other grounds. It keeps its cache through all
    waits: a model this small would read everything again in a tenth of the time, and one of a useful size would not.
    """

    safe_points: SafePoints = "line"

    def __init__(self, engine: LocalEngine, ideal: CmlIdeal, floor: Floor, costs: Costs) -> None:
        self._engine, self._ideal, self._floor, self._costs = engine, ideal, floor, costs

    def begin(self, prompt: Prompt, run: Run, delimiters: Delimiters) -> "LiveGeneration":
        """Return the generation for a prompt, not begun."""
        return LiveGeneration(self._engine.begin(prompt, run, delimiters), self._ideal, self._floor, self._costs)


class LiveGeneration:
    """A `Generation`."""

    def __init__(self, generation: Generation, ideal: CmlIdeal, floor: Floor, costs: Costs) -> None:
        self._generation, self._ideal, self._floor, self._costs = generation, ideal, floor, costs
        self._phase: Phase = "starting"
        self._turn = ExitStack()
        self._has_begun = False
        self.counts = generation.counts
        self.finish: str | None = None

    async def read(self) -> str | None:
        """Return the next token."""
        if not self._has_begun:
            self._has_begun = True
            self._turn.enter_context(self._floor.taken(self._goes_on, self._costs))
        with _timed(self._costs, self._phase):
            piece = await self._generation.read()
        self.finish = self._generation.finish
        if piece is not None:
            self._costs.prompt_tokens = self._costs.prompt_tokens or self.counts.prefilled or 0
            self._phase = "generating"
        return piece

    def inject(self, text: str, *, drop: int = 0) -> None:
        """Put text in, to be read with the next token."""
        self._generation.inject(text, drop=drop)
        self.finish = None
        self._phase = "injecting" if self._has_begun else "starting"

    async def pause(self, seconds: float | None) -> None:
        """Wait, as if nobody knew how long."""
        await self._generation.pause(None)

    async def stop(self) -> None:
        """End it."""
        await self._generation.stop()
        self._turn.close()

    def _goes_on(self, read: str) -> str:
        _, is_prompt_read, text = read.partition(REPLY)
        return "".join(self._ideal.goes_on(text)) if is_prompt_read else ""
