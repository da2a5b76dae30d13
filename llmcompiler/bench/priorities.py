"""Slots short: how near to the shortest possible run the priorities come when more tasks are ready than may run.

Tools differ in speed and calls vary about their tool's own; an agent learns the former from its earlier runs. Time is
virtual. No schedule is shorter than the longest path or the work shared out evenly: the wall is told as a ratio to that.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from statistics import fmean

from llmcompiler.bench.row import Row
from llmcompiler.bench.shapes import plan_text
from llmcompiler.execution.limits import Limits
from llmcompiler.strategies.compiler import LLMCompiler
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.toolkit.tool import tool

SLOTS = 4
TASKS = 50
TOOLS = 8
TOOL_SIGMA = 1.0  # of the logarithm of the tools' usual seconds: two thirds lie within a factor of e of each other
CALL_SIGMA = 0.3  # of the logarithm of a call's seconds over its tool's usual ones
LEARNING_RUNS = 5  # of an agent, before its runs count

_ANSWER = Scripted(text="Action: Finish(done)")


@dataclass(frozen=True, slots=True)
class Work:
    """One DAG: for each task the earlier ones that it needs, its tool, and what only the world knows, its seconds."""

    inputs: tuple[tuple[int, ...], ...]
    tools: tuple[int, ...]
    seconds: tuple[float, ...]

    def ranks(self, seconds: Sequence[float]) -> list[float]:
        """Return the longest way from each task's start to the end, if tasks take `seconds`."""
        ranks, after = [0.0] * len(self.inputs), [0.0] * len(self.inputs)
        for task in reversed(range(len(self.inputs))):
            ranks[task] = seconds[task] + after[task]
            for needed in self.inputs[task]:
                after[needed] = max(after[needed], ranks[task])
        return ranks

    def bound(self, slots: int = SLOTS) -> float:
        """Return the seconds that no schedule in so many slots can beat."""
        return max(*self.ranks(self.seconds), sum(self.seconds) / slots)

    def plan(self) -> str:
        """Return the DAG in the plan language; a task's argument says which one it is."""
        refs = [", ".join(f"${one + 1}" for one in needed) for needed in self.inputs]
        return plan_text(
            [f"tool{tool}({id}, [{of}])" for id, (tool, of) in enumerate(zip(self.tools, refs, strict=True), 1)]
        )


def random_work(chance: random.Random, usual: Sequence[float], call_sigma: float = CALL_SIGMA) -> Work:
    """Return a DAG in which each task needs up to two of the earlier ones, on tools with these usual seconds."""
    inputs = tuple(tuple(chance.sample(range(id), min(id, chance.randint(0, 2)))) for id in range(TASKS))
    tools = tuple(chance.randrange(len(usual)) for _ in range(TASKS))
    return Work(inputs, tools, tuple(usual[tool] * chance.lognormvariate(0.0, call_sigma) for tool in tools))


def slots_short(runs: int, dags: int = 500, agents: int = 10) -> list[Row]:
    """Return the mean ratio of the wall to the bound, for an agent that has learnt, and for other orders by simulation.

    `runs` does not matter: virtual time comes out the same each time.
    """
    chance = random.Random(20)
    learnt: list[float] = []
    others: dict[str, list[float]] = {}
    for _ in range(agents):
        usual = [chance.lognormvariate(0.0, TOOL_SIGMA) for _ in range(TOOLS)]
        works = [random_work(chance, usual) for _ in range(LEARNING_RUNS + dags // agents)]
        learnt += run_virtual(_ratios(works))[LEARNING_RUNS:]
        for work in works[LEARNING_RUNS:]:
            for name, order in _orders(work).items():
                others.setdefault(name, []).append(simulate(work, order) / work.bound())
    what = (
        f"{dags} random DAGs of {TASKS} tasks in {SLOTS} slots, virtual time, mean wall over the bound; {agents} agents "
        f"with {TOOLS} tools each (usual seconds lognormal {TOOL_SIGMA:g}, a call's {CALL_SIGMA:g} about its tool's)"
    )
    told = [
        Row(f"  {name}", f"{what}; simulated", {"mean": fmean(ratios)}, "x", source="computed")
        for name, ratios in others.items()
    ]
    return [
        Row("slots short, durations learnt", what, {"mean": fmean(learnt), "worst": max(learnt)}, "x", limit=1.02),
        *told,
    ]


def _orders(work: Work) -> dict[str, list[float]]:
    """Return for some ways of choosing the rank of each task; the highest is started first."""
    size = len(work.inputs)
    return {
        "first come": [0.0] * size,
        "all tools alike": work.ranks([1.0] * size),
        "true durations": work.ranks(work.seconds),
    }


def simulate(work: Work, ranks: Sequence[float], slots: int = SLOTS) -> float:
    """Return the wall time of list scheduling: a free slot takes the ready task of the highest rank, then the first."""
    missing = [len(needed) for needed in work.inputs]
    users: list[list[int]] = [[] for _ in work.inputs]
    for task, needed in enumerate(work.inputs):
        for one in needed:
            users[one].append(task)
    came = count()
    ready = [(-ranks[task], next(came), task) for task, number in enumerate(missing) if number == 0]
    heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            task = heappop(ready)[-1]
            heappush(running, (now + work.seconds[task], task))
        now, ended = heappop(running)
        for user in users[ended]:
            missing[user] -= 1
            if missing[user] == 0:
                heappush(ready, (-ranks[user], next(came), user))
    return now


async def _ratios(works: Sequence[Work]) -> list[float]:
    """Return wall over bound of each run of one agent, which learns from all of them."""
    now = asyncio.get_running_loop().time
    work = works[0]

    async def call(id: int, inputs: list[str]) -> str:
        await asyncio.sleep(work.seconds[id - 1])
        return "done"

    tools = [tool(name=f"tool{number}", description="Take a while.")(call) for number in range(TOOLS)]
    replies = [reply for work in works for reply in (Scripted(chunks=[work.plan()]), _ANSWER)]
    agent = LLMCompiler(ScriptedModel(replies), tools, limits=Limits(parallel_tasks=SLOTS))
    ratios = []
    for work in works:
        start = now()
        await agent.arun("go")
        ratios.append((now() - start) / work.bound())
    return ratios
