"""One contender at its server: each question is timed, and counted in the server's log."""

import asyncio
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from llmcompiler.bench.peers.peer import Ask, Peer
from llmcompiler.bench.peers.scripts import Script
from llmcompiler.bench.shapes import ANSWER, FOUND, PACE, Shape
from llmcompiler.errors import InternalError
from llmcompiler.testing.server import LoopbackServer, Reply, Timing


@dataclass(frozen=True, slots=True)
class Result:
    """What one contender took for one shape. `walls` are seconds; requests and tokens are those of one question.

    `form` is how the model wrote it. `tokens_in` are read in all requests together, `tokens_out` are written.
    """

    name: str
    version: str | None
    shape: str
    form: str
    walls: tuple[float, ...]
    requests: int
    tokens_in: int
    tokens_out: int

    @property
    def median(self) -> float:
        """Return the middle wall time in seconds."""
        return statistics.median(self.walls)

    @property
    def worst(self) -> float:
        """Return the longest wall time in seconds."""
        return max(self.walls)


@dataclass(slots=True)
class Contender:
    """A peer with its agent and its server, warm after the first question."""

    peer: Peer
    _ask: Ask
    _server: LoopbackServer
    _replies: deque[Reply]
    _looked: list[str] = field(default_factory=list)

    async def take(self, shape: Shape, runs: int) -> Result:
        """Return what `runs` questions take with the script that is fastest in a run of its own before."""
        scripts = self.peer.scripts(shape)
        trials = [await self._wall(shape, script) for script in scripts]
        script = scripts[trials.index(min(trials))]
        before = len(self._server.requests)
        walls = [await self._wall(shape, script) for _ in range(runs)]
        requests = [logged.request for logged in self._server.requests[before:]]
        return Result(
            self.peer.name,
            self.peer.version,
            shape.name,
            script.form,
            tuple(walls),
            len(requests) // runs,
            sum(request.prompt_tokens for request in requests) // runs,
            script.tokens,
        )

    async def _wall(self, shape: Shape, script: Script) -> float:
        self._replies.extend(script.replies)
        self._looked.clear()
        start = time.perf_counter()
        answer = await self._ask("go")
        wall = time.perf_counter() - start
        if answer != ANSWER or self._replies or sorted(self._looked) != _topics(shape):
            raise InternalError(
                f"{self.peer.name} did not go through {shape.name!r} as scripted ({script.form}): it answered "
                f"{answer!r}, left {len(self._replies)} replies, and looked up {self._looked}"
            )
        return wall


@asynccontextmanager
async def contender(
    peer: Peer, *, timing: Timing = PACE.timing, seconds: float = PACE.tool, blocking: bool = False
) -> AsyncIterator[Contender]:
    """Give `peer` with an agent and a server of its own; its tool takes `seconds`, asleep in a thread if `blocking`."""
    replies, looked = deque[Reply](), list[str]()
    with LoopbackServer(lambda _: replies.popleft(), timing=timing) as server:
        look = (_blocking_look if blocking else _look)(looked, seconds)
        async with peer.agent(look, server.base_url) as ask:
            yield Contender(peer, ask, server, replies, looked)


def _look(looked: list[str], seconds: float) -> Callable[[str], Awaitable[str]]:
    async def look(topic: str) -> str:
        """Return something about a topic, after a while."""
        looked.append(topic)
        await asyncio.sleep(seconds)
        return FOUND

    return look


def _blocking_look(looked: list[str], seconds: float) -> Callable[[str], str]:
    def look(topic: str) -> str:
        """Return something about a topic, after a while."""
        looked.append(topic)
        time.sleep(seconds)
        return FOUND

    return look


def _topics(shape: Shape) -> list[str]:
    return sorted(shape.topic(id, tuple(FOUND for _ in needed)) for id, needed in enumerate(shape.inputs, 1))
