"""Planner output, P01 to P07 of reliability.md: names, arguments, paths, containers. Each fault is found while the plan
streams, told to the planner once with its place and a remedy, and never reaches a tool; good tasks run meanwhile."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import Field

from llmcompiler import LLMCompiler, NotAPlan, Plan, PlanError, parse_plan, tool
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from tests.matrix.helpers import FINISH, QUESTION, Ran, Toolbox, compiled


def diagnosed(line: str, *, tools: Toolbox | list[object] | None = None) -> Ran:
    """Run a plan with one bad line after two good ones; check what holds for every fault, and return the run."""
    box = Toolbox()
    everything = [*box, *(tools or [])]
    plan = f'1. echo({{"name": "K2", "list": [8611]}})\n2. echo(2)\n3. {line}\n4. echo([$3])\n5. join()'
    ran = compiled(everything, plan, Scripted(text="3. echo(3)\n4. join()", first_token=9.0), FINISH)
    assert ran.asked == ["plan", "repair", "join"]
    assert "(line 3)" in ran.text("repair")
    assert f"   3 | 3. {line}" in ran.text("repair")
    assert "nothing else: task 3." in ran.text("repair")
    assert ran.started == {1: 0.0, 2: 0.0, 3: 9.0, 4: 9.0}, "good tasks start at once, dependants wait for the repair"
    assert ran.values == {1: {"name": "K2", "list": [8611]}, 2: 2, 3: 3, 4: [3]}
    assert {name for name, _ in box.calls} == {"echo"}, "nothing of the bad line was called"
    assert (ran.rejected, ran.result.status, len(ran.result.plans)) == ([], "complete", 1)
    with pytest.raises(PlanError) as refusal:
        parse_plan(plan, tools=everything)
    assert [error.code for error in refusal.value.diagnostics] == ran.codes, "without a planner there is no repair"
    return ran


def test_a_dry_run_repairs_too_and_runs_nothing():
    box = Toolbox()

    async def work(*replies: str) -> Plan:
        with ScriptedModel(replies) as model:
            return await LLMCompiler(model, list(box), examples=[]).plan(QUESTION)

    plan = run_virtual(work('1. serch("K2")\n2. echo("$1")\n3. join()', '1. search("K2")'))
    assert str(plan) == '1. search(query="K2")\n2. echo(value=$1)\n3. join()'
    with pytest.raises(PlanError, match="there is no tool 'serch'"):
        run_virtual(work('1. serch("K2")\n2. join()', "I cannot."))
    with pytest.raises(NotAPlan, match="It said: I cannot"):
        run_virtual(work("I cannot.", "I cannot."))
    assert box.calls == []


@tool
async def teleport(to: str) -> str:
    return to


@tool
async def paint(color: Literal["red", "blue"], coats: Annotated[int, Field(ge=1, le=3)] = 1) -> str:
    return f"{coats} x {color}"


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        pytest.param('serch("K2")', "= did you mean search", id="P01a misspelt"),
        pytest.param('Search("K2")', "= did you mean search", id="P01b wrong case"),
        pytest.param('fetch_page("K2")', "= ", id="P01c absent"),
        pytest.param('teleport("K2")', "= ", id="P01d not enabled for this run"),
    ],
)
def test_P01_an_unknown_tool_is_named_with_the_nearest_ones(line, remedy):
    ran = diagnosed(line)
    assert ran.codes == ["unknown_tool"]
    assert f"error[unknown_tool]: there is no tool '{line.partition('(')[0]}' (line 3)" in ran.text("repair")
    assert remedy in ran.text("repair")


@pytest.mark.parametrize(
    ("line", "codes", "said"),
    [
        pytest.param("add()", ["missing_argument"] * 2, "add needs the argument 'a'", id="P02a none"),
        pytest.param("add(1)", ["missing_argument"], "add needs the argument 'b'", id="P02b too few"),
        pytest.param("add(1, 2, 3)", ["too_many_arguments"], "add takes 2 arguments, 3 are given", id="P02c too many"),
    ],
)
def test_P02_a_wrong_count_of_arguments(line, codes, said):
    ran = diagnosed(line)
    assert ran.codes == codes
    assert said in ran.text("repair")
    assert "= add(a: number, b: number)" in ran.text("repair")


def test_P02d_a_trailing_comma_is_accepted():
    ran = compiled(Toolbox(), "1. add(1, 2,)\n2. echo([1, 2,],)\n3. join()", FINISH)
    assert (ran.values, ran.asked) == ({1: 3, 2: [1, 2]}, ["plan", "join"])


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        pytest.param('add("one", 2)', "wrong_type", 'expected number, found string "one"', id="P03a text for a number"),
        pytest.param('add("1", 2)', "wrong_type", 'expected number, found string "1"', id="P03a literals are strict"),
        pytest.param("search(Everest)", "bare_word", "'Everest' is neither a literal nor a ref", id="P03b bare word"),
        pytest.param('paint("green")', "wrong_type", 'expected one of "red", "blue", found "green"', id="P03c enum"),
        pytest.param("search(null)", "wrong_type", "expected string, found null", id="P03d null"),
        pytest.param('paint("red", 4)', "wrong_type", "4 is greater than the maximum of 3", id="P03e range"),
        pytest.param(
            'paint("red", 1.5)', "wrong_type", "expected integer, found number 1.5", id="P03e no whole number"
        ),
    ],
)
def test_P03_an_argument_of_the_wrong_type(line, code, said):
    ran = diagnosed(line, tools=[paint])
    assert ran.codes == [code]
    assert said in ran.text("repair")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("add(a=1, b=2)", id="P04a all"),
        pytest.param("add(b=2, a=1)", id="P04a in another order"),
        pytest.param("add(1, b=2)", id="P04b mixed"),
    ],
)
def test_P04_keywords_are_accepted(call):
    tools = Toolbox()
    assert compiled(tools, f"1. {call}\n2. join()", FINISH).values == {1: 3}
    assert tools.calls == [("add", {"a": 1, "b": 2})]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        pytest.param('search(queri="K2")', "unknown_argument", "search has no argument 'queri'", id="P04c unknown"),
        pytest.param("add(a=1, a=2)", "repeated_argument", "argument 'a' is given twice", id="P04d repeated"),
        pytest.param("add(1, a=2)", "repeated_argument", "given by position and by keyword", id="P04d by position too"),
        pytest.param("add(a=1, 2)", "positional_after_keyword", "after a keyword argument", id="P04e positional after"),
    ],
)
def test_P04_bad_keywords_are_rejected_with_their_place(line, code, said):
    ran = diagnosed(line)
    assert code in ran.codes
    assert said in ran.text("repair")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param("add(add(1, 2), 3)", "computation", id="P05a nested call"),
        pytest.param("echo($1*2)", "computation", id="P05b operator"),
        pytest.param("echo(2 + 2)", "computation", id="P05b literals"),
        pytest.param('echo("a" + "b")', "computation", id="P05b texts"),
        pytest.param("echo(-$1)", "computation", id="P05b sign"),
        pytest.param("echo([x for x in $1])", "bare_word", id="P05b comprehension"),
        pytest.param("echo(__import__('os').system('touch /tmp/x'))", "computation", id="P05c Python"),
        pytest.param('echo("a".upper())', "computation", id="P05c method"),
        pytest.param("echo(lambda: 1)", "bare_word", id="P05c lambda"),
        pytest.param('echo(f"{1 + 1}")', "f_string", id="P05d f-string"),
    ],
)
def test_P05_nothing_is_computed_in_an_argument(line, code):
    ran = diagnosed(line)
    assert ran.codes == [code]


def test_P05b_a_computation_in_quotes_is_text():
    ran = compiled(Toolbox(), '1. echo(7)\n2. echo("$1*2")\n3. echo("add(1, 2)")\n4. join()', FINISH)
    assert ran.values == {1: 7, 2: "7*2", 3: "add(1, 2)"}


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        pytest.param("$1.name", "K2", id="P06a attribute"),
        pytest.param("$1.list[0]", 8611, id="P06b index"),
        pytest.param("$1.list[-1]", 8611, id="P06b from the end"),
        pytest.param('$1["a key"]', True, id="P06b key"),
        pytest.param("${1.name}", "K2", id="P06c braced"),
        pytest.param('"${1.name}"', "K2", id="P06c quoted"),
        pytest.param("\"<${1['a key']}>\"", "<true>", id="P06c in a text"),
        pytest.param(
            '"$1.name"', '{"name":"K2","list":[8611],"a key":true}.name', id="P06 a bare path in quotes is text"
        ),
    ],
)
def test_P06_a_path_leads_into_plain_data(ref, value):
    plan = f'1. echo({{"name": "K2", "list": [8611], "a key": true}})\n2. echo({ref})\n3. join()'
    ran = compiled(Toolbox(), plan, FINISH)
    assert ran.values[2] == value


def test_P06c_braces_hold_the_whole_ref():
    assert diagnosed("echo(${1}.name)").codes == ["computation"]


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        pytest.param("$1.nam", "$1 is an object with the keys 'name'", id="a name"),
        pytest.param("$1.name.first", '$1.name is "K2", which has no parts', id="inside a text"),
        pytest.param("${1.list[1]}", "$1.list is a list of 1 items", id="an index"),
        pytest.param("$1.keys", "$1 is an object with the keys 'name'", id="no attribute of an object"),
        pytest.param('"see ${1.nam}"', "$1 is an object with the keys 'name'", id="in a text"),
    ],
)
def test_P06d_a_path_that_is_absent_fails_at_run_time(ref, said):
    tools = Toolbox()
    plan = f'1. echo({{"name": "K2", "list": [8611]}})\n2. echo({ref})\n3. echo("$2")\n4. echo(4)\n5. join()'
    ran = compiled(tools, plan, FINISH)
    kind, text = ran.errors[2]
    assert (kind, said in text) == ("missing_field", True), text
    assert ran.errors[3] == ("skipped", "2")
    assert ran.values == {1: {"name": "K2", "list": [8611]}, 4: 4}
    assert json.dumps(text) in ran.text("join")


@pytest.mark.parametrize(
    "ref", ["$1.__class__", "${1.__class__}", '"${1.__dict__}"', "$1._private", '$1["__globals__"]', "$1.name.__len__"]
)
def test_P06e_private_names_are_rejected_while_reading(ref):
    assert diagnosed(f"echo({ref})").codes == ["private_path"]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        pytest.param("[1, 'a', null, [true]]", [1, "a", None, [True]], id="P07a list"),
        pytest.param("(1, 2)", [1, 2], id="P07a tuple"),
        pytest.param("{'a': 1, \"b\": {}}", {"a": 1, "b": {}}, id="P07b dict"),
        pytest.param('[$1, "$2", "<$1>"]', [7, "x", "<7>"], id="P07c list with refs"),
        pytest.param('{"one": $1, "two": [$2, {"in": "${2}"}]}', {"one": 7, "two": ["x", {"in": "x"}]}, id="P07c dict"),
        pytest.param('"${1}+${2}"', "7+x", id="P07e text join"),
        pytest.param('"$1$2$1"', "7x7", id="P07e side by side"),
    ],
)
def test_P07_containers_and_refs_in_them(argument, value):
    ran = compiled(Toolbox(), f'1. echo(7)\n2. echo("x")\n3. echo({argument})\n4. join()', FINISH)
    assert ran.values[3] == value


def test_P07d_two_bare_refs_are_two_arguments():
    tools = Toolbox()
    ran = compiled(tools, "1. echo(7)\n2. echo(8.5)\n3. add($1, $2)\n4. join()", FINISH)
    assert (ran.values[3], tools.of("add")) == (15.5, [{"a": 7, "b": 8.5}])
