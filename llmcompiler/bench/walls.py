"""Wall time of whole runs over real HTTP, against the bound of what the server sent when."""

import asyncio
import statistics
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from llmcompiler.bench.bound import bound_of
from llmcompiler.bench.row import Row, cited, fewer, spread
from llmcompiler.bench.serving import Script, ServerProcess, is_planner
from llmcompiler.bench.shapes import FOUND, JOINER, PACE, SHAPES, Pace, Shape, plan_text
from llmcompiler.strategies.compiler import LLMCompiler
from llmcompiler.strategies.planning import END_OF_PLAN
from llmcompiler.testing.server import LoggedRequest, Reply, Stall, tokenize
from llmcompiler.toolkit.tool import Tool, tool

_REQUESTS = 2  # one after the other, in a run: the planner's and the joiner's
_ALLOWED_SECONDS = 0.005  # for each of them
_STALLED = ('look("first")', 'look("after ${1}")', 'look("other")')  # after the first two the planner hangs


@dataclass(frozen=True, slots=True)
class _Times:
    """When each call of `look` began and ended, by its topic."""

    begun: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)


def wall(shape: Shape, runs: int, pace: Pace = PACE) -> list[Row]:
    """Return the wall time of a shape, warm."""
    with ServerProcess(_script(shape, pace)) as server:
        walls = asyncio.run(_questions_at_once(server, runs, 1, pace))
        bound = statistics.median(_bounds(server, pace)[1:])
    what = f"question to answer, {runs} runs; the bound is computed from what the server sent when"
    limit = 1.01 * bound + _ALLOWED_SECONDS * _REQUESTS
    return [Row(shape.name, what, spread(walls), "s", bound, limit)]


def published(runs: int) -> list[Row]:
    """Return what was published about such walls."""
    return [cited("  original, these six", {"least": 1.03, "most": 1.05}, "x bound")]


def _script(shape: Shape, pace: Pace) -> Script:
    return Script(Reply(shape.plan()), Reply(JOINER), pace.timing)


def _agent(server: ServerProcess, look: Tool[..., Any]) -> LLMCompiler:
    return LLMCompiler("openai:scripted", [look], base_url=server.base_url, api_key="none")


def _look(pace: Pace, times: _Times) -> Tool[..., Any]:
    @tool(expected=pace.tool)
    async def look(topic: str) -> str:
        """Return something about a topic, after a while."""
        times.begun[topic] = monotonic()
        await asyncio.sleep(pace.tool)
        times.ended[topic] = monotonic()
        return FOUND

    return look


def _bounds(server: ServerProcess, pace: Pace) -> list[float]:
    planners = [request for request in server.requests if is_planner(request.request)]
    return [bound_of(planner, JOINER, pace.timing, {"look": pace.tool}).total for planner in planners]


def stalled_planner(runs: int, pace: Pace = PACE) -> list[Row]:
    """Return how late a ready dependant starts while the planner's stream hangs."""
    late = asyncio.run(_stalled_planner(fewer(runs), pace))
    what = f"the planner hangs for {pace.stall:g} s when two tasks are out; the second's start after its text and input"
    figures = {"worst": max(late), "median": statistics.median(late)}
    return [
        Row("dependant while the planner stalls", what, figures, "ms", limit=10.0),
        cited("  original", {"once": 930.0}, "ms"),
    ]


async def _stalled_planner(runs: int, pace: Pace) -> list[float]:
    times, late = _Times(), list[float]()
    text = plan_text(_STALLED)
    ready = text[: text.index("3. ")]
    plan = Reply(text, fault=Stall(len(tokenize(ready)), pace.stall))
    with ServerProcess(Script(plan, Reply(JOINER), pace.timing)) as server:
        agent = _agent(server, _look(pace, times))
        for _ in range(runs + 1):  # the first one warms up
            await agent.arun("go")
            planner = [request for request in server.requests if is_planner(request.request)][-1]
            late.append(1e3 * (times.begun[f"after {FOUND}"] - max(_sent_at(planner, ready), times.ended["first"])))
    return late[1:]


def _sent_at(planner: LoggedRequest, text: str) -> float:
    """Return when the last of `text`, with which the reply begins, was sent."""
    said = ""
    for sent in planner.sent:
        said += sent.text
        if said.startswith(text):
            return sent.at
    raise AssertionError(f"the server never sent {text!r}")


def questions_at_once(runs: int, pace: Pace = PACE, count: int = 50) -> list[Row]:
    """Return the wall time of many questions asked of one agent at the same moment, and of openai's client alone."""
    with ServerProcess(_script(SHAPES[0], pace)) as server:
        walls = asyncio.run(_questions_at_once(server, runs, count, pace))
        bound = statistics.median(_bounds(server, pace)[count:])
        bare = asyncio.run(_requests_at_once(server, fewer(runs), count, pace))
    what = f"{count} runs of {SHAPES[0].name!r} in one process, on one loop, {runs} times; to the last answer"
    bare_what = f"{count} times the same two requests one after the other, and the tools' seconds in between"
    return [
        Row(f"{count} questions at once", what, spread(walls), "s", bound, 1.10 * bound),
        Row("  openai's client alone", bare_what, spread(bare), "s", bound),
    ]


async def _questions_at_once(server: ServerProcess, runs: int, count: int, pace: Pace) -> list[float]:
    agent = _agent(server, _look(pace, _Times()))
    return await _walls(lambda: agent.arun("go"), runs, count)


async def _requests_at_once(server: ServerProcess, runs: int, count: int, pace: Pace) -> list[float]:
    import openai

    client = openai.AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0)
    prompt = "What a planner or a joiner is told. " * 100

    async def ask(stop: str) -> None:
        async for _ in await client.chat.completions.create(
            model="scripted", messages=[{"role": "user", "content": prompt}], stream=True, stop=[stop]
        ):
            pass

    async def converse() -> None:
        await ask(END_OF_PLAN)
        await asyncio.sleep(pace.tool)
        await ask("another")

    async with client:
        return await _walls(converse, runs, count)


async def _walls(work: Callable[[], Coroutine[Any, Any, object]], runs: int, count: int) -> list[float]:
    """Return the seconds that `count` pieces of work take side by side, `runs` times after one that warms up."""
    walls = []
    for _ in range(runs + 1):
        start = monotonic()
        await asyncio.gather(*(work() for _ in range(count)))
        walls.append(monotonic() - start)
    return walls[1:]
