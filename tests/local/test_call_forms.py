"""The forms of native calls: what templates of many families write is read, and what their models make of it."""

import json

import jinja2
import pytest

from llmcompiler.errors import BadModelRequest
from llmcompiler.models.local.calls import CallForm, call_form
from tests.local.replies import read


def template(call: str, *, before: str = "", between: str = "", after: str = "", reply: str = "<|assistant|>") -> str:
    """Return a chat template that writes a call so."""
    return (
        "{% for m in messages %}<|{{ m.role }}|>{% if m.tool_calls %}" + before + "{% for call in m.tool_calls %}" + call
        + "{% if not loop.last %}" + between + "{% endif %}{% endfor %}" + after + "{% else %}{{ m.content }}{% endif %}"
        "<|end|>{% endfor %}{% if add_generation_prompt %}" + reply + "{% endif %}"
    )  # fmt: skip


NAME, ARGUMENTS = "{{ call.function.name }}", "{{ call.function.arguments | tojson }}"
OBJECT = f'{{"name": "{NAME}", "arguments": {ARGUMENTS}}}'
TAGGED = template(f"<tool_call>\n{OBJECT}\n</tool_call>", between="\n")
LISTED = template(OBJECT, before="[TOOL_CALLS] [", between=", ", after="]")
BARE = template(
    "{% if m.tool_calls | length > 1 %}{{ one_alone() }}{% endif %}" + OBJECT.replace("arguments", "parameters", 1)
)
# The thoughts of a call are without content here, and never in a reply; calls are counted through the conversation.
ACTIONS = template(
    f'{{"tool_call_id": "{{{{ loop.index0 }}}}", "tool_name": "{NAME}", "parameters": {ARGUMENTS}}}',
    before="<|START_THINKING|><|END_THINKING|><|START_ACTION|>[\n", between=",\n", after="\n]<|END_ACTION|>",
)  # fmt: skip
AS_OPENAI = template(
    f'{{"id": "{{{{ call.id }}}}", "type": "function", "function": {OBJECT}}}',
    before="<tool_calls>[", between=", ", after="]</tool_calls>",
)  # fmt: skip
WITH_ID = template(f"[TOOL_CALLS]{NAME}[CALL_ID]{{{{ call.id }}}}[ARGS]{ARGUMENTS}")
COUNTED = template(f"<|call|>functions.{NAME}:{{{{ loop.index0 }}}}<|args|>{ARGUMENTS}<|call_end|>")
OLD_PROMPT = TAGGED.replace(
    "<|{{ m.role }}|>", "<|{{ m.role }}|>{% if loop.last and m.role == 'user' %}Be brief. {% endif %}"
)


def form_of(text: str) -> CallForm | None:
    """Return the form in which a template writes calls."""
    made = jinja2.Environment(autoescape=False).from_string(text)

    def render(messages, is_to_go_on):
        try:
            return made.render(messages=messages, add_generation_prompt=is_to_go_on)
        except jinja2.UndefinedError as error:
            raise BadModelRequest(str(error)) from error

    return call_form(render, ["<|end|>"])


def a_call(name: str, key: str = "arguments") -> str:
    return json.dumps({"name": name, key: {"q": 1}})


A, B = a_call("a"), a_call("b")


@pytest.mark.parametrize(
    ("written", "reply"),
    [
        pytest.param(
            ACTIONS,
            '<|START_THINKING|>I look.<|END_THINKING|><|START_ACTION|>[\n{"tool_call_id": "2", "tool_name": "a", '
            '"parameters": {"q": 1}},\n{"tool_call_id": "3", "tool_name": "b", "parameters": {"q": 1}}\n]<|END_ACTION|>',
            id="thoughts and numbers",
        ),
        pytest.param(
            AS_OPENAI,
            f'<tool_calls>[{{"id": "x1", "type": "function", "function": {A}}}, {{"id": "x2", "type": "function", '
            f'"function": {B}}}]</tool_calls>',
            id="ids before names",
        ),
        pytest.param(
            WITH_ID, '[TOOL_CALLS]a[CALL_ID]x1[ARGS]{"q": 1}[TOOL_CALLS]b[ARGS]{"q": 1}', id="ids behind names"
        ),
        pytest.param(OLD_PROMPT, f"<tool_call>{A}</tool_call><tool_call>{B}</tool_call>", id="another prompt"),
        pytest.param(LISTED, f"[TOOL_CALLS] {A}, {B}", id="no list"),
        pytest.param(LISTED, f"[TOOL_CALLS] [{A}] [TOOL_CALLS] [{B}]", id="two lists"),
        pytest.param(LISTED, f"[TOOL_CALLS] [{A[:-1]}, {B}]", id="a brace too few"),
        pytest.param(LISTED, f"[{A}, {B}]", id="a list without its mark"),
        pytest.param(TAGGED, f"<tool_call>\n{A}\n{B}\n</tool_call>", id="two in a tag"),
        pytest.param(TAGGED, f"<tool_call>\n[{A}, {B}]\n</tool_call>", id="a list in a tag"),
        pytest.param(TAGGED, f"<tool_call>\n{A[:-1]}\n<tool_call>\n{B}", id="no closers"),
        pytest.param(TAGGED, f"<tool_call>\n{A}}}\n</tool_call>\n<tool_call>\n{B}}}\n</tool_call>", id="a brace too many"),
        pytest.param(TAGGED, f"{A}\n</tool_call>\n<tool_call>\n{B}\n</tool_call>", id="no opening"),
        pytest.param(TAGGED, f"<think>\nHm.\n</think>\n\n{A}\n{B}", id="no opening behind thoughts"),
        pytest.param(TAGGED, f"```json\n{A},\n{B}\n```", id="fenced"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_calls_are_read_as_models_of_many_families_write_them(written, reply, size) -> None:
    _, calls = read(form_of(written), reply, size)
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("a", {"q": 1}), ("b", {"q": 1})]


def test_what_a_reader_could_not_read_again_is_no_form() -> None:
    """The name that this template writes is no tool's: every call would be one of an unknown tool."""
    assert form_of(COUNTED) is None


@pytest.mark.parametrize(
    ("reply", "first"),
    [
        pytest.param("<tool_call>\n{'name': 'a', 'arguments': {'q': 1}}\n</tool_call>\n", "", id="of Python"),
        pytest.param('<tool_call>\n{"arguments": {"q": 1}, "name": "a"}\n</tool_call>\n', "", id="arguments first"),
        pytest.param("<tool_call>\na(q=1)\n</tool_call>" + " " * 99 + "and so on" * 9, "", id="no JSON at all"),
        pytest.param('<tool_call>\n{"name": "a", "arguments": "{\\"q\\": 1}"}\n</tool_call>\n', "a", id="a text"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_read_is_told_and_does_not_hide_the_next(reply, first) -> None:
    _, calls = read(form_of(TAGGED), f"{reply}<tool_call>\n{B}\n</tool_call>")
    assert {call.name for call in calls} == {first, "b"}
    assert [json.loads(call.arguments) for call in calls if call.name == "b"] == [{"q": 1}]


@pytest.mark.parametrize("broken", ['{"name": "a', '{"name": "a"', '{"name": "a", "arguments": '])
def test_a_call_that_ends_before_its_arguments_has_unreadable_ones(broken) -> None:
    """None at all would be as good as `{}`, and a tool that needs none would run."""
    _, [call] = read(form_of(TAGGED), f"<tool_call>\n{broken}")
    assert (call.name, call.arguments) == ("a", "{")


@pytest.mark.parametrize("text", ["It writes <tool_call> in front of calls.", 'The mark "<tool_call>".', "<tool_call>"])
def test_an_opening_that_is_only_mentioned_is_text(text) -> None:
    assert read(form_of(TAGGED), text) == (text, [])


@pytest.mark.parametrize("written", [TAGGED, BARE])
@pytest.mark.parametrize("reply", ['{"name": "K2", "height": {"m": 8611}}', '{"name": "K2"}', '[{"name": "K2"}]', "{}"])
def test_an_answer_in_json_is_no_call(written, reply) -> None:
    assert read(form_of(written), reply) == (reply, [])


def test_of_calls_where_a_message_holds_one_alone_the_first_is_read() -> None:
    form = form_of(BARE)
    assert form.between is None
    said, calls = read(form, f"{a_call('a', 'parameters')}; {a_call('b', 'parameters')}")
    assert ([call.name for call in calls], said) == (["a"], f"; {a_call('b', 'parameters')}")


@pytest.mark.parametrize("reply", ["", "<tool_call>", '<tool_call>{"name": "a", "arguments": ', "<tool_call>" + A])
def test_a_model_that_writes_nothing_but_white_space_is_read_in_time(reply) -> None:
    """Each of these once took time that grew with the square of the white space, half a minute and more for this much."""
    for size in (1, 100_000):
        said, _ = read(form_of(TAGGED), reply + " \n" * 50_000, size)
        assert said.strip() in ("", "<tool_call>", '","arguments":')
