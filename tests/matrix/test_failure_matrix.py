"""The failure matrix of llmcompiler.md, section 4, rows 1 to 26: what the planner may write, end to end."""

import pytest

from llmcompiler import PlanError, tool
from llmcompiler.testing import Scripted
from tests.matrix.helpers import FINISH, Toolbox, compiled

EIGHT = "".join(f'{id}. wait(1, "{id}")\n' for id in range(1, 9)) + "9. join()"


def test_row_01_several_lines_in_one_chunk_all_run():
    ran = compiled(Toolbox(), Scripted(text=EIGHT, chunks=[EIGHT]), FINISH)
    assert ran.values == {id: str(id) for id in range(1, 9)}
    assert set(ran.started.values()) == {0.0}
    assert ran.result.seconds == 1.0
    assert (ran.result.answer, ran.result.status) == ("done", "complete")


def test_row_02_a_missing_parenthesis_is_repaired():
    tools = Toolbox()
    plan = '1. search("Everest"\n2. search("K2")\n3. add("${1.value}", "${2.value}")\n4. join()'
    repair = Scripted(text='1. search("Everest")\n4. join()', first_token=5.0)
    ran = compiled(tools, plan, repair, FINISH)
    assert ran.asked == ["plan", "repair", "join"]
    assert ran.codes == ["unterminated"]
    assert "error[unterminated]: search(...) is not closed" in ran.text("repair")
    assert '   1 | 1. search("Everest"\n     | ^^^^^^^^^^' in ran.text("repair")
    assert "nothing else: task 1." in ran.text("repair")
    assert ran.started == {2: 0.0, 1: 5.0, 3: 6.0}, "the good task runs while the other one is repaired"
    assert ran.values[3] == 8849 + 8611
    assert (ran.result.status, len(ran.result.plans)) == ("complete", 1), "a repair is no replan"


def test_row_02_a_newline_inside_an_argument_is_kept():
    ran = compiled(Toolbox(), '1. echo("two\nlines")\n2. echo(\n  [1,\n   2]\n)\n3. join()', FINISH)
    assert ran.values == {1: "two\nlines", 2: [1, 2]}
    assert ran.asked == ["plan", "join"]


@pytest.mark.parametrize(
    ("plan", "values"),
    [
        pytest.param('1. echo(1)\n5. echo("$1")\n7. echo([$1, $5])\n8. join()', {1: 1, 5: 1, 7: [1, 1]}, id="a gap"),
        pytest.param("2. echo(2)\n3. echo($2)\n4. join()", {2: 2, 3: 2}, id="from 2 on"),
        pytest.param("9. echo(9)\n3. echo($9)\n4. join()", {9: 9, 3: 9}, id="downwards"),
    ],
)
def test_row_03_ids_may_have_gaps(plan, values):
    ran = compiled(Toolbox(), plan, FINISH)
    assert ran.values == values
    assert (ran.asked, ran.result.status) == (["plan", "join"], "complete")


@pytest.mark.parametrize("name", ["web.search", "web-search", "web/search", "web_search"])
def test_row_04_names_of_tools_may_hold_signs(name):
    @tool(name=name, effect="read")
    async def search(query: str) -> str:
        return query.upper()

    ran = compiled([search], f'1. {name}("a")\n2. {name}(query="$1$1")\n3. join()', FINISH)
    assert ran.values == {1: "A", 2: "AA"}


@pytest.mark.parametrize("head", ["- {}. ", "* {}. ", "• {}. ", "  {}. ", "\t{}. ", "> {}. ", "**{}.** ", "{}) "])
@pytest.mark.parametrize("size", [1, 1000], ids=["streamed", "whole"])
def test_row_05_a_bullet_or_indent_before_the_number(head, size):
    text = "".join(head.format(id) + call + "\n" for id, call in ((1, "echo(1)"), (2, "echo($1)"), (3, "join()")))
    ran = compiled(
        Toolbox(), Scripted(text=text, chunks=[text[at : at + size] for at in range(0, len(text), size)]), FINISH
    )
    assert ran.values == {1: 1, 2: 1}
    assert (ran.asked, ran.result.status) == (["plan", "join"], "complete")


def test_row_06_a_trailing_comment_with_parentheses():
    ran = compiled(Toolbox(), '1. echo("a") # note (x)\n2. echo("$1") // see (1)\n3. join() # done (really)', FINISH)
    assert ran.values == {1: "a", 2: "a"}


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(["Thought: abc def\n", "1. echo(1)\n2. join()"], id="in its own chunk"),
        pytest.param(["\n\n", "Thought: abc def", "\n", "\n1. echo(1)\n2. join()"], id="after a blank line"),
        pytest.param(["Thought: abc", " def\n", "1. echo(1)\n2. join()"], id="words in chunks"),
        pytest.param(list("Thought: abc def\n1. echo(1)\n2. join()"), id="by characters"),
        pytest.param(["Thought: abc def\n1. echo(1)\n2. join()"], id="with its task"),
    ],
)
def test_row_07_a_streamed_thought_goes_with_its_task(chunks):
    ran = compiled(Toolbox(), Scripted(chunks=chunks), FINISH)
    assert ran.result.tasks[1].task.thought == "abc def"
    assert ran.values == {1: 1}


def test_row_08_a_duplicate_id_keeps_the_first_task_and_repairs_the_second():
    tools = Toolbox()
    plan = '1. wait(1, "a")\n1. wait(1, "b")\n2. echo("$1")\n3. join()'
    ran = compiled(tools, plan, '3. wait(1, "b")\n2. echo("$1 $3")\n4. join()', FINISH)
    assert ran.codes == ["duplicate_id", "ambiguous_reference"]
    assert "write this task with the unused id 3" in ran.text("repair")
    assert ran.values == {1: "a", 3: "b", 2: "a b"}
    assert [call["label"] for call in tools.of("wait")] == ["a", "b"], "nothing runs twice"


def test_row_08_an_identical_duplicate_is_ignored():
    tools = Toolbox()
    ran = compiled(tools, '1. wait(1, "a")\n1. wait(1, "a")\n2. echo("$1")\n3. join()', FINISH)
    assert (ran.asked, ran.notes) == (["plan", "join"], ["duplicate_ignored"])
    assert ran.values == {1: "a", 2: "a"}
    assert len(tools.of("wait")) == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param('2. echo("$2")', "self_reference", id="self"),
        pytest.param('2. echo("$3")', "forward_reference", id="forward"),
        pytest.param("2. echo($0)", "unknown_reference", id="unquoted $0"),
    ],
)
def test_row_09_a_bad_reference_never_reaches_the_tool(line, code):
    tools = Toolbox()
    ran = compiled(tools, f"1. echo(1)\n{line}\n3. echo(3)\n4. join()", "I cannot.", FINISH)
    assert (ran.codes, ran.rejected) == ([code], [2])
    assert ran.values == {1: 1, 3: 3}
    assert ran.errors[2][0] == "plan"
    assert [call["value"] for call in tools.of("echo")] == [1, 3]
    assert (
        f'2. echo()\n   -> failed: "InvalidTask: {"task 2 refers" if code != "unknown_reference" else ""}'
        in ran.text("join")
    )


def test_row_09_a_quoted_zero_is_literal_text():
    ran = compiled(Toolbox(), '1. echo("$0 down")\n2. join()', FINISH)
    assert (ran.values, ran.notes) == ({1: "$0 down"}, ["literal_dollar"])


def test_row_10_without_join_what_was_read_runs_and_the_joiner_is_told():
    tools = Toolbox()
    ran = compiled(tools, '1. search("K2")\n2. send("Ann", "${1.value}")\n', FINISH)
    assert ran.values == {1: {"name": "K2", "value": 8611}}
    assert ran.errors[2] == (
        "dropped",
        "PlanCut: not started: the plan ended before its join, so nothing with effects may begin",
    )
    assert tools.of("send") == []
    assert "The plan broke off before its end" in ran.text("join")
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "cut")
    assert not ran.result.plans[0].complete


def test_row_10_without_join_and_without_a_success_there_is_a_typed_error():
    ran = compiled(Toolbox(), '1. search("nowhere")\n')
    assert ran.asked == ["plan"]
    assert isinstance(ran.failure, PlanError)
    assert "without a join" in str(ran.failure)
    assert ran.errors == {1: ("tool", "KeyError: 'nowhere'")}


def test_row_10_the_first_of_two_joins_ends_the_plan():
    tools = Toolbox()
    ran = compiled(tools, "1. echo(1)\n2. join()\n3. echo(3)\n4. join()", FINISH)
    assert ran.values == {1: 1}
    assert tools.of("echo") == [{"value": 1}]
    assert ran.result.status == "complete"


@pytest.mark.parametrize("text", ["I would search for both heights.", "Step one: search.\nStep two: subtract."])
def test_row_11_no_parsable_line_at_all_is_repaired_once(text):
    ran = compiled(Toolbox(), text, '1. search("K2")\n2. join()', FINISH)
    assert ran.asked == ["plan", "repair", "join"]
    assert "no task and no join" in ran.text("repair")
    assert (list(ran.values), ran.result.status) == ([1], "complete")


def test_row_12_an_unknown_tool_is_repaired():
    tools = Toolbox()
    ran = compiled(tools, '1. find("K2")\n2. search("Everest")\n3. join()', '1. search("K2")\n', FINISH)
    assert ran.codes == ["unknown_tool"]
    assert "there is no tool 'find'" in ran.text("repair")
    assert [call["query"] for call in tools.of("search")] == ["Everest", "K2"]
    assert (set(ran.values), ran.result.status) == ({1, 2}, "complete")


def test_row_12_an_unknown_tool_that_stays_unknown_fails_alone():
    ran = compiled(Toolbox(), '1. find("K2")\n2. search("K2")\n3. echo($1)\n4. join()', '1. lookup("K2")', FINISH)
    assert ran.errors == {1: ("plan", ran.errors[1][1]), 3: ("skipped", "1")}
    assert "there is no tool 'lookup'" in ran.text("join")
    assert "3. echo(value=$1)\n   -> skipped: it needs task 1, which gave no value" in ran.text("join")
    assert ran.values == {2: {"name": "K2", "value": 8611}}


@pytest.mark.parametrize(
    ("stream", "starts", "seconds"),
    [
        pytest.param(True, {1: 0.0, 2: 0.5, 3: 2.0}, 2.5, id="streamed"),
        pytest.param(False, {1: 2.0, 2: 2.5, 3: 2.0}, 3.5, id="whole plan first"),
    ],
)
def test_row_15_a_dependant_starts_at_once_while_the_planner_writes_on(stream, starts, seconds):
    # The third line comes at 2.0, long after the input of the second is there.
    chunks = ['1. wait(0.5, "a")\n2. wait(1.0, "$1")\n', '3. wait(0.5, "c")\n4. join()']
    ran = compiled(Toolbox(), Scripted(chunks=chunks, per_chunk=2.0), FINISH, stream=stream)
    assert ran.started == starts
    assert ran.result.seconds == seconds
    assert ran.values == {1: "a", 2: "a", 3: "c"}


def test_row_16_positional_arguments_bind_in_the_order_of_the_signature():
    tools = Toolbox()
    ran = compiled(tools, '1. put("k", 2)\n2. join()', FINISH)
    assert tools.of("put") == [{"key": "k", "value": 2}]
    assert ran.calls[1] == 'put(key="k", value=2)'


def test_row_17_keyword_arguments():
    tools = Toolbox()
    ran = compiled(tools, '1. search(query="K2")\n2. put("k", value=[1, "a"])\n3. join()', FINISH)
    assert tools.calls[0] == ("search", {"query": "K2"})
    assert tools.of("put") == [{"key": "k", "value": [1, "a"]}]
    assert ran.result.status == "complete"


def test_row_18_keywords_in_another_order_and_values_that_look_like_keywords():
    tools = Toolbox()
    compiled(tools, '1. send(text="a, to=\'b\', c=1", to="Ann")\n2. put(value="key=x)", key="k")\n3. join()', FINISH)
    assert tools.of("send") == [{"to": "Ann", "text": "a, to='b', c=1"}]
    assert tools.of("put") == [{"key": "k", "value": "key=x)"}]


def test_row_19_a_list_is_one_argument():
    tools = Toolbox()
    compiled(tools, "1. echo([1,2,3])\n2. join()", FINISH)
    assert tools.of("echo") == [{"value": [1, 2, 3]}]


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        pytest.param("add(1)", "missing_argument", "add needs the argument 'b'", id="missing"),
        pytest.param("add(1, 2, 3)", "too_many_arguments", "add takes 2 arguments, 3 are given", id="extra"),
    ],
)
def test_row_19_a_missing_or_extra_argument_is_repaired(call, code, said):
    tools = Toolbox()
    ran = compiled(tools, f"1. {call}\n2. join()", "1. add(1, 2)", FINISH)
    assert ran.codes == [code]
    assert said in ran.text("repair")
    assert "= add(a: number, b: number)" in ran.text("repair")
    assert tools.calls == [("add", {"a": 1, "b": 2})]


def test_row_20_an_unquoted_reference_keeps_its_type():
    tools = Toolbox()
    ran = compiled(tools, "1. add(1, 2)\n2. add($1, 3)\n3. join()", FINISH)
    assert ran.values == {1: 3, 2: 6}


def test_row_21_references_inside_dicts_and_lists():
    ran = compiled(Toolbox(), '1. echo(7)\n2. echo({"a": $1, "b": ["$1", "no $1", {"c": ${1}}]})\n3. join()', FINISH)
    assert ran.values[2] == {"a": 7, "b": [7, "no 7", {"c": 7}]}


def test_row_22_a_hundred_dollars_beside_a_reference():
    ran = compiled(Toolbox(), '1. echo("x")\n2. echo("$100 for $1")\n3. join()', FINISH)
    assert (ran.values[2], ran.notes) == ("$100 for x", ["literal_dollar"])


def test_row_23_data_never_becomes_a_reference():
    tools = Toolbox()
    plan = '1. echo("secret")\n2. echo("pay $$1 and $${1}")\n3. echo("got: $2")\n4. echo($2)\n5. join()'
    ran = compiled(tools, plan, FINISH)
    assert ran.values[2] == ran.values[4] == "pay $1 and ${1}"
    assert ran.values[3] == "got: pay $1 and ${1}"


@pytest.mark.parametrize(
    ("written", "value", "in_text"),
    [
        pytest.param("1.5", 1.5, "<1.5>", id="float"),
        pytest.param("[1, 2]", [1, 2], "<[1,2]>", id="list"),
        pytest.param('"1, 2"', "1, 2", "<1, 2>", id="text with a comma"),
        pytest.param('"12"', "12", "<12>", id="text of digits"),
        pytest.param("true", True, "<true>", id="boolean"),
        pytest.param('{"a": "é"}', {"a": "é"}, '<{"a":"é"}>', id="dict"),
        pytest.param("null", None, "<null>", id="row 25: null"),
    ],
)
def test_row_24_and_25_a_result_keeps_its_type_alone_and_is_text_within_text(written, value, in_text):
    ran = compiled(Toolbox(), f'1. echo({written})\n2. echo($1)\n3. echo("$1")\n4. echo("<$1>")\n5. join()', FINISH)
    assert ran.values == {1: value, 2: value, 3: value, 4: in_text}
    assert [type(ran.values[id]) for id in (2, 3)] == [type(value)] * 2


def test_row_26_field_access():
    plan = '1. search("K2")\n2. echo(${1}.name)\n3. echo("${1.name}: ${1[\'value\']}")\n4. echo($1.value)\n5. join()'
    ran = compiled(Toolbox(), plan, "2. echo(${1.name})", FINISH)
    assert (ran.values[3], ran.values[4]) == ("K2: 8611", 8611)
    assert ran.values[2] == "K2"


def test_row_26_a_wrong_name_is_an_error_and_never_a_guess():
    ran = compiled(Toolbox(), '1. search("K2")\n2. echo("${1.nam}")\n3. join()', FINISH)
    assert ran.errors[2] == (
        "missing_field",
        "MissingField: ${1.nam} does not exist: $1 is an object with the keys 'name', 'value'",
    )
    assert ran.errors[2][1] in ran.text("join")
