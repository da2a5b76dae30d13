"""The parser: when an item leaves, what it carries, and the limits. What it reads is in the golden files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.parser import MAX_CALL, CallRefused, JoinRead, NoteRead, PlanParser, TaskRead
from llmcompiler.plan.tasks import Task
from llmcompiler.testing.plans import chunks_of


def leaving(text):
    """Return, for each item but notes, the text that was fed when it left."""
    parser, fed, found = PlanParser(), "", []
    for character in text:
        fed += character
        found += [fed for item in parser.feed(character) if not isinstance(item, NoteRead)]
    return found + ["at the end" for item in parser.close() if not isinstance(item, NoteRead)]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param("1. f()\n2. join()", ["1. f()", "1. f()\n2. join()"], id="no arguments"),
        pytest.param('1. f(")", [1])  # more\n', ['1. f(")", [1])'], id="parentheses in strings do not count"),
        pytest.param("1. f('') x", ["1. f('')"], id="an empty string before it"),
        pytest.param("1. f('''a''')\n", ["1. f('''a''')"], id="a triple string before it"),
        pytest.param('1. f(\n  "a"\n)\n', ['1. f(\n  "a"\n)'], id="alone on its line"),
        pytest.param('1. f(\n  "a",\n  b)\n', ['1. f(\n  "a",\n  b)'], id="behind a word on its own line"),
        pytest.param("1. f(x)\n", ["1. f(x)"], id="a refused call too"),
        pytest.param(
            "1. f('a'b')\n2. g()",
            ["1. f('a'b')\n2. g()"] * 2,
            id="hidden by a quote: with the next task",
        ),
        pytest.param("1. f(1\n2. g()", ["1. f(1\n2. g()"] * 2, id="missing: with the next task"),
        pytest.param("1. f(\n 1)\n", ["1. f(\n 1)\n"], id="behind what may be an id: one character later"),
        pytest.param("1. f(1", ["at the end"], id="never"),
    ],
)
def test_an_item_leaves_at_its_closing_parenthesis(text, left):
    assert leaving(text) == left


HEADS = [
    "1. f(",
    "12) web.search(",
    "> - **3.** a_b(",
    "__4.__ _f(",
    "-1.5. f(",
    "${12} = f(",
    "* $1 =**f(",
    ";, \u200b1.__f(",
    "  JOIN(",
]


@pytest.mark.parametrize("head", HEADS)
def test_a_head_may_be_cut_anywhere(head):
    for cut in range(len(head)):
        parser = PlanParser()
        items = [*parser.feed("0. f()\n" + head[:cut]), *parser.feed(head[cut:] + ")"), *parser.close()]
        assert len([item for item in items if not isinstance(item, NoteRead)]) == 2, cut


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('1. f((), """a") b""", "c")', id="triple quotes behind a parenthesis"),
        pytest.param("1. f((), , '')\n2. g()", id="empty strings behind a parenthesis"),
        pytest.param('1. f((), """a\\"""b)"\\\\""", 1)', id="escapes in triple quotes"),
        pytest.param('1. f((), "\\")", "\\\n)")\n2. g()', id="P21d escapes in a string"),
        pytest.param('1. f()\n12. g("$12 $1", $12, ${12.a})', id="P21e numbers of refs"),
        pytest.param("1. f((),\n2)\n3) g()\n4. h(\n5.5)", id="numbers at the beginning of lines"),
        pytest.param("1. f(()\r\n  - **2.** g()\n)", id="a head while a call is open"),
        pytest.param("1. f(() # )\n, 1)\n# )\n2. g()", id="comments"),
        pytest.param("1. f((), “a)”, ‘b’)\njo\njoin()", id="typographic quotes and a word like join"),
        pytest.param("f()\nThought: (a)\n1. f() Thought: b\njoin() c", id="thoughts and prose"),
    ],
)
def test_a_text_may_be_cut_anywhere_twice(text):
    whole = read([text])
    for first in range(len(text)):
        for second in range(first, len(text)):
            assert read([text[:first], text[first:second], text[second:]]) == whole, (first, second)


def read(chunks):
    parser = PlanParser()
    items = [item for chunk in chunks for item in parser.feed(chunk)] + parser.close()
    return items, parser.skipped, parser.ignored


def test_a_task_comes_with_its_places():
    text = ' Thought: why\n  1. f("a", q = [1,\n 2])'
    parser = PlanParser()
    assert parser.feed(text) == [
        TaskRead(Task(1, "f", ("a",), {"q": (1, 2)}, "why"), Span(16, 38), (Span(21, 24),), (("q", Span(30, 37)),))
    ]
    assert [text[start:end] for start, end in (Span(16, 38), Span(21, 24), Span(30, 37))] == [
        '1. f("a", q = [1,\n 2])',
        '"a"',
        "[1,\n 2]",
    ]


def test_a_join_takes_the_last_thought():
    parser = PlanParser()
    assert parser.feed("Thought: enough\njoin()") == [JoinRead(Span(16, 22), "enough")]


def test_what_follows_the_join_is_only_counted():
    parser = PlanParser()
    parser.feed("1. f()\njoin() 2. g()\n")
    assert parser.feed("3. h()\n") == []
    assert parser.close() == []
    assert (parser.skipped, parser.ignored) == (1, 15)


def test_a_refused_call_covers_its_text_and_its_diagnostic_points_at_the_cause():
    parser = PlanParser()
    assert parser.feed('1. f("a", x)') == [
        CallRefused(
            1,
            "f",
            Span(0, 12),
            Diagnostic("bare_word", "'x' is neither a literal nor a ref", Span(10, 11), 'quote it: "x"'),
        )
    ]


def long_call(size):
    return '1. f("' + "a" * (size - 3) + '")'


@pytest.mark.parametrize("size", [MAX_CALL, MAX_CALL + 1])
def test_p30e_a_call_beyond_the_limit_is_refused_and_reading_goes_on(size):
    parser = PlanParser()
    first, second = [*parser.feed(long_call(size) + "\n2. g()"), *parser.close()]
    assert isinstance(first, TaskRead if size <= MAX_CALL else CallRefused)
    assert second == TaskRead(Task(2, "g"), Span(size + 6, size + 12))
    assert isinstance(first, TaskRead) or (first.id, first.diagnostic.code, first.span) == (
        1,
        "too_long",
        Span(0, size + 5),
    )


def test_an_unclosed_call_beyond_the_limit_is_refused_as_too_long():
    parser = PlanParser()
    items = [*parser.feed('1. f("' + "a" * MAX_CALL + "\n2. g()"), *parser.close()]
    assert [item.diagnostic.code for item in items if isinstance(item, CallRefused)] == ["too_long"]
    assert isinstance(items[-1], TaskRead)


MANY = "1" * 5_000  # more digits than Python turns into a number


@pytest.mark.parametrize(
    ("call", "code"),
    [
        pytest.param(f"{MANY[:180]}. f()", "bad_id", id="an id"),
        pytest.param(f"${MANY[:180]} = f()", "bad_id", id="an id with a dollar"),
        pytest.param(f"1. f({MANY})", "bad_literal", id="a number"),
        pytest.param(f"1. f(-{MANY}.5)", "bad_literal", id="a decimal number"),
        pytest.param(f"1. f(0x{MANY})", "bad_literal", id="a hexadecimal number"),
        pytest.param(f"1. f(${MANY})", "unknown_reference", id="a ref"),
        pytest.param(f"1. f(${{{MANY}}})", "unknown_reference", id="a ref in braces"),
        pytest.param(f"1. f($1[{MANY}])", "computation", id="a place"),
    ],
)
def test_a_number_of_any_length_is_refused_in_its_place(call, code):
    [item] = PlanParser().feed(call)
    assert item.diagnostic.code == code


@pytest.mark.parametrize("text", [f"${MANY}", f"${{{MANY}}}", f"${{1[{MANY}]}}"])
def test_a_number_of_any_length_in_a_string_is_text(text):
    read, note = PlanParser().feed(f'1. f("{text}")')
    assert (read.task.args, note.diagnostic.code) == ((text,), "literal_dollar")


def test_p30f_an_endless_call_is_collected_not_scanned_again():
    parser = PlanParser()
    assert [item for _ in range(20_000) for item in parser.feed("aaaaaaaaaa")] == []
    assert [item for _ in range(20_000) for item in parser.feed("1. f(1, ")] == []


@given(st.integers(1, 400), st.integers(1, 9))
def test_a_head_is_at_most_200_characters_long_however_it_is_cut(size, step):
    text = "1. f()\n2. " + "a" * size + "()\n"
    parser = PlanParser()
    items = [item for chunk in chunks_of(text, step) for item in parser.feed(chunk)] + parser.close()
    assert len([item for item in items if isinstance(item, TaskRead)]) == (2 if len("2. (") + size <= 200 else 1)
