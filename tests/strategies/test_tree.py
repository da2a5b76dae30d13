"""Tree-of-Thoughts: levels of proposals and evaluations as tasks, selection, and the answer of the best leaf."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llmcompiler import (
    JoinError,
    Limits,
    ModelError,
    OpenAIModel,
    RunFailed,
    RunResult,
    Tool,
    TreeOfThoughts,
    Usage,
    UsageError,
    tool,
)
from llmcompiler.errors import LimitReached, NoProgress
from llmcompiler.journal.events import AnswerText, RunEnded
from llmcompiler.models.model import Prompt
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.scripted import ScriptedReply
from llmcompiler.testing.server import ChatRequest, LoopbackServer, Reply

QUESTION = "root"


@dataclass(frozen=True)
class Ran:
    result: RunResult
    failure: BaseException | None
    prompts: list[Prompt]

    @property
    def plans(self) -> list[list[str]]:
        """The calls of each level, as they stand in the plans."""
        return [[line.partition(". ")[2] for line in str(plan).splitlines()[:-1]] for plan in self.result.plans]


def searched(*replies: ScriptedReply, tools: Any = (), **options: Any) -> Ran:
    async def work() -> Ran:
        with ScriptedModel(replies) as model:
            try:
                result, failure = await TreeOfThoughts(model, tools, **options).arun(QUESTION), None
            except RunFailed as error:
                result, failure = error.result, error.__cause__
        return Ran(result, failure, model.prompts)

    return run_virtual(work())


def proposing(tree: Mapping[str, Any], seconds: Callable[[str], float] = lambda _: 1) -> Tool[..., Any]:
    """A proposer of what stands below a state; a state that does not stand there is an error."""

    @tool
    async def propose(state: str) -> Any:
        """Return next states."""
        await asyncio.sleep(seconds(state))
        return tree[state]

    return propose


def evaluating(values: Mapping[str, Any], calls: list[str] | None = None) -> Tool[..., Any]:
    """An evaluator by a table; a state that does not stand there is an error."""

    @tool
    async def evaluate(state: Any) -> Any:
        """Return a value."""
        if calls is not None:
            calls.append(state)
        await asyncio.sleep(1)
        return values[state if isinstance(state, str) else state["answer"]]

    return evaluate


def asked_for(ran: Ran) -> str:
    """The line of thought from which the answer was asked."""
    return ran.prompts[-1].messages[-1].text.partition("Lines: ")[2]


TREE = {"root": ["a", "b", "c"], "a": ["aa", "ab"], "b": ["ba"], "c": ["ca"]}
VALUES = {"a": 3, "b": 5, "c": 1, "aa": 2, "ab": 9, "ba": 4}


def test_the_best_of_each_level_go_on_and_the_best_leaf_is_answered_from() -> None:
    ran = searched("done", tools=[proposing(TREE), evaluating(VALUES)], depth=2, breadth=2)
    assert (ran.result.answer, ran.result.status) == ("done", "complete")
    assert ran.plans == [
        ['propose(state="root")', "evaluate(state=${1[0]})", "evaluate(state=${1[1]})", "evaluate(state=${1[2]})"],
        [
            "propose(state=${1[1]})",
            "propose(state=${1[0]})",
            "evaluate(state=${5[0]})",
            "evaluate(state=${6[0]})",
            "evaluate(state=${6[1]})",
        ],
    ]
    assert all(plan.complete for plan in ran.result.plans)
    assert ran.prompts[0].messages[1].text == 'Question: root\n\nLines: "ab"'


def test_a_level_is_worked_on_at_once_or_one_call_after_another() -> None:
    tools = [proposing(TREE), evaluating(VALUES)]
    assert searched("done", tools=tools, depth=2, breadth=2).result.seconds == 4
    assert searched("done", tools=tools, depth=2, breadth=2, parallel=False).result.seconds == 4 + 5


def test_a_state_is_judged_as_soon_as_its_own_proposal_has_come_and_selection_waits_for_all() -> None:
    slow = proposing(TREE, lambda state: 5 if state == "a" else 1)
    ran = searched("done", tools=[slow, evaluating(VALUES)], depth=2, breadth=2)
    begun = {str(record.arguments["state"]): record.started for record in ran.result.tasks.values() if record.arguments}
    assert (begun["ba"], begun["aa"], begun["ab"]) == (3, 7, 7)
    assert asked_for(ran) == '"ab"'
    both = searched("done", tools=[slow, evaluating(VALUES)], depth=2, breadth=2, parallel=False)
    assert asked_for(both) == '"ab"', "the order of arrival changes nothing"


@pytest.mark.parametrize("seconds", list(itertools.permutations((1, 2, 3))))
def test_at_equal_values_the_state_that_was_proposed_earlier_wins(seconds: tuple[int, ...]) -> None:
    times = dict(zip("abc", seconds, strict=True))
    tree = {"root": ["a", "b", "c"], **{each: [each * 2] for each in "abc"}}
    slow = proposing(tree, lambda state: times.get(state, 0))
    ran = searched("done", tools=[slow, evaluating(dict.fromkeys(["a", "b", "c", "aa", "bb", "cc"], 1))], depth=2)
    assert asked_for(ran) == '"aa"'


def test_a_state_is_judged_once_wherever_it_is_proposed() -> None:
    calls: list[str] = []
    tree = {"root": ["a", "b", "a"], "a": ["x", "a"], "b": ["x", "y"]}
    values = {"a": 7, "b": 1, "x": 2, "y": 3}
    ran = searched("done", tools=[proposing(tree), evaluating(values, calls)], depth=2)
    assert sorted(calls) == ["a", "b", "x", "y"]
    assert asked_for(ran) == '"a"', "a state proposed again competes again"


def test_a_call_that_fails_loses_its_branch_only() -> None:
    tree = {"root": ["a", "b", "lost"], "a": "no list", "b": ["ba", "lost"]}
    values = {"a": 9, "b": 5, "ba": 1, "lost": "no number"}
    ran = searched("done", tools=[proposing(tree), evaluating(values)], depth=2)
    assert (ran.result.status, asked_for(ran)) == ("complete", '"ba"')


def test_a_tree_without_any_branch_fails_by_no_progress() -> None:
    ran = searched(tools=[proposing({}), evaluating({})])
    assert isinstance(ran.failure, NoProgress)
    assert "no branch of the tree is left at level 1: KeyError: 'root'" in str(ran.failure)
    ran = searched(tools=[proposing(TREE), evaluating({})])
    assert isinstance(ran.failure, NoProgress)
    assert len(ran.result.tasks) == 4
    ran = searched(tools=[proposing({"root": []}), evaluating({})])
    assert "propose must return a list of states" in str(ran.failure)


def test_a_tree_that_dies_further_down_gives_a_partial_answer_from_the_best_state_so_far() -> None:
    ran = searched("so far", tools=[proposing({"root": ["a", "b"]}), evaluating(VALUES)])
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("partial", "no_progress", "so far")
    assert asked_for(ran).startswith('"b"\n\nThe work was stopped: no branch of the tree is left at level 2')


def test_a_state_that_is_an_answer_needs_no_request_and_no_further_level() -> None:
    tree = {"root": [{"answer": "42"}, "a"], "a": [{"answer": "7"}, {"answer": "8"}]}
    values = {"42": 5, "a": 1, "7": 2, "8": 3}
    ran = searched(tools=[proposing(tree), evaluating(values)], breadth=3)
    assert (ran.result.answer, ran.result.status) == ("42", "complete")
    assert [len(plan) for plan in ran.plans] == [3, 3], "all that is left are answers, so there is no third level"


def test_an_answer_has_to_be_the_best_in_the_end() -> None:
    tree = {"root": [{"answer": "42"}, "a"], "a": ["aa"]}
    ran = searched("done", tools=[proposing(tree), evaluating({"42": 1, "a": 0, "aa": 8})], depth=2)
    assert (ran.result.answer, asked_for(ran)) == ("done", '"aa"')


def test_its_own_tools_ask_the_model() -> None:
    ran = searched(
        "Here:\n1. try a\n2. **try b**\n3. one too many",
        "Not bad.\nScore: 3",
        Scripted(text="Good.\n**Score:** 7.5", usage=Usage(1, 10, 5)),
        "1. then c",
        "1. then d",
        "Score: 1",
        "Score: 9",
        "the answer",
        depth=2,
        breadth=2,
        parallel=False,
    )
    assert (ran.result.answer, asked_for(ran)) == ("the answer", '"root\\ntry a\\nthen d"')
    assert [prompt.purpose for prompt in ran.prompts] == [
        *("proposer", "evaluator", "evaluator"),
        *("proposer", "proposer", "evaluator", "evaluator", "solver"),
    ]
    assert ran.prompts[1].messages[1].text == "root\ntry a"
    assert ran.result.usage.by_purpose["solver"].requests == 1


def test_a_tool_of_the_user_and_one_of_its_own_go_together() -> None:
    ran = searched("Score: 3", "Score: 8", "done", tools=[proposing({"root": ["a", {"b": 1}]})], depth=1)
    assert asked_for(ran) == '{"b": 1}'
    assert [prompt.messages[1].text for prompt in ran.prompts[:2]] == ["a", '{"b": 1}']


@pytest.mark.parametrize("reply", ["It is hard.", ""])
def test_a_reply_that_cannot_be_read_loses_its_branch(reply: str) -> None:
    ran = searched("1. a\n2. b", reply, "Score: 2", "done", depth=1)
    assert (ran.result.answer, asked_for(ran)) == ("done", '"root\\nb"')
    assert "no step could be read" in str(searched(reply).failure)


def test_limits_lead_to_the_best_answer() -> None:
    tools = [proposing(TREE), evaluating(VALUES)]
    ran = searched("some", tools=tools, depth=2, limits=Limits(tasks=3))
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("partial", "tasks", "some")
    assert asked_for(ran).startswith('"b"\n\nThe work was stopped: the run has reached Limits(tasks=3).')
    ran = searched("some", tools=tools, depth=2, limits=Limits(seconds=3.5))
    assert (ran.result.stopped_by, asked_for(ran)[:3]) == ("seconds", '"b"')
    ran = searched(tools=tools, limits=Limits(seconds=1.5))
    assert isinstance(ran.failure, LimitReached), "nothing was judged by then"


def test_tokens_are_counted_over_proposer_and_evaluator() -> None:
    usage = Usage(1, 10, 10)
    replies = [Scripted(text=text, usage=usage) for text in ("1. a\n2. b", "Score: 2", "Score: 3", "some")]
    ran = searched(*replies[:2], limits=Limits(tokens=35), parallel=False)
    assert (ran.result.status, ran.result.stopped_by) == ("failed", "tokens")
    ran = searched(*replies, limits=Limits(tokens=55), parallel=False)
    assert (ran.result.status, ran.result.stopped_by, ran.result.answer) == ("partial", "tokens", "some")


def test_a_solver_that_says_nothing_or_fails_fails_the_run() -> None:
    tools = [proposing(TREE), evaluating(VALUES)]
    assert isinstance(searched(" ", tools=tools, depth=1).failure, JoinError)
    assert isinstance(searched(ModelError("gone"), tools=tools, depth=1).failure, ModelError)


def test_the_answer_is_streamed() -> None:
    async def work() -> list[Any]:
        agent = TreeOfThoughts(
            ScriptedModel([Scripted(chunks=["do", "ne"])]), [proposing(TREE), evaluating(VALUES)], depth=1
        )
        return [event async for event in agent.astream(QUESTION)]

    events = run_virtual(work())
    assert [event.text for event in events if isinstance(event, AnswerText)] == ["do", "ne"]
    assert isinstance(events[-1], RunEnded)


@tool(name="propose")
async def propose_two(state: str, other: str) -> list[str]:
    """Take two arguments."""
    return [state, other]


@tool(name="evaluate", effect="write")
async def evaluate_write(state: str) -> float:
    """Change something."""
    return 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"depth": 0}, "depth=0 must be a whole number of at least 1", id="depth"),
        pytest.param({"breadth": 2.5}, "breadth=2.5 must be a whole number", id="breadth"),
        pytest.param({"tools": [propose_two]}, "tool propose: a search gives it one argument, a state", id="arguments"),
        pytest.param({"tools": [evaluate_write]}, "tool evaluate: .* effect write cannot be", id="effect"),
    ],
)
def test_what_cannot_work_is_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        TreeOfThoughts(ScriptedModel([]), **options)


def test_it_runs_over_http_and_from_a_file(tmp_path: Path) -> None:
    def reply(request: ChatRequest) -> Reply:
        asked = request.last_user
        if asked.startswith("Question: "):
            return Reply(f"from {asked.rpartition('Lines: ')[2]}")
        if "Propose at most" in request.text:
            return Reply("1. a\n2. b")
        return Reply(f"Score: {asked.count('b')}")

    file, best = tmp_path / "agent.yaml", 'from "root\\nb\\nb\\nb"'
    with LoopbackServer(reply) as server:
        model = OpenAIModel("m", base_url=server.base_url, api_key="any")
        result = asyncio.run(TreeOfThoughts(model, breadth=2).arun(QUESTION))
        assert (result.answer, result.status, result.usage.total.requests) == (best, "complete", 16)
        file.write_text(f'strategy: tree\nmodel: {{name: "openai:m", base_url: "{server.base_url}"}}\n')
        assert asyncio.run(TreeOfThoughts.from_config(file, api_key="any").arun(QUESTION)).answer == best
