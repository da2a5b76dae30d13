"""Slots of a run, and the concurrency of a tool within a run and across the runs of an agent, on virtual time."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llmcompiler import Failed, Limits, LLMCompiler, RunResult, Succeeded, tool
from llmcompiler.plan.tools import Tier
from llmcompiler.testing import ScriptedModel, run_virtual
from llmcompiler.toolkit.tool import Tool
from tests.execution.running import FINISH, PATIENCE, scripted


class Meter:
    """Counts how many calls are under way at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.starts: list[float] = []

    def tool(self, seconds: float = 1, **options: Any) -> Tool[..., Any]:
        async def work(number: int = 0) -> int:
            self.starts.append(asyncio.get_running_loop().time())
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.now -= 1
            return number

        return tool(**options)(work)


def calls(count: int) -> str:
    return "".join(f"{id}. work({id})\n" for id in range(1, count + 1)) + f"{count + 1}. join()"


def agent_for(runs: int, plan: str, tools: list[Any], **options: Any) -> LLMCompiler:
    """Return an agent that may be asked so many questions."""
    planner, joiner = ScriptedModel([plan] * runs), ScriptedModel([FINISH] * runs)
    return LLMCompiler(tools=tools, planner_model=planner, joiner_model=joiner, examples=(), **options)


async def together(agent: LLMCompiler, runs: int) -> list[RunResult]:
    return await asyncio.gather(*(agent.arun("q") for _ in range(runs)))


@pytest.mark.parametrize(("slots", "seconds"), [(1, 10), (3, 4), (10, 1), (32, 1)])
def test_a_run_never_has_more_tasks_at_once_than_its_slots(slots: int, seconds: float) -> None:
    meter = Meter()
    result = run_virtual(scripted(calls(10), tools=[meter.tool()], limits=Limits(parallel_tasks=slots)).arun("q"))
    assert (meter.most, result.seconds) == (min(slots, 10), seconds)


@pytest.mark.parametrize(("concurrency", "seconds"), [(1, 6), (2, 3), (4, 2), (None, 1)])
def test_the_concurrency_of_a_tool_within_a_run(concurrency: int | None, seconds: float) -> None:
    meter = Meter()
    result = run_virtual(scripted(calls(6), tools=[meter.tool(concurrency=concurrency)]).arun("q"))
    assert (meter.most, result.seconds) == (min(concurrency or 6, 6), seconds)


def test_tools_at_their_concurrency_leave_the_slots_to_others() -> None:
    meter, other = Meter(), Meter()
    free = other.tool(name="free")
    plan = calls(3).replace("4. join()", "4. free()\n5. free()\n6. join()")
    limits = Limits(parallel_tasks=3)
    result = run_virtual(scripted(plan, tools=[meter.tool(concurrency=1), free], limits=limits).arun("q"))
    assert other.starts == [0, 0]
    assert (meter.most, result.seconds) == (1, 3)


@pytest.mark.parametrize(("concurrency", "seconds"), [(1, 6), (2, 3), (3, 2), (6, 1)])
def test_the_concurrency_of_a_tool_across_two_runs_of_one_agent(concurrency: int, seconds: float) -> None:
    meter = Meter()
    agent = agent_for(2, calls(3), [meter.tool(concurrency=concurrency)])
    results = run_virtual(together(agent, 2))
    assert meter.most == concurrency
    assert max(result.seconds for result in results) == seconds
    assert all(isinstance(task.outcome, Succeeded) for result in results for task in result.tasks.values())


def test_many_runs_at_once_lose_no_turn() -> None:
    meter = Meter()
    agent = agent_for(20, calls(5), [meter.tool(concurrency=3)])
    results = run_virtual(together(agent, 20))
    assert meter.most == 3
    assert max(result.seconds for result in results) == 34, "100 calls, three at a time, without a pause"


async def fails() -> None:
    await asyncio.sleep(1)
    raise ValueError("broken")


async def hangs() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def refuses() -> object:
    await asyncio.sleep(1)
    return object()


@pytest.mark.parametrize(("function", "free_at"), [(fails, 1), (refuses, 1), (hangs, 5)])
def test_the_gate_is_released_on_failure_and_timeout(function: Callable[[], Awaitable[object]], free_at: float) -> None:
    times = []
    first = [True]

    @tool(concurrency=1, timeout=5)
    async def gated() -> object:
        times.append(asyncio.get_running_loop().time())
        if first.pop() if first else False:
            return await function()
        return "whole"

    results = run_virtual(together(agent_for(2, "1. gated()\n2. join()", [gated]), 2))
    assert times == [0, free_at]
    assert {type(result.tasks[1].outcome) for result in results} == {Failed, Succeeded}


@pytest.mark.parametrize("cancelled", [0, 1], ids=["the one inside", "the first that waits"])
def test_the_gate_is_released_on_cancellation(cancelled: int) -> None:
    meter = Meter()
    agent = agent_for(3, "1. work()\n2. join()", [meter.tool(seconds=10, concurrency=1)])

    async def scenario() -> None:
        runs = [asyncio.create_task(agent.arun("q")) for _ in range(3)]
        await asyncio.sleep(3)
        runs[cancelled].cancel()
        results = await asyncio.gather(*runs, return_exceptions=True)
        assert isinstance(results[cancelled], asyncio.CancelledError)

    run_virtual(scenario())
    assert meter.most == 1
    assert meter.starts == ([0, 3, 13] if cancelled == 0 else [0, 10])


def test_a_run_that_is_cancelled_at_the_moment_of_its_turn_passes_it_on() -> None:
    meter = Meter()
    agent = agent_for(3, "1. work()\n2. join()", [meter.tool(seconds=10, concurrency=1)])

    async def scenario() -> None:
        runs = [asyncio.create_task(agent.arun("q")) for _ in range(3)]
        asyncio.get_running_loop().call_at(10, runs[1].cancel)
        await asyncio.gather(*runs, return_exceptions=True)

    run_virtual(scenario())
    assert meter.most == 1
    assert meter.starts in ([0, 10], [0, 10, 20])


def test_a_limit_of_a_run_that_waits_at_the_gate_passes_its_turn_on() -> None:
    meter = Meter()
    gated = meter.tool(seconds=10, concurrency=1)

    async def scenario() -> list[Any]:
        agent = agent_for(3, "1. work()\n2. join()", [gated], limits=Limits(seconds=15))
        return await asyncio.gather(*(agent.arun("q") for _ in range(3)), return_exceptions=True)

    run_virtual(scenario())
    assert meter.starts == [0, 10]
    assert meter.now == 0


def test_a_gate_between_two_event_loops() -> None:
    """Real threads: the gate is the one thing that two loops share."""
    now, most, lock = [0], [0], threading.Lock()

    @tool(concurrency=2)
    async def work(number: int) -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        await asyncio.sleep(0.002)
        with lock:
            now[0] -= 1
        return number

    agent = agent_for(4, calls(20), [work])
    results: list[RunResult] = []
    threads = [threading.Thread(target=lambda: results.append(asyncio.run(agent.arun("q")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [2]
    assert [result.status for result in results] == ["complete"] * 4
    assert all(isinstance(task.outcome, Succeeded) for result in results for task in result.tasks.values())


# --- the pools of the tiers


def hang() -> None:
    threading.Event().wait()


def hurry(number: int = 0) -> int:
    return number


@pytest.mark.parametrize("tier", ["thread", "process"])
def test_a_call_that_waits_for_a_thread_or_a_process_has_not_begun(tier: Tier) -> None:
    tools = [tool(isolate=tier, timeout=1.5)(hang), tool(isolate=tier, timeout=1.0)(hurry)]
    text = "1. hang()\n2. hurry(2)\n3. hurry(3)\n4. join()"
    result = scripted(text, tools=tools, threads=1, processes=1).run("q")
    assert [type(record.outcome) for record in result.tasks.values()] == [Failed, Succeeded, Succeeded]
    begun = {id: record.started or 0.0 for id, record in result.tasks.items()}
    assert begun[2] >= 1.5  # when the hung one had been given up
    assert {record.attempts for record in result.tasks.values()} == {1}


def test_a_call_that_waits_for_a_thread_holds_no_slot_and_no_turn_of_its_tool() -> None:
    gate = threading.Event()

    def block() -> str:
        gate.wait(PATIENCE)
        return "blocked"

    @tool
    async def open_gate(after: int = 0) -> str:
        gate.set()
        return "opened"

    tools = [tool(block), tool(concurrency=1)(hurry), open_gate]
    text = "1. block()\n2. hurry(2)\n3. hurry(3)\n4. open_gate()\n5. join()"
    result = scripted(text, tools=tools, threads=1, limits=Limits(parallel_tasks=2)).run("q")
    assert {type(record.outcome) for record in result.tasks.values()} == {Succeeded}
