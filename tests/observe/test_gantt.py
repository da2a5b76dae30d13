"""The Gantt chart as a picture: what it draws is what happened."""

import asyncio
import io
import sys
from typing import Any

import pytest
from matplotlib.axes import Axes

from llmcompiler import AsyncLM, Limits, LLMCompiler, ReAct, RunFailed, RunResult, UsageError, tool
from llmcompiler.journal.events import TextInjected
from llmcompiler.models.model import CallPiece
from llmcompiler.observe.gantt import LONGEST_LABEL, Request, cut, gantt, requests_of
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.engines import ScriptedEngine

PLAN = ["1. fetch(1)\n", "2. fetch($1)\n", "3. join()"]


@tool(effect="read")
async def fetch(number: float) -> float:
    await asyncio.sleep(2)
    if number < 0:
        raise ValueError("a negative number")
    return number + 1


def reply(*chunks: str) -> Scripted:
    """A reply whose first piece comes after a second, and each other a second later."""
    return Scripted(chunks=chunks, first_token=1.0, per_chunk=1.0)


def compiled(*replies: Scripted, **options: Any) -> RunResult:
    return run_virtual(LLMCompiler(ScriptedModel(replies), [fetch], **options).arun("How many?"))


def reacted(*replies: Scripted) -> RunResult:
    return run_virtual(ReAct(ScriptedModel(replies), [fetch]).arun("How many?"))


def bars(panel: Axes, row: int) -> list[tuple[float, float]]:
    """Return when each bar of a row begins and ends."""
    patches = [bar for bars in panel.containers for bar in bars if round(bar.get_y() + bar.get_height() / 2) == row]
    return [(round(bar.get_x(), 3), round(bar.get_x() + bar.get_width(), 3)) for bar in patches]


def labels(panel: Axes) -> list[str]:
    return [label.get_text().rstrip() for label in panel.get_yticklabels()]


# --- the requests to the model


def test_a_plan_and_its_joiner_are_two_requests() -> None:
    # The text comes at 1, 2 and 3 s; the first task runs from 1 to 3, the second from 3 to 5.
    result = compiled(reply(*PLAN), reply("Action: Finish(3)"))
    assert requests_of(result) == [Request("plans", 0.0, 3.0), Request("answers", 5.0, 7.0)]


def test_a_repair_is_a_request_that_runs_beside_the_good_tasks() -> None:
    broken = reply("1. fetch(1)\n", "2. fech(1)\n", "3. join()")
    result = compiled(broken, reply("2. fetch(2)\n", "join()"), reply("Action: Finish(3)"))
    plan, repair, answer = requests_of(result)
    assert (plan.began, plan.ended) == (0.0, 3.0)
    assert (repair.purpose, repair.began, repair.ended) == ("plans", 3.0, 6.0)
    assert (answer.purpose, answer.ended) == ("answers", result.seconds)


def test_a_second_plan_is_asked_for_when_the_joiner_has_decided() -> None:
    result = compiled(
        reply(*PLAN), reply("Action: Replan(more)"), reply("4. fetch(7)\n5. join()"), reply("Action: Finish(3)")
    )
    requests = requests_of(result)
    assert [request.purpose for request in requests] == ["plans", "answers", "plans", "answers"]
    assert requests[1].ended == requests[2].began


def test_a_tool_loop_has_a_request_for_each_call_and_the_last_one_answers() -> None:
    result = reacted(reply("Action: fetch(1)"), reply("Action: fetch(2)"), reply("Action: Finish(3)"))
    assert requests_of(result) == [
        Request("plans", 0.0, 2.0),
        Request("plans", 4.0, 6.0),
        Request("answers", 8.0, 10.0),
    ]


def test_a_request_under_way_ends_with_its_run() -> None:
    with pytest.raises(RunFailed) as failure:
        compiled(Scripted(text="1. join()", first_token=60), limits=Limits(seconds=5))
    assert requests_of(failure.value.result) == [Request("plans", 0.0, 5.0)]


def interrupted() -> RunResult:
    """A text of a second a word, whose call ends while the model writes, and another one while it waits."""
    words = ["[CALL] a [HEAD] fetch(1) [END]\n", "so ", "far, ", "[CALL] b [HEAD] fetch(2) [END]\n", "[TRAP][END]"]
    engine = ScriptedEngine([[*words, "Answer: ", "3"]], per_token=1.0)
    return run_virtual(AsyncLM(engine, [fetch]).arun("How many?"))


def test_a_text_into_which_results_come_is_parted_by_them_and_by_its_waiting() -> None:
    # The calls run from 1 to 3 and from 4 to 6; what has come at 3 goes in with the next word; the model waits from 5 on.
    assert requests_of(interrupted()) == [
        Request("plans", 0.0, 4.0),
        Request("plans", 4.0, 5.0),
        Request("waits", 5.0, 6.0),
        Request("answers", 6.0, 8.0),
    ]


def test_messages_into_which_results_come_are_parted_likewise() -> None:
    # The call is read at 1 and runs to 3; the message ends at 2, the next one at 4, and then its result is told.
    calls = [CallPiece(0, "c", "fetch", '{"number": 1}')]
    replies = [Scripted(calls=calls, first_token=1.0, per_chunk=1.0), reply("so far"), reply("2")]
    result = run_virtual(AsyncLM(ScriptedModel(replies), [fetch], engine="futures").arun("How many?"))
    assert requests_of(result) == [Request("plans", 0.0, 2.0), Request("plans", 2.0, 4.0), Request("answers", 4.0, 6.0)]
    assert [event.text for event in result.events if isinstance(event, TextInjected)] == [
        '{"future": "f1", "status": "running"}',
        "f1: 2",
    ]


# --- the picture


def test_each_run_has_a_panel_and_all_share_one_axis_of_time() -> None:
    quick = compiled(reply(*PLAN), reply("Action: Finish(3)"))
    slow = reacted(reply("Action: fetch(1)"), reply("Action: fetch(2)"), reply("Action: Finish(3)"))
    figure = gantt({"compiler": quick, "react": slow})
    first, second = figure.axes
    assert [panel.get_title("left") for panel in figure.axes] == ["compiler", "react"]
    assert first.get_title("right").startswith("7.00 s · 2 requests")
    assert first.get_xlim() == second.get_xlim()
    assert first.get_xlim()[1] > slow.seconds
    assert labels(first) == ["model", "1. fetch(number=1)", "2. fetch(number=$1)"]
    assert [bars(first, row) for row in range(3)] == [[(0, 3), (5, 7)], [(1, 3)], [(3, 5)]]
    assert [bars(second, row) for row in range(3)] == [[(0, 2), (4, 6), (8, 10)], [(2, 4)], [(6, 8)]]


def test_what_failed_or_was_skipped_says_so_and_has_its_own_colour() -> None:
    result = compiled(reply("1. fetch(-1)\n2. fetch($1)\n3. fetch(1)\n4. join()"), reply("Action: Finish(no)"))
    figure = gantt({"a run": result})
    [panel] = figure.axes
    assert [text.get_text() for text in panel.texts] == ["failed", "skipped", "2.00 s"]
    [legend] = figure.legends
    kinds = [text.get_text() for text in legend.get_texts()]
    assert kinds == ["the model plans", "the model answers", "a tool runs", "a tool fails", "a task waits"]


def test_a_mark_shows_when_results_come_into_the_text() -> None:
    figure = gantt({"a run": interrupted()})
    [panel] = figure.axes
    [marks] = panel.lines[:-1]  # the last one is the run's end
    assert list(marks.get_xdata()) == [4.0, 6.0]
    assert bars(panel, 0) == [(0, 4), (4, 5), (5, 6), (6, 8)]
    kinds = [text.get_text() for text in figure.legends[0].get_texts()]
    assert kinds[2:] == ["the model waits", "a tool runs", "a task waits", "the model is told"]


def test_a_dollar_sign_is_no_formula_and_the_picture_can_be_saved() -> None:
    result = compiled(reply("1. fetch(1)\n2. fetch($1)\n3. fetch(${2})\n4. join()"), reply("Action: Finish(4)"))
    figure = gantt({"$1 and $2": result})
    saved = io.BytesIO()
    figure.savefig(saved, format="png")
    assert saved.getvalue().startswith(b"\x89PNG")
    assert not any(label.get_parse_math() for label in figure.axes[0].get_yticklabels())


def test_a_run_without_tasks_has_the_row_of_its_model() -> None:
    figure = gantt({"a run": compiled(reply("1. join()"), reply("Action: Finish(nothing to do)"))})
    assert labels(figure.axes[0]) == ["model"]


def test_long_calls_are_cut_to_one_line() -> None:
    assert cut("1. search(\n  query)") == "1. search( query)"
    assert len(cut("x" * 100)) == LONGEST_LABEL
    assert cut("x" * 100).endswith("…")


def test_without_a_run_there_is_nothing_to_draw() -> None:
    with pytest.raises(UsageError, match="no run to draw"):
        gantt({})


def test_without_matplotlib_it_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r'pip install "llmcompiler-engine\[notebook\]"'):
        gantt({"a run": compiled(reply("1. join()"), reply("Action: Finish(nothing to do)"))})
