"""What holds for every text and every plan."""

import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.errors import PlanError
from llmcompiler.passes.parse import read_plan
from llmcompiler.plan.parser import CallRefused, JoinRead, NoteRead, PlanParser, TaskRead
from llmcompiler.plan.plan import Plan
from llmcompiler.plan.printer import print_value
from llmcompiler.plan.values import refs
from llmcompiler.testing.plans import chunkings, chunks_of, plan_texts, plans

any_text = st.text()
marks = st.text("12.)($={}[]'\"“”‘’\\#,:;-*_> \t\n\r\u200b\ufeffjoinfThught", max_size=60)
quoted = st.text("$123{}.[]'\"\\ abNux0,()\n", max_size=40).map(lambda text: f'1. f("{text}")\n2. join()')
texts = plan_texts() | marks | quoted | any_text


def parsed(chunks):
    parser = PlanParser()
    items = [item for chunk in chunks for item in parser.feed(chunk)]
    return items + parser.close(), parser.skipped, parser.ignored


@settings(max_examples=800)
@given(st.data())
def test_the_items_do_not_depend_on_how_the_text_is_cut(data):
    text = data.draw(texts)
    whole = parsed([text])
    assert parsed(data.draw(chunkings(text))) == whole
    assert parsed(chunks_of(text, 1)) == whole


@settings(max_examples=500)
@given(texts)
def test_a_text_gives_a_plan_or_a_plan_error_that_points_into_it(text):
    told = text, ()
    try:
        assert isinstance(read_plan(text), Plan)
    except PlanError as error:
        told = error.text, error.diagnostics
    assert told[0] == text
    assert all(0 <= found.span.start < found.span.end <= len(text) for found in told[1])


@settings(max_examples=800)
@given(texts)
def test_every_character_is_in_an_item_or_counted(text):
    items, skipped, ignored = parsed([text])
    spans = [item.span for item in items if not isinstance(item, NoteRead)]
    assert all(before.end <= after.start for before, after in pairwise(spans))
    uncounted = len(text) - sum(span.end - span.start for span in spans) - skipped - ignored
    thoughts = "".join(thought_of(item) for item in items)
    assert uncounted >= len(thoughts)
    assert thoughts or not uncounted


def thought_of(item):
    match item:
        case TaskRead(task):
            return task.thought
        case JoinRead(_, thought):
            return thought
    return ""


@settings(max_examples=400)
@given(texts)
def test_spans_hold_what_they_say(text):
    for item in parsed([text])[0]:
        match item:
            case TaskRead(task, span, arg_spans, kwarg_spans):
                assert task.tool in text[span.start : span.end]
                assert len(arg_spans) == len(task.args)
                assert [name for name, _ in kwarg_spans] == list(task.kwargs)
                for place in [*arg_spans, *(place for _, place in kwarg_spans)]:
                    assert span.start < place.start < place.end <= span.end
            case CallRefused(_, tool, span, diagnostic):
                assert tool in text[span.start : span.end]
                assert span.start <= diagnostic.span.start
            case JoinRead(span):
                assert text[span.start : span.end].endswith(")")


@settings(max_examples=250)
@given(plans())
def test_printing_a_plan_and_parsing_it_gives_the_same_plan(plan):
    again = read_plan(str(plan)) if plan.tasks or plan.complete else plan
    assert again == plan
    assert again.to_json() == plan.to_json()  # 1, 1.0 and True are equal to Python but not to a tool
    assert again.notes == ()
    assert str(again) == str(plan)


@settings(max_examples=100)
@given(plans(known=(3, 999)))
def test_a_plan_of_a_later_round_is_printed_and_encoded_with_its_ids(plan):
    assert Plan.from_json(plan.to_json(), known=(3, 999)) == plan


@settings(max_examples=250)
@given(plans())
def test_encoding_a_plan_and_decoding_it_gives_the_same_plan(plan):
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.to_json() == plan.to_json()


@settings(max_examples=150)
@given(plans())
def test_a_printed_value_stands_on_one_line_and_names_the_same_refs(plan):
    for task in plan:
        for value in task.values():
            printed = print_value(value)
            assert "\n" not in printed
            assert all(f"${{{ref.id}" in printed or f"${ref.id}" in printed for ref in refs(value))


@settings(max_examples=300)
@given(texts)
def test_what_was_parsed_is_printed_and_parsed_again_as_the_same_tasks(text):
    tasks = [item.task for item in parsed([text])[0] if isinstance(item, TaskRead)]
    plan = Plan(tuple(tasks))
    again = [item.task for item in parsed([str(plan)])[0] if isinstance(item, TaskRead)]
    assert Plan(tuple(again)).to_json() == plan.to_json()


# Work

SHAPES = {
    "many tasks": lambda n: "".join(f'{i}. f("a", $1)\n' for i in range(1, n // 16)),
    "one long call": lambda n: "1. f(" + "1, " * (n // 3) + ")",
    "open parentheses": lambda n: "1. f(" + "(" * (n // 2) + ")" * (n // 2),
    "closed parentheses": lambda n: ")" * n,
    "lines of numbers in a call": lambda n: "1. f(" + "\n1)" * (n // 3),
    "newlines in a string": lambda n: '1. f("' + "\n2. g" * (n // 5) + '")',
    "quotes": lambda n: "1. f(" + "'" * n + ")",
    "prose": lambda n: "1. (see) " * (n // 9),
    "thoughts": lambda n: "Thought: (a)\n" * (n // 13),
}


def work(text):
    """Return how many functions are called, ours and built in, while the text is read one character at a time."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        parsed(chunks_of(text, 1))
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_work_grows_no_faster_than_the_text(shape):
    assert work(shape(8_000)) < 4.4 * work(shape(2_000))


SIZE = 190_000
HARD = {
    "blanks": " " * SIZE + "x)",
    "blanks behind a bullet": "- " + " " * SIZE + "x)",
    "blanks in a thought": "Thought:" + " a" * (SIZE // 2) + ")",
    "digits of an id": "1" * SIZE + ". f()",
    "digits of a number": "1. f(" + "1" * SIZE + "x)",
    "underscores in a number": "1. f(" + "1_" * (SIZE // 2) + "x)",
    "name of a tool": "1. " + "a" * SIZE + "()",
    "name of a keyword": "1. f(" + "a" * SIZE + " = 1)",
    "lists": "1. f(" + "[" * SIZE + ")",
    "quotes": "1. f(" + '"' * SIZE + ")",
    "quotes and blanks": "1. f(a" + '" ' * (SIZE // 2) + ")",
    "backslashes": '1. f("' + "\\" * SIZE + '")',
    "triple quotes": '1. f("""' + '"" ' * (SIZE // 3) + ")",
    "inner quotes": "1. f('" + "a'b" * (SIZE // 3) + "' x)",
    "dollars": '1. f("' + "$" * SIZE + '")',
    "braces": '1. f("' + "${" * (SIZE // 2) + '")',
    "open keys": "1. f('" + '${1["' * (SIZE // 5) + "')",
    "open keys, inner quotes": "1. f('a'b" + "${1['" * (SIZE // 5) + "')",
    "path": "1. f($1" + ".a" * (SIZE // 2) + ")",
    "open names of characters": '1. f("' + "\\N{" * (SIZE // 3) + '")',
    "newlines": "1. f(" + "\n    " * (SIZE // 5) + ")",
    "lines that may begin a task": "1. f(" + "\n1)" * (SIZE // 3),
    "comments": "1. f(" + "#\n" * (SIZE // 2) + ")",
    "tuples": "1. f(" + "(1," * (SIZE // 3) + ")",
}


@pytest.mark.timeout(60)  # milliseconds each if time is linear, minutes if it is quadratic
@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_no_pattern_takes_quadratic_time(text):
    assert parsed([text]) == parsed(chunks_of(text, 4096))
