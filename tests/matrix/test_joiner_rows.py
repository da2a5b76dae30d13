"""Joiner output, J01 to J03 of reliability.md: exact answers, one repair and then a typed error, nothing is evaluated."""

import pytest

from llmcompiler import JoinError, Limits, LLMCompiler
from llmcompiler.journal.events import AnswerText, JoinDecided
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from tests.examples import EXAMPLE_TOOLS
from tests.matrix.helpers import FINISH, QUESTION, Toolbox, compiled

PLAN = '1. search("K2")\n2. join()'
K2 = {"name": "K2", "value": 8611}

ANSWERS = [
    pytest.param("f(x) = 2", id="J01a brackets and ="),
    pytest.param("f(x) = 2 (see (1) and (2))", id="J01a nested brackets"),
    pytest.param("[0, 1)", id="J01a half-open interval"),
    pytest.param("well :) it is 238", id="J01a a smile"),
    pytest.param("1) first, 2) second", id="J01a a list"),
    pytest.param("Replan(x) was not needed", id="J01b Replan inside"),
    pytest.param("no Replan\nReplan: none", id="J01b Replan on a line of its own"),
    pytest.param("one\n\n- two (a)\n- three", id="J01c several lines"),
    pytest.param("| a | b |\n|---|---|\n| **1** | `f(2)` |", id="J01c a table"),
    pytest.param("\"quoted\", 'so' and “so”", id="J01 quotes"),
    pytest.param("Thought: is part of it\nAction: too", id="J01 words of the protocol"),
    pytest.param("größer – \U0001f600", id="J01 any characters"),
    pytest.param("$1 and ${1.name} and {{slot}} %s {0}", id="J01 nothing is substituted"),
]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("end", ["", "\n", "\n\n<END_OF_RESPONSE>", "<END_OF_RESPONSE>\nThought: more"])
def test_J01_the_answer_is_exact(answer, end):
    ran = compiled(Toolbox(), PLAN, f"Thought: I see (8611).\nAction: Finish({answer}){end}")
    assert (ran.result.answer, ran.result.status, ran.asked) == (answer, "complete", ["plan", "join"])


@pytest.mark.parametrize("answer", ANSWERS)
def test_J01_the_streamed_answer_is_the_answer(answer):
    text = f"Thought: I see.\nAction: Finish({answer})<END_OF_RESPONSE>"

    async def work() -> list:
        with ScriptedModel([PLAN, Scripted(text=text, chunks=list(text))]) as model:
            agent = LLMCompiler(model, list(Toolbox()), examples=[])
            return [event async for event in agent.astream(QUESTION)]

    events = run_virtual(work())
    streamed = "".join(event.text for event in events if isinstance(event, AnswerText))
    assert streamed == answer
    assert events[-1].result.answer == answer


REPAIR = "Thought: again.\nAction: Finish(238 m)"
BAD = [
    pytest.param("It is 238 m.", "stop", "holds no action", id="J02a no action line"),
    pytest.param("Thought: I could Finish(238).", "stop", "holds no action", id="J02a an action inside a thought"),
    pytest.param("", "stop", "the reply is empty", id="J02b empty"),
    pytest.param(" \n\n", "stop", "the reply is empty", id="J02b blank"),
    pytest.param("Action: Finish()", "stop", "Finish() is empty", id="J02b empty answer"),
    pytest.param("Action: Replan( )", "stop", "Replan() is empty", id="J02b empty reason"),
    pytest.param("Action: Finish(1)\nAction: Replan(2)", "stop", "several actions that differ", id="J02c both"),
    pytest.param(
        "Action: Replan(2)\nAction: Finish(1)", "stop", "several actions that differ", id="J02c the other way"
    ),
    pytest.param("Action: Finish(1)\nAction: Finish(2)", "stop", "several actions that differ", id="J02c two answers"),
    pytest.param('Action: search("K2")', "stop", "'search' is neither Finish(answer) nor", id="J02d unknown action"),
    pytest.param("Action: Finished(1)", "stop", "'Finished' is neither Finish(answer) nor", id="J02d nearly"),
    pytest.param("Action: Finish(It is about 23", "length", "is not closed", id="J02e cut in the answer"),
    pytest.param("Action: Finish(It is (about 23)", "length", "is not closed", id="J02e cut behind a bracket"),
    pytest.param("Action: Finish(so :) and it is 2", "length", "is not closed", id="J02e cut behind a smile"),
    pytest.param("Action: Finish(1) one, 2) tw", "length", "is not closed", id="J02e cut in a list"),
    pytest.param("Action: Replan(the hei", "length", "is not closed", id="J02e cut in a reason"),
    pytest.param("Thought: It is abou", "length", "holds no action", id="J02e cut in the thought"),
    pytest.param("Action: Finish(It is about 23", "stop", "is not closed", id="J02e cut, though the server denies it"),
]


@pytest.mark.parametrize(("reply", "finish", "said"), BAD)
def test_J02_a_bad_reply_is_asked_for_once_more(reply, finish, said):
    ran = compiled(Toolbox(), PLAN, Scripted(text=reply, finish=finish), REPAIR)
    assert ran.asked == ["plan", "join", "rejoin"]
    assert said in ran.text("rejoin")
    assert ran.prompts[-1].messages[2].text == (reply.strip() or "(nothing)")
    assert (ran.result.answer, ran.result.status) == ("238 m", "complete")


@pytest.mark.parametrize(("reply", "finish", "said"), BAD)
def test_J02_a_bad_reply_twice_is_a_typed_error_and_never_half_an_answer(reply, finish, said):
    bad = Scripted(text=reply, finish=finish)
    ran = compiled(Toolbox(), PLAN, bad, bad)
    assert isinstance(ran.failure, JoinError)
    assert said in str(ran.failure)
    assert ran.failure.text == reply
    assert (ran.result.answer, ran.result.status, ran.values) == (None, "failed", {1: K2})
    assert ran.kept(JoinDecided) == []


def test_J02_the_same_action_twice_is_one():
    ran = compiled(Toolbox(), PLAN, "Action: Finish(238)\n\nAction: Finish(238)\n")
    assert ran.result.answer == "238"


@pytest.mark.parametrize("reply", ["Action: Finish(238)", "Action: **Finish(238)**\nAs I sai"])
def test_J02e_a_cap_behind_a_whole_answer_does_no_harm(reply):
    ran = compiled(Toolbox(), PLAN, Scripted(text=reply, finish="length"))
    assert (ran.result.answer, ran.result.status) == ("238", "complete")


def test_J02f_a_replan_at_the_limit_gives_the_best_answer_marked_partial():
    script = [PLAN, "Action: Replan(Everest)", "Action: Finish(K2 has 8611 m; Everest is missing)"]
    ran = compiled(Toolbox(), *script, limits=Limits(replans=0))
    assert ran.asked == ["plan", "join", "rejoin"]
    assert "No further plan is possible" in ran.text("rejoin")
    assert "Replan(" not in ran.prompts[1].messages[0].text, "nor was one offered"
    assert (ran.result.answer, ran.result.status) == ("K2 has 8611 m; Everest is missing", "partial")
    assert ran.result.stopped_by == "replans"


CODE = [
    '__import__("os").system("touch {}")',
    'open("{}", "w")',
    "(lambda: open('{}', 'w'))()",
    "[open('{}', 'w') for x in (1,)]",
    "max(1, open('{}', 'w'))",
    "min((1).__class__.__bases__[0].__subclasses__())",
    "exec('x')",
    "f'{{1 + 1}}'",
]


@pytest.mark.parametrize("code", CODE)
def test_J03_math_text_from_a_model_is_never_evaluated_as_code(code, tmp_path):
    mark = tmp_path / "pwned"
    calculate = EXAMPLE_TOOLS["calculate"]
    text = code.format(mark).replace("\\", "\\\\").replace('"', '\\"')
    ran = compiled([calculate], f'1. calculate("2 * (3 + 4)")\n2. calculate("{text}")\n3. join()', FINISH, real=True)
    assert ran.values == {1: 14}
    assert ran.errors[2][0] == "tool"
    assert "ValueError" in ran.errors[2][1]
    assert not mark.exists()
    assert ran.result.status == "complete"


def test_J01_an_answer_with_unbalanced_parentheses_is_taken_when_the_joiner_says_it_twice():
    reply = "Thought: an interval\nAction: Finish((0, 1])"
    with ScriptedModel([PLAN, reply, reply]) as model:
        result = run_virtual(LLMCompiler(model, Toolbox()).arun(QUESTION))
    assert (result.answer, result.status) == ("(0, 1]", "complete")
