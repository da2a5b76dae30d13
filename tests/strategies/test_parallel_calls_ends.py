"""Parallel calls: limits, messages that break off, and how a run ends then."""

import asyncio
from typing import Any

import pytest
from tenacity import wait_none

from llmcompiler import CallPiece, Cancelled, Chunk, Failed, Limits, ModelRetries, ParallelCalls, Succeeded, Usage
from llmcompiler.errors import BadModelRequest, LimitReached, ModelUnavailable, StreamCut
from llmcompiler.execution.requests import Deadlines
from llmcompiler.journal.events import PlanClosed, TaskRejected
from llmcompiler.plan.outcomes import ErrorRecord
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from tests.strategies.calling import QUESTION, TOOLS, call, called, calling

LOOK, OTHER = call("height", "a", mountain="K2"), call("height", "b", mountain="Everest")
WRITE = call("note", "w", text="x")
HALF = CallPiece(2, "c", "echo", '{"text":"x')
NOT_RUN = "not run: the message broke off before its end, so nothing with effects may begin"
UNFINISHED = "not run: the message broke off before the arguments of this call ended"


# --- limits


def test_as_many_calls_as_allowed_and_then_the_answer_is_a_complete_run() -> None:
    ran = called(calling(LOOK, OTHER), "238 m", limits=Limits(tasks=2))
    assert (ran.result.status, ran.result.answer) == ("complete", "238 m")


@pytest.mark.parametrize("early", [True, False])
def test_one_call_too_many_asks_for_the_best_answer(early: bool) -> None:
    ran = called(calling(LOOK, OTHER, WRITE, LOOK), "about 240 m", limits=Limits(tasks=3), early=early)
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("partial", "tasks", "about 240 m")
    assert list(ran.result.tasks) == [1, 2, 3]
    assert ran.results(2) == ["8611", "8849", NOT_RUN], "as for every plan that is cut"
    assert ran.told(2)[-1].text == (
        "The work was stopped: the run has reached Limits(tasks=3). No further call is possible: "
        "answer as well as these results allow."
    )


def test_rounds_that_repeat_for_ever_end_by_the_limit_of_tasks() -> None:
    ran = called(*[calling(LOOK)] * 4, "8611 m", limits=Limits(tasks=3))
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "tasks")
    assert [record.reused_from for record in ran.result.tasks.values()] == [None, 1, 1]


def test_wrong_calls_for_ever_end_the_run_too() -> None:
    ran = called(*[calling(call("heigth"))] * 4, limits=Limits(tasks=3))
    assert isinstance(ran.failure, LimitReached)
    assert (ran.result.status, len(ran.result.tasks)) == ("failed", 3)


@pytest.mark.parametrize("early", [True, False])
def test_the_time_of_a_run_is_limited_and_what_has_come_is_shown(early: bool) -> None:
    slow = call("height", "s", mountain="K2", after=100)
    ran = called(calling(slow, OTHER), "8849 m", limits=Limits(seconds=5), early=early)
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("partial", "seconds", "8849 m")
    assert [record.outcome for record in ran.result.tasks.values()] == [Cancelled(), Succeeded(8849)]
    assert ran.results(2) == ["cancelled: the run ended first", "8849"]


def test_a_message_that_the_time_cuts_off_shows_the_calls_that_were_read() -> None:
    said = calling(OTHER, WRITE, call("echo", "e", text="x" * 100), per_chunk=1.0)  # closed at 5 and 9
    ran = called(said, "8849 m", limits=Limits(seconds=12))
    assert [record.outcome for record in ran.result.tasks.values()] == [Succeeded(8849), Cancelled()]
    assert ran.results(2) == ["8849", "cancelled: the run ended first"]
    assert [one.name for one in ran.told(2)[1].calls] == ["height", "note"]


def test_the_tokens_of_a_run_are_limited() -> None:
    ran = called(
        calling(LOOK, usage=Usage(1, 100, 20)),
        calling(OTHER, usage=Usage(1, 900, 20)),
        "8611 m",
        limits=Limits(tokens=1000),
    )
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("partial", "tokens", "8611 m")


def test_pieces_of_calls_count_as_tokens_before_the_usage_is_told() -> None:
    ran = called(calling(call("echo", text="x" * 4000)), limits=Limits(tokens=500))
    assert isinstance(ran.failure, LimitReached)
    assert (ran.result.stopped_by, dict(ran.result.tasks)) == ("tokens", {})


def test_a_best_answer_that_is_a_call_is_none() -> None:
    ran = called(calling(LOOK), calling(OTHER), calling(LOOK), limits=Limits(tasks=1))
    assert ran.result.answer is None
    assert any("the model answered nothing" in note for note in ran.failure.__notes__)


def test_a_message_without_end_is_cut() -> None:
    ran = called(Scripted(chunks=["x" * 1000] * 500))
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "cut")
    assert 400_000 < len(ran.result.answer or "") < 402_000


# --- messages that break off


@pytest.mark.parametrize(
    ("end", "early"),
    [
        pytest.param({"finish": "length"}, True, id="token cap"),
        pytest.param({"error": StreamCut("gone")}, True, id="stream"),
        pytest.param({"error": StreamCut("gone")}, False, id="stream, plain loop"),
    ],
)
def test_of_a_message_that_breaks_off_the_reads_run_and_nothing_with_effects(end: dict[str, Any], early: bool) -> None:
    ran = called(calling(LOOK, WRITE, HALF, **end), "8611 m", early=early)
    assert ran.results(2) == ["8611", NOT_RUN, UNFINISHED]
    assert ran.told(2)[1].calls[2].arguments == "{}"
    outcomes = [record.outcome for record in ran.result.tasks.values()]
    assert outcomes[0] == Succeeded(8611)
    assert isinstance(outcomes[1], Failed)
    assert outcomes[1].error.kind == "dropped"
    assert [event.complete for event in ran.kept(PlanClosed)] == [False]
    assert (ran.result.answer, ran.result.status) == ("8611 m", "complete"), "a later message came to its end"


def test_a_call_of_which_no_argument_came_is_not_run_if_the_message_breaks_off() -> None:
    ran = called(calling(LOOK, CallPiece(1, "c", "clock"), finish="length"), "8611 m")
    [rejected] = ran.kept(TaskRejected)
    assert rejected.tool == "clock"
    assert ran.results(2) == ["8611", UNFINISHED]


def test_a_stream_that_breaks_off_before_any_good_call_ends_the_run_and_is_not_asked_again() -> None:
    ran = called(calling(HALF, error=StreamCut("gone")))
    assert isinstance(ran.failure, StreamCut)
    assert len(ran.prompts) == 1
    ran = called(Scripted(text="238", error=StreamCut("gone")))
    assert isinstance(ran.failure, StreamCut)


def test_two_streams_that_break_off_one_after_the_other_end_the_run() -> None:
    cut = StreamCut("gone")
    ran = called(calling(LOOK, error=cut), calling(OTHER, error=cut))
    assert ran.failure is cut
    assert [record.outcome for record in ran.result.tasks.values()] == [Succeeded(8611), Succeeded(8849)]
    ran = called(calling(LOOK, error=cut), calling(OTHER), calling(LOOK, error=cut), "238 m")
    assert (ran.result.answer, ran.result.status) == ("238 m", "complete")


def test_a_request_that_fails_before_anything_came_is_tried_again() -> None:
    busy = ModelUnavailable("busy", status=503)
    retries = ModelRetries(retries=1, wait=wait_none())
    assert called(busy, calling(LOOK), busy, "8611 m", retries=retries).result.answer == "8611 m"
    assert isinstance(called(busy, busy, retries=retries).failure, ModelUnavailable)


def test_a_model_that_refuses_ends_the_run_with_its_error_and_the_results() -> None:
    ran = called(calling(LOOK), BadModelRequest("no", status=400))
    assert isinstance(ran.failure, BadModelRequest)
    assert ran.result.tasks[1].outcome == Succeeded(8611)


def test_pieces_of_a_call_keep_the_idle_deadline_and_end_that_of_the_first_token() -> None:
    deadlines = Deadlines(first_token=2, idle=4)
    said = calling(call("echo", text="x" * 40), per_chunk=3.0)  # 3 s between two pieces, 14 of them
    assert called(said, "x", deadlines=deadlines).result.answer == "x"
    ran = called(calling(call("echo", text="x"), per_chunk=5.0), deadlines=deadlines)
    assert "no further text within 4 s" in str(ran.failure)


def test_an_effect_begins_although_the_provider_never_gave_a_reason_for_the_end() -> None:
    class Plain:
        def __init__(self) -> None:
            self.replies = iter([[CallPiece(None, "", "note", '{"text":"x"}')], []])

        async def stream(self, prompt: Any) -> Any:
            pieces = next(self.replies)
            yield Chunk(calls=tuple(pieces)) if pieces else "done"

    async def work() -> Any:
        return await ParallelCalls(Plain(), TOOLS).arun(QUESTION)

    result = run_virtual(work())
    assert result.tasks[1].outcome == Succeeded("noted x")
    assert result.answer == "done"


def test_cancelling_a_run_ends_it_at_once() -> None:
    async def work() -> float:
        model = ScriptedModel([calling(call("height", mountain="K2", after=1000))])
        run = asyncio.create_task(ParallelCalls(model, TOOLS).arun(QUESTION))
        await asyncio.sleep(1)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        return asyncio.get_running_loop().time()

    assert run_virtual(work()) <= 1.1


def test_an_error_record_of_a_wrong_call_is_that_of_every_diagnosed_task() -> None:
    ran = called(calling(call("heigth")), "none")
    assert ran.result.tasks[1].outcome == Failed(
        ErrorRecord("plan", "InvalidTask", "there is no tool 'heigth' (did you mean height?)")
    )
