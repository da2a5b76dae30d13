"""astream: events as they happen, in order, the result in the last one; a slow consumer never stalls the run."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from llmcompiler import Limits, LLMCompiler, RunResult, Succeeded, UsageError, tool
from llmcompiler.errors import NotAPlan
from llmcompiler.journal.events import (
    PASSING,
    AnswerText,
    Event,
    JoinDecided,
    PlanClosed,
    PlanStarted,
    PlanText,
    Replanned,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskPlanned,
    TaskRejected,
    TaskRetrying,
    TaskStarted,
)
from llmcompiler.journal.journal import MAX_PASSING_BACKLOG
from llmcompiler.testing import Scripted, run_virtual
from tests.execution.running import FINISH, scripted

PLAN = Scripted(chunks=["1. nap(1)\n", "2. nap(2, $1)\n", "3. join()"], per_chunk=1)
SLOW_ANSWER = Scripted(chunks=["Thought: hm.\n", "Action: Finish(", "8849", " m)"], per_chunk=1)


@tool
async def nap(seconds: float, after: Any = None) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def collected(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


def agent(*plans: Any, answers: tuple[Any, ...] = (SLOW_ANSWER,), **options: Any) -> LLMCompiler:
    return scripted(*(plans or (PLAN,)), answers=answers, tools=[nap], **options)


def result_of(events: list[Event]) -> RunResult:
    last = events[-1]
    assert isinstance(last, RunEnded)
    return last.result


def test_the_story_of_a_run() -> None:
    events = run_virtual(collected(agent().astream("q")))
    story = [(event.at, type(event)) for event in events if not isinstance(event, PASSING)]
    assert story == [
        (0, RunStarted),
        (0, PlanStarted),
        (0, TaskPlanned),
        (0, TaskStarted),
        (1, TaskPlanned),
        (1, TaskEnded),
        (1, TaskStarted),
        (2, PlanClosed),
        (3, TaskEnded),
        (7, JoinDecided),
        (7, RunEnded),
    ]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {event.run_id for event in events} == {events[0].run_id}
    assert {event.round for event in events} == {1}


def test_the_result_is_that_of_arun() -> None:
    streamed = result_of(run_virtual(collected(agent().astream("q"))))
    whole = run_virtual(agent().arun("q"))
    assert (streamed.answer, streamed.status, streamed.seconds) == (whole.answer, whole.status, whole.seconds)
    assert [(type(one), one.at) for one in streamed.events] == [(type(one), one.at) for one in whole.events]


def test_passing_text_comes_but_is_not_kept() -> None:
    events = run_virtual(collected(agent().astream("q")))
    assert "".join(event.text for event in events if isinstance(event, PlanText)) == "".join(PLAN.chunks or ())
    assert [(event.at, event.text) for event in events if isinstance(event, AnswerText)] == [(5, "8849"), (6, " m")]
    result = result_of(events)
    assert not [event for event in result.events if isinstance(event, PASSING)]
    assert list(result.events) == [event for event in events[:-1] if not isinstance(event, PASSING)]


def test_events_come_when_they_happen() -> None:
    async def scenario() -> None:
        now = asyncio.get_running_loop().time
        async for event in agent().astream("q"):
            assert event.at == now()

    run_virtual(scenario())


def test_every_kind_of_event_comes() -> None:
    attempts = []

    @tool(retries=1)
    async def flaky() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("broken")
        return "whole"

    plans = "1. flaky()\n2. nap(x)\n3. join()", "2. nap(1)\n4. join()", "5. nap(7)\n6. join()"
    answers = "Thought: no.\nAction: Replan(more)", FINISH
    events = run_virtual(collected(scripted(*plans, answers=answers, tools=[nap, flaky]).astream("q")))
    kinds = {type(event) for event in events}
    assert kinds >= {TaskRejected, TaskRetrying, Replanned, PlanText, AnswerText}
    assert [event.purpose for event in events if isinstance(event, PlanStarted)] == ["plan", "repair", "plan"]
    assert sorted({event.round for event in events}) == [1, 2]
    assert result_of(events).status == "complete"


@pytest.mark.parametrize("pause", [0, 0.5, 100])
def test_a_slow_consumer_does_not_stall_the_run(pause: float) -> None:
    async def scenario() -> tuple[list[Event], float]:
        events = []
        async for event in agent().astream("q"):
            events.append(event)
            await asyncio.sleep(pause)
        return events, asyncio.get_running_loop().time()

    events, ended = run_virtual(scenario())
    result = result_of(events)
    assert (result.seconds, result.answer, events[-1].at) == (7, "8849 m", 7)
    assert [type(event) for event in events] == [type(event) for event in run_virtual(collected(agent().astream("q")))]
    assert ended == pytest.approx(max(7 + pause, pause * len(events)), abs=pause)


def test_a_consumer_that_falls_far_behind_misses_passing_text_and_nothing_else() -> None:
    many = MAX_PASSING_BACKLOG + 5_000
    plan = Scripted(chunks=["1. nap(1)\n", *["#\n"] * many, "2. nap(2)\n3. join()"])

    async def scenario() -> list[Event]:
        stream = agent(plan).astream("q")
        events = [await anext(stream)]
        await asyncio.sleep(1000)
        async for event in stream:
            events.append(event)
        return events

    events = run_virtual(scenario())
    assert MAX_PASSING_BACKLOG - 10 < len([event for event in events if isinstance(event, PlanText)]) < many
    result = result_of(events)
    assert list(result.events) == [event for event in events[:-1] if not isinstance(event, PASSING)]
    assert [record.outcome for record in result.tasks.values()] == [Succeeded(1), Succeeded(2)]
    assert result.seconds < 10


def test_a_run_without_an_answer_ends_with_its_result_too() -> None:
    events = run_virtual(collected(agent("I would rather not.", "No.", answers=()).astream("q")))
    last = events[-1]
    assert isinstance(last, RunEnded)
    assert (last.result.answer, last.result.status) == (None, "failed")
    assert last.error is not None
    assert NotAPlan.__name__ not in last.error, "it is a sentence"


def test_a_limit_ends_the_stream_with_what_there_is() -> None:
    plan = "1. nap(1)\n2. nap(99)\n3. join()"
    result = result_of(run_virtual(collected(agent(plan, answers=(FINISH,), limits=Limits(seconds=5)).astream("q"))))
    assert (result.status, result.stopped_by, result.seconds) == ("partial", "seconds", 5)


@pytest.mark.parametrize("question", ["", "  \n"])
def test_no_question(question: str) -> None:
    with pytest.raises(UsageError):
        run_virtual(collected(agent().astream(question)))


def test_two_streams_of_one_agent_do_not_mix() -> None:
    async def scenario() -> list[list[Event]]:
        one = agent(PLAN, PLAN, answers=(SLOW_ANSWER, SLOW_ANSWER))
        return list(await asyncio.gather(collected(one.astream("a")), collected(one.astream("b"))))

    first, second = run_virtual(scenario())
    assert {event.run_id for event in first}.isdisjoint({event.run_id for event in second})
    assert (result_of(first).question, result_of(second).question) == ("a", "b")
    assert len(first) == len(second)


def test_nothing_is_left_after_the_last_event() -> None:
    async def scenario() -> None:
        await collected(agent().astream("q"))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(scenario())
