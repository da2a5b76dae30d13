"""O05: the deadline of an attempt fires on time whatever the tool does. Exact on virtual time for the loop; threads and
processes live in real time, so there the bounds are generous."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tenacity import wait_fixed, wait_none

from llmcompiler import ErrorRecord, Failed, Limits, RunResult, Skipped, Succeeded, tool
from llmcompiler.journal.events import TaskEnded, TaskStarted
from llmcompiler.testing import run_virtual
from tests.execution import rogues
from tests.execution.running import (
    PATIENCE,
    in_tier,
    is_running,
    outcomes_of,
    process_of,
    scripted,
    seconds_until,
    virtual,
)

LATE = Failed(ErrorRecord("timeout", "TimeoutError", "no result within 5 s"))


async def never_returns() -> None:
    await asyncio.Event().wait()


async def ignores_cancellation() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def hangs_in_its_cleanup() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.Event().wait()


async def fails_in_its_cleanup() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("cleanup")


async def returns_a_moment_late() -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
    return "late"


async def returns_very_late() -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(1)
    return "late"


async def calls_back_after_its_end() -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    loop.call_later(6, task.cancel)
    await asyncio.Event().wait()


ON_THE_LOOP = [
    pytest.param(never_returns, 0, id="O05a never returns"),
    pytest.param(ignores_cancellation, 1, id="O05b ignores cancellation"),
    pytest.param(hangs_in_its_cleanup, 1, id="O05c a cleanup that hangs"),
    pytest.param(fails_in_its_cleanup, 0, id="O05c a cleanup that fails"),
    pytest.param(returns_a_moment_late, 0, id="O05d a moment late"),
    pytest.param(returns_very_late, 0, id="O05d very late"),
    pytest.param(calls_back_after_its_end, 0, id="is cancelled once more later"),
]


@pytest.mark.parametrize(("function", "abandoned"), ON_THE_LOOP)
def test_O05_on_the_loop_the_deadline_is_exact(function: Callable[[], Awaitable[object]], abandoned: int) -> None:
    @tool
    async def nap(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    late = tool(timeout=5, name="late")(function)
    agent = scripted('1. late()\n2. nap(3)\n3. echo("$1")\n4. nap(9)\n5. join()', tools=[late, nap, rogues.echo])
    result = run_virtual(agent.arun("q"))
    assert (result.tasks[1].outcome, result.tasks[1].ended) == (LATE, 5)
    assert (result.tasks[2].outcome, result.tasks[2].ended) == (Succeeded(3), 3)
    assert (result.tasks[3].outcome, result.tasks[3].ended) == (Skipped(1), 5)
    assert (result.tasks[4].outcome, result.tasks[4].ended) == (Succeeded(9), 9)
    assert result.abandoned == abandoned
    assert result.seconds == 9


@pytest.mark.parametrize(("function", "abandoned"), ON_THE_LOOP)
def test_O05_execute_ends_on_time_too(function: Callable[[], Awaitable[object]], abandoned: int) -> None:
    async def scenario() -> float:
        late = tool(timeout=5, name="late")(function)
        assert await outcomes_of("1. late()\n2. join()", [late]) == {1: LATE}
        return asyncio.get_running_loop().time()

    ended = run_virtual(scenario())
    polite = function in (never_returns, fails_in_its_cleanup, calls_back_after_its_end)
    assert ended == pytest.approx(5 if polite else 5.01 if function is returns_a_moment_late else 5.05)


def test_O05_the_deadline_holds_for_each_attempt() -> None:
    late = tool(timeout=5, retries=2, wait=wait_fixed(10), name="late")(ignores_cancellation)
    result = run_virtual(scripted("1. late()\n2. join()", tools=[late]).arun("q"))
    assert [event.at for event in result.events if isinstance(event, TaskStarted)] == [0, 15, 30]
    assert (result.tasks[1].outcome, result.tasks[1].ended, result.tasks[1].attempts) == (LATE, 35, 3)
    assert result.abandoned == 3


def test_O05d_a_late_value_is_not_taken_for_that_of_the_next_attempt() -> None:
    attempts = []

    @tool(timeout=5, retries=1, wait=wait_none())
    async def late() -> str:
        attempts.append(1)
        if len(attempts) > 1:
            await asyncio.sleep(3)
            return "second"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return "first"

    result = run_virtual(scripted("1. late()\n2. join()", tools=[late]).arun("q"))
    assert (result.tasks[1].outcome, result.tasks[1].ended) == (Succeeded("second"), 8)


def test_O05_a_value_at_the_very_moment_of_the_deadline_is_one_or_the_other() -> None:
    @tool(timeout=5)
    async def on_time() -> str:
        await asyncio.sleep(5)
        return "on time"

    [outcome] = virtual("1. on_time()\n2. join()", [on_time]).values()
    assert outcome in (Succeeded("on time"), LATE)


def test_O05_no_deadline_at_all() -> None:
    @tool(timeout=None)
    async def patient() -> str:
        await asyncio.sleep(1e7)
        return "at last"

    result = run_virtual(scripted("1. patient()\n2. join()", tools=[patient]).arun("q"))
    assert (result.tasks[1].outcome, result.tasks[1].ended) == (Succeeded("at last"), 1e7)


# Threads and processes

SECONDS = 0.5


def run_late(function: Callable[..., object], tier: str, folder: Path) -> RunResult:
    """Run a tool that is late beside one that is not."""
    late = in_tier(function, tier, timeout=SECONDS, name="late")  # type: ignore[arg-type]
    tools = [late, in_tier(rogues.fine, tier), in_tier(rogues.echo, tier)]  # type: ignore[arg-type]
    agent = scripted(f'1. fine()\n2. late("{folder}", $1)\n3. echo("$2")\n4. fine(3)\n5. join()', tools=tools)
    try:
        return asyncio.run(agent.arun("q"))
    finally:
        agent.close()


def check(result: RunResult) -> None:
    outcomes = [record.outcome for record in result.tasks.values()]
    assert outcomes[0] == Succeeded(2)
    assert outcomes[1] == Failed(ErrorRecord("timeout", "TimeoutError", f"no result within {SECONDS} s"))
    assert outcomes[2:] == [Skipped(2), Succeeded(4)]
    late = result.tasks[2]
    assert SECONDS <= (late.ended or 0) - (late.started or 0) <= SECONDS + 2


@pytest.mark.parametrize("function", [rogues.hangs, rogues.hangs_in_cleanup], ids=["O05a", "O05c"])
def test_O05_in_a_thread(function: Callable[..., object], tmp_path: Path) -> None:
    result = run_late(function, "thread", tmp_path)
    check(result)
    assert result.abandoned == 1, "a thread cannot be stopped, so it is counted"


@pytest.mark.parametrize(
    "function",
    [rogues.hangs, rogues.ignores_signals, rogues.hangs_in_cleanup, rogues.computes],
    ids=["O05a", "O05b", "O05c", "O12b"],
)
def test_O05_in_a_process(function: Callable[..., object], tmp_path: Path) -> None:
    result = run_late(function, "process", tmp_path)
    check(result)
    assert result.abandoned == 0
    pid = process_of(tmp_path)
    assert pid is not None
    seconds_until(lambda: not is_running(pid))


@pytest.mark.parametrize("tier", ["thread", "process"])
def test_O05d_a_late_value_is_discarded(tier: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        released = asyncio.Event()

        @tool
        async def waits() -> str:
            await released.wait()
            return "released"

        late = in_tier(rogues.is_late, tier, timeout=SECONDS)  # type: ignore[arg-type]
        agent = scripted(f'1. is_late("{tmp_path}")\n2. waits()\n3. join()', tools=[late, waits])
        async for event in agent.astream("q"):
            if isinstance(event, TaskEnded) and event.id == 1:
                (tmp_path / "go").touch()
                if tier == "thread":
                    await asyncio.to_thread(seconds_until, (tmp_path / "late").exists)
                released.set()
        agent.close()
        result = event.result  # type: ignore[union-attr]
        assert result.tasks[1].outcome == Failed(
            ErrorRecord("timeout", "TimeoutError", f"no result within {SECONDS} s")
        )
        assert result.tasks[2].outcome == Succeeded("released")
        if tier == "thread":
            seconds_until(lambda: agent._means.workshop.executors.threads.discarded == 1)
            assert agent._means.workshop.executors.abandoned == 0

    asyncio.run(scenario())


def test_O05_hung_threads_take_no_seat_from_others(tmp_path: Path) -> None:
    late = in_tier(rogues.hangs, "thread", timeout=SECONDS)
    calls = "".join(f'{id}. hangs("{tmp_path}")\n{id + 1}. fine()\n' for id in range(1, 9, 2))
    agent = scripted(f"{calls}99. join()", tools=[late, in_tier(rogues.fine, "thread")], threads=2)
    result = asyncio.run(agent.arun("q"))
    assert [record.outcome for record in result.tasks.values()][1::2] == [Succeeded(2)] * 4
    assert {type(record.outcome) for record in list(result.tasks.values())[::2]} == {Failed}
    assert result.seconds <= 4 * SECONDS + PATIENCE
    assert result.abandoned <= 4


def test_O05_a_run_does_not_wait_for_hung_threads_at_its_limit(tmp_path: Path) -> None:
    hangs = in_tier(rogues.hangs, "thread", timeout=None)
    agent = scripted(
        f'1. fine()\n2. hangs("{tmp_path}")\n3. join()',
        tools=[hangs, in_tier(rogues.fine, "thread")],
        limits=Limits(seconds=SECONDS),
    )
    begun = time.monotonic()
    result = asyncio.run(agent.arun("q"))
    assert time.monotonic() - begun <= SECONDS + 2
    assert (result.status, result.stopped_by, result.abandoned) == ("partial", "seconds", 1)
