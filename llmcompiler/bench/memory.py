"""Memory that a run holds beside its plan, by tracemalloc: with all tasks in flight, and once they have ended."""

import asyncio
import gc
import statistics
import tracemalloc
from typing import Any

from llmcompiler.bench.row import Row, fewer
from llmcompiler.bench.shapes import plan_text
from llmcompiler.execution.limits import Limits
from llmcompiler.strategies.executing import execute
from llmcompiler.strategies.parsing import parse_plan
from llmcompiler.toolkit.tool import Tool, tool

_SETTLE_SECONDS = 0.1


def memory(runs: int, count: int = 10_000) -> list[Row]:
    """Return KB a task, in flight and finished, the run still being there with its events and outcomes."""
    found = [asyncio.run(_measured(count)) for _ in range(fewer(runs))]
    in_flight, finished = ([1e-3 * size / count for size in sizes] for sizes in zip(*found, strict=True))
    what = f"`execute` of {count:,} async tasks at once, tracemalloc; beyond the plan, events and outcomes included"
    return [
        Row(f"memory a task, {name}", what, {"median": statistics.median(sizes)}, "KB", limit=limit)
        for name, sizes, limit in (("finished", finished, 1.2), ("all in flight", in_flight, 3.0))
    ]


async def _measured(count: int) -> tuple[int, int]:
    """Return the bytes in use while `count` tasks are in flight, and when they have ended but the run has not."""
    probe = _Probe(count)
    tools = probe.tools()
    plan = parse_plan(plan_text(["wait()"] * count + ["probe()"]), tools=tools)
    gc.collect()
    tracemalloc.start()
    try:
        await execute(plan, tools=tools, limits=Limits(parallel_tasks=count + 1))
    finally:
        tracemalloc.stop()
    return probe.in_flight, probe.finished


class _Probe:
    """Tools that wait for each other, so that the run itself reads the memory at the right moments."""

    def __init__(self, count: int) -> None:
        self.in_flight = self.finished = 0
        self._count = count
        self._running = 0
        self._all_run, self._may_end = asyncio.Event(), asyncio.Event()

    def tools(self) -> list[Tool[..., Any]]:
        """Return `wait`, of which all tasks but one are calls, and `probe`, the last one's."""

        @tool
        async def wait() -> None:
            """Wait until everything runs and was measured."""
            self._running += 1
            if self._running == self._count:
                self._all_run.set()
            await self._may_end.wait()

        @tool
        async def probe() -> None:
            """Measure while everything runs, and again when nothing but this does."""
            await self._all_run.wait()
            self.in_flight = await _settled()
            self._may_end.set()
            self.finished = await _settled()

        return [wait, probe]


async def _settled() -> int:
    await asyncio.sleep(_SETTLE_SECONDS)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
