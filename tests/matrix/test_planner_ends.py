"""Planner output, P25, P26, P28 and P29 of reliability.md: nothing, refusals, other formats, plans cut by the token cap."""

import pytest

from llmcompiler import NotAPlan, PlanError
from llmcompiler.errors import StreamCut
from llmcompiler.journal.events import PlanClosed
from llmcompiler.testing import Scripted
from llmcompiler.testing.server import LoopbackServer, Reply
from tests.matrix.helpers import FINISH, Toolbox, compiled, served

REFUSAL = "I'm sorry, but I can't help with that."
K2 = {"name": "K2", "value": 8611}


@pytest.mark.parametrize("text", [pytest.param("", id="P25a empty"), pytest.param(" \n\t\n ", id="P25b whitespace")])
def test_P25_nothing_is_asked_for_once_more_and_then_a_typed_error(text):
    ran = compiled(Toolbox(), text, text)
    assert ran.asked == ["plan", "repair"]
    assert "the planner answered nothing" in ran.text("repair")
    assert isinstance(ran.failure, NotAPlan)
    assert ran.failure.text == text
    assert (ran.result.answer, ran.result.status, dict(ran.result.tasks)) == (None, "failed", {})


@pytest.mark.parametrize("text", ["", "  \n"])
def test_P25_a_plan_after_nothing_runs(text):
    ran = compiled(Toolbox(), text, "1. echo(1)\n2. join()", FINISH)
    assert (ran.values, ran.result.status, ran.asked) == ({1: 1}, "complete", ["plan", "repair", "join"])


def test_P26a_a_refusal_is_a_typed_error_that_carries_the_text():
    ran = compiled(Toolbox(), REFUSAL, REFUSAL + " Really.")
    assert isinstance(ran.failure, NotAPlan)
    assert ran.failure.text == REFUSAL + " Really."
    assert REFUSAL in ran.text("repair")
    assert (ran.result.answer, ran.result.status) == (None, "failed")


def test_P26a_a_refusal_to_replan_leaves_the_first_results_to_the_joiner():
    script = ['1. search("K2")\n2. join()', "Action: Replan(Everest)", REFUSAL, REFUSAL, FINISH]
    ran = compiled(Toolbox(), *script)
    assert ran.asked == ["plan", "join", "replan", "repair", "join"]
    assert REFUSAL in ran.text("join")
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "cut")


def test_P26a_there_is_one_repair_a_plan_and_a_second_try_is_one():
    ran = compiled(Toolbox(), REFUSAL, '1. find("K2")\n2. search("K2")\n3. join()', FINISH)
    assert ran.asked == ["plan", "repair", "join"]
    assert (ran.values, ran.errors[1][0]) == ({2: K2}, "plan")


def test_P26b_a_partial_plan_then_a_refusal_starts_no_write():
    tools = Toolbox()
    ran = compiled(tools, f'1. search("K2")\n2. send("Ann")\n3. put("k", $1)\n{REFUSAL}', FINISH)
    assert tools.calls == [("search", {"query": "K2"})]
    assert ran.values == {1: K2}
    assert {ran.errors[2][0], ran.errors[3][0]} == {"dropped"}
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "cut")
    assert "the plan ends without a join" in ran.text("join")


def test_P26b_a_partial_plan_of_writes_then_a_refusal_is_a_typed_error():
    tools = Toolbox()
    ran = compiled(tools, f'1. send("Ann")\n2. put("k", 1)\n{REFUSAL}')
    assert tools.calls == []
    assert isinstance(ran.failure, PlanError)
    assert REFUSAL in ran.failure.text


OTHER_FORMATS = [
    pytest.param('[{"tool": "search", "arguments": {"query": "K2"}}]', id="P28a JSON array"),
    pytest.param('{\n  "plan": [\n    {"id": 1, "tool": "search(K2)"}\n  ]\n}', id="P28b JSON object"),
    pytest.param('```json\n[{"id": 1, "tool": "search"}]\n```', id="P28c JSON in a fence"),
    pytest.param('[{"id": 1, "tool": "search", "argum', id="P28d JSON cut short"),
    pytest.param('a = search("K2")\nb = search("Everest")\nprint(b["value"] - a["value"])', id="P28e Python"),
    pytest.param('```python\ndef main():\n    return ", ".join([search("K2")])\n```', id="P28e Python in a fence"),
]


@pytest.mark.parametrize("text", OTHER_FORMATS)
def test_P28_another_format_is_repaired_once(text):
    ran = compiled(Toolbox(), text, '1. search("K2")\n2. join()', FINISH)
    assert (ran.asked, ran.values, ran.result.status) == (["plan", "repair", "join"], {1: K2}, "complete")
    assert "a plan is lines like `1. tool(arguments)`" in ran.text("repair")


@pytest.mark.parametrize("text", OTHER_FORMATS)
def test_P28_another_format_twice_is_a_typed_error(text):
    tools = Toolbox()
    ran = compiled(tools, text, text)
    assert isinstance(ran.failure, NotAPlan)
    assert (ran.failure.text, tools.calls) == (text, [])


CUTS = [
    pytest.param('2. search("Ever', id="P29a in a string"),
    pytest.param("2. add(1, ", id="P29b between arguments"),
    pytest.param("", id="P29c after a full step"),
]


@pytest.mark.parametrize("line", CUTS)
def test_P29_a_plan_cut_by_the_token_cap_runs_as_far_as_it_goes(line):
    tools = Toolbox()
    ran = compiled(tools, Scripted(text=f'1. search("K2")\n5. send("Ann")\n{line}', finish="length"), FINISH)
    assert tools.calls == [("search", {"query": "K2"})], "neither the last task nor a write"
    assert (ran.values, ran.asked) == ({1: K2}, ["plan", "join"]), "a cut text is not repaired"
    assert ran.errors[5][0] == "dropped"
    assert "hit the model's own cap on tokens" in ran.text("join")
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "cut")


def test_P29_a_plan_cut_by_the_token_cap_may_be_continued_by_a_replan():
    tools = Toolbox()
    cut = Scripted(text='1. search("K2")\n2. search("Ever', finish="length")
    script = [cut, "Action: Replan(Everest)", '3. search("Everest")\n4. send("${3.value}")\n5. join()', FINISH]
    ran = compiled(tools, *script)
    assert [call["query"] for call in tools.of("search")] == ["K2", "Everest"]
    assert tools.of("send") == [{"to": "8849", "text": ""}]
    assert (ran.result.status, ran.result.stopped_by) == ("complete", None)


def test_P29_a_cut_before_any_success_is_a_typed_error():
    ran = compiled(Toolbox(), Scripted(text='1. search("Ever', finish="length"))
    assert isinstance(ran.failure, StreamCut)
    assert ran.failure.text == '1. search("Ever'


@pytest.mark.parametrize("line", CUTS)
@pytest.mark.parametrize(
    "reason", [pytest.param("stop", id="P29d stop"), pytest.param("tool_calls", id="P29e tool_calls")]
)
def test_P29_a_cut_that_the_server_misreports_is_seen_by_the_syntax(line, reason):
    tools = Toolbox(seconds=0)
    repair = ["I stop here."] if line else []
    with LoopbackServer([Reply(f'1. search("K2")\n5. send("Ann")\n{line}', finish=reason), *repair, FINISH]) as server:
        ran = served(tools, server)
        server.assert_consumed()
    assert tools.calls == [("search", {"query": "K2"})]
    assert [event.complete for event in ran.kept(PlanClosed)] == [False]
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "cut")


def test_P29_a_finish_reason_does_not_matter_once_the_join_was_read():
    with LoopbackServer([Reply('1. search("K2")\n2. join()', finish="length"), FINISH]) as server:
        ran = served(Toolbox(seconds=0), server)
    assert (ran.values, ran.result.status) == ({1: K2}, "complete")
