"""The ground of virtual time: ideal models in this process, on a clock on which only waiting takes time."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from llmcompiler.bench.asynclm.contenders import Contender
from llmcompiler.bench.asynclm.ground import Costs
from llmcompiler.bench.asynclm.ideal import CmlIdeal, cml_tokens
from llmcompiler.bench.asynclm.script import Cell, Script
from llmcompiler.models.model import CallPiece, Chunk, Model, Prompt, Usage
from llmcompiler.models.openai import said_in
from llmcompiler.strategies.asynclm.chat import ChatEngine
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.engine import Counts, Engine, SafePoints
from llmcompiler.strategies.run import Run
from llmcompiler.testing import run_virtual
from llmcompiler.testing.server import ChatRequest, ToolCall, count_tokens, tokenize

T = TypeVar("T")


class VirtualTime:
    """A `Ground`. Async is played by an engine that keeps its text, all others by a model that is asked anew."""

    name = "virtual"
    at_once = 1

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns, on a virtual loop of its own."""
        return run_virtual(work)

    def cell(self, asked: Cell, prompt_tokens: int = 0, joiner_tokens: int = 0) -> Cell:
        """Return what was asked for."""
        return asked

    def voice(self, key: str, script: Script, contender: Contender) -> "VirtualVoice":
        """Return who plays a script."""
        return VirtualVoice(script)


class VirtualVoice:
    """A `Voice`."""

    def __init__(self, script: Script) -> None:
        self._costs = Costs()
        self.speaker: Model | Engine = IdealModel(script, self._costs)
        if isinstance(script.ideal, CmlIdeal):
            self.speaker = IdealEngine(script, self._costs) if script.keeps_cache else ChatEngine(self.speaker)

    async def costs(self) -> Costs:
        """Return what the session has cost."""
        return self._costs


class IdealModel:
    """A `Model` that plays a script, and counts in `costs`."""

    def __init__(self, script: Script, costs: Costs) -> None:
        self._script, self._costs = script, costs

    async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk]:
        """Yield the reply at the script's pace."""
        pace, costs = self._script.pace, self._costs
        request = request_of(prompt)
        said = self._script.ideal.say(request)
        costs.requests += 1
        costs.tokens_in += request.prompt_tokens
        began = asyncio.get_running_loop().time()
        try:
            await asyncio.sleep(pace.first_token + (said.unread or self._script.unread) * pace.per_read_token)
        finally:
            passed = asyncio.get_running_loop().time() - began
            if costs.requests == 1:
                costs.starting += passed
            else:
                costs.injecting += passed
        written = 0
        for chunk in _chunks(said.tokens, said.calls):
            await asyncio.sleep(pace.per_token)
            written += 1
            costs.tokens_out += 1
            costs.generating += pace.per_token
            yield chunk
        finish = "tool_calls" if said.calls else "stop"
        yield Chunk(usage=Usage(1, request.prompt_tokens, written, 0), finish=finish)


def _chunks(tokens: tuple[str, ...], calls: tuple[ToolCall, ...]) -> Iterator[Chunk]:
    """Yield what is said, a token each; the name of a call is one, as over the server."""
    yield from (Chunk(token) for token in tokens)
    for index, call in enumerate(calls):
        yield Chunk(calls=(CallPiece(index, call.id, call.name),))
        yield from (Chunk(calls=(CallPiece(index, arguments=token),)) for token in tokenize(call.arguments))


def request_of(prompt: Prompt) -> ChatRequest:
    """Return a prompt as the loopback server would see it."""
    body = said_in(prompt)
    return ChatRequest(
        model="ideal",
        messages=tuple(body["messages"]),
        prompt=None,
        stream=True,
        stop=prompt.stop,
        tools=tuple(body.get("tools", ())),
        stream_options={},
        temperature=None,
        max_tokens=None,
        raw={},
    )


class IdealEngine:
    """An `Engine` that plays a script in this process: what is put in costs the reading of it and no request.

    What comes in the midst of its answer waits for the end of that, as with the engines that ask a server.
    """

    safe_points: SafePoints = "line"

    def __init__(self, script: Script, costs: Costs) -> None:
        self._script, self._costs = script, costs

    def begin(self, prompt: Prompt, run: Run, delimiters: Delimiters) -> "IdealGeneration":
        """Return the generation for a prompt, not begun."""
        return IdealGeneration(self._script, self._costs, prompt, run)


class IdealGeneration:
    """A `Generation`."""

    def __init__(self, script: Script, costs: Costs, prompt: Prompt, run: Run) -> None:
        self.counts = Counts(requests=1, prefilled=sum(count_tokens(message.text) for message in prompt.messages))
        self.finish: str | None = None
        self._script, self._costs, self._run, self._purpose = script, costs, run, prompt.purpose
        self._is_over = False
        self._text = ""
        self._following: list[str] | None = None  # None: it has to read first
        self._unread = 0
        costs.requests += 1
        costs.tokens_in += self.counts.prefilled or 0

    async def read(self) -> str | None:
        """Return the next token."""
        if self.finish is not None:
            return None
        if self._following is None:
            await self._prefill()
        if not self._following:
            self.finish = "stop"
            return None
        await asyncio.sleep(self._script.pace.per_token)
        token = self._following.pop(0)
        self._text += token
        self._costs.tokens_out += 1
        self._costs.generating += self._script.pace.per_token
        self.counts.generated = (self.counts.generated or 0) + 1
        return token

    def inject(self, text: str, *, drop: int = 0) -> None:
        """Put text in; what would have followed without it is forgotten."""
        self._text = self._text[: len(self._text) - drop] + text
        self._unread += len(cml_tokens(text))
        self._following, self.finish = None, None

    async def pause(self, seconds: float | None) -> None:
        """Keep everything, and wait."""

    async def stop(self) -> None:
        """Tell the run what it has used."""
        if not self._is_over:
            self._is_over = True
            self._run.count(self._purpose, Usage(1, self.counts.prefilled, self.counts.generated, 0))

    async def _prefill(self) -> None:
        pace, ideal = self._script.pace, self._script.ideal
        reading = self._unread * pace.per_read_token
        if self._text:
            self._costs.injecting += reading
            self._costs.tokens_in += self._unread
            self.counts.prefilled = (self.counts.prefilled or 0) + self._unread
        else:
            reading = pace.first_token + self._script.unread * pace.per_read_token
            self._costs.starting += reading
        await asyncio.sleep(reading)
        self._unread = 0
        assert isinstance(ideal, CmlIdeal)
        self._following = ideal.goes_on(self._text)
