"""Hand-over: values are converted exactly or refused, arguments are private copies, results are frozen."""

import asyncio
import contextvars
import json
from datetime import date
from enum import Enum
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel

from llmcompiler import Failed, Outcome, Skipped, Succeeded, tool
from llmcompiler.journal.events import TaskEnded, TaskStarted
from llmcompiler.plan.tools import Tier
from llmcompiler.testing import run_virtual
from tests.execution import rogues
from tests.execution.running import TIERS, in_tier, outcomes_of, scripted, virtual


class Colour(Enum):
    RED = "red"


class Point(BaseModel):
    x: int
    y: int = 0


def _picky(value: str) -> str:
    return {"known": value}[value]


@tool
async def wants(
    number: float = 0,
    whole: int = 0,
    flag: bool = False,
    text: str = "",
    items: list[int] = (),  # type: ignore[assignment]
) -> list[Any]:
    return [number, whole, flag, text, list(items)]


@tool
async def wants_classes(day: date | None = None, colour: Colour | None = None, point: Point | None = None) -> str:
    return f"{day!r} {colour} {point!r}"


@tool
async def wants_known(value: Annotated[str, AfterValidator(_picky)]) -> str:
    return value


SAYS = in_tier(rogues.says, "loop")
ECHO = in_tier(rogues.echo, "loop")
FINE = in_tier(rogues.fine, "loop")


def handed(value: Any, parameter: str) -> tuple[Outcome, Outcome]:
    """Return the outcome of a task whose `parameter` is the value of an earlier one, and that of a dependant."""
    plan = f"1. echo({json.dumps(value)})\n2. wants({parameter}=$1)\n3. echo($2)\n4. fine()\n5. join()"
    outcomes = virtual(plan, [ECHO, wants, FINE])
    assert outcomes[4] == Succeeded(2), "siblings are untouched"
    return outcomes[2], outcomes[3]


@pytest.mark.parametrize(
    ("value", "parameter", "expected"),
    [
        pytest.param("8848", "number", [8848, 0, False, "", []], id="a numeral to a float"),
        pytest.param(" -8.5e3 ", "number", [-8500.0, 0, False, "", []], id="a numeral with a fraction"),
        pytest.param(8848, "number", [8848, 0, False, "", []], id="an int for a float"),
        pytest.param("12", "whole", [0, 12, False, "", []], id="a numeral to an int"),
        pytest.param(12.0, "whole", [0, 12, False, "", []], id="a whole float to an int"),
        pytest.param("true", "flag", [0, 0, True, "", []], id="true"),
        pytest.param({"a": 1}, "text", [0, 0, False, '{"a":1}', []], id="an object to its text"),
        pytest.param(["1", 2.0], "items", [0, 0, False, "", [1, 2]], id="inside a list"),
    ],
)
def test_exact_conversions_at_hand_over(value: Any, parameter: str, expected: list[Any]) -> None:
    assert handed(value, parameter) == (Succeeded(expected), Succeeded(expected))


@pytest.mark.parametrize(
    ("value", "parameter"),
    [
        ("high", "number"),
        ("8,848", "number"),
        ("nan", "number"),
        (None, "number"),
        (True, "number"),
        ([1], "number"),
        ("1.5", "whole"),
        (1.5, "whole"),
        ("yes", "flag"),
        (1, "flag"),
        (None, "text"),
        ("12", "items"),
        (["a"], "items"),
    ],
)
def test_anything_else_is_refused_before_the_tool_starts(value: Any, parameter: str) -> None:
    outcome, dependant = handed(value, parameter)
    assert isinstance(outcome, Failed)
    assert outcome.error.kind == "arguments"
    assert parameter in outcome.error.message
    assert dependant == Skipped(2)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ('day="2026-01-31"', "datetime.date(2026, 1, 31) None None"),
        ("day=$1", "datetime.date(2026, 2, 1) None None"),
        ('colour="red"', "None Colour.RED None"),
        ("point=$2", "None None Point(x=1, y=2)"),
        ('point={"x": 3}', "None None Point(x=3, y=0)"),
    ],
)
def test_annotations_are_built_from_data(argument: str, expected: str) -> None:
    plan = f'1. echo("2026-02-01")\n2. echo({{"x": 1, "y": 2}})\n3. wants_classes({argument})\n4. join()'
    assert virtual(plan, [ECHO, wants_classes])[3] == Succeeded(expected)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("value", "name"), [("2026-13-99", "wants_classes"), ("unknown", "wants_known")])
def test_what_the_annotations_refuse_is_a_failure_of_that_task_alone(value: str, name: str, tier: Tier) -> None:
    functions = {"wants_classes": ("day", typed_day), "wants_known": ("value", typed_known)}
    parameter, function = functions[name]
    tools = [in_tier(rogues.echo, tier), in_tier(rogues.fine, tier), wants_classes, wants_known]
    if tier != "loop":
        tools[2 if name == "wants_classes" else 3] = in_tier(function, tier, name=name)
    plan = f'1. echo("{value}")\n2. {name}({parameter}=$1)\n3. fine()\n4. join()'
    outcomes = asyncio.run(outcomes_of(plan, tools))
    assert isinstance(outcomes[2], Failed)
    assert outcomes[2].error.kind == "arguments"
    assert outcomes[3] == Succeeded(2)


def typed_day(day: date) -> str:
    return repr(day)


def typed_known(value: Annotated[str, AfterValidator(_picky)]) -> str:
    return value


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("${1.height}", "an object with the keys 'name', 'list'"),
        ("${1.list[7]}", "a list of 1 items"),
        ("${1.name.first}", "which has no parts"),
        ("${1.list.append}", "a list of 1 items"),
        ("${1[0]}", "an object with the keys"),
        ("see ${1.height}", "an object with the keys"),
    ],
)
def test_a_path_that_leads_nowhere(path: str, said: str) -> None:
    plan = f'1. echo({{"name": "Everest", "list": [1]}})\n2. again("{path}")\n3. echo("$2")\n4. fine()\n5. join()'
    again = in_tier(rogues.echo, "loop", name="again", retries=3)
    agent = scripted(plan, tools=[ECHO, again, FINE])
    result = run_virtual(agent.arun("q"))
    outcome = result.tasks[2].outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.kind == "missing_field"
    assert said in outcome.error.message
    assert result.tasks[3].outcome == Skipped(2)
    assert result.tasks[4].outcome == Succeeded(2)
    assert result.tasks[2].started is None, "its tool was never called"


# Private copies


def spoil(value: Any) -> str:
    """Change whatever can be changed in an argument."""
    if isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value["spoilt"] = True
    elif isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("spoilt")
    return "spoilt"


NESTED = {"list": [1, {"a": [2]}], "text": "x"}


@pytest.mark.parametrize("tier", ["loop", "thread"])
def test_a_tool_that_changes_its_arguments_changes_nothing_else(tier: Tier) -> None:
    tools = [in_tier(rogues.echo, tier), in_tier(spoil, tier)]
    plan = f"""1. echo({json.dumps(NESTED)})
2. spoil($1)
3. spoil({json.dumps(NESTED)})
4. spoil([$1, "${{1.list}}"])
5. echo([$1, "$2", "$3", "$4"])
6. echo("${{1.list}}")
7. join()"""
    agent = scripted(plan, tools=tools)
    result = asyncio.run(agent.arun("q"))
    assert result.tasks[1].outcome == Succeeded(NESTED)
    assert result.tasks[5].outcome == Succeeded([NESTED, "spoilt", "spoilt", "spoilt"])
    assert result.tasks[6].outcome == Succeeded(NESTED["list"])
    handed = {event.id: event.arguments for event in result.events if isinstance(event, TaskStarted)}
    assert handed[2] == handed[3] == {"value": NESTED}
    assert handed[4] == {"value": [NESTED, NESTED["list"]]}
    assert result.tasks[2].arguments == {"value": NESTED}
    assert "spoilt" not in repr(result.plans)


@pytest.mark.parametrize("tier", ["loop", "thread"])
def test_a_tool_that_keeps_its_result_cannot_change_it(tier: Tier) -> None:
    kept: list[Any] = []

    def gives() -> Any:
        kept.append({"list": [1, {"a": [2]}], "text": "x"})
        return kept[-1]

    def changes(after: Any) -> int:
        spoil(kept[0])
        return len(kept)

    tools = [in_tier(gives, tier), in_tier(changes, tier), in_tier(rogues.echo, tier)]
    agent = scripted("1. gives()\n2. changes($1)\n3. echo([$1, $2])\n4. join()", tools=tools)
    result = asyncio.run(agent.arun("q"))
    assert "spoilt" in kept[0]
    assert result.tasks[1].outcome == Succeeded(NESTED)
    assert result.tasks[3].outcome == Succeeded([NESTED, 1])
    ended = {event.id: event.outcome for event in result.events if isinstance(event, TaskEnded)}
    assert ended[1] == Succeeded(NESTED)


def test_each_attempt_gets_arguments_of_its_own() -> None:
    seen = []

    @tool(retries=1)
    async def again(value: list[int]) -> int:
        seen.append(list(value))
        value.append(9)
        if len(seen) == 1:
            raise ValueError("broken")
        return 1

    assert virtual("1. again([1])\n2. join()", [again])[1] == Succeeded(1)
    assert seen == [[1], [1]]


def test_two_tasks_never_share_an_argument() -> None:
    kept: list[list[int]] = []

    @tool
    async def keeps(value: list[int]) -> int:
        kept.append(value)
        return len(kept)

    virtual("1. echo([1])\n2. keeps($1)\n3. keeps($1)\n4. keeps([1])\n5. keeps([1])\n6. join()", [ECHO, keeps])
    assert len({id(value) for value in kept}) == 4


def test_a_context_variable_set_by_one_task_is_not_seen_by_another() -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def sets() -> str:
        variable.set("set")
        return "set"

    async def reads(after: Any) -> str:
        return variable.get()

    outcomes = virtual("1. sets()\n2. reads($1)\n3. join()", [tool(sets), tool(reads)])
    assert outcomes[2] == Succeeded("unset")
