"""The reader: what each chunk settles, and what waits."""

import pytest

from llmcompiler.errors import NotAPlan, PlanError
from llmcompiler.passes.parse import read_plan
from llmcompiler.passes.reader import Accepted, Pending, PlanReader, Rejected, find_cycle
from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.plan import Plan
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref, Text
from tests.plan.toolbox import TOOLS


def accepted(id, tool, *args, **kwargs):
    return Accepted(Task(id, tool, args, kwargs))


def lines(reader, text):
    """Return what each line of the text settles."""
    return [reader.feed(line) for line in text.splitlines(keepends=True)]


def codes(reading):
    return [found.code for found in reading.diagnostics]


def test_a_task_is_accepted_at_its_parenthesis_with_its_arguments_bound():
    reader = PlanReader(TOOLS)
    assert reader.feed('1. search("a"') == []
    assert reader.feed(")") == [accepted(1, "search", query="a")]
    assert reader.feed("\n2. add($1, b=2)") == [accepted(2, "add", a=Ref(1), b=2)]


def test_p08_a_task_that_names_an_id_not_seen_is_held_until_the_end():
    reader = PlanReader(None)
    assert lines(reader, '1. f("see $3")\n2. g()\n3. h()\n4. join()\n') == [
        [Pending(1, "f")],
        [accepted(2, "g")],
        [accepted(3, "h")],
        [],
    ]
    [held] = reader.close()
    assert (held.id, codes(held)) == (1, ["forward_reference"])
    assert [(found.id, codes(found)) for found in reader.finish()] == [(1, ["forward_reference"])]


def test_p22b_money_is_held_until_the_end_and_then_text():
    reader = PlanReader(TOOLS)
    assert reader.feed('1. search("costs $100 million")\n2. join()') == [Pending(1, "search")]
    assert reader.close() == [accepted(1, "search", query="costs $100 million")]
    assert reader.errors == ()


def test_dependants_of_a_broken_task_are_accepted_and_wait_for_its_id():
    reader = PlanReader(TOOLS)
    first, second, _ = lines(reader, '1. serch("a")\n2. calculate("$1 + 1")\n3. join()')
    assert (first[0].id, codes(first[0])) == (1, ["unknown_tool"])
    assert second == [accepted(2, "calculate", expression=Text((Ref(1), " + 1")))]
    assert reader.close() == []
    assert reader.repairable == {1}
    assert reader.repair('1. search("a")') == [accepted(1, "search", query="a")]
    assert reader.finish() == []


def test_p10c_a_duplicate_never_restarts_the_first_and_gets_a_fresh_id_at_the_end():
    reader = PlanReader(None)
    assert lines(reader, "1. f()\n1. g()\n2. h($1)\n") == [[accepted(1, "f")], [], [Pending(2, "h", reader.errors[1:])]]
    [fresh] = reader.close()
    assert (fresh.id, fresh.tool, codes(fresh)) == (3, "g", ["duplicate_id"])
    assert reader.repairable == {2, 3}
    assert [(found.id, type(found)) for found in reader.finish()] == [(3, Rejected), (2, Rejected)]


def test_a_task_that_was_held_is_accepted_after_those_that_were_not():
    reader = PlanReader(None)
    readings = [*reader.feed('1. f("$9")\n2. g($1)\n3. join()'), *reader.close()]
    assert readings == [Pending(1, "f"), accepted(2, "g", Ref(1)), accepted(1, "f", "$9")]


def test_a_shifted_round_is_told_in_ids_of_the_run_and_repaired_in_the_planners_own():
    reader = PlanReader(None, known=[1, 2])
    assert lines(reader, "1. f()\n2. g($1, x)\n3. h($2)\n") == [
        [accepted(3, "f")],
        [Pending(4, "g", reader.errors)],
        [accepted(5, "h", Ref(4))],
    ]
    assert reader.repairable == {2}
    assert reader.repair("2. g($1)") == [accepted(4, "g", Ref(3))]


def test_a_repair_is_told_where_the_plan_was_wrong():
    reader = PlanReader(TOOLS)
    reader.feed("1. now()\n2. serch(1)\n")
    reader.close()
    [pending] = reader.repair("That was wrong, here it is again, a little later in the text:\n2. search(1)")
    assert pending == Pending(2, "search", reader.errors)
    assert [(found.code, found.span) for found in reader.errors] == [("wrong_type", Span(9, 20))]


def test_text_and_counts():
    reader = PlanReader(None)
    assert (reader.is_empty, reader.is_complete, reader.count) == (True, False, 0)
    reader.feed("Sure.\n1. f()\n1. f(x)\n")
    reader.feed("2. join() bye")
    reader.close()
    assert (reader.is_empty, reader.is_complete, reader.count) == (False, True, 2)
    assert (reader.size, reader.skipped, reader.ignored) == (34, 8, 4)
    assert reader.text == "Sure.\n1. f()\n1. f(x)\n2. join() bye"


def test_p30a_a_limit_cuts_the_plan_before_the_first_task_beyond_it():
    reader = PlanReader(None, limit=2)
    readings = [*reader.feed("1. f()\n2. g(x)\n3. h()\n4. join()"), *reader.close()]
    assert readings == [accepted(1, "f"), Pending(2, "g", reader.errors)]
    assert (reader.is_full, reader.is_complete, reader.count) == (True, False, 2)


def test_a_plan_as_long_as_the_limit_is_whole():
    reader = PlanReader(None, limit=1)
    reader.feed("1. f()\n2. join()")
    reader.close()
    assert (reader.is_full, reader.is_complete) == (False, True)


@pytest.mark.parametrize(
    ("inputs", "cycle"),
    [
        pytest.param({1: {1}}, [1, 1], id="itself"),
        pytest.param({1: {2}, 2: {1}}, [1, 2, 1], id="two"),
        pytest.param({1: {2, 4}, 2: {3}, 3: {1}, 4: {1}}, [1, 4, 1], id="the shortest"),
        pytest.param({1: {2}, 2: {3}, 3: {2}}, None, id="a cycle beside it"),
        pytest.param({1: {2}, 2: set()}, None, id="none"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_a_cycle_is_spelt_out(inputs, cycle):
    assert find_cycle({id: frozenset(needed) for id, needed in inputs.items()}, 1) == cycle


# A whole text at once


def test_a_plan_is_read_with_its_notes():
    plan = read_plan('1. search("$1 of $9")\n2. join()', known=[1])
    assert plan == Plan((Task(2, "search", (Text((Ref(1), " of $9")),)),))
    assert [found.code for found in plan.notes] == ["literal_dollar"]


def test_inputs_come_before_their_users():
    plan = read_plan('1. f("$9")\n2. g($1)\n3. h($2)\n4. join()')
    assert [task.id for task in plan] == [1, 2, 3]


def test_an_incomplete_plan_says_so():
    plan = read_plan("1. f()")
    assert (plan.complete, len(plan), str(plan)) == (False, 1, "1. f()")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "",
            "the planner answered nothing; a plan is lines like `1. tool(arguments)` ending in `2. join()`",
            id="P25a",
        ),
        pytest.param(
            " \n\t",
            "the planner answered nothing; a plan is lines like `1. tool(arguments)` ending in `2. join()`",
            id="P25b",
        ),
        pytest.param(
            "I can't.",
            "no task and no join in the planner's text; a plan is lines like `1. tool(arguments)`. It said: I can't.",
            id="row 11 P26a",
        ),
        pytest.param(
            "x" * 301,
            "no task and no join in the planner's text; a plan is lines like `1. tool(arguments)`. It said: "
            + "x" * 300
            + "…",
            id="a long one is cut",
        ),
    ],
)
def test_nothing_readable_is_no_plan(text, message):
    with pytest.raises(NotAPlan) as raised:
        read_plan(text)
    assert (str(raised.value), raised.value.text, raised.value.diagnostics) == (message, text, ())


def test_all_that_is_wrong_is_told_at_once():
    text = "1. serch(1)\n2. add(1)\n3. join()"
    with pytest.raises(PlanError) as raised:
        read_plan(text, TOOLS)
    assert raised.value.text == text
    assert raised.value.diagnostics == (
        Diagnostic(
            "unknown_tool", "there is no tool 'serch'", Span(0, 8), "did you mean search or web.search?", task_id=1
        ),
        Diagnostic(
            "missing_argument", "add needs the argument 'b'", Span(12, 21), "add(a: number, b: number)", task_id=2
        ),
    )
    assert str(raised.value).splitlines() == [
        "the plan has 2 errors",
        "error[unknown_tool]: there is no tool 'serch' (line 1)",
        "   1 | 1. serch(1)",
        "     | ^^^^^^^^",
        "     = did you mean search or web.search?",
        "error[missing_argument]: add needs the argument 'b' (line 2)",
        "   2 | 2. add(1)",
        "     | ^^^^^^^^^",
        "     = add(a: number, b: number)",
    ]
