"""RunResult: a fold over the events of a run, read-only, printable, and JSON where JSON is asked for."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tenacity import wait_none

from llmcompiler import (
    Cancelled,
    Failed,
    Limits,
    LLMCompiler,
    RunFailed,
    RunResult,
    Skipped,
    Succeeded,
    TaskRecord,
    Usage,
    tool,
)
from llmcompiler.journal.events import (
    PASSING,
    Event,
    JoinDecided,
    PlanClosed,
    PlanStarted,
    Replanned,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskPlanned,
    TaskStarted,
)
from llmcompiler.observe.timeline import Row, draw
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.scripted import ScriptedReply

QUESTION = "How high are they?"
HEIGHTS = {"K2": 8611, "Everest": 8849}
FINISH = "Thought: known.\nAction: Finish(8611 m and 8849 m)"


@tool(effect="read")
async def height(mountain: str, seconds: float = 1.0) -> dict[str, Any]:
    """Return the height of a mountain."""
    await asyncio.sleep(seconds)
    return {"value": HEIGHTS[mountain], "unit": "m"}


@tool
async def pause(x: int) -> int:
    """Return x after a while."""
    await asyncio.sleep(1)
    return x


@tool(retries=1, wait=wait_none())
async def shaky(x: int, seen: list[int] = []) -> int:  # noqa: B006
    """Fail at first."""
    seen.append(x)
    if len(seen) == 1:
        raise ConnectionError("not yet")
    seen.clear()
    return x


def ran(*replies: ScriptedReply, tools: Iterable[object] = (height, shaky), **options: Any) -> RunResult:
    with ScriptedModel(replies) as model:
        return run_virtual(LLMCompiler(model, tools, examples=[], **options).arun(QUESTION))


def streamed(*replies: ScriptedReply) -> list[Event]:
    async def work() -> list[Event]:
        return [event async for event in LLMCompiler(ScriptedModel(replies), [height]).astream(QUESTION)]

    return run_virtual(work())


PLAN = Scripted(
    chunks=[
        '1. height("K2")\n',
        '2. height("Everest", 0.5)\n',
        '3. height("Olympus")\n',
        "4. shaky(${3.value})\n",
        "5. join()",
    ],
    per_chunk=0.5,
)


# --- tasks


def test_each_task_has_a_record_of_what_became_of_it() -> None:
    tasks = ran(PLAN, FINISH).tasks
    assert list(tasks) == [1, 2, 3, 4]
    assert replace(tasks[1], task=tasks[2].task) == TaskRecord(
        tasks[2].task,
        round=1,
        planned=0.0,
        outcome=Succeeded({"value": 8611, "unit": "m"}),
        arguments={"mountain": "K2"},
        attempts=1,
        started=0.0,
        ended=1.0,
    )
    assert (tasks[2].planned, tasks[2].started, tasks[2].ended) == (0.5, 0.5, 1.0)
    assert isinstance(tasks[3].outcome, Failed)
    assert (tasks[4].outcome, tasks[4].attempts, tasks[4].arguments, tasks[4].started) == (Skipped(3), 0, None, None)


def test_the_records_are_in_the_order_of_their_ids() -> None:
    plan = '1. hight("K2")\n5. height("Everest")\n3. height("K2")\n6. join()'
    assert list(ran(plan, '1. height("K2", 2)\njoin()', FINISH).tasks) == [1, 3, 5]


def test_the_tasks_cannot_be_changed() -> None:
    result = ran(PLAN, FINISH)
    with pytest.raises(TypeError, match="does not support item assignment"):
        result.tasks[1] = result.tasks[2]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        result.tasks[1].round = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        result.answer = "other"  # type: ignore[misc]


def test_a_retried_task_counts_its_attempts_from_its_first_start() -> None:
    record = ran("1. shaky(3)\n2. join()", FINISH).tasks[1]
    assert (record.outcome, record.attempts) == (Succeeded(3), 2)


def test_a_task_that_was_served_by_another_says_by_which() -> None:
    tasks = ran('1. height("K2")\n2. height("K2")\n3. join()', FINISH).tasks
    assert [record.reused_from for record in tasks.values()] == [None, 1]
    assert (tasks[2].started, tasks[2].ended) == (None, 1.0)


def test_a_task_that_was_never_repaired_is_among_them() -> None:
    tasks = ran('1. hight("K2")\n2. height("K2")\n3. join()', "join()", FINISH).tasks
    assert sorted(tasks) == [1, 2]
    assert isinstance(tasks[1].outcome, Failed)
    assert tasks[1].outcome.error.kind == "plan"


def test_a_run_without_an_answer_still_has_its_tasks() -> None:
    with pytest.raises(RunFailed) as told:
        ran('1. height("K2")\n2. join()', "Hm.", "Hm!")
    result = told.value.result
    assert (result.answer, result.status, result.stopped_by) == (None, "failed", None)
    assert result.tasks[1].outcome == Succeeded({"value": 8611, "unit": "m"})


def test_what_a_limit_cut_off_is_cancelled() -> None:
    result = ran('1. height("K2")\n2. height("Everest", 9)\n3. join()', FINISH, limits=Limits(seconds=2))
    assert (result.status, result.stopped_by, result.seconds) == ("partial", "seconds", 2.0)
    assert result.tasks[2].outcome == Cancelled()


# --- plans


REPLAN = "Action: Replan(the other one)"


def test_there_is_one_plan_a_round() -> None:
    result = ran('1. height("K2")\n2. join()', REPLAN, '3. height("Everest")\n4. join()', FINISH)
    assert [[task.id for task in plan] for plan in result.plans] == [[1], [3]]
    assert [plan.complete for plan in result.plans] == [True, True]
    assert [record.round for record in result.tasks.values()] == [1, 2]


def test_an_empty_plan_is_a_plan_and_a_cut_one_is_not_complete() -> None:
    assert [(len(plan), plan.complete) for plan in ran("1. join()", FINISH).plans] == [(0, True)]
    assert [(len(plan), plan.complete) for plan in ran('1. height("K2")\n', FINISH).plans] == [(1, False)]


# --- usage


def test_usage_is_told_per_role_and_in_total() -> None:
    plan = Scripted(text='1. height("K2")\n2. join()', usage=Usage(1, 100, 20, 50))
    usage = ran(plan, Scripted(text=FINISH, usage=Usage(1, 200, 10, 0))).usage
    assert usage.by_purpose == {"planner": Usage(1, 100, 20, 50), "joiner": Usage(1, 200, 10, 0)}
    assert usage.total == Usage(2, 300, 30, 50)


def test_what_the_provider_did_not_say_is_none_and_never_0() -> None:
    plan = Scripted(text="1. join()", usage=Usage(1, 100, None, None))
    usage = ran(plan, FINISH).usage
    assert usage.by_purpose["planner"] == Usage(1, 100, None, None)
    assert usage.by_purpose["joiner"] == Usage(1, None, None, None)
    assert usage.total == Usage(2, None, None, None)


# --- events


def test_the_events_of_a_run_come_in_their_order() -> None:
    events = ran('1. height("K2")\n2. join()', REPLAN, '3. height("Everest")\n4. join()', FINISH).events
    a_round = [PlanStarted, TaskPlanned, TaskStarted, PlanClosed, TaskEnded, JoinDecided]
    assert [type(event) for event in events] == [RunStarted, *a_round, Replanned, *a_round]
    assert [event.round for event in events if isinstance(event, TaskEnded)] == [1, 2]


def test_events_are_numbered_and_timed_in_order_and_of_one_run() -> None:
    events = streamed(PLAN.text or '1. height("K2")\n2. join()', FINISH)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert len({event.run_id for event in events}) == 1


def test_the_result_keeps_the_events_that_do_not_pass() -> None:
    *events, last = streamed('1. height("K2")\n2. join()', FINISH)
    assert isinstance(last, RunEnded)
    assert last.result.events == tuple(event for event in events if not isinstance(event, PASSING))
    assert any(isinstance(event, PASSING) for event in events)


def test_two_runs_of_an_agent_have_ids_of_their_own() -> None:
    model = ScriptedModel(["1. join()", FINISH] * 2)
    made = LLMCompiler(model, [height])
    ids = {run_virtual(made.arun(QUESTION)).events[0].run_id for _ in range(2)}
    assert len(ids) == 2


# --- as text and as JSON


def test_the_timeline_shows_waiting_work_and_how_it_ended() -> None:
    plan = Scripted(
        chunks=[
            '1. height("K2")\n',
            "2. pause(${1.value})\n",
            '3. height("Olympus", 0.5)\n',
            '4. pause($3)\n5. height(mountain="K2")\n6. join()',
        ],
        per_chunk=0.25,
    )
    assert ran(plan, FINISH, tools=[height, pause]).timeline(80) == TIMELINE


TIMELINE = """\
1. height(mountain="K2")                 │█████████         │   1.00s done
2. pause(x=${1.value})                   │  ·······█████████│   1.00s done
3. height(mountain="Olympus", seconds=0… │    ████          │   0.50s failed
4. pause(x=$3)                           │      ·           │       – skipped
5. height(mountain="K2")                 │      ·           │       – = task 1
                                          0           2.00 s"""


def test_a_run_without_tasks_has_a_timeline_that_says_so() -> None:
    assert ran("1. join()", FINISH).timeline() == "no task was planned"


def test_a_served_task_says_so_in_the_timeline() -> None:
    lines = ran('1. height("K2")\n2. height("K2")\n3. join()', FINISH).timeline(80).splitlines()
    assert lines[1].endswith("= task 1")


ROWS = st.builds(
    Row,
    st.text(max_size=80),
    st.floats(0, 100),
    st.none() | st.floats(0, 100),
    st.none() | st.floats(0, 100),
    st.sampled_from(["done", "failed", "skipped", "cancelled", "= task 12"]),
)


@given(st.lists(ROWS, min_size=1, max_size=5), st.floats(0, 100), st.integers(50, 200))
@example([Row("a label that is longer than it may be " * 3, 0.0, 1.0, 2.0, "cancelled")], 2.0, 50)
@example([Row("a label that is longer than it may be " * 3, 0.0, None, None, "skipped")], 2.0, 80)
def test_no_line_of_a_timeline_is_wider_than_asked(rows: list[Row], seconds: float, width: int) -> None:
    lines = draw(rows, seconds, width).split("\n")
    assert len(lines) == len(rows) + 1
    assert max(map(len, lines)) <= width


def test_a_result_is_json_data() -> None:
    result = ran(PLAN, Scripted(text=FINISH, usage=Usage(1, 10, 5)))
    told = json.loads(json.dumps(result.to_dict()))
    assert told == result.to_dict()
    assert list(told) == [
        "question", "answer", "status", "stopped_by", "seconds", "tasks", "plans", "usage", "abandoned", "blocked",
    ]  # fmt: skip
    assert told["tasks"][0] == {
        "id": 1,
        "call": 'height(mountain="K2")',
        "arguments": {"mountain": "K2"},
        "outcome": {"kind": "succeeded", "value": {"value": 8611, "unit": "m"}},
        "round": 1,
        "attempts": 1,
        "reused_from": None,
        "planned": 0.0,
        "started": 0.0,
        "ended": 1.0,
    }
    assert told["tasks"][2]["outcome"] == {
        "kind": "failed",
        "error": {"kind": "tool", "type": "KeyError", "message": "'Olympus'"},
    }
    assert told["tasks"][3]["outcome"] == {"kind": "skipped", "cause": 3}
    assert told["plans"] == [str(result.plans[0])]
    assert told["usage"]["joiner"] == {"requests": 1, "input_tokens": 10, "output_tokens": 5, "cached_tokens": None}
    assert told["usage"]["total"]["requests"] == 2


def test_a_result_prints_without_its_events(tmp_path: Path) -> None:
    text = repr(ran("1. join()", FINISH))
    assert "answer='8611 m and 8849 m'" in text
    assert "events" not in text
