"""What it costs to run tasks that do nothing or only wait: `execute` of a parsed plan, events and all."""

import asyncio
import gc
import time
from collections.abc import Coroutine
from typing import Any

from llmcompiler.bench.row import Row, cited, costs, fewer, spread
from llmcompiler.bench.shapes import plan_text
from llmcompiler.execution.limits import Limits
from llmcompiler.plan.plan import Plan
from llmcompiler.strategies.executing import execute
from llmcompiler.strategies.parsing import parse_plan
from llmcompiler.toolkit.tool import Tool, tool

SLOTS = Limits(parallel_tasks=64)
TICK_SECONDS = 0.005


@tool
async def noop(value: Any = None) -> int:
    """Return 1 at once."""
    return 1


def chained(runs: int, length: int = 100) -> list[Row]:
    """Return the time of a chain of tasks that do nothing."""
    plan = _parsed(["noop()", *(f"noop(${id})" for id in range(1, length))], noop)
    times = [1e3 * _run(execute(plan, tools=[noop], limits=SLOTS)) for _ in range(runs + 1)][1:]
    what = f"`execute` of {length} async tasks, each with the result of the one before it, {runs} runs"
    return [
        Row(f"{length} chained no-ops", what, costs(times), "ms", limit=5.0),
        cited("  original", {"once": 1040.0}, "ms"),
    ]


def independent(runs: int, count: int = 100_000, few: int = 1_000) -> list[Row]:
    """Return the cost of a task among many and among few, the longest time the loop was held, and asyncio's own cost."""
    runs = fewer(runs)
    small, large = _parsed(["noop()"] * few, noop), _parsed(["noop()"] * count, noop)
    least = min(_cost(few, execute(small, tools=[noop], limits=SLOTS)) for _ in range(10 * runs))
    many, stalls = list[float](), list[float]()
    for _ in range(runs):
        many.append(_cost(count, _watched(execute(large, tools=[noop], limits=SLOTS), stalls)))
    bare = [_cost(count, _bare(count)) for _ in range(runs)]
    name = f"{count:,} no-ops"
    what = f"`execute` of {count:,} independent async tasks, {SLOTS.parallel_tasks} at once, {runs} runs"
    over, stall = f"{what}; over the cost a task of {few:,}", f"{what}; the longest time without a turn for others"
    return [
        Row(f"{name}, a task", what, costs(many), "us", min(bare), 30.0),
        Row("  in a bare asyncio.TaskGroup", f"{count:,} coroutines, and nothing of a plan", costs(bare), "us"),
        Row(f"{name}, a task, over {few:,}", over, {"least": min(many) / least}, "x", limit=2.5),
        Row(f"{name}, longest stall", stall, {"worst": max(stalls), "least": min(stalls)}, "ms", limit=200.0),
    ]


def sync_tools(runs: int, count: int = 24, seconds: float = 0.3) -> list[Row]:
    """Return the time of sync tools that sleep side by side."""

    @tool
    def pause() -> None:
        """Return after a while, and block a thread until then."""
        time.sleep(seconds)

    plan = _parsed(["pause()"] * count, pause)
    times = [_run(execute(plan, tools=[pause])) for _ in range(runs + 1)][1:]
    what = f"`execute` of {count} tools that block for {seconds:g} s each, default limits, {runs} runs"
    return [
        Row(f"{count} sync tools", what, spread(times), "s", seconds, 1.1 * seconds),
        cited("  best peer", {"once": 0.37}, "s"),
    ]


def cancelling(runs: int, count: int = 1_000) -> list[Row]:
    """Return how long it takes until nothing is left of a cancelled run."""
    times = [1e3 * asyncio.run(_cancelling(count)) for _ in range(runs + 1)][1:]
    what = f"from the cancelling of `execute` with {count:,} async tasks running until all have ended and it returns"
    return [Row(f"cancel {count:,} running tasks", what, costs(times), "ms", limit=50.0)]


async def _cancelling(count: int) -> float:
    running = 0
    all_run = asyncio.Event()

    @tool
    async def wait() -> None:
        """Wait for ever."""
        nonlocal running
        running += 1
        if running == count:
            all_run.set()
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    plan = _parsed(["wait()"] * count, wait)
    work = asyncio.create_task(execute(plan, tools=[wait], limits=Limits(parallel_tasks=count)))
    await all_run.wait()
    await asyncio.sleep(0.05)  # so that whatever followed from the last start is over
    start = time.perf_counter()
    work.cancel()
    await asyncio.wait([work])
    seconds = time.perf_counter() - start
    assert work.cancelled()
    assert running == 0
    return seconds


def _parsed(calls: list[str], tool: Tool[..., Any]) -> Plan:
    return parse_plan(plan_text(calls), tools=[tool])


async def _bare(count: int) -> None:
    """Do as much with asyncio alone: no plan, no checks, no events, no outcomes."""
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(noop.function())


async def _watched(work: Coroutine[Any, Any, Any], stalls: list[float]) -> None:
    """Do `work` beside a ticker that appends for how many milliseconds at most it got no turn."""
    ticker = asyncio.create_task(_tick(stalls))
    await asyncio.sleep(0)
    await work
    ticker.cancel()
    await asyncio.wait([ticker])


async def _tick(stalls: list[float]) -> None:
    longest, due = 0.0, time.perf_counter()
    try:
        while True:
            due = time.perf_counter() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            longest = max(longest, time.perf_counter() - due)
    finally:
        stalls.append(1e3 * max(longest, time.perf_counter() - due))


def _cost(count: int, work: Coroutine[Any, Any, Any]) -> float:
    return 1e6 * _run(work) / count


def _run(work: Coroutine[Any, Any, Any]) -> float:
    """Return the seconds that `work` takes. What earlier measures left behind is collected before, not during it."""
    gc.collect()
    return asyncio.run(_timed(work))


async def _timed(work: Coroutine[Any, Any, Any]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start
