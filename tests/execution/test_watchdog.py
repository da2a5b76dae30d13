"""The watchdog: a tool that blocks the event loop is named, with the place where it does. Real time, since it is blocked."""

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from llmcompiler import Failed, LLMCompiler, Succeeded, tool
from llmcompiler.execution import watchdog
from llmcompiler.execution.watchdog import Blocked, watched
from llmcompiler.journal.events import RunEnded, TaskStarted
from llmcompiler.testing import run_virtual
from llmcompiler.testing.loop import Deadlock
from tests.execution.running import FINISH, in_tier, scripted

BLOCKED = 2.2 * watchdog.ALLOWED_SECONDS
SLACK = 0.3  # what a busy machine may add to a block


def blocks(seconds: float) -> str:
    return _deep_inside(seconds)


def _deep_inside(seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:  # computing, which no patch of time.sleep would notice
        sum(range(1000))
    return "done"


def is_true(told: float, seconds: float) -> bool:
    """Return whether a length that was told is that of a block."""
    return seconds - 2 * watchdog.BEAT_SECONDS <= told <= seconds + SLACK


@tool
async def computes() -> str:
    return blocks(BLOCKED)


@tool
async def sleeps() -> str:
    time.sleep(BLOCKED)
    return "done"


@tool
async def waits() -> str:
    await asyncio.sleep(BLOCKED)
    return "done"


def agent(*tools: Any) -> LLMCompiler:
    plan = "".join(f"{id}. {each.spec.name}()\n" for id, each in enumerate(tools, 1)) + "99. join()"
    return scripted(plan, answers=(FINISH,), tools=list(tools))


@pytest.mark.parametrize(("face", "blocking"), [("arun", computes), ("run", sleeps)])
def test_a_tool_that_blocks_the_loop_is_named_with_its_stack(
    face: str, blocking: Any, caplog: pytest.LogCaptureFixture
) -> None:
    one = agent(blocking, waits)
    result = asyncio.run(one.arun("q")) if face == "arun" else one.run("q")
    assert result.tasks[1].outcome == Succeeded("done")
    [blocked] = result.blocked
    assert blocked.tool == blocking.spec.name
    assert "_deep_inside" in blocked.stack if blocking is computes else "time.sleep(BLOCKED)" in blocked.stack
    assert is_true(blocked.seconds, BLOCKED)
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert blocking.spec.name in warning.getMessage()


def test_each_block_is_told_with_its_own_length() -> None:
    lengths = [1.5, 0.7, 1.0]

    @tool
    async def computes_thrice() -> str:
        for seconds in lengths:
            blocks(seconds)
            await asyncio.sleep(2 * watchdog.BEAT_SECONDS)
            blocks(0.2)  # which is let pass
            await asyncio.sleep(2 * watchdog.BEAT_SECONDS)
        return "done"

    blocked = asyncio.run(agent(computes_thrice).arun("q")).blocked
    assert [each.tool for each in blocked] == ["computes_thrice"] * 3
    assert all(is_true(each.seconds, seconds) for each, seconds in zip(blocked, lengths, strict=True))


def test_a_block_that_leaves_the_watchdog_no_moment_to_look_is_told_all_the_same() -> None:
    """One step of C code keeps the interpreter's lock, so no other thread runs, as on a machine that is overloaded."""
    took: list[float] = []

    @tool
    async def keeps_the_lock() -> None:
        begun, numbers = time.monotonic(), 1_000_000
        sum(range(numbers))
        numbers = int(numbers * 1.5 / (time.monotonic() - begun))
        await asyncio.sleep(2 * watchdog.BEAT_SECONDS)
        begun = time.monotonic()
        sum(range(numbers))
        took.append(time.monotonic() - begun)

    [blocked] = asyncio.run(agent(keeps_the_lock).arun("q")).blocked
    assert is_true(blocked.seconds, took[0])
    assert blocked.tool in ("keeps_the_lock", None)


def test_what_is_no_tool_is_told_without_a_name_and_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> tuple[Blocked, ...]:
        async for event in agent(waits).astream("q"):
            if isinstance(event, TaskStarted):
                blocks(BLOCKED)
                time.sleep(BLOCKED / 2)  # what is seen first counts, not what comes at the end
            elif isinstance(event, RunEnded):
                return event.result.blocked
        raise AssertionError("the last event carries the result")

    [blocked] = asyncio.run(scenario())
    assert blocked.tool is None
    assert "_deep_inside" in blocked.stack
    assert is_true(blocked.seconds, 1.5 * BLOCKED)
    assert caplog.records == []


def test_a_block_in_the_last_moment_is_told_to_those_who_were_there() -> None:
    before, there, after = list[Blocked](), list[Blocked](), list[Blocked]()

    async def scenario() -> None:
        with watched(before.append):
            pass
        with watched(there.append):
            blocks(BLOCKED)
        with watched(after.append):
            await asyncio.sleep(2 * watchdog.BEAT_SECONDS)

    asyncio.run(scenario())
    assert [is_true(each.seconds, BLOCKED) for each in there] == [True]
    assert before == after == []


def test_who_comes_while_the_loop_is_blocked_does_not_hear_of_it() -> None:
    first, second = list[Blocked](), list[Blocked]()

    async def scenario() -> None:
        with watched(first.append):
            blocks(BLOCKED)
            with watched(second.append):
                await asyncio.sleep(2 * watchdog.BEAT_SECONDS)

    asyncio.run(scenario())
    assert [is_true(each.seconds, BLOCKED) for each in first] == [True]
    assert second == []


def test_on_virtual_time_nothing_is_watched_so_that_a_deadlock_is_seen() -> None:
    @tool(timeout=None)
    async def hangs() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run_virtual(agent(hangs).arun("q"))


def test_tools_that_wait_or_work_elsewhere_are_not() -> None:
    slow = in_tier(blocks, "thread", name="slow")
    plan = f"1. waits()\n2. slow({BLOCKED})\n3. join()"
    assert asyncio.run(scripted(plan, tools=[waits, slow]).arun("q")).blocked == ()


def test_each_run_hears_of_its_own_loop_only() -> None:
    results: dict[str, Any] = {}

    def work(name: str, *tools: Any) -> None:
        results[name] = asyncio.run(agent(*tools).arun("q"))

    threads = [
        threading.Thread(target=work, args=("blocked", computes)),
        threading.Thread(target=work, args=("free", waits)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [blocked.tool for blocked in results["blocked"].blocked] == ["computes"]
    assert results["free"].blocked == ()


def test_a_loop_that_is_closed_while_it_is_asked_does_not_silence_the_watchdog() -> None:
    """The sign of life that was asked of a closed loop never comes; others are watched all the same."""
    left: list[Any] = []

    async def enters_and_never_leaves() -> None:
        left.append(watched(lambda blocked: None))
        left[-1].__enter__()

    for _ in range(3):
        asyncio.run(enters_and_never_leaves())
    assert [blocked.tool for blocked in asyncio.run(agent(computes).arun("q")).blocked] == ["computes"]
    for watch in left:
        watch.__exit__(None, None, None)


def test_the_watchdog_sleeps_when_nobody_is_watched_and_watches_again() -> None:
    reports: list[Blocked] = []

    async def scenario() -> None:
        with watched(reports.append):
            pass
        with watched(reports.append):
            await asyncio.create_task(_block(), name=f"{watchdog.TOOL_PREFIX}late")

    async def _block() -> None:
        time.sleep(BLOCKED)

    asyncio.run(scenario())
    assert [report.tool for report in reports] == ["late"]
    [thread] = [thread for thread in threading.enumerate() if thread.name == "llmcompiler watchdog"]
    assert thread.daemon


def test_O05c_a_cleanup_that_blocks_the_loop_is_named_too() -> None:
    @tool(timeout=0.05)
    async def untidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            time.sleep(BLOCKED)

    result = asyncio.run(agent(untidy, waits).arun("q"))
    assert isinstance(result.tasks[1].outcome, Failed)
    assert result.tasks[1].outcome.error.kind == "timeout"
    assert [blocked.tool for blocked in result.blocked] == ["untidy"]


def test_one_loop_with_many_runs_is_told_once_and_each_run_hears_of_it(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> list[tuple[Blocked, ...]]:
        runs = [agent(computes).arun("q"), *(agent(waits).arun("q") for _ in range(3))]
        return [result.blocked for result in await asyncio.gather(*runs)]

    heard = asyncio.run(scenario())
    assert [[blocked.tool for blocked in each] for each in heard] == [["computes"]] * 4
    assert len(caplog.records) == 1
