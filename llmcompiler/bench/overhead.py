"""What the framework costs: wall time over the bound on the loopback server, and bare dispatch of tasks that do nothing."""

import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any

from llmcompiler.bench.bound import bound_of
from llmcompiler.execution.limits import Limits
from llmcompiler.plan.plan import Plan
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref
from llmcompiler.strategies.compiler import LLMCompiler
from llmcompiler.strategies.executing import execute
from llmcompiler.testing.server import LoopbackServer, Timing
from llmcompiler.toolkit.tool import tool

TIMING = Timing(first_token=0.3, per_token=0.01)
TOOL_SECONDS = 0.3
JOINER = "Thought: everything is known.\nAction: Finish(done)"
SHAPES = {
    "8 independent": [f'{i}. look("topic {i}")' for i in range(1, 9)],
    "chain of 4": ['1. look("a")', *(f'{i}. look("after ${{{i - 1}}}")' for i in range(2, 5))],
    "two-level diamond": [
        '1. look("top")',
        '2. look("left of ${1}")',
        '3. look("right of ${1}")',
        '4. look("${2} and ${3}")',
        '5. look("left below ${4}")',
        '6. look("right below ${4}")',
        '7. look("${5} and ${6}")',
    ],
}


@dataclass(frozen=True, slots=True)
class Row:
    """One measure. `median` and `worst` are in `unit`; `bound` is the least possible, where there is one."""

    name: str
    runs: int
    median: float
    worst: float
    unit: str
    bound: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return median over bound."""
        return None if self.bound is None else self.median / self.bound


@tool(effect="undeclared", expected=TOOL_SECONDS)
async def look(topic: str) -> str:
    """Return something about a topic, after a while."""
    await asyncio.sleep(TOOL_SECONDS)
    return "found"


@tool
async def noop(value: Any = None) -> int:
    """Return 1 at once."""
    return 1


def measure(runs: int, say: Callable[[str], None]) -> list[Row]:
    """Return all rows; `say` is told what is being measured. The model is scripted, over real HTTP on loopback."""
    rows = []
    for name, lines in SHAPES.items():
        say(name)
        rows.append(asyncio.run(_shape(name, lines, runs)))
    say("100 chained no-ops")
    rows.append(_dispatch("100 chained no-ops", _chain(100), "ms", 1e3, runs))
    for count in (1_000, 100_000):
        say(f"{count:,} independent no-ops")
        plan = Plan(tuple(Task(id, "noop") for id in range(1, count + 1)))
        rows.append(_dispatch(f"{count:,} independent no-ops, a task", plan, "us", 1e6 / count, max(3, runs // 3)))
    say("a bare task group")
    bare = [asyncio.run(_timed(_bare(100_000))) * 10 for _ in range(3)]
    name = "(100,000 in a bare asyncio.TaskGroup, a task)"
    rows.append(Row(name, len(bare), statistics.median(bare), max(bare), "us"))
    return rows


async def _shape(name: str, lines: list[str], runs: int) -> Row:
    plan = "\n".join([*lines, f"{len(lines) + 1}. join()"])
    walls, bounds = [], []
    with LoopbackServer([plan, JOINER] * (runs + 1), timing=TIMING) as server:
        agent = LLMCompiler("openai:scripted", [look], base_url=server.base_url)
        for _ in range(runs + 1):  # the first one warms up
            start = time.perf_counter()
            await agent.arun("go")
            walls.append(time.perf_counter() - start)
            bounds.append(bound_of(server.requests[-2], JOINER, TIMING, {"look": TOOL_SECONDS}).total)
    return Row(name, runs, statistics.median(walls[1:]), max(walls[1:]), "s", statistics.median(bounds[1:]))


def _chain(length: int) -> Plan:
    first = Task(1, "noop")
    return Plan((first, *(Task(id, "noop", kwargs={"value": Ref(id - 1)}) for id in range(2, length + 1))))


def _dispatch(name: str, plan: Plan, unit: str, scale: float, runs: int) -> Row:
    limits = Limits(parallel_tasks=64)
    times = [scale * asyncio.run(_timed(execute(plan, tools=[noop], limits=limits))) for _ in range(runs)]
    return Row(name, runs, statistics.median(times), max(times), unit)


async def _bare(count: int) -> None:
    """Do as much with asyncio alone: no plan, no checks, no events, no outcomes."""
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(noop.function())


async def _timed(work: Coroutine[Any, Any, Any]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """Return the rows as JSON data."""
    return [{**asdict(row), "ratio": row.ratio} for row in rows]
