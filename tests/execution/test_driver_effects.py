"""Early start: reads and undeclared effects start while the plan streams, what may change the world waits for its join."""

import asyncio
from typing import Any

import pytest

from llmcompiler import Failed, RunResult, Succeeded, tool
from llmcompiler.errors import StreamCut
from llmcompiler.journal.events import PlanClosed
from llmcompiler.testing import Scripted, run_virtual
from llmcompiler.toolkit.tool import Tool
from tests.execution.running import scripted

EARLY, HELD = ("read", "undeclared"), ("idempotent", "write")


def acting(effect: str) -> Tool[..., Any]:
    async def act(value: Any = None) -> str:
        await asyncio.sleep(1)
        return f"{value}!"

    return tool(effect=effect)(act)


def streamed(*lines: str, **options: Any) -> Scripted:
    """Return a plan of which a line comes each 10 seconds, the first at once."""
    return Scripted(chunks=[f"{line}\n" for line in lines], per_chunk=10, **options)


def run(effect: str, *plans: str | Scripted, **options: Any) -> RunResult:
    return run_virtual(scripted(*plans, tools=[acting(effect)], **options).arun("q"))


LINES = "1. act(1)", "2. act($1)", "3. act(3)", "4. join()"


@pytest.mark.parametrize("effect", EARLY)
def test_reads_and_undeclared_start_while_the_plan_streams(effect: str) -> None:
    result = run(effect, streamed(*LINES))
    assert [record.started for record in result.tasks.values()] == [0, 10, 20]


def test_a_task_starts_at_its_own_parenthesis() -> None:
    plan = Scripted(chunks=["1. act(", "1", ")", "  # and more", "\n2. join", "()", " "], per_chunk=1)
    assert run("read", plan).tasks[1].started == 2


@pytest.mark.parametrize("effect", HELD)
def test_what_has_effects_is_held_until_the_join(effect: str) -> None:
    result = run(effect, streamed(*LINES))
    assert [record.started for record in result.tasks.values()] == [30, 31, 30]


def test_the_join_itself_is_what_counts_not_the_end_of_the_stream() -> None:
    result = run("write", streamed(*LINES, "and so on", "and on"))
    assert [record.started for record in result.tasks.values()] == [30, 31, 30]


REPAIR = "3. act(33)\n4. join()"


@pytest.mark.parametrize("effect", HELD)
def test_and_until_nothing_is_left_to_repair(effect: str) -> None:
    plan = streamed("1. act(1)", "2. act($1)", "3. act(nonsense)", "4. join()")
    result = run(effect, plan, Scripted(text=REPAIR, first_token=50))
    assert [result.tasks[id].started for id in (1, 2, 3)] == [80, 81, 80]
    assert result.tasks[3].outcome == Succeeded("33!")


@pytest.mark.parametrize("effect", EARLY)
def test_good_reads_run_while_a_repair_is_asked_for(effect: str) -> None:
    plan = streamed("1. act(1)", "2. act($1)", "3. act(nonsense)", "4. join()")
    result = run(effect, plan, Scripted(text=REPAIR, first_token=50))
    assert [result.tasks[id].started for id in (1, 2, 3)] == [0, 10, 80]


@pytest.mark.parametrize("effect", HELD)
def test_a_held_task_of_a_cut_plan_is_never_begun(effect: str) -> None:
    look = tool(effect="read", name="look")(acting("read").function)
    plan = streamed("1. look(1)", "2. act($1)", "3. act(3)", error=StreamCut("cut"))
    result = run_virtual(scripted(plan, tools=[acting(effect), look]).arun("q"))
    assert result.tasks[1].outcome == Succeeded("1!")
    for id in (2, 3):
        outcome = result.tasks[id].outcome
        assert isinstance(outcome, Failed)
        assert (outcome.error.kind, result.tasks[id].started) == ("dropped", None)


@pytest.mark.parametrize("effect", EARLY)
def test_a_plan_that_is_cut_lets_its_reads_end(effect: str) -> None:
    result = run(effect, Scripted(chunks=["1. act(1)\n", "2. act($1)\n"], error=StreamCut("cut")))
    assert [record.outcome for record in result.tasks.values()] == [Succeeded("1!"), Succeeded("1!!")]
    assert (result.status, result.stopped_by) == ("partial", "cut")


@pytest.mark.parametrize("effect", [*EARLY, *HELD])
def test_stream_false_plans_first_and_runs_afterwards(effect: str) -> None:
    result = run(effect, streamed(*LINES), stream=False)
    assert [record.started for record in result.tasks.values()] == [30, 31, 30]
    [closed] = [event for event in result.events if isinstance(event, PlanClosed)]
    assert closed.at == 30


def test_a_write_that_needs_a_read_starts_once_both_are_there() -> None:
    look = tool(effect="read", name="look")(acting("read").function)
    plan = streamed("1. look(1)", "2. act($1)", "3. join()")
    result = run_virtual(scripted(plan, tools=[acting("write"), look]).arun("q"))
    assert (result.tasks[1].ended, result.tasks[2].started) == (1, 20)
