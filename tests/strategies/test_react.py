"""ReAct: one call after another, the same calls, checks, events and limits as the compiler's."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from llmcompiler import (
    Failed,
    Limits,
    LLMCompiler,
    ReAct,
    RunFailed,
    RunResult,
    Succeeded,
    Usage,
    UsageError,
    tool,
)
from llmcompiler.errors import BadModelRequest, LimitReached
from llmcompiler.joiner import Finish
from llmcompiler.journal.events import (
    AnswerText,
    Event,
    JoinDecided,
    PlanClosed,
    PlanStarted,
    PlanText,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskPlanned,
    TaskRejected,
    TaskStarted,
)
from llmcompiler.models.model import Prompt
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.scripted import ScriptedReply

HEIGHTS = {"Everest": 8849, "K2": 8611}
QUESTION = "How much taller is Everest than K2?"
DONE = "Thought: enough.\nAction: Finish(238 m)"


@tool(effect="read")
async def height(mountain: str) -> dict[str, Any]:
    """Return the height of a mountain."""
    await asyncio.sleep(1)
    return {"value": HEIGHTS[mountain], "unit": "m"}


@tool
async def subtract(a: float, b: float) -> float:
    """Return a - b."""
    return a - b


TOOLS = [height, subtract]


@dataclass(frozen=True)
class Ran:
    result: RunResult
    failure: BaseException | None
    prompts: list[Prompt]

    def seen(self, request: int) -> str:
        """Return what the model was shown in a request, counted from 1."""
        return self.prompts[request - 1].messages[-1].text

    def kept(self, kind: type) -> list[Any]:
        return [event for event in self.result.events if isinstance(event, kind)]


def reacted(*replies: ScriptedReply, tools: Iterable[object] = TOOLS, **options: Any) -> Ran:
    async def work() -> Ran:
        with ScriptedModel(replies) as model:
            agent = ReAct(model, tools, **options)
            try:
                result, failure = await agent.arun(QUESTION), None
            except RunFailed as error:
                result, failure = error.result, error.__cause__
            finally:
                agent.close()
        return Ran(result, failure, model.prompts)

    return run_virtual(work())


CALLS = (
    'Thought: first.\nAction: height("Everest")',
    'Thought: then.\nAction: height("K2")',
    "Thought: now.\nAction: subtract(${1.value}, ${2.value})",
)


# --- the way it goes


def test_one_call_after_another_leads_to_the_answer() -> None:
    ran = reacted(*CALLS, DONE)
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("238 m", "complete", None)
    assert {id: record.outcome for id, record in ran.result.tasks.items()} == {
        1: Succeeded({"value": 8849, "unit": "m"}),
        2: Succeeded({"value": 8611, "unit": "m"}),
        3: Succeeded(238.0),
    }
    assert ran.result.seconds == 2.0, "the two heights wait for each other"


def test_an_action_may_refer_to_the_results_of_earlier_ones() -> None:
    ran = reacted(*CALLS, DONE)
    assert ran.result.tasks[3].arguments == {"a": 8849, "b": 8611}


def test_the_model_sees_its_own_words_and_what_came_of_them() -> None:
    ran = reacted(*CALLS, DONE)
    assert ran.seen(1) == f"Question: {QUESTION}\n"
    assert ran.seen(3) == (
        f"Question: {QUESTION}\n"
        'Thought: first.\nAction: height("Everest")\nObservation: {"value": 8849, "unit": "m"}\n'
        'Thought: then.\nAction: height("K2")\nObservation: {"value": 8611, "unit": "m"}\n'
    )
    assert {prompt.stop for prompt in ran.prompts} == {("\nObservation:",)}
    assert "- height(mountain: string): Return the height of a mountain." in ran.prompts[0].messages[0].text


def test_the_model_may_answer_at_once() -> None:
    ran = reacted(DONE)
    assert (ran.result.answer, dict(ran.result.tasks), ran.result.plans) == ("238 m", {}, ())


def test_instructions_stand_in_the_prompt() -> None:
    ran = reacted(DONE, instructions="Answer in French.")
    assert "Answer in French." in ran.prompts[0].messages[0].text


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param('Action: height("K2")', id="no thought"),
        pytest.param('**Action:** height("K2")', id="bold"),
        pytest.param('thought: x\naction: height(mountain="K2")', id="small letters"),
        pytest.param('height("K2")', id="the bare call"),
        pytest.param('Action: height(\n  "K2"\n)', id="several lines"),
        pytest.param('Action: height("K2")\nAction: height("Everest")', id="only the first of two"),
        pytest.param(
            'Action: height("K2")\nThought: it is known.\nAction: Finish(9000 m)', id="a call before an answer"
        ),
    ],
)
def test_an_action_is_read_with_tolerance_and_only_the_first(reply: str) -> None:
    ran = reacted(reply, DONE)
    assert ran.result.answer == "238 m"
    assert [record.arguments for record in ran.result.tasks.values()] == [{"mountain": "K2"}]


def test_the_answer_may_run_over_lines_and_hold_parentheses() -> None:
    answer = "It is 238 m (8849 m - 8611 m):\nAction: none"
    assert reacted(f"Thought: done.\nAction: Finish({answer})").result.answer == answer


# --- what goes wrong is told to the model


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        pytest.param('Action: heigth("K2")', "there is no tool 'heigth'", id="unknown tool"),
        pytest.param("Action: height()", "height needs the argument 'mountain'", id="missing argument"),
        pytest.param("Action: height(8611)", "expected string, found integer 8611", id="wrong type"),
        pytest.param("Action: height($7)", "$7 is no task of this plan", id="unknown ref"),
        pytest.param("Action: height(K2)", "height(K2)", id="bare word"),
        pytest.param("I think it is high.", "no action could be read; write Action: tool(arguments)", id="prose"),
        pytest.param("", "no action could be read", id="nothing"),
        pytest.param("Action: Finish()", "Finish() is empty", id="empty answer"),
        pytest.param("Action: Finish(238", "Finish(...) is not closed", id="open answer"),
        pytest.param(
            "Action: Replan(look again)", "there is no Replan here: call a tool", id="a word of the other strategy"
        ),
    ],
)
def test_an_action_that_cannot_be_run_is_explained(reply: str, told: str) -> None:
    ran = reacted(reply, CALLS[1], DONE)
    observation = ran.seen(2).partition("Observation: ")[2]
    assert told in observation
    assert ran.result.answer == "238 m"
    assert [record.arguments for record in ran.result.tasks.values()] == [{"mountain": "K2"}]


def test_the_diagnosis_shows_place_and_remedy() -> None:
    ran = reacted('Action: heigth("K2")', DONE)
    assert ran.seen(2).endswith(
        "Observation: error[unknown_tool]: there is no tool 'heigth' (line 1)\n"
        '   1 | 1. heigth("K2")\n'
        "     | ^^^^^^^^^\n"
        "     = did you mean height?\n"
    )


def test_a_tool_that_fails_is_told_and_the_run_goes_on() -> None:
    ran = reacted('Action: height("Olympus")', *CALLS[1:2], DONE)
    assert "Observation: failed: \"KeyError: 'Olympus'\"\n" in ran.seen(2)
    assert isinstance(ran.result.tasks[1].outcome, Failed)
    assert isinstance(ran.result.tasks[2].outcome, Succeeded)
    assert ran.result.status == "complete"


def test_a_ref_to_a_call_that_failed_skips_the_one_that_uses_it() -> None:
    ran = reacted('Action: height("Olympus")', "Action: subtract(${1.value}, 1)", DONE)
    assert "Observation: skipped: it needs task 1, which gave no value\n" in ran.seen(3)


def test_an_identical_read_is_served_from_the_first() -> None:
    ran = reacted(CALLS[0], CALLS[0], DONE)
    assert [record.reused_from for record in ran.result.tasks.values()] == [None, 1]
    assert ran.result.seconds == 1.0


# --- limits


def test_as_many_calls_as_allowed_and_then_the_answer_is_a_complete_run() -> None:
    ran = reacted(*CALLS, DONE, limits=Limits(tasks=3))
    assert (ran.result.status, ran.result.answer) == ("complete", "238 m")


def test_one_call_too_many_asks_for_the_best_answer() -> None:
    ran = reacted(*CALLS, "Action: Finish(about 240 m)", limits=Limits(tasks=2))
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("partial", "tasks", "about 240 m")
    assert list(ran.result.tasks) == [1, 2]
    assert "The work was stopped: the run has reached Limits(tasks=2). No further action is possible" in ran.seen(4)


def test_without_any_result_a_limit_ends_the_run_without_an_answer() -> None:
    ran = reacted('Action: height("Olympus")', 'Action: height("Athos")', limits=Limits(tasks=1))
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("failed", "tasks", None)
    assert isinstance(ran.failure, LimitReached)
    assert list(ran.result.tasks) == [1]


def test_actions_that_can_never_be_read_end_the_run() -> None:
    ran = reacted(*["Hm."] * 4, limits=Limits(tasks=3))
    assert isinstance(ran.failure, LimitReached)
    assert str(ran.failure) == "too many actions that could not be read"


def test_the_time_of_a_run_is_limited() -> None:
    ran = reacted(*CALLS[:2], "Action: Finish(one is 8849 m)", limits=Limits(seconds=1.5))
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("partial", "seconds", "one is 8849 m")


def test_a_best_answer_that_is_none_fails_the_run() -> None:
    ran = reacted(*CALLS[:2], "Action: Replan(more)", limits=Limits(seconds=1.5))
    assert (ran.result.status, ran.result.answer) == ("failed", None)


def test_the_tokens_of_a_run_are_limited() -> None:
    first = Scripted(text=CALLS[0], usage=Usage(1, 900, 200))
    ran = reacted(first, limits=Limits(tokens=1000))
    assert (ran.result.stopped_by, ran.result.answer) == ("tokens", None)


def test_a_model_that_fails_ends_the_run_with_its_error() -> None:
    ran = reacted(CALLS[0], BadModelRequest("no", status=400))
    assert isinstance(ran.failure, BadModelRequest)
    assert list(ran.result.tasks) == [1]


# --- events and usage


def kinds(events: Iterable[Event]) -> list[type]:
    return [type(event) for event in events]


def test_a_run_emits_the_events_of_the_compiler() -> None:
    ran = reacted(CALLS[0], DONE)
    assert kinds(ran.result.events) == [
        RunStarted,
        PlanStarted,
        TaskPlanned,
        PlanClosed,
        TaskStarted,
        TaskEnded,
        PlanStarted,
        JoinDecided,
    ]
    assert ran.kept(RunStarted)[0].strategy == "react"
    assert ran.kept(JoinDecided)[0].decision == Finish("238 m")


def test_a_refused_action_is_a_rejected_task_that_may_be_repaired() -> None:
    ran = reacted('Action: heigth("K2")', DONE)
    [rejected] = ran.kept(TaskRejected)
    assert (rejected.id, rejected.tool, rejected.final) == (1, "heigth", False)
    assert [event.complete for event in ran.kept(PlanClosed)] == [False]
    assert not ran.result.tasks


def test_each_call_is_a_round_with_a_plan_of_its_own() -> None:
    ran = reacted(*CALLS, DONE)
    assert [[(task.id, task.tool) for task in plan] for plan in ran.result.plans] == [
        [(1, "height")],
        [(2, "height")],
        [(3, "subtract")],
    ]
    assert all(plan.complete for plan in ran.result.plans)
    assert [record.round for record in ran.result.tasks.values()] == [1, 2, 3]


def test_every_kind_of_event_is_one_that_the_compiler_emits_too() -> None:
    async def work() -> tuple[set[type], set[type]]:
        model = ScriptedModel([*CALLS, DONE, '1. height("K2")\n2. join()', DONE])
        react, compiler = ReAct(model, TOOLS), LLMCompiler(model, TOOLS)
        return (
            {type(event) async for event in react.astream(QUESTION)},
            {type(event) async for event in compiler.astream(QUESTION)},
        )

    ours, theirs = run_virtual(work())
    assert ours == theirs
    assert {PlanText, AnswerText} <= ours


def test_the_answer_is_streamed_as_it_comes() -> None:
    async def work() -> list[str]:
        model = ScriptedModel([Scripted(chunks=["Thought: x.\nAct", "ion: Fin", "ish(238 ", "metres)"])])
        return [event.text async for event in ReAct(model, TOOLS).astream(QUESTION) if isinstance(event, AnswerText)]

    assert run_virtual(work()) == ["238 ", "metres"]


def test_usage_is_counted_for_the_agent() -> None:
    replies = [Scripted(text=text, usage=Usage(1, 10, 2)) for text in (CALLS[0], DONE)]
    ran = reacted(*replies)
    assert ran.result.usage.by_purpose == {"agent": Usage(2, 20, 4, None)}
    assert reacted(DONE).result.usage.total == Usage(1, None, None, None)


def test_a_run_ends_with_the_result_in_its_last_event() -> None:
    async def work() -> list[Event]:
        return [event async for event in ReAct(ScriptedModel([DONE]), TOOLS).astream(QUESTION)]

    *_, last = run_virtual(work())
    assert isinstance(last, RunEnded)
    assert (last.result.answer, last.error) == ("238 m", None)


# --- construction


def test_it_runs_from_plain_code_as_well() -> None:
    agent = ReAct(ScriptedModel([DONE]), TOOLS)
    assert agent.run(QUESTION).answer == "238 m"
    agent.close()


@pytest.mark.parametrize(
    ("args", "options", "said"),
    [
        pytest.param((None, TOOLS), {}, "name a model", id="no model"),
        pytest.param(("opnai:x", TOOLS), {}, "did you mean openai?", id="provider"),
        pytest.param((ScriptedModel([]), [height, height]), {}, "two tools are named 'height'", id="tools"),
    ],
)
def test_what_cannot_work_is_told_at_once(args: tuple[Any, ...], options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as told:
        ReAct(*args, **options)
    assert said in str(told.value)


def test_a_question_must_say_something() -> None:
    with pytest.raises(UsageError, match="a question is a text that says something, not ' '"):
        run_virtual(ReAct(ScriptedModel([]), TOOLS).arun(" "))
