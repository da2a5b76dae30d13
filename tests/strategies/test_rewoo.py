"""ReWOO: one plan, its evidence, one solver."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llmcompiler import (
    Failed,
    Limits,
    NotAPlan,
    OpenAIModel,
    ReWOO,
    RunFailed,
    RunResult,
    Skipped,
    Succeeded,
    Usage,
    tool,
)
from llmcompiler.errors import StreamCut
from llmcompiler.journal.events import AnswerText, PlanStarted, RunEnded, TaskRejected
from llmcompiler.models.model import Prompt
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.scripted import ScriptedReply
from llmcompiler.testing.server import LoopbackServer

QUESTION = "How much taller is Everest than K2?"
PLAN = """Plan: the first height
#E1 = height[Everest]
Plan: the second height
#E2 = height[K2]
Plan: the difference
#E3 = subtract[a=#E1.value, b=#E2.value]
"""


@tool(effect="read")
async def height(mountain: str) -> dict[str, Any]:
    """Return the height of a mountain."""
    await asyncio.sleep(1)
    return {"value": {"Everest": 8849, "K2": 8611}[mountain]}


@tool
async def subtract(a: float, b: float) -> float:
    """Return a - b."""
    return a - b


@tool(effect="read")
async def echo(text: str) -> str:
    """Return the text."""
    return text


TOOLS = [height, subtract, echo]


@dataclass(frozen=True)
class Ran:
    result: RunResult
    failure: BaseException | None
    prompts: list[Prompt]


def solved(*replies: ScriptedReply, **options: Any) -> Ran:
    async def work() -> Ran:
        with ScriptedModel(replies) as model:
            try:
                result, failure = await ReWOO(model, TOOLS, **options).arun(QUESTION), None
            except RunFailed as error:
                result, failure = error.result, error.__cause__
        return Ran(result, failure, model.prompts)

    return run_virtual(work())


def arguments(ran: Ran) -> list[Any]:
    return [record.arguments for record in ran.result.tasks.values()]


def test_evidence_flows_from_call_to_call_and_to_the_solver() -> None:
    ran = solved(PLAN, "238 m")
    assert (ran.result.answer, ran.result.status) == ("238 m", "complete")
    assert ran.result.tasks[3].outcome == Succeeded(238.0)
    assert [task.thought for task in ran.result.plans[0]] == ["the first height", "the second height", "the difference"]
    assert ran.prompts[1].messages[1].text == (
        f"Question: {QUESTION}\n\n"
        'Plan: the first height\n#E1 = height(mountain="Everest")\n   -> {"value": 8849}\n'
        'Plan: the second height\n#E2 = height(mountain="K2")\n   -> {"value": 8611}\n'
        "Plan: the difference\n#E3 = subtract(a=${1.value}, b=${2.value})\n   -> 238"
    )


def test_nothing_runs_before_the_plan_is_whole_and_then_all_that_is_ready() -> None:
    slow = Scripted(text=PLAN, chunks=PLAN.splitlines(keepends=True), per_chunk=1)
    assert solved(slow, "238 m").result.seconds == 7.0
    assert solved(slow, "238 m", sequential=True).result.seconds == 8.0


@pytest.mark.parametrize(
    ("line", "given"),
    [
        pytest.param("#E1 = echo[a b, c = 2]", "a b, c = 2", id="as it stands"),
        pytest.param("#E1 = echo[it costs $5]", "it costs $5", id="a dollar sign"),
        pytest.param('#E1 = echo["a"]', "a", id="quoted"),
        pytest.param('#E1 = echo["a" or "b"]', '"a" or "b"', id="quotes within a text"),
        pytest.param('#E1 = echo(text="costs $5")', "costs $5", id="named in round brackets"),
        pytest.param("#E1 = echo[f(x[0]) ]", "f(x[0])", id="brackets within"),
        pytest.param("**Plan:** x #E1 = echo[a]", "a", id="on the line of its plan"),
        pytest.param("#E1 = echo[a] (a note)", "a", id="a note behind it"),
    ],
)
def test_an_input_is_read_with_tolerance(line: str, given: str) -> None:
    assert arguments(solved(line, "done")) == [{"text": given}]


def test_evidence_in_a_text_is_text_alone_or_not() -> None:
    ran = solved("#E1 = height[K2]\n#E2 = echo[#E1]\n#E3 = echo[so #E1.value m] #E4 = echo[C#E1]", "done")
    assert arguments(ran)[1:] == [{"text": '{"value":8611}'}, {"text": "so 8611 m"}, {"text": "C#E1"}]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_chunks_do_not_matter(size: int) -> None:
    chunks = [PLAN[at : at + size] for at in range(0, len(PLAN), size)]
    assert len(solved(Scripted(chunks=chunks), "238 m").result.tasks) == 3


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param("#E1 = heigth[K2]", "there is no tool 'heigth'", id="unknown tool"),
        pytest.param("#E1 = subtract[a=1]", "subtract needs the argument 'b'", id="missing argument"),
        pytest.param("#E1 = subtract[1 + 2, 3]", "would be a computation", id="computation"),
        pytest.param("#E1 = height[K2", "height is not closed on its line", id="not closed"),
        pytest.param("#E1 = echo[#E9]", "$9", id="evidence that nothing gives"),
    ],
)
def test_a_step_that_cannot_run_is_told_to_the_solver_and_what_needs_it_is_skipped(line: str, told: str) -> None:
    ran = solved(f"{line}\n#E2 = echo[#E1]\n#E3 = echo[x]", "done")
    assert told in ran.prompts[1].messages[1].text
    one, two, three = (record.outcome for record in ran.result.tasks.values())
    assert isinstance(one, Failed)
    assert (two, three) == (Skipped(1), Succeeded("x"))
    assert [event.final for event in ran.result.events if isinstance(event, TaskRejected)][-1]


def test_a_text_without_calls_gets_one_second_try() -> None:
    ran = solved("I would look.", PLAN, "238 m")
    assert ran.result.answer == "238 m"
    assert ran.prompts[1].messages[-1].text.startswith("there is no call in the planner's text")
    assert [event.purpose for event in ran.result.events if isinstance(event, PlanStarted)] == ["plan", "repair"]
    twice = solved("I would look.", "Really.")
    assert isinstance(twice.failure, NotAPlan)
    assert "It said: Really." in str(twice.failure)


def test_a_plan_that_is_cut_is_not_run() -> None:
    ran = solved(Scripted(text=PLAN, finish="length"))
    assert isinstance(ran.failure, StreamCut)
    assert not ran.result.tasks


def test_limits_lead_to_the_best_answer() -> None:
    ran = solved(PLAN, "one of them", limits=Limits(tasks=2))
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("partial", "tasks", "one of them")
    assert "The work was stopped: the run has reached Limits(tasks=2)." in ran.prompts[1].messages[1].text
    ran = solved(PLAN, "8849 m", limits=Limits(seconds=1.5), sequential=True)
    assert (ran.result.status, ran.result.stopped_by, list(ran.result.tasks)) == ("partial", "seconds", [1, 2, 3])


def test_a_solver_that_says_nothing_fails_the_run_and_one_that_is_cut_is_partial() -> None:
    assert "the solver answered nothing" in str(solved(PLAN, " ").failure)
    ran = solved(PLAN, Scripted(text="238", finish="length"))
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "cut")


def test_usage_is_told_by_role() -> None:
    ran = solved(Scripted(text=PLAN, usage=Usage(1, 10, 2)), Scripted(text="238 m", usage=Usage(1, 20, 4)))
    assert ran.result.usage.by_purpose == {"planner": Usage(1, 10, 2), "solver": Usage(1, 20, 4)}


def test_the_answer_is_streamed() -> None:
    async def work() -> list[Any]:
        model = ScriptedModel([PLAN, Scripted(chunks=["238 ", "m"])])
        return [event async for event in ReWOO(model, TOOLS).astream(QUESTION)]

    events = run_virtual(work())
    assert [event.text for event in events if isinstance(event, AnswerText)] == ["238 ", "m"]
    assert isinstance(events[-1], RunEnded)


def test_it_runs_over_http_and_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    with LoopbackServer([PLAN, "238 m", "#E1 = x[y]", "nothing"]) as server:
        model = OpenAIModel("m", base_url=server.base_url, api_key="any")
        assert asyncio.run(ReWOO(model, TOOLS).arun(QUESTION)).answer == "238 m"
        file.write_text(f'strategy: rewoo\nmodel: {{name: "openai:m", base_url: "{server.base_url}"}}\n')
        assert asyncio.run(ReWOO.from_config(file, api_key="any").arun(QUESTION)).answer == "nothing"
