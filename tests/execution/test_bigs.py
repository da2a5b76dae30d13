"""Big values among the arguments of calls: told apart without being read, shared like any other."""

import asyncio
from typing import Any

import pytest

from llmcompiler import Failed, Limits, LLMCompiler, RunFailed, Skipped, Succeeded, tool
from llmcompiler.plan.values import BIG, is_big, weight
from tests.execution.running import FINISH, outcomes_of, scripted

ROWS = {"rows": list(range(2 * BIG)), "name": "rows", "other": list(range(2 * BIG)), "ref": {"big": [1, "rows"]}}


class Counter:
    """Reads that note their calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def tools(self) -> list[Any]:
        @tool(effect="read")
        async def rows(seed: int = 0) -> Any:
            self.calls.append(f"rows {seed}")
            return ROWS

        @tool(effect="read")
        async def count(value: Any) -> str:
            self.calls.append("count")
            return f"{type(value).__name__} {len(value) if hasattr(value, '__len__') else value}"

        @tool(effect="read")
        async def numbers(values: list[float]) -> float:
            self.calls.append("numbers")
            return sum(values)

        return [rows, count, numbers]


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("$1", "$1", True),
        ("$1", '"${1}"', True),
        ("$1", "$2", True),
        ("${1.rows}", "${1.rows}", True),
        ("${1.rows}", "${1.other}", False),
        ("[${1.rows}]", "[${1.rows}]", True),
        ("[${1.rows}]", "${1.rows}", False),
        ('{"a": $1, "b": ${1.name}}', '{"b": ${1.name}, "a": $1}', True),
        ('{"a": $1, "b": ${1.name}}', '{"a": $1, "b": ${1.ref}}', False),
        ('[${1.rows}, {"big": [1, "rows"]}]', '[{"big": [1, "rows"]}, ${1.rows}]', False),
        ("[${1.rows}, ${1.ref}]", "[${1.rows}, ${1.rows}]", False),
        ('"<${1.rows}>"', '"<${1.rows}>"', True),
        ('"<${1.rows}>"', '"<${1.other}> "', False),
        ("${1.name}", "${3.name}", True),
        ("${1.rows}", "${3.rows}", False),
    ],
)
def test_calls_are_shared_just_if_they_are_the_same(one: str, other: str, are_same: bool) -> None:
    counter = Counter()
    plan = f"1. rows(1)\n2. rows(1)\n3. rows(3)\n4. count({one})\n5. count({other})\n6. join()"
    result = asyncio.run(scripted(plan, tools=counter.tools()).arun("q"))
    assert counter.calls.count("count") == (1 if are_same else 2)
    assert counter.calls.count("rows 1") == 1
    values = {id: record.outcome for id, record in result.tasks.items()}
    assert all(isinstance(outcome, Succeeded) for outcome in values.values())
    assert (values[4] == values[5]) or not are_same


def test_a_missing_field_beside_a_big_value_is_told_and_nothing_is_called() -> None:
    counter = Counter()
    plan = "1. rows()\n2. count([$1, ${1.nam}])\n3. count($2)\n4. count(${1.rows[99999]})\n5. join()"
    outcomes = asyncio.run(outcomes_of(plan, counter.tools()))
    assert isinstance(outcomes[2], Failed)
    assert isinstance(outcomes[4], Failed)
    assert (outcomes[2].error.kind, outcomes[4].error.kind) == ("missing_field", "missing_field")
    assert outcomes[3] == Skipped(2)
    assert "count" not in counter.calls


def test_a_big_value_is_checked_and_converted_at_hand_over() -> None:
    @tool
    async def numerals() -> list[str]:
        return [str(number) for number in range(BIG)] + ["0.5"]

    @tool
    async def words() -> list[str]:
        return ["word"] * (BIG + 1)

    plan = "1. numerals()\n2. numbers($1)\n3. words()\n4. numbers($3)\n5. join()"
    outcomes = asyncio.run(outcomes_of(plan, [*Counter().tools(), numerals, words]))
    assert outcomes[2] == Succeeded(sum(range(BIG)) + 0.5)
    assert isinstance(outcomes[4], Failed)
    assert outcomes[4].error.kind == "arguments"
    assert outcomes[1].value[0] == "0", "what was converted was a copy"  # type: ignore[union-attr]


def test_a_plan_that_repeats_calls_with_big_values_is_no_progress() -> None:
    counter = Counter()
    plan = "1. rows()\n2. count($1)\n3. join()"
    agent = scripted(
        plan, "4. rows()\n5. count($4)\n6. join()", answers=("Action: Replan(x)", FINISH), tools=counter.tools()
    )
    result = asyncio.run(agent.arun("q"))
    assert (result.status, result.stopped_by) == ("partial", "no_progress")
    assert counter.calls == ["rows 0", "count"]


def test_a_call_with_a_big_value_is_not_served_from_the_cache_of_another_run() -> None:
    """A big value is told by the task that gave it, which is another one in each run."""
    sizes = iter([2 * BIG, 3 * BIG])

    @tool
    async def rows() -> list[int]:
        return [0] * next(sizes)

    @tool(effect="read", cache=60)
    async def count(value: list[int]) -> int:
        return len(value)

    plan = "1. rows()\n2. count($1)\n3. join()"
    agent = scripted(plan, plan, answers=(FINISH, FINISH), tools=[rows, count])

    async def twice() -> list[Any]:
        return [(await agent.arun("q")).tasks[2].outcome for _ in range(2)]

    assert asyncio.run(twice()) == [Succeeded(2 * BIG), Succeeded(3 * BIG)]


def test_a_run_that_is_stopped_while_big_arguments_are_copied_ends() -> None:
    agent: LLMCompiler = scripted(
        "1. rows()\n2. count($1)\n3. join()", answers=(FINISH,), tools=Counter().tools(), limits=Limits(seconds=0.001)
    )
    try:
        result = asyncio.run(agent.arun("q"))
    except RunFailed as failure:
        result = failure.result
    assert result.stopped_by == "seconds"


@pytest.mark.parametrize(
    ("value", "big"),
    [
        (None, False),
        ("x" * 40 * BIG, False),
        ("x" * 60 * BIG, True),
        ([0] * (BIG - 1), False),
        ([0] * BIG, True),
        ({str(key): 0 for key in range(BIG)}, True),
        ([["x" * 5 * BIG] for _ in range(20)], True),
        ([[[[[]]]]] * 1_000, False),
    ],
)
def test_big_is_what_takes_long_to_walk_through(value: Any, big: bool) -> None:
    assert is_big(value) is big
    assert (weight(value) > BIG) is big


def test_a_value_without_end_is_big() -> None:
    value: list[Any] = []
    value.append(value)
    assert is_big(value)
