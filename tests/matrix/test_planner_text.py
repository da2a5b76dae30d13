"""Planner output, P14 to P24 of reliability.md: text around tasks, numbering, characters, quotes, chunks, dollar signs."""

import pytest

from llmcompiler import NotAPlan
from llmcompiler.journal.events import PlanClosed
from llmcompiler.testing import Scripted
from llmcompiler.testing.server import LoopbackServer, Reply, SplitPackets
from tests.matrix.helpers import FINISH, Toolbox, compiled, served

BOTH = {1: 1, 2: [1]}


@pytest.mark.parametrize(
    ("text", "skipped"),
    [
        pytest.param("Sure! Here is a plan (of two).\n1. echo(1)\n2. echo([$1])\n3. join()", 31, id="P14a preamble"),
        pytest.param("1. echo(1)\n2. echo([$1])\nThat is all (I hope).\n3. join()", 22, id="P14b closing prose"),
        pytest.param("1. echo(1)\nNow the second, which needs $1:\n2. echo([$1])\n3. join()", 32, id="P14c between"),
        pytest.param("```\n1. echo(1)\n2. echo([$1])\n3. join()\n```", 4, id="P14d fence"),
        pytest.param("```text\n1. echo(1)\n2. echo([$1])\n3. join()\n```", 8, id="P14e fence with language"),
        pytest.param("```\n1. echo(1)\n2. echo([$1])\n3. join()", 4, id="P14f fence never closed"),
        pytest.param("1. echo(1) # a comment (x)\n2. echo([$1])\n3. join()", 16, id="P14g comment"),
    ],
)
def test_P14_text_around_tasks_is_skipped_and_counted(text, skipped):
    ran = compiled(Toolbox(), text, FINISH)
    assert (ran.values, ran.asked, ran.codes) == (BOTH, ["plan", "join"], [])
    (closed,) = ran.kept(PlanClosed)
    assert closed.skipped == skipped + len("\n\n"), "and the newlines after the two tasks"


@pytest.mark.parametrize("head", ["{}) ", "**{}.** ", "- {}. ", "{}.", "* {}) ", "${} = ", "${{{}}} = "])
def test_P15_accepted_forms_of_numbering(head):
    plan = f"{head.format(1)}echo(1)\n{head.format(2)}echo([$1])\n{head.format(3)}join()"
    ran = compiled(Toolbox(), plan, FINISH)
    assert (ran.values, ran.asked) == (BOTH, ["plan", "join"])


@pytest.mark.parametrize("head", ["Step {}: ", "{} . ", "#{} ", "({}) ", "Task {}. ", "{}: ", "[{}] "])
def test_P15_other_forms_are_prose_so_that_no_task_remains(head):
    tools = Toolbox()
    text = f"{head.format(1)}echo(1)\n{head.format(2)}join(now)"
    ran = compiled(tools, text, "1. echo(1)\n2. join()", FINISH)
    assert ran.asked == ["plan", "repair", "join"]
    assert "no task and no join in the planner's text" in ran.text("repair")
    assert ran.values == {1: 1}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1. echo(1)\r\n2. echo([$1])\r\n3. join()\r\n", id="P16a CRLF"),
        pytest.param("\ufeff1. echo(1)\n2. echo([$1])\n3. join()", id="P16b BOM"),
        pytest.param("1.\u00a0echo(1)\n2.\u00a0echo([\u00a0$1\u00a0])\n3.\u00a0join()", id="P16c NBSP"),
        pytest.param("\t1.\techo(\t1\t)\n\t2.\techo([$1])\n3. join()", id="P16d tabs"),
        pytest.param("\n\n1. echo(1)\n\n\n2. echo([$1])\n \n3. join()\n\n", id="P16e blank lines"),
        pytest.param("\u200b1. echo(1)\n2.\u200becho([\u200b$1])\n\u20603. join()", id="P16f zero-width"),
    ],
)
def test_P16_odd_spaces_are_tolerated_between_tokens(text):
    ran = compiled(Toolbox(), text, FINISH)
    assert (ran.values, ran.asked) == (BOTH, ["plan", "join"])


@pytest.mark.parametrize("character", ["\r\n", "\ufeff", "\u00a0", "\t", "\n\n", "\u200b", "\u2028"])
def test_P16_odd_spaces_are_preserved_inside_strings(character):
    ran = compiled(Toolbox(), f'1. echo("a{character}b")\n2. join()', FINISH)
    assert ran.values == {1: f"a{character}b"}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param("“it is”", "it is", id="P17a double"),
        pytest.param("‘it is’", "it is", id="P17a single"),
        pytest.param("„it is“", "it is", id="P17a low"),
        pytest.param('"say “hi” to ‘all’"', "say “hi” to ‘all’", id="P17b inside a string"),
        pytest.param('“it is"', "it is", id="P17c mixed pair"),
        pytest.param('"it is”', "it is", id="P17c the other way"),
        pytest.param("“don't, (really)”", "don't, (really)", id="P17a around straight ones"),
    ],
)
def test_P17_typographic_quotes_are_delimiters_outside_and_text_inside(written, value):
    ran = compiled(Toolbox(), f"1. echo({written})\n2. echo([$1])\n3. join()", FINISH)
    assert (ran.values, ran.asked) == ({1: value, 2: [value]}, ["plan", "join"])


@pytest.mark.parametrize(
    ("written", "value", "notes"),
    [
        pytest.param(r'"a \"b\" \\ \n \u00e9"', 'a "b" \\ \n é', [], id="P18a escaped quotes"),
        pytest.param(r"'it\'s'", "it's", [], id="P18a escaped apostrophe"),
        pytest.param("'it's here'", "it's here", ["quotes_repaired"], id="P18b apostrophe"),
        pytest.param('"the "best" one"', 'the "best" one', ["quotes_repaired"], id="P18b inner quotes"),
        pytest.param('"a), [b], {c}, (d"', "a), [b], {c}, (d", [], id="P18c brackets and commas"),
        pytest.param('"2. echo(2)"', "2. echo(2)", [], id="P18d looks like a step"),
        pytest.param('"""x\n2. echo(2)\n3. join()"""', "x\n2. echo(2)\n3. join()", [], id="P18d over lines"),
        pytest.param('"join()"', "join()", [], id="P18d looks like the join"),
    ],
)
def test_P18_what_is_quoted_is_exact(written, value, notes):
    ran = compiled(Toolbox(), f"1. echo({written})\n5. echo([$1])\n6. join()", FINISH)
    assert (ran.values, ran.notes, ran.asked) == ({1: value, 5: [value]}, notes, ["plan", "join"])


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('2. search("K2)', id="P19a string"),
        pytest.param('2. search("K2"', id="P19b call"),
        pytest.param("2. echo([1, 2)", id="P19c bracket"),
        pytest.param('2. search("K2\\', id="P19d escape at the end"),
    ],
)
@pytest.mark.parametrize("end", ["\n3. echo(3)\n4. join()", ""], ids=["a line follows", "the end of the text"])
def test_P19_what_is_not_closed_never_runs(line, end):
    tools = Toolbox()
    ran = compiled(tools, f"1. echo(1)\n{line}{end}", "I cannot.", FINISH)
    assert ran.codes in (["unterminated"], ["expected"])
    assert f"   2 | {line}" in ran.text("repair")
    assert (ran.rejected, tools.of("search")) == ([2], [])
    assert ran.values == ({1: 1, 3: 3} if end else {1: 1})
    assert ran.result.status == ("complete" if end else "partial")


@pytest.mark.parametrize("line", ['2. search("K2)', '2. search("K2"', '2. search("K2\\'])
def test_P19_what_is_not_closed_is_repaired(line):
    ran = compiled(Toolbox(), f"1. echo(1)\n{line}\n3. echo([$2])\n4. join()", '2. search("K2")', FINISH)
    assert ran.values[3] == [{"name": "K2", "value": 8611}]
    assert ran.result.status == "complete"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('1. echo("a\nb")\n2. echo([$1])\n3. join()', id="P20a newline inside a string"),
        pytest.param(
            '1. echo(\n   # the text (of two lines)\n  "a\nb",\n)\n2. echo([\n$1\n])\n3. join()', id="P20b over lines"
        ),
        pytest.param('1. echo("a\nb") 2. echo([$1]) 3. join()', id="P20c on one line"),
        pytest.param('1. echo("a\nb"); 2. echo([$1]), 3. join()', id="P20c with separators"),
    ],
)
def test_P20_lines_do_not_matter(text):
    ran = compiled(Toolbox(), text, FINISH)
    assert (ran.values, ran.asked) == ({1: "a\nb", 2: ["a\nb"]}, ["plan", "join"])


LONG = (
    'Thought: schön (1)\r\n12. search("K2")\n1. echo("a \\"b\\" \\u00e9 – \U0001f600")\n- 2. echo(["$12", $12.value,\n'
    '  "<${12.name}>"])\n3. echo("""x\n4. no()""")\n5. add(1, "oops")\n6. echo("costs $100") # (x)\n9. join() and so on'
)
LONG_VALUES = {
    12: {"name": "K2", "value": 8611},
    1: 'a "b" é – \U0001f600',
    2: [{"name": "K2", "value": 8611}, 8611, "<K2>"],
    3: "x\n4. no()",
    5: 3,
    6: "costs $100",
}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000], ids=lambda size: f"P21a-b-d-e chunks of {size}")
def test_P21_the_split_into_chunks_does_not_matter(size):
    chunks = [LONG[at : at + size] for at in range(0, len(LONG), size)]
    ran = compiled(Toolbox(), Scripted(chunks=chunks), "5. add(1, 2)", FINISH)
    assert (ran.values, ran.codes) == (LONG_VALUES, ["wrong_type"])
    assert ran.result.tasks[12].task.thought == "schön (1)"


def test_P21c_a_split_inside_a_utf8_sequence_does_not_matter():
    with LoopbackServer([Reply(LONG, fault=SplitPackets(1)), "5. add(1, 2)", FINISH]) as server:
        ran = served(Toolbox(seconds=0), server)
        server.assert_consumed()
    assert (ran.values, ran.codes) == (LONG_VALUES, ["wrong_type"])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("it costs $99", id="P22a no such task"),
        pytest.param("$100 million", id="P22b longest run of digits"),
        pytest.param("$1000000 and $12345678901234567890", id="P22 above the limit of ids"),
        pytest.param("$0 and $-1 and $ 1 and ${1 and ${x} and $", id="P22c no refs"),
    ],
)
def test_P22_a_dollar_that_names_no_task_is_literal_with_a_note(text):
    ran = compiled(Toolbox(), f'1. echo(1)\n2. echo("{text}")\n3. join()', FINISH)
    assert (ran.values, ran.asked) == ({1: 1, 2: text}, ["plan", "join"])
    assert set(ran.notes) == {"literal_dollar"}


def test_P22_it_is_decided_at_the_end_of_the_plan_unless_above_the_limit():
    chunks = ['1. echo("$99")\n2. echo("$1000000")\n', "3. join()"]
    ran = compiled(Toolbox(), Scripted(chunks=chunks, per_chunk=5.0), FINISH)
    assert ran.started == {1: 5.0, 2: 0.0}
    assert ran.values == {1: "$99", 2: "$1000000"}


@pytest.mark.parametrize(
    ("written", "code"),
    [
        pytest.param("$99", "unknown_reference", id="P22 no such task"),
        pytest.param("$0", "unknown_reference", id="P22c zero"),
        pytest.param("$-1", "bad_literal", id="P22c negative"),
        pytest.param("$ 1", "bad_literal", id="P22c space"),
        pytest.param("${1", "bad_literal", id="P22c half a brace"),
    ],
)
def test_P22_unquoted_it_is_an_error(written, code):
    ran = compiled(Toolbox(), f"1. echo(1)\n2. echo({written})\n3. join()", "2. echo([$1])", FINISH)
    assert (ran.codes, ran.values) == ([code], BOTH)


@pytest.mark.parametrize("text", ["it costs $1 million", "$1.5 a piece", "about $1 billion"])
def test_P23_an_amount_that_names_a_task_is_its_result_with_a_note(text):
    ran = compiled(Toolbox(), f'1. echo("GDP")\n2. echo("{text}")\n3. join()', FINISH)
    assert (ran.values[2], ran.notes) == (text.replace("$1", "GDP"), ["text_reference"])


def test_P23_a_doubled_dollar_is_the_amount():
    ran = compiled(Toolbox(), '1. echo("GDP")\n2. echo("it costs $$1 million")\n3. join()', FINISH)
    assert (ran.values[2], ran.notes) == ("it costs $1 million", [])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        pytest.param('"$10 $1 $101"', "ten one $101", id="P24a longest match"),
        pytest.param('"\\$1"', "\\one", id="P24b a backslash is no escape"),
        pytest.param('"$$1 $$$1 $$${1}"', "$1 $one $one", id="P24c two dollars are one"),
        pytest.param('"$1 and $1 and ${1}"', "one and one and one", id="P24d the same ref twice"),
        pytest.param("$2", [True, 1.5], id="P24f whole argument"),
        pytest.param('"$2"', [True, 1.5], id="P24f whole string"),
        pytest.param('" $2"', " [true,1.5]", id="P24g inside a string"),
    ],
)
def test_P24_references(argument, value):
    ran = compiled(
        Toolbox(), f'1. echo("one")\n2. echo([true, 1.5])\n10. echo("ten")\n11. echo([{argument}])\n12. join()', FINISH
    )
    assert ran.values[11] == [value]


def test_P24e_a_reference_in_a_thought_or_comment_is_no_dependency():
    plan = '1. wait(5, "a")\nThought: now that $1 is known\n2. wait(1, "b") # unlike $1\n3. join()'
    ran = compiled(Toolbox(), plan, FINISH)
    assert ran.started == {1: 0.0, 2: 0.0}
    assert ran.result.tasks[2].task.inputs == frozenset()
    assert ran.result.tasks[2].task.thought == "now that $1 is known"


def test_P15_a_text_without_any_step_twice_is_no_plan():
    ran = compiled(Toolbox(), "Step 1: echo(1)", "Step 1: echo(1)")
    assert isinstance(ran.failure, NotAPlan)
    assert ran.failure.text == "Step 1: echo(1)"
