"""Planner output, P12f, P27 and P28f of reliability.md: full-width digits, echoes of the prompt, tokens of chat templates,
native tool calls; and X06: fragments of native calls are never dispatched."""

import pytest

from llmcompiler import NotAPlan, Succeeded
from llmcompiler.journal.events import PlanClosed
from llmcompiler.testing.server import LoopbackServer, Reply, ToolCall, sse
from tests.matrix.helpers import FINISH, QUESTION, Toolbox, compiled, served
from tests.transport.serving import raw

K2 = {"name": "K2", "value": 8611}


def test_P12f_full_width_digits_are_normalised():
    plan = '１. echo(1)\n２. echo([$１, ${１}, "$1"])\n１０. echo(${２[０]})\n11. join()'
    ran = compiled(Toolbox(), plan, FINISH)
    assert (ran.values, ran.asked) == ({1: 1, 2: [1, 1, 1], 10: 1}, ["plan", "join"])


# P27

EXAMPLES = [
    ("Who is taller, Elbrus or Denali?", '1. search("Elbrus")\n2. search("Denali")\n3. join()'),
    ("Tell Ann about K2.", 'Thought: look first\n1. search("K2")\n2. send("Ann", "${1.value}")\n3. join()'),
]


@pytest.mark.parametrize(
    ("text", "example"),
    [
        pytest.param(EXAMPLES[0][1], 0, id="P27b the plan of an example"),
        pytest.param("Question: " + "\n".join(EXAMPLES[0]), 0, id="P27b a whole example"),
        pytest.param(
            "Examples:\n\n" + "\n\n".join(f"Question: {q}\n{p}" for q, p in EXAMPLES), 0, id="P27a the examples"
        ),
        pytest.param(EXAMPLES[1][1].replace("Thought: look first\n", ""), 1, id="P27b without its thought"),
    ],
)
def test_P27ab_an_echo_of_an_example_is_noted(text, example):
    tools = [*Toolbox()]

    ran = compiled(tools, text, FINISH, examples=EXAMPLES)
    assert "echo" in ran.notes
    [note] = [note for event in ran.kept(PlanClosed) for note in event.notes if note.code == "echo"]
    assert note.message == f"this is the plan of the example {EXAMPLES[example][0]!r}, which is another question"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('1. search("Elbrus")\n2. search("K2")\n3. join()', id="other arguments"),
        pytest.param('1. search("Elbrus")\n2. join()', id="fewer tasks"),
        pytest.param('1. search("Denali")\n2. search("Elbrus")\n3. join()', id="another order"),
        pytest.param("1. join()", id="no task"),
    ],
)
def test_P27_another_plan_is_no_echo(text):
    assert "echo" not in compiled(Toolbox(), text, FINISH, examples=EXAMPLES).notes


def test_P27_the_same_plan_for_the_same_question_is_no_echo():
    assert "echo" not in compiled(Toolbox(), EXAMPLES[0][1], FINISH, examples=[(QUESTION, EXAMPLES[0][1])]).notes


def test_P27a_an_echo_of_the_rules_alone_is_no_plan():
    told = "You plan tool calls that answer a question.\n\nTools:\n- search(query: string): Find it.\n\nHow to write:"
    ran = compiled(Toolbox(), told, told)
    assert isinstance(ran.failure, NotAPlan)
    assert ran.asked == ["plan", "repair"]


TOKENS = [
    "<|im_end|>",
    "<|eot_id|>",
    "</s>",
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
    "<|end|><|start|>assistant",
    "[/INST]",
]
each_token = pytest.mark.parametrize("token", [*TOKENS, "<END_OF_PLAN>"])


@each_token
def test_P27cd_a_token_beside_a_call_reaches_no_argument(token):
    tools = Toolbox()
    lines = ["", '1. search("K2")', f"2. echo(${{1.value}}) # {token}", "3. join()", "4. echo(9)"]
    ran = compiled(tools, f"{token}\n".join(lines), FINISH)
    assert tools.calls == [("search", {"query": "K2"}), ("echo", {"value": 8611})]
    assert (ran.values, ran.asked) == ({1: K2, 2: 8611}, ["plan", "join"])


@each_token
def test_P27cd_between_arguments_it_is_an_error_and_never_part_of_one(token):
    tools = Toolbox()
    ran = compiled(tools, f'1. echo("a"{token})\n2. echo(2)\n3. join()', "1. echo(1)\n3. join()", FINISH)
    assert len(ran.codes) == 1
    assert [call["value"] for call in tools.of("echo")] == [2, 1]


@each_token
def test_P27cd_inside_a_string_it_is_data(token):
    ran = compiled(Toolbox(), f'1. echo("a {token} b")\n2. join()', FINISH)
    assert ran.values == {1: f"a {token} b"}
    assert token not in ran.text("join")


# P28f and X06

CALLS = [ToolCall("search", '{"query": "K2"}'), ToolCall("send", '{"to": "report-25"}')]


@pytest.mark.parametrize("size", [1, 2, 5, 1_000])
def test_P28f_X06_native_tool_calls_are_never_dispatched_however_they_are_cut(size):
    """The planner speaks text. Of a call whose fragments happen to parse on the way (`"report-2`) nothing runs."""
    tools = Toolbox(seconds=0)
    events = []
    for index, call in enumerate(CALLS):
        pieces = [call.arguments[at : at + size] for at in range(0, len(call.arguments), size)]
        for number, piece in enumerate(pieces):
            head = {"id": f"call_{index}", "type": "function"} if number == 0 else {}
            function = {"name": call.name, "arguments": piece} if number == 0 else {"arguments": piece}
            delta = {"tool_calls": [{"index": index, **head, "function": function}]}
            events.append(sse({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))
    end = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}) + sse("[DONE]")
    native = raw(*events, end)
    with LoopbackServer([native, native]) as server:
        ran = served(tools, server)
    assert isinstance(ran.failure, NotAPlan)
    assert tools.calls == []
    assert ran.result.tasks == {}
    with LoopbackServer([native, '1. search("K2")\n2. join()', FINISH]) as server:
        ran = served(tools, server)
    assert ran.values == {1: K2}
    assert tools.calls == [("search", {"query": "K2"})]


@pytest.mark.parametrize("text", ["", "I shall look it up."])
def test_P28f_a_reply_of_calls_is_asked_for_again_as_text(text):
    tools = Toolbox(seconds=0)
    with LoopbackServer([Reply(text, tool_calls=CALLS), '1. search("K2")\n2. join()', FINISH]) as server:
        ran = served(tools, server)
        asked = server.requests[1].request.text
    assert ran.result.tasks[1].outcome == Succeeded(K2)
    assert tools.calls == [("search", {"query": "K2"})]
    assert "a plan is lines like `1. tool(arguments)`" in asked


def test_P28f_calls_beside_a_plan_are_not_read():
    tools = Toolbox(seconds=0)
    with LoopbackServer([Reply('1. search("Everest")\n2. join()', tool_calls=CALLS[1:]), FINISH]) as server:
        ran = served(tools, server)
    assert tools.calls == [("search", {"query": "Everest"})]
    assert ran.result.status == "complete"
