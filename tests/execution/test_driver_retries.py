"""Retries: tenacity says how long to wait, virtual time says exactly when; who waits holds no slot and no gate."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from tenacity import wait_chain, wait_exponential, wait_fixed, wait_incrementing, wait_none
from tenacity.wait import wait_base

from llmcompiler import ErrorRecord, Failed, Limits, RunResult, Succeeded, UsageError, tool
from llmcompiler.journal.events import TaskEnded, TaskRetrying, TaskStarted
from llmcompiler.testing import run_virtual
from llmcompiler.toolkit.tool import Tool
from tests.execution import rogues
from tests.execution.running import in_tier, scripted

BROKEN = ErrorRecord("tool", "ConnectionError", "broken")


def flaky(failures: int, *, seconds: float = 0, **options: Any) -> Tool[..., Any]:
    """Return a tool that fails so many times, each attempt taking `seconds`."""
    left = [failures]

    async def flaky() -> str:
        await asyncio.sleep(seconds)
        left[0] -= 1
        if left[0] >= 0:
            raise ConnectionError("broken")
        return "whole"

    return tool(**options)(flaky)


def run(plan: str, *tools: Any, **options: Any) -> RunResult:
    return run_virtual(scripted(plan, tools=list(tools), **options).arun("q"))


def starts(result: RunResult, id: int = 1) -> list[float]:
    return [event.at for event in result.events if isinstance(event, TaskStarted) and event.id == id]


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        pytest.param(wait_fixed(10), [0, 12, 24, 36], id="fixed"),
        pytest.param(wait_none(), [0, 2, 4, 6], id="none"),
        pytest.param(wait_exponential(multiplier=1), [0, 3, 7, 13], id="exponential"),
        pytest.param(wait_incrementing(start=5, increment=5), [0, 7, 19, 36], id="incrementing"),
        pytest.param(wait_chain(wait_fixed(1), wait_fixed(100)), [0, 3, 105, 207], id="chain"),
        pytest.param(wait_fixed(1) + wait_fixed(2), [0, 5, 10, 15], id="sum"),
    ],
)
def test_attempts_begin_at_exact_times(wait: wait_base, expected: list[float]) -> None:
    result = run("1. flaky()\n2. join()", flaky(3, seconds=2, retries=3, wait=wait))
    assert starts(result) == expected
    assert result.tasks[1].outcome == Succeeded("whole")
    assert result.tasks[1].attempts == 4
    assert (result.tasks[1].started, result.tasks[1].ended) == (0, expected[-1] + 2)


def test_each_failed_attempt_is_an_event_that_says_when_the_next_one_is_due() -> None:
    result = run("1. flaky()\n2. join()", flaky(2, seconds=2, retries=5, wait=wait_fixed(10)))
    retrying = [event for event in result.events if isinstance(event, TaskRetrying)]
    assert [(event.at, event.id, event.attempt, event.error, event.due) for event in retrying] == [
        (2, 1, 1, BROKEN, 12),
        (14, 1, 2, BROKEN, 24),
    ]
    story = [type(event) for event in result.events if isinstance(event, (TaskStarted, TaskRetrying, TaskEnded))]
    assert story == [TaskStarted, TaskRetrying, TaskStarted, TaskRetrying, TaskStarted, TaskEnded]


def test_the_usual_wait_grows_and_is_jittered() -> None:
    result = run("1. flaky()\n2. join()", flaky(5, retries=5))
    pauses = [later - earlier for earlier, later in pairwise(starts(result))]
    for number, pause in enumerate(pauses):
        assert 0.25 * 2**number <= pause <= 0.25 * 2**number + 0.25
    assert len({pause % 0.25 for pause in pauses}) > 1, "clients do not come back together"


def test_the_last_error_is_the_outcome() -> None:
    result = run("1. flaky()\n2. join()", flaky(9, retries=2, wait=wait_fixed(1)))
    assert (result.tasks[1].outcome, result.tasks[1].attempts) == (Failed(BROKEN), 3)
    assert starts(result) == [0, 1, 2]


def test_without_retries_nothing_is_tried_again() -> None:
    result = run("1. flaky()\n2. join()", flaky(1))
    assert (result.tasks[1].outcome, result.tasks[1].attempts) == (Failed(BROKEN), 1)


def test_a_waiting_task_gives_up_its_slot() -> None:
    @tool
    async def nap(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    again = flaky(1, seconds=1, retries=1, wait=wait_fixed(10), expected=100)
    result = run("1. flaky()\n2. nap(4)\n3. nap(4)\n4. join()", again, nap, limits=Limits(parallel_tasks=1))
    assert starts(result) == [0, 11]
    assert (starts(result, 2), starts(result, 3)) == ([1], [5])
    assert result.seconds == 12


def test_a_waiting_task_gives_up_its_gate() -> None:
    again = flaky(1, seconds=1, retries=1, wait=wait_fixed(10), concurrency=1)
    result = run("1. flaky()\n2. flaky()\n3. join()", again)
    assert (starts(result, 1), starts(result, 2)) == ([0, 11], [1])


def test_a_due_task_waits_for_a_slot_again() -> None:
    @tool
    async def nap(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    again = flaky(1, seconds=1, retries=1, wait=wait_fixed(2), expected=100)
    result = run("1. flaky()\n2. nap(9)\n3. join()", again, nap, limits=Limits(parallel_tasks=1))
    assert starts(result) == [0, 10]


def test_dependants_wait_for_the_last_attempt() -> None:
    result = run('1. flaky()\n2. echo("$1")\n3. join()', flaky(2, retries=2, wait=wait_fixed(5)), in_loop(rogues.echo))
    assert (result.tasks[2].outcome, starts(result)[-1]) == (Succeeded("whole"), 10)


def test_a_limit_ends_a_wait() -> None:
    again = flaky(1, retries=1, wait=wait_fixed(100))
    result = run("1. fine()\n2. flaky()\n3. join()", again, in_loop(rogues.fine), limits=Limits(seconds=5))
    assert result.seconds == 5
    assert starts(result, 2) == [0]


def in_loop(function: Callable[..., Any]) -> Tool[..., Any]:
    return in_tier(function, "loop")


@pytest.mark.parametrize("function", [rogues.raises, rogues.exits, rogues.cancels_itself, rogues.takes_all_memory])
def test_whatever_a_tool_raises_is_tried_again(function: Callable[..., Any]) -> None:
    again = in_tier(function, "loop", retries=2, wait=wait_fixed(1))
    assert run(f"1. {function.__name__}()\n2. join()", again).tasks[1].attempts == 3


def test_so_is_a_process_that_died() -> None:
    dies = in_tier(rogues.dies, "process", retries=1, wait=wait_none())
    agent = scripted("1. dies()\n2. join()", tools=[dies])
    assert asyncio.run(agent.arun("q")).tasks[1].attempts == 2
    agent.close()


def test_a_value_that_is_no_data_is_not_tried_again() -> None:
    @tool(retries=2, wait=wait_fixed(1))
    async def gives_a_set() -> object:
        return {1, 2}

    result = run("1. gives_a_set()\n2. join()", gives_a_set)
    assert isinstance(result.tasks[1].outcome, Failed)
    assert (result.tasks[1].outcome.error.kind, result.tasks[1].attempts) == ("value", 1)


@pytest.mark.parametrize("tier", ["loop", "thread"])
def test_a_wait_that_fails_itself_ends_the_attempts_and_nothing_else(
    tier: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(state: object) -> float:
        raise ZeroDivisionError("a bad strategy")

    raises = in_tier(rogues.raises, tier, timeout=None, retries=3, wait=broken)
    agent = scripted("1. raises()\n2. fine()\n3. join()", tools=[raises, in_tier(rogues.fine, tier)])
    result = asyncio.run(asyncio.wait_for(agent.arun("q"), 10))
    assert isinstance(result.tasks[1].outcome, Failed)
    assert (result.tasks[1].outcome.error.type, result.tasks[1].attempts) == ("ValueError", 1)
    assert result.tasks[2].outcome == Succeeded(2)
    assert "'raises' is not tried again" in caplog.text


def test_writes_refuse_retries() -> None:
    with pytest.raises(UsageError, match="write refuses retries"):
        flaky(1, effect="write", retries=1)


@pytest.mark.parametrize("effect", ["read", "idempotent", "undeclared"])
def test_other_effects_do_not(effect: str) -> None:
    result = run("1. flaky()\n2. join()", flaky(1, effect=effect, retries=1, wait=wait_fixed(1)))
    assert (result.tasks[1].outcome, result.tasks[1].ended) == (Succeeded("whole"), 1)
