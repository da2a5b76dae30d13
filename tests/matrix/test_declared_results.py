"""O13 of reliability.md: what a tool declares of its results is shown to the planner, checked before any dependant starts,
and held against refs while the plan is read."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from llmcompiler import Failed, LLMCompiler, PlanError, Skipped, Succeeded, UsageError, parse_plan, tool
from llmcompiler.plan.tools import Tier
from llmcompiler.testing import ScriptedModel
from tests.execution.running import TIERS, in_tier, outcomes_of
from tests.matrix import outputs
from tests.matrix.helpers import FINISH, Toolbox, compiled

each_tier = pytest.mark.parametrize("tier", TIERS)


class Peak(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    height: float | None = None


@dataclass
class Range:
    name: str
    peaks: list[Peak]


class Open(BaseModel):
    value: float


CLOSED = {
    "type": "object",
    "properties": {"value": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["value"],
    "additionalProperties": False,
}

ROWS = [
    ("O13a", CLOSED, {"value": "8849"}, '$.value: expected number, found string "8849"'),
    ("O13a", CLOSED, [1], "$: expected object, found array [1]"),
    ("O13a", CLOSED, {"value": 1, "tags": ["a", 2]}, "$.tags[1]: expected string, found integer 2"),
    ("O13a", float, None, "$: expected number, found null null"),
    ("O13a", list[int], [1, 2.5], "$[1]: expected integer, found number 2.5"),
    ("O13b", CLOSED, {"value": 1, "more": 2}, "$: Additional properties are not allowed ('more' was unexpected)"),
    ("O13b", Peak, {"name": "K2", "hight": 1}, "$: Additional properties are not allowed ('hight' was unexpected)"),
    ("O13c", CLOSED, {"tags": []}, "$ lacks the field 'value' that the tool says it returns"),
    (
        "O13c",
        Range,
        {"name": "a", "peaks": [{"name": "b"}, {}]},
        "$.peaks[1] lacks the field 'name' that the tool says",
    ),
    ("O13a", {"type": "string", "pattern": "^a"}, "b", "$: 'b' does not match '^a'"),
    (
        "O13a",
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        1,
        "the schema of its results cannot be applied",
    ),
]
FITTING = [
    (CLOSED, {"value": 1, "tags": ["a"]}),
    (CLOSED, {"value": 1.5}),
    (Peak, {"name": "K2"}),
    (Range, {"name": "a", "peaks": [{"name": "b", "height": None}]}),
    (Open, {"value": 1, "more": "is allowed"}),
    (dict[str, list[int]], {"a": [1], "b": []}),
    (int | None, None),
    (Any, [{}]),
    (None, "nothing is declared"),
]


@each_tier
def test_O13_what_does_not_fit_is_a_failure_that_names_the_place(tier: Tier) -> None:
    for row, returns, value, said in ROWS:
        gives = in_tier(outputs.reports_an_error, tier, returns=returns)
        plan = f"1. reports_an_error({json.dumps(value)})\n2. echo($1)\n3. fine()\n4. join()"
        outcomes = asyncio.run(outcomes_of(plan, [gives, outputs.echo, outputs.fine]))
        failure = outcomes[1]
        assert isinstance(failure, Failed), row
        assert (failure.error.kind, failure.error.type) == ("value", "WrongResult")
        assert failure.error.message.startswith(said), failure.error.message
        assert (outcomes[2], outcomes[3]) == (Skipped(1), Succeeded("fine"))


@each_tier
def test_O13_what_fits_is_handed_on_as_it_is(tier: Tier) -> None:
    for returns, value in FITTING:
        gives = in_tier(outputs.reports_an_error, tier, returns=returns)
        plan = f"1. reports_an_error({json.dumps(value)})\n2. echo($1)\n3. join()"
        outcomes = asyncio.run(outcomes_of(plan, [gives, outputs.echo]))
        assert outcomes == {1: Succeeded(value), 2: Succeeded(value)}, returns


@each_tier
def test_O13_a_big_result_is_checked_too(tier: Tier) -> None:
    fits = in_tier(outputs.big_list, tier, returns=list[int])
    wrong = in_tier(outputs.big_record, tier, returns={"properties": {"rows": {"maxItems": 3}}})
    outcomes = asyncio.run(
        outcomes_of("1. big_list()\n2. big_record()\n3. count($1)\n4. join()", [fits, wrong, outputs.count])
    )
    assert outcomes[3] == Succeeded(1_000_000)
    assert isinstance(outcomes[2], Failed)
    assert outcomes[2].error.message.startswith("$.rows: ")


def test_O13_a_wrong_result_is_not_tried_again_and_the_joiner_is_told() -> None:
    calls = []

    @tool(retries=3, effect="read", returns=float)
    async def measure() -> Any:
        calls.append(1)
        return "high"

    ran = compiled([measure], "1. measure()\n2. join()", FINISH)
    assert len(calls) == 1
    assert '1. measure()\n   -> failed: "WrongResult: $: expected number, found string \\"high\\""' in ran.text("join")


@tool(returns=Range, effect="read")
async def look(name: str) -> Any:
    """Return a range."""
    return {"name": name, "peaks": [{"name": "K2", "height": 8611}]}


@tool(returns=CLOSED, effect="read")
async def value(of: str) -> Any:
    return {"value": 1}


@tool(returns=float)
async def number() -> float:
    return 1.0


TOOLS = [look, value, number, Toolbox().echo()]


def test_O13_the_planner_is_told_what_a_tool_returns() -> None:
    model = ScriptedModel(["1. number()\n2. join()", FINISH])
    asyncio.run(LLMCompiler(model, TOOLS, examples=()).arun("q"))
    told = model.prompts[0].messages[0].text
    assert '- look(name: string) -> {"name": string, "peaks": list of Peak}: Return a range.\n' in told
    assert '  Peak: {"name": string, "height": number or null (optional)}\n' in told
    assert '- value(of: string) -> {"value": number, "tags": list of string (optional)}\n' in told
    assert "- number() -> number\n" in told
    assert "- echo(value: any): Return the value.\n" in told


@pytest.mark.parametrize(
    ("first", "ref", "said", "remedy"),
    [
        ('value("a")', "${1.valeu}", "${1.valeu}: $1 never has a field 'valeu'", "did you mean value?"),
        ('value("a")', '"about ${1.val}"', "${1.val}: $1 never has a field 'val'", "did you mean value?"),
        ('value("a")', "${1[0]}", "${1[0]}: $1 is of type object, which has no items by number", "use $1"),
        ('value("a")', "${1.value.amount}", "$1.value is of type number, which has no fields", "use $1.value"),
        ('value("a")', '{"a": [${1.tags.first}]}', "$1.tags is of type array, which has no fields", "use $1.tags"),
        ("number()", "${1.value}", "$1 is of type number, which has no fields", "use $1"),
        ('look("a")', "${1.peaks[0].hight}", "$1.peaks[0] never has a field 'hight'", "did you mean height?"),
    ],
)
def test_O13_a_ref_to_what_is_never_there_is_repaired_before_it_runs(
    first: str, ref: str, said: str, remedy: str
) -> None:
    ran = compiled(TOOLS, f"1. {first}\n2. echo({ref})\n3. join()", "2. echo($1)\n3. join()", FINISH)
    assert ran.codes == ["unknown_field"]
    assert f"error[unknown_field]: {said if said.startswith('${') else ''}" in ran.text("repair")
    assert said in ran.text("repair")
    assert f"= {remedy}" in ran.text("repair")
    assert ran.values[2] == ran.values[1]
    with pytest.raises(PlanError, match="unknown_field"):
        parse_plan(f"1. {first}\n2. echo({ref})\n3. join()", tools=TOOLS)


@pytest.mark.parametrize(
    "ref",
    ["${1.name}", "${1.anything}", "${1.anything[0].at.all}", "${1.peaks[5].name}", '${1.peaks[-1]["height"]}', "$1"],
)
def test_O13_a_ref_to_what_may_be_there_is_not_diagnosed(ref: str) -> None:
    assert len(parse_plan(f'1. look("a")\n2. echo({ref})\n3. join()', tools=TOOLS)) == 2


def test_O13_a_ref_to_a_task_of_a_tool_that_declares_nothing_is_found_at_hand_over() -> None:
    ran = compiled(TOOLS, '1. echo({"a": 1})\n2. echo(${1.b})\n3. join()', FINISH)
    assert ran.errors[2][0] == "missing_field"


def test_O13_a_schema_may_be_given_later() -> None:
    plain = tool(outputs.fine)
    assert plain.spec.returns is None
    assert plain.revised({"returns": str}, {}).spec.returns == {"type": "string"}
    assert plain.revised({"returns": CLOSED}, {}).revised({"returns": None}, {}).rule is None
    assert plain.revised({}, {"error_field": "error"}).spec.policy.error_field == "error"


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ({"type": "nonsense"}, "returns is no JSON schema"),
        ({"$ref": "https://example.org/schema"}, "leads nowhere, and nothing is fetched"),
        (object(), "is no type that JSON schema can describe"),
    ],
)
def test_O13_what_is_no_schema_is_refused(returns: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"tool fine: .*{said}"):
        tool(returns=returns)(outputs.fine)
