"""Limits of a run: with outcomes the joiner is asked for its best answer, without any the run fails and says why."""

import asyncio
from typing import Any

import pytest

from llmcompiler import Cancelled, Limits, RunFailed, RunResult, Succeeded, Usage, tool
from llmcompiler.errors import LimitReached
from llmcompiler.journal.events import JoinDecided
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from tests.execution.running import FINISH, scripted


@tool(effect="read")
async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@tool
async def stubborn() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


def run(plan: str | Scripted, answer: str | Scripted = FINISH, **limits: Any) -> tuple[RunResult, str]:
    """Return the result and what the joiner was shown last."""
    agent = scripted(plan, answers=(answer,), tools=[nap, stubborn], limits=Limits(**limits))
    result = run_virtual(agent.arun("q"))
    assert isinstance(agent.joiner_model, ScriptedModel)
    return result, "\n".join(message.text for message in agent.joiner_model.prompts[-1].messages)


def failing(plan: str | Scripted, answers: tuple[str | Scripted, ...] = (), **limits: Any) -> RunFailed:
    agent = scripted(plan, answers=answers, tools=[nap, stubborn], limits=Limits(**limits))
    with pytest.raises(RunFailed) as failed:
        run_virtual(agent.arun("q"))
    return failed.value


def check(failed: RunFailed, limit: str) -> None:
    assert isinstance(failed.__cause__, LimitReached)
    assert failed.__cause__.limit == limit
    assert (failed.result.status, failed.result.stopped_by, failed.result.answer) == ("failed", limit, None)


def test_seconds_with_results_is_a_best_answer() -> None:
    result, shown = run("1. nap(1)\n2. nap(99)\n3. nap($2)\n4. join()", seconds=10)
    assert (result.status, result.stopped_by, result.answer) == ("partial", "seconds", "done")
    assert [record.outcome for record in result.tasks.values()] == [Succeeded(1), Cancelled(), Cancelled()]
    assert [record.ended for record in result.tasks.values()] == [1, 10, 10]
    assert result.seconds == 10
    assert "the run has reached Limits(seconds=10)" in shown
    assert "No further plan is possible" in shown


def test_seconds_without_results_is_a_failure() -> None:
    failed = failing("1. nap(99)\n2. join()", seconds=10)
    check(failed, "seconds")
    assert failed.result.tasks[1].outcome == Cancelled()
    assert failed.result.seconds == 10


@pytest.mark.parametrize(
    "plan", [Scripted(text="1. nap(1)\n2. join()", first_token=99), Scripted(chunks=["1. nap("] * 99, per_chunk=1)]
)
def test_seconds_while_the_planner_writes(plan: Scripted) -> None:
    check(failing(plan, seconds=10), "seconds")


def test_seconds_while_the_planner_writes_and_something_has_come() -> None:
    result, _ = run(
        Scripted(chunks=["1. nap(1)\n", "2. nap(99)\n", "3. nap(3)", "\n4. join()"], per_chunk=4), seconds=10
    )
    assert [record.outcome for record in result.tasks.values()] == [Succeeded(1), Cancelled(), Cancelled()]
    assert (result.status, result.stopped_by, result.seconds) == ("partial", "seconds", 10)


def test_seconds_while_the_joiner_writes_asks_it_once_more_and_briefly() -> None:
    slow = Scripted(text=FINISH, first_token=99)
    agent = scripted("1. nap(1)\n2. join()", answers=(slow, FINISH), tools=[nap], limits=Limits(seconds=10))
    result = run_virtual(agent.arun("q"))
    assert (result.answer, result.stopped_by, result.seconds) == ("done", "seconds", 10)
    assert len([event for event in result.events if isinstance(event, JoinDecided)]) == 1


def test_a_best_answer_that_never_comes_is_not_waited_for() -> None:
    failed = failing("1. nap(1)\n2. nap(99)\n3. join()", (Scripted(text=FINISH, first_token=999),), seconds=10)
    check(failed, "seconds")
    assert failed.result.seconds == 40
    assert failed.result.tasks[1].outcome == Succeeded(1)


def test_a_tool_that_swallows_its_cancellation_is_counted_and_not_waited_for() -> None:
    result, _ = run("1. nap(1)\n2. stubborn()\n3. join()", seconds=10)
    assert (result.tasks[2].outcome, result.abandoned, result.seconds) == (Cancelled(), 1, 10.05)


def test_the_same_without_an_answer() -> None:
    failed = failing("1. stubborn()\n2. join()", seconds=10)
    assert (failed.result.abandoned, failed.result.seconds) == (1, 10.05)


PLAN = "1. nap(1)\n2. nap(2)\n3. join()"


def test_tokens_that_the_planner_uses_up() -> None:
    plan = Scripted(chunks=["1. nap(1)\n"], per_chunk=5, usage=Usage(1, 900, 200))
    result, shown = run(plan, tokens=1000)
    assert (result.status, result.stopped_by, result.answer) == ("partial", "tokens", "done")
    assert "the run has reached Limits(tokens=1000)" in shown


def test_tokens_before_anything_is_there() -> None:
    check(failing(Scripted(chunks=["nothing yet "] * 20), tokens=10), "tokens")


def test_tokens_are_counted_while_the_planner_writes() -> None:
    plan = Scripted(chunks=["1. nap(1)\n", *["2. nap(2)\n"] * 1], per_chunk=5)
    long = Scripted(chunks=[*(plan.chunks or ()), *["# a b c\n"] * 99], per_chunk=5)
    result, _ = run(long, tokens=20)
    assert (result.stopped_by, result.tasks[1].outcome, result.tasks[2].outcome) == (
        "tokens",
        Succeeded(1),
        Succeeded(2),
    )
    assert result.seconds < 5 * 25, "the rest of the plan was not waited for"


def test_tokens_that_the_joiner_uses_up() -> None:
    agent = scripted(
        PLAN, answers=(Scripted(text=FINISH, usage=Usage(1, 900, 200)), FINISH), tools=[nap], limits=Limits(tokens=1000)
    )
    result = run_virtual(agent.arun("q"))
    assert (result.status, result.stopped_by, result.answer) == ("partial", "tokens", "done")


def test_tokens_within_the_limit() -> None:
    agent = scripted(
        Scripted(text=PLAN, usage=Usage(1, 400, 100)),
        answers=(Scripted(text=FINISH, usage=Usage(1, 400, 100)),),
        tools=[nap],
        limits=Limits(tokens=1000),
    )
    result = run_virtual(agent.arun("q"))
    assert (result.status, result.usage.total) == ("complete", Usage(2, 800, 200, None))


MANY = [f"{id}. nap({id})\n" for id in range(1, 9)]


@pytest.mark.parametrize(
    "chunks", [[*MANY, "9. join()"], ["".join([*MANY, "9. join()"])]], ids=["line by line", "at once"]
)
def test_more_tasks_than_the_run_may_have(chunks: list[str]) -> None:
    result, shown = run(Scripted(chunks=chunks), tasks=3)
    assert (result.status, result.stopped_by, result.answer) == ("partial", "tasks", "done")
    assert len([record for record in result.tasks.values() if isinstance(record.outcome, Succeeded)]) <= 3
    assert "the run has reached Limits(tasks=3)" in shown


def test_as_many_tasks_as_the_run_may_have() -> None:
    result, _ = run("".join([*MANY, "9. join()"]), tasks=8)
    assert (result.status, len(result.tasks)) == ("complete", 8)


def test_durations_are_learnt_and_the_longest_path_goes_first() -> None:
    """Both tools say nothing of their duration; the second run knows what the first has seen."""
    starts: list[str] = []

    @tool
    async def short(value: int) -> int:
        starts.append("short")
        await asyncio.sleep(1)
        return value

    @tool
    async def long(value: int) -> int:
        starts.append("long")
        await asyncio.sleep(9)
        return value

    plan = Scripted(chunks=["1. short(1)\n2. short(2)\n3. long(3)\n4. join()"])
    agent = scripted(plan, plan, answers=(FINISH, FINISH), tools=[short, long], limits=Limits(parallel_tasks=1))

    async def scenario() -> None:
        await agent.arun("q")
        await agent.arun("q")

    run_virtual(scenario())
    assert starts[:3] == ["short", "short", "long"], "nothing is known, so the order of the plan decides"
    assert starts[3:] == ["long", "short", "short"]


def test_only_successful_calls_teach() -> None:
    @tool(timeout=5)
    async def late() -> None:
        await asyncio.Event().wait()

    agent = scripted("1. nap(3)\n2. late()\n3. join()", tools=[nap, late])
    run_virtual(agent.arun("q"))
    durations = agent._means.workshop.durations
    assert (durations.expected("nap", None), durations.expected("late", None), durations.expected("nap", 7)) == (
        3,
        1,
        7,
    )
