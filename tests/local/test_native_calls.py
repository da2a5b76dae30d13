"""Native tool calls of a model in this process: their form is read off its chat template, and its text read in that form."""

import asyncio
import json
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler import AsyncLM, Limits, ParallelCalls, RunFailed, tool
from llmcompiler.journal.events import PlanText, TaskEnded
from llmcompiler.models.local.calls import CallForm
from llmcompiler.models.local.checkpoint import Checkpoint, load
from llmcompiler.models.local.model import LocalModel
from llmcompiler.models.model import Message, Prompt, ToolCall
from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.plan.tools import ToolSpec
from llmcompiler.testing.checkpoint import make_checkpoint, make_tokenizer
from llmcompiler.testing.forcing import forced
from tests.local.replies import read, read_pieces

SEARCH = ToolSpec("search", "Look something up.", {"type": "object", "properties": {"q": {"type": "string"}}})

# As the families of models have them, without what is of no account here.
HERMES = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls or [] %}{% if not loop.first or m.content %}{{ '\n' }}{% endif %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = HERMES.replace(
    "{% for call in",
    "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}{% for call in",
)
THINKS_AT_ONCE = HERMES.replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n{% endif %}")
LLAMA = (
    "{% if tools %}<|start|>system\n{% for tool in tools %}{{ tool | tojson(indent=4) }}\n{% endfor %}<|im_end|>{% endif %}"
    "{% for m in messages %}<|start|>{{ m.role }}\n\n{% if 'tool_calls' in m %}"
    "{% if m.tool_calls | length != 1 %}{{ raise_exception('only single tool-calls at once') }}{% endif %}"
    '{"name": "{{ m.tool_calls[0].function.name }}", "parameters": {{ m.tool_calls[0].function.arguments | tojson }}}'
    "{% else %}{{ m.content }}{% endif %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n\n{% endif %}"
)
MISTRAL = (
    "{% for m in messages %}{% if m.role == 'user' %}{% if tools and loop.last %}[AVAILABLE_TOOLS] {{ tools | tojson }}"
    "[/AVAILABLE_TOOLS]{% endif %}[INST] {{ m.content }}[/INST]{% elif m.tool_calls %}[TOOL_CALLS] ["
    "{% for call in m.tool_calls %}{% if call.id | length != 9 %}{{ raise_exception('nine characters') }}{% endif %}"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}, "id": "{{ call.id }}"}'
    "{% if not loop.last %}, {% endif %}{% endfor %}]<|im_end|>{% else %} {{ m.content }}<|im_end|>{% endif %}{% endfor %}"
)
FENCED = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
    "{% if m.tool_calls %}<|calls|>{% for call in m.tool_calls %}<|call|>function<|sep|>{{ call.function.name }}\n```json\n"
    "{{ call.function.arguments | tojson }}\n```<|call_end|>{% endfor %}<|calls_end|>{% endif %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
AS_XML = HERMES.replace(
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}',
    "<function={{ call.function.name }}>{% for key, value in call.function.arguments.items() %}"
    "<parameter={{ key }}>{{ value }}</parameter>{% endfor %}</function>",
)
WITH_ID = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}"
    "{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]{% endif %}{% for call in m.tool_calls or [] %}"
    "[TOOL_CALLS]{{ call.function.name }}[CALL_ID]{{ call.id }}[ARGS]{{ call.function.arguments | tojson }}{% endfor %}"
    "<|im_end|>{% endfor %}"
)
IN_TURN = (
    "{% set ns = namespace(at=0) %}{% for m in messages if m.role != 'tool' and not m.tool_calls %}"
    "{% if (m.role == 'user') != (ns.at % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set ns.at = ns.at + 1 %}{% endfor %}" + HERMES
)
TEMPLATES = {"hermes": HERMES, "thinking": THINKING, "llama": LLAMA, "mistral": MISTRAL, "fenced": FENCED}


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory):
    """Return the checkpoint whose chat template is this one; the marks of calls are tokens of their own, or special ones."""
    made = {}

    def of(template: str) -> Checkpoint:
        if template not in made:
            special = [
                "<|im_start|>",
                "<|im_end|>",
                "[TOOL_CALLS]",
                "[CALL_ID]",
                "[ARGS]",
                "<|calls|>",
                "<|call|>",
                "<|sep|>",
                "<|call_end|>",
                "<|calls_end|>",
            ]
            tokenizer = make_tokenizer(special)
            tokenizer.chat_template, tokenizer.eos_token = template, "<|im_end|>"
            made[template] = load(str(make_checkpoint(tmp_path_factory.mktemp("model"), tokenizer, 8192)))
        return made[template]

    return of


def replied(checkpoint: Checkpoint, calls, text: str = "") -> str:
    """Return a reply with calls as the template itself writes it."""
    asked, marks = Message("user", "?"), checkpoint.decode(checkpoint.prompt([Message("user", "?")]))
    messages = [asked, Message("assistant", text, tuple(calls))]
    whole = checkpoint.decode(checkpoint.prompt(messages))
    return whole.removeprefix(marks).partition("<|im_end|>")[0]


def called(number: int, arguments: dict) -> ToolCall:
    return ToolCall(f"call{number:05d}", f"tool_{number}", json.dumps(arguments))


def names_and_arguments(calls):
    return [(call.name, json.loads(call.arguments)) for call in calls]


@pytest.mark.parametrize("family", TEMPLATES)
def test_what_a_template_writes_is_read_again(family, checkpoint_of) -> None:
    checkpoint = checkpoint_of(TEMPLATES[family])
    calls = [called(1, {"q": 'a "quoted" } brace\n'}), called(2, {"n": [1, {"x": 2.5}]}), called(3, {})]
    for some in ([calls[0]], [calls[2]]) if family == "llama" else (calls[:1], calls[2:], calls):
        written = replied(checkpoint, some)
        for size in (1, 3, 1000):
            said, got = read(checkpoint.call_form, written, size)
            assert names_and_arguments(got) == names_and_arguments(some)
            assert said.strip() in ("", "<think>\n\n</think>")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FORM = CallForm("<tool_call>", "}\n</tool_call>\n<tool_call>", "}\n</tool_call>")
PROSE = st.text(st.characters(exclude_characters="<", codec="utf-8"), max_size=20)
A_CALL = st.tuples(
    PROSE,
    st.from_regex(r"[A-Za-z_][\w.-]{0,20}", fullmatch=True),
    st.dictionaries(st.text(max_size=5), JSON, max_size=3),
)


@given(st.lists(A_CALL, max_size=4), PROSE, st.data())
def test_calls_amid_any_text_are_read_however_they_are_cut(calls, ending, data) -> None:
    written = "".join(
        f'{text}<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'
        for text, name, arguments in calls
    )
    written += ending
    cuts = sorted(data.draw(st.sets(st.integers(0, len(written)), max_size=10)))
    pieces = [written[start:end] for start, end in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    said, got = read_pieces(FORM, pieces)
    assert [(call.name, json.loads(call.arguments)) for call in got] == [
        (name, arguments) for _, name, arguments in calls
    ]
    assert "".join(said.split()) == "".join("".join([text for text, *_ in calls] + [ending]).split())


@pytest.mark.parametrize(
    ("written", "call"),
    [
        pytest.param(
            '<tool_call>{"name":"search","arguments":{"q":"K2"}}</tool_call>',
            ("search", '{"q":"K2"}'),
            id="no white space",
        ),
        pytest.param(
            '<tool_call>\n{ "type": "function", "name": "search", "arguments": {} }', ("search", "{}"), id="with a type"
        ),
        pytest.param(
            '<tool_call>\n{"name": "search", "parameters": {"q": 1}}\n</tool_call>',
            ("search", '{"q": 1}'),
            id="another key",
        ),
        pytest.param(
            f'<tool_call>\n{{"name": "search", "arguments": {" " * 500}{{}}}}', ("search", "{}"), id="much white space"
        ),
        pytest.param('<tool_call>\n{"name": "search"}\n</tool_call>', ("search", ""), id="no arguments"),
        pytest.param('<tool_call>\n{"name": "search", "arguments": {"q": "K', ("search", '{"q": "K'), id="broken off"),
        pytest.param('<tool_call>\n{"name": "sea', ("sea", "{"), id="broken off in the name"),
        pytest.param(
            '<tool_call>\n{"name": "search", "arguments": {q: K2}}</tool_call>', ("search", "{q: K2}"), id="no JSON"
        ),
        pytest.param('<tool_call>\n{"name": "", "arguments": {}}</tool_call>', ("", "{}"), id="no name"),
    ],
)
def test_what_is_not_quite_the_form_is_a_call_all_the_same(written, call) -> None:
    _, [got] = read(FORM, written)
    assert (got.name, got.arguments) == call


def test_ids_that_a_template_writes_may_be_missing(checkpoint_of) -> None:
    form = checkpoint_of(MISTRAL).call_form
    written = '[TOOL_CALLS][{"name": "a", "arguments": {"q": 1}}, {"name": "b", "arguments": {}, "id": "123456789"}, '
    said, calls = read(form, written + '{"name": "c", "arguments": {}}] So be it.')
    assert (said, [call.name for call in calls]) == (" So be it.", ["a", "b", "c"])


@pytest.mark.parametrize("end", ["", "}", "}\n</tool_call>", "}\n</tool_call>\n"])
def test_what_marks_the_end_of_a_call_is_no_text_and_may_be_missing(end) -> None:
    said, [call] = read(FORM, '<tool_call>\n{"name": "a", "arguments": {}' + end)
    assert (said.strip(), call.name) == ("", "a")


def test_text_in_thoughts_is_no_call() -> None:
    thought = '<think>I could write <tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>.</think>'
    said, calls = read(FORM, f'{thought}<tool_call>\n{{"name": "b", "arguments": {{}}}}\n</tool_call>')
    assert (said, [call.name for call in calls]) == (thought, ["b"])


def test_a_reply_may_begin_amid_thoughts(checkpoint_of) -> None:
    form = checkpoint_of(THINKS_AT_ONCE).call_form
    reply = '<tool_call>\n{"name": "a", "arguments": {}}'
    assert read(form, reply)[1] == []
    assert [call.name for call in read(form, f"So be it.</think>\n{reply}")[1]] == ["a"]


def test_where_a_brace_is_all_that_marks_a_call_it_stands_at_the_beginning(checkpoint_of) -> None:
    form = checkpoint_of(LLAMA).call_form
    answer = 'The record is {"name": "K2", "height": 8611}.'
    assert read(form, answer) == (answer, [])
    assert read(form, '{"height": 8611, "is_high": true}') == ('{"height": 8611, "is_high": true}', [])
    assert names_and_arguments(read(form, ' {"name": "search", "parameters": {"q": "K2"}}')[1]) == [
        ("search", {"q": "K2"})
    ]


@pytest.mark.parametrize(
    "template", [AS_XML, "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", None]
)
def test_a_model_that_cannot_call_natively_says_so(template, tmp_path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    model = LocalModel(str(make_checkpoint(tmp_path, tokenizer)))
    with pytest.raises(
        RunFailed,
        match="cannot call tools natively: its chat template knows no tools, or writes calls in no form that can be read",
    ):
        asyncio.run(ParallelCalls(model, [height]).arun("How high is K2?"))


@tool
def height(mountain: str) -> int:
    """Return the height of a mountain in metres."""
    return {"K2": 8611, "Everest": 8849}[mountain]


@tool
def subtract(one: int, other: int) -> int:
    """Return the difference of two numbers."""
    return one - other


@contextmanager
def saying(template: str, folder, *replies: str):
    """Yield a model that says these replies in turn, and what it was given to read before each."""
    tokenizer = make_tokenizer(["<|im_end|>"])
    tokenizer.chat_template, tokenizer.eos_token = template, "<|im_end|>"
    model, read_before, left = LocalModel(str(make_checkpoint(folder, tokenizer, 16384))), [], list(replies)

    async def loaded():
        async for _ in model.host.loading():
            pass

    def goes_on(text: str) -> str:
        if not text.endswith("<|im_start|>assistant\n"):
            return ""  # a piece of a long prompt
        read_before.append(text)
        return left.pop(0)

    asyncio.run(loaded())
    with forced(model.host.checkpoint, goes_on):
        yield model, read_before


def call_text(name: str, **arguments) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def test_parallel_calls_run_on_a_model_in_this_process(tmp_path) -> None:
    first = "I look both up.\n" + call_text("height", mountain="Everest") + "\n" + call_text("height", mountain="K2")
    with saying(HERMES, tmp_path, first, call_text("subtract", one=8849, other=8611), "238 m") as (model, texts):
        result = ParallelCalls(model, [height, subtract]).run("By how much is Everest higher than K2?")
    assert (result.answer, result.status) == ("238 m", "complete")
    assert [record.outcome for record in result.tasks.values()] == [Succeeded(8849), Succeeded(8611), Succeeded(238)]
    assert '"name": "subtract", "description": "Return the difference of two numbers."' in texts[0]
    assert first in texts[1]
    assert "<|im_start|>tool\n8849<|im_end|>\n<|im_start|>tool\n8611<|im_end|>" in texts[1]


def test_a_call_starts_while_the_model_still_writes(tmp_path) -> None:
    """The model has a hundred steps to go when the first call is whole; the tool runs before it has written half of that."""

    @tool
    async def note(text: str) -> str:
        """Note something."""
        return text

    async def written_by_then(agent) -> str:
        written = ""
        async for event in agent.astream("Note one, then two."):
            if isinstance(event, TaskEnded):
                break
            written += event.text if isinstance(event, PlanText) else ""
        return written

    said = call_text("note", text="one") + " and so on" * 40 + call_text("note", text="two")
    with saying(HERMES, tmp_path, said, "Done.") as (model, _):
        written = asyncio.run(written_by_then(ParallelCalls(model, [note])))
    assert "one" in written
    assert "two" not in written


def test_a_wrong_call_is_told_to_the_model(tmp_path) -> None:
    replies = [
        call_text("hight", mountain="K2"),
        '<tool_call>\n{"name": "height", "arguments": {mountain: K2}}\n</tool_call>',
    ]
    with saying(HERMES, tmp_path, *replies, call_text("height", mountain="K2"), "8611 m") as (model, texts):
        result = ParallelCalls(model, [height]).run("How high is K2?")
    assert result.answer == "8611 m"
    assert "did you mean height" in texts[1]
    assert "not run" in texts[2].rpartition("<|im_start|>tool")[2]


def test_futures_run_on_a_model_in_this_process(tmp_path) -> None:
    calls = [call_text("height", mountain="Everest"), call_text("height", mountain="K2")]
    replies = [
        "\n".join(calls),
        call_text("subtract", one="$f1", other="$f2"),
        call_text("await_future", futures=["f3"]),
        "238 m",
    ]
    with saying(HERMES, tmp_path, *replies) as (model, texts):
        result = AsyncLM(model, [height, subtract], engine="futures").run("By how much is Everest higher than K2?")
    assert result.answer == "238 m"
    assert result.tasks[3].outcome == Succeeded(238)
    assert "238" in texts[-1]


def test_special_tokens_that_mark_calls_are_read_and_others_are_not(checkpoint_of) -> None:
    checkpoint = checkpoint_of(MISTRAL)
    form = checkpoint.call_form
    tokens = checkpoint.encode('<|im_start|>[TOOL_CALLS] [{"name": "height"')
    assert checkpoint.decode_reply(tokens, form.marks) == '[TOOL_CALLS] [{"name": "height"'
    assert checkpoint.decode_reply(tokens) == ' [{"name": "height"'


def test_special_tokens_between_a_name_and_its_arguments_are_read(checkpoint_of) -> None:
    """Without them the id would be a part of the name."""
    checkpoint = checkpoint_of(WITH_ID)
    tokens = checkpoint.encode('[TOOL_CALLS]height[CALL_ID]call12345[ARGS]{"mountain": "K2"}')
    _, [call] = read(checkpoint.call_form, checkpoint.decode_reply(tokens, checkpoint.call_form.marks))
    assert (call.name, call.arguments) == ("height", '{"mountain": "K2"}')


def test_the_template_for_conversations_with_tools_may_be_one_of_its_own(checkpoint_of) -> None:
    checkpoint = checkpoint_of(HERMES)
    usual = checkpoint.tokenizer.chat_template
    plain = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    checkpoint.tokenizer.chat_template = {"default": plain, "tool_use": HERMES}
    try:
        assert Checkpoint(checkpoint.model, checkpoint.tokenizer).call_form == checkpoint.call_form
    finally:
        checkpoint.tokenizer.chat_template = usual


def test_a_template_that_wants_turns_is_told_why_the_work_was_stopped(tmp_path) -> None:
    """Behind results stands a message of the user then: such templates refuse it, so the run ended without an answer."""
    calls = call_text("height", mountain="Everest") + "\n" + call_text("height", mountain="K2")
    with saying(IN_TURN, tmp_path, calls, "8849 m, as far as I know") as (model, texts):
        result = ParallelCalls(model, [height], limits=Limits(tasks=1)).run("How high are Everest and K2?")
    assert (result.answer, result.stopped_by) == ("8849 m, as far as I know", "tasks")
    assert (
        "<|im_start|>tool\n8849<|im_end|>\n<|im_start|>assistant\n(waiting)<|im_end|>\n<|im_start|>user\nThe work"
        in texts[1]
    )


def test_a_template_without_messages_of_the_system_is_told_them_by_the_user(checkpoint_of) -> None:
    checkpoint = checkpoint_of("{{ messages[0].role == 'system' and raise_exception('no system') or '' }}" + HERMES)
    text = checkpoint.decode(checkpoint.prompt([Message("system", "Be brief."), Message("user", "How high is K2?")]))
    assert text == "<|im_start|>user\nBe brief.\n\nHow high is K2?<|im_end|>\n<|im_start|>assistant\n"


def test_usage_and_finish_are_those_of_the_whole_reply(tmp_path) -> None:
    with saying(HERMES, tmp_path, call_text("search", q="K2"), "Nothing to call.") as (model, _):
        for finish in ("tool_calls", "stop"):
            chunks = asyncio.run(_chunks(model, Prompt((Message("user", "K2?"),), tools=(SEARCH,))))
            assert chunks[-1].finish == finish
            assert chunks[-1].usage.input_tokens > 20
            assert chunks[-1].usage.output_tokens > 5
            assert bool([piece for chunk in chunks for piece in chunk.calls]) == (finish == "tool_calls")


async def _chunks(model, prompt):
    return [chunk async for chunk in model.stream(prompt)]
