"""The failure matrix of llmcompiler.md, section 4: rows 13, 14 and 27 to 41. Servers, tools, the joiner, replans."""

import asyncio
import gc
import json
import threading
import time

import pytest

from llmcompiler import JoinError, Limits, tool
from llmcompiler.errors import ModelUnavailable, StreamCut
from llmcompiler.journal.events import JoinDecided, Replanned
from llmcompiler.testing import Scripted
from llmcompiler.testing.server import Cut, LoopbackServer, Reply, Status
from tests.matrix.helpers import FINISH, Toolbox, compiled, served

DOWN = Reply(fault=Status(500))
REPLAN = "Thought: no.\nAction: Replan(the height of Everest is missing)"
K2 = {"name": "K2", "value": 8611}
EVEREST = {"name": "Everest", "value": 8849}


def test_row_13_a_planner_that_answers_500_is_a_typed_error():
    tools = Toolbox()
    with LoopbackServer([DOWN] * 3) as server:
        ran = served(tools, server)
        server.assert_consumed()
    assert isinstance(ran.failure, ModelUnavailable)
    assert ran.failure.status == 500
    assert (ran.result.answer, ran.result.status, dict(ran.result.tasks), tools.calls) == (None, "failed", {}, [])


def test_row_13_a_planner_that_recovers_is_asked_again():
    with LoopbackServer([DOWN, DOWN, '1. search("K2")\n2. join()', FINISH]) as server:
        ran = served(Toolbox(seconds=0), server)
        server.assert_consumed()
    assert (ran.values, ran.result.status) == ({1: K2}, "complete")


def test_row_13_a_replanner_that_answers_500_leaves_the_first_results_to_the_joiner():
    with LoopbackServer(['1. search("K2")\n2. join()', REPLAN, DOWN, DOWN, DOWN, FINISH]) as server:
        ran = served(Toolbox(seconds=0), server)
        last = server.requests[-1].request
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "cut")
    assert ran.values == {1: K2}
    assert "The plan broke off before its end" in last.last_user
    assert "HTTP 500" in last.last_user


def test_row_13_a_repair_that_cannot_be_had_leaves_the_rest_of_the_plan_alone():
    tools = Toolbox(seconds=0)
    with LoopbackServer(
        ['1. find("K2")\n2. search("K2")\n3. send("Ann")\n4. join()', DOWN, DOWN, DOWN, FINISH]
    ) as server:
        ran = served(tools, server)
        server.assert_consumed()
    assert (ran.values[2], ran.errors[1][0], len(tools.of("send"))) == (K2, "plan", 1)
    assert (ran.result.answer, ran.result.status) == ("done", "complete")


@pytest.mark.parametrize("how", ["close", "reset", "end"])
def test_row_14_what_came_before_a_cut_runs_and_held_writes_are_dropped(how):
    tools = Toolbox(seconds=0)
    lines = ['1. search("K2")\n', '2. send("Ann", "${1.value}")\n', '3. search("Everest")\n', "4. join()"]
    with LoopbackServer([Reply(chunks=lines, fault=Cut(after_chunks=2, how=how)), FINISH]) as server:
        ran = served(tools, server)
        last = server.requests[-1].request.last_user
    assert ran.values == {1: K2}
    assert ran.errors[2][0] == "dropped"
    assert tools.calls == [("search", {"query": "K2"})]
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "cut")
    assert "The plan broke off before its end" in last


def test_row_14_a_cut_before_any_success_is_a_typed_error():
    tools = Toolbox(seconds=0)
    with LoopbackServer([Reply(chunks=['1. search("nowhere")\n', "2. jo"], fault=Cut(after_chunks=1))]) as server:
        ran = served(tools, server)
        server.assert_consumed()
    assert isinstance(ran.failure, StreamCut)
    assert ran.errors == {1: ("tool", "KeyError: 'nowhere'")}


def test_row_14_a_cut_after_the_join_changes_nothing(caplog):
    lines = ['1. search("K2")\n2. join()\n', "That was", " the plan."]
    with LoopbackServer([Reply(chunks=lines, fault=Cut(after_chunks=2)), FINISH]) as server:
        ran = served(Toolbox(seconds=0.1), server)
    gc.collect()
    assert caplog.records == [], "nobody reports the error of what only counted usage"
    assert (ran.values, ran.result.status, ran.result.stopped_by) == ({1: K2}, "complete", None)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(ValueError("no such city"), "ValueError: no such city", id="exception"),
        pytest.param(SystemExit(3), "SystemExit: exit code 3", id="exit"),
        pytest.param(asyncio.CancelledError("by itself"), "CancelledError: by itself", id="cancels itself"),
        pytest.param(KeyError("x"), "KeyError: 'x'", id="key error"),
        pytest.param(GeneratorExit(), "GeneratorExit", id="generator exit"),
        pytest.param(ExceptionGroup("two", [ValueError("a")]), "ExceptionGroup: two (ValueError: a)", id="group"),
    ],
)
def test_row_27_a_tool_that_raises_fails_alone(error, said):
    @tool
    async def boom() -> str:
        raise error

    tools = Toolbox()
    plan = '1. boom()\n2. wait(1, "b")\n3. echo("$1")\n4. send("$3")\n5. echo("$2")\n6. join()'
    ran = compiled([boom, *tools], plan, FINISH)
    assert ran.errors == {1: ("tool", said), 3: ("skipped", "1"), 4: ("skipped", "1")}
    assert ran.values == {2: "b", 5: "b"}
    assert tools.of("send") == []
    assert f"1. boom()\n   -> failed: {json.dumps(said)}" in ran.text("join")
    assert (ran.result.answer, ran.result.status) == ("done", "complete")


def test_row_28_sync_tools_run_side_by_side_in_threads():
    barrier = threading.Barrier(8, timeout=10)

    @tool
    def meet(n: int) -> str:
        barrier.wait()
        return threading.current_thread().name

    plan = "".join(f"{n}. meet({n})\n" for n in range(1, 9)) + "9. join()"
    with LoopbackServer([plan, FINISH]) as server:
        ran = served([meet], server)
    assert len(set(ran.values.values())) == 8, "each of the eight had a thread of its own, at the same time"
    assert ran.result.status == "complete"


def test_row_28_an_async_tool_that_blocks_the_loop_is_named_with_its_stack():
    @tool
    async def stubborn() -> str:
        time.sleep(1.5)
        return "late"

    with LoopbackServer(["1. stubborn()\n2. join()", FINISH]) as server:
        ran = served([stubborn], server)
    assert ran.values == {1: "late"}
    assert {blocked.tool for blocked in ran.result.blocked} == {"stubborn"}
    assert "time.sleep(1.5)" in ran.result.blocked[0].stack


@pytest.mark.parametrize(("timeout", "at"), [(5.0, 5.0), ("default", 60.0)])
def test_row_29_a_tool_that_never_returns_fails_at_its_deadline(timeout, at):
    async def hang() -> None:
        await asyncio.Event().wait()

    hanging = tool(hang) if timeout == "default" else tool(timeout=timeout)(hang)
    ran = compiled([hanging, *Toolbox()], '1. hang()\n2. wait(1, "b")\n3. echo("$1")\n4. join()', FINISH)
    assert ran.errors == {1: ("timeout", f"TimeoutError: no result within {at:g} s"), 3: ("skipped", "1")}
    assert (ran.result.tasks[1].ended, ran.result.seconds) == (at, at)
    assert ran.values == {2: "b"}


def test_row_29_a_tool_that_swallows_its_cancellation_is_left_behind():
    @tool(timeout=2)
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                continue

    ran = compiled([stubborn], "1. stubborn()\n2. join()", Scripted(text=FINISH, first_token=1.0))
    assert ran.errors == {1: ("timeout", "TimeoutError: no result within 2 s")}
    assert (ran.result.seconds, ran.result.abandoned) == (3.0, 1)


def test_row_29_a_thread_that_never_returns_is_left_behind_at_its_deadline():
    release = threading.Event()

    @tool(timeout=0.3)
    def hang() -> None:
        release.wait(60)

    with LoopbackServer(["1. hang()\n2. join()", FINISH]) as server:
        ran = served([hang], server)
    release.set()
    record = ran.result.tasks[1]
    assert ran.errors == {1: ("timeout", "TimeoutError: no result within 0.3 s")}
    assert ran.result.abandoned == 1
    assert record.ended - record.started < 0.3 + 0.5, "the deadline of the tool, however slow this machine"


def test_row_29_without_a_timeout_the_limit_of_the_run_ends_it():
    @tool(timeout=None)
    async def hang() -> None:
        await asyncio.Event().wait()

    plan = '1. hang()\n2. wait(1, "b")\n3. join()'
    ran = compiled([hang, *Toolbox()], plan, FINISH, limits=Limits(seconds=1000))
    assert (ran.result.status, ran.result.stopped_by, ran.result.seconds) == ("partial", "seconds", 1000.0)
    assert ran.values == {2: "b"}
    assert "1. hang()\n   -> cancelled: the run ended first" in ran.text("join")
    assert "The work was stopped: the run has reached Limits(seconds=1000)." in ran.text("join")


@pytest.mark.parametrize(("slots", "seconds"), [(32, 1.0), (8, 1.0), (3, 3.0), (1, 8.0)])
def test_row_30_eight_independent_tools_run_in_parallel(slots, seconds):
    tools = Toolbox()
    plan = "".join(f"{n}. wait(1)\n" for n in range(1, 9)) + "9. join()"
    ran = compiled(tools, plan, FINISH, limits=Limits(parallel_tasks=slots))
    assert (ran.result.seconds, tools.most_running) == (seconds, min(slots, 8))


def test_row_31_a_joiner_that_answers_500_is_a_typed_error_that_keeps_the_results():
    with LoopbackServer(['1. search("K2")\n2. join()', DOWN, DOWN, DOWN]) as server:
        ran = served(Toolbox(seconds=0), server)
        server.assert_consumed()
    assert isinstance(ran.failure, ModelUnavailable)
    assert (ran.failure.status, ran.result.answer, ran.result.status) == (500, None, "failed")
    assert ran.values == {1: K2}


def test_row_31_a_joiner_that_recovers_is_asked_again():
    with LoopbackServer(['1. search("K2")\n2. join()', DOWN, FINISH]) as server:
        ran = served(Toolbox(seconds=0), server)
    assert (ran.result.answer, ran.result.status) == ("done", "complete")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        pytest.param("Action: Finish(First for Women (magazine))", "First for Women (magazine)", id="32 parentheses"),
        pytest.param("Action: Finish(line one\nline two)", "line one\nline two", id="33 two lines"),
        pytest.param("**Action:** Finish(42)", "42", id="34 bold"),
        pytest.param("  Action: Finish(42)", "42", id="34 indented"),
        pytest.param("**Thought:** so\n**Action: Finish(42)**", "42", id="34 bold to the end"),
        pytest.param("- Action: `Finish(42)`", "42", id="34 bullet and code"),
        pytest.param("action : FINISH (42)", "42", id="34 case and spaces"),
        pytest.param("Finish(42)", "42", id="34 no label"),
        pytest.param(
            "Thought: Replan?\nAction: Finish(No Replan is needed)", "No Replan is needed", id="36 Replan inside"
        ),
        pytest.param("Action: Finish(42)\n\n", "42", id="36 newlines at the end"),
        pytest.param("Action: Finish(search(K2) gave 8611)", "search(K2) gave 8611", id="37 a tool's name"),
    ],
)
def test_rows_32_to_37_the_answer_is_exact(reply, answer):
    ran = compiled(Toolbox(), '1. search("K2")\n2. join()', reply)
    assert (ran.result.answer, ran.result.status, ran.asked) == (answer, "complete", ["plan", "join"])


@pytest.mark.parametrize("reply", ["The difference is 238 m.", "", "  \n", '{"answer": 238}', "Action: search(K2)"])
def test_row_35_a_reply_without_an_action_is_asked_for_once_more(reply):
    ran = compiled(Toolbox(), '1. search("K2")\n2. join()', reply, "Action: Finish(238 m)")
    assert (ran.result.answer, ran.result.status, ran.asked) == ("238 m", "complete", ["plan", "join", "rejoin"])
    assert "Reply again" in ran.text("rejoin")


def test_row_35_a_second_reply_without_an_action_is_a_typed_error():
    ran = compiled(Toolbox(), '1. search("K2")\n2. join()', "It is 238 m.", "As I said: 238 m.")
    assert isinstance(ran.failure, JoinError)
    assert ran.failure.text == "As I said: 238 m."
    assert (ran.result.answer, ran.result.status, ran.values) == (None, "failed", {1: K2})


def test_row_38_a_replan_tells_the_planner_its_reason():
    ran = compiled(Toolbox(), '1. search("K2")\n2. join()', REPLAN, '2. search("Everest")\n3. join()', FINISH)
    assert ran.asked == ["plan", "join", "replan", "join"]
    assert 'in the words of the one who read the results: "the height of Everest is missing"\n' in ran.text("replan")
    assert '1. search(query="K2")\n   -> {"name": "K2", "value": 8611}' in ran.text("replan")
    assert [event.reason for event in ran.kept(Replanned)] == ["the height of Everest is missing"]
    assert [record.round for record in ran.result.tasks.values()] == [1, 2]
    assert (ran.result.answer, ran.result.status, len(ran.result.plans)) == ("done", "complete", 2)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("plan", "value"),
    [
        pytest.param('2. search("Everest")\n3. echo("${2.value} - ${1.value}")', "8849 - 8611", id="39 continued"),
        pytest.param('7. search("Everest")\n8. echo("${7.value} - ${1.value}")', "8849 - 8611", id="39 with a gap"),
        # Ids that are taken are shifted: a ref names this round's task if there is one.
        pytest.param('1. search("Everest")\n2. echo("${1.value}")', 8849, id="40 from 1 again"),
        pytest.param('1. echo("${1.value}")\n2. search("Everest")', 8611, id="40 an earlier result"),
    ],
)
def test_rows_39_and_40_a_replan_may_count_on_or_start_at_1(plan, value, stream):
    ran = compiled(Toolbox(), '1. search("K2")\n2. join()', REPLAN, f"{plan}\n9. join()", FINISH, stream=stream)
    assert ran.values[1] == K2, "no earlier result is lost or overwritten"
    assert EVEREST in ran.values.values()
    assert value in ran.values.values()
    assert "   -> " + '{"name": "K2", "value": 8611}' in ran.text("join")
    assert (ran.result.status, len(ran.result.tasks)) == ("complete", 3)


ROUNDS = ['1. search("K2")\n2. join()', '2. search("Everest")\n3. join()', '3. search("Elbrus")\n4. join()']


@pytest.mark.parametrize("replans", [0, 1, 2])
def test_row_41_a_joiner_that_always_replans_is_told_to_answer(replans):
    script = [reply for plan in ROUNDS[: replans + 1] for reply in (plan, REPLAN)]
    ran = compiled(Toolbox(), *script, "Action: Finish(as far as I know, 238 m)", limits=Limits(replans=replans))
    assert ran.asked.count("plan") + ran.asked.count("replan") == replans + 1
    assert ran.asked[-2:] == ["join", "rejoin"]
    assert "No further plan is possible" in ran.prompts[-2].messages[0].text
    assert (ran.result.answer, ran.result.status) == ("as far as I know, 238 m", "partial")
    assert ran.result.stopped_by == "replans"
    assert len(ran.values) == replans + 1
    assert [type(event.decision).__name__ for event in ran.kept(JoinDecided)] == ["Replan"] * replans + ["Finish"]


def test_row_41_a_joiner_that_replans_to_the_last_is_a_typed_error():
    ran = compiled(Toolbox(), ROUNDS[0], REPLAN, REPLAN, limits=Limits(replans=0))
    assert isinstance(ran.failure, JoinError)
    assert "asks for another plan, but none is possible: the height of Everest is missing" in str(ran.failure)
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == (None, "failed", "replans")
    assert ran.values == {1: K2}
