"""BFCL: the reference plan of every row is legal and right, anything less is wrong; which cases; missing data."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmcompiler import LLMCompiler, PlanError, RunResult, Succeeded, UsageError, parse_plan
from llmcompiler.bench.suites.bfcl import Bfcl, bfcl_suite
from llmcompiler.bench.suites.bfcl.checker import Call, all_match
from llmcompiler.bench.suites.bfcl.functions import CONTRADICTIONS, json_schema, tools_of
from llmcompiler.bench.suites.bfcl.reference import reference_plan
from llmcompiler.bench.suites.bfcl.rows import CATEGORIES, Row, read_rows
from llmcompiler.bench.suites.suite import Case
from llmcompiler.models.model import Prompt
from llmcompiler.testing import run_virtual
from llmcompiler.toolkit.tool import Tool

DATA = Path(__file__).parents[2].parent / "shared" / "data"


class Ideal:
    """A model that writes one plan, and then an answer."""

    def __init__(self, plan: str) -> None:
        self.plan = plan

    async def stream(self, prompt: Prompt) -> AsyncIterator[str]:
        yield self.plan if prompt.purpose == "planner" else "Action: Finish(done)"


@pytest.fixture(scope="module")
def suite() -> Bfcl:
    return Bfcl()


@pytest.fixture(scope="module")
def cases(suite: Bfcl) -> list[Case]:
    return suite.cases(DATA, 10_000)


@pytest.fixture(scope="module")
def tools(suite: Bfcl, cases: list[Case]) -> Mapping[str, list[Tool[..., Any]]]:
    return {case.id: suite.tools(case) for case in cases}


@pytest.fixture(scope="module")
def rows() -> Mapping[str, Row]:
    return {row.id: row for category in CATEGORIES for row in read_rows(category, DATA)}


# --- reference plans


def test_every_reference_plan_is_legal_and_whole(cases: list[Case], tools: Mapping[str, list[Tool[..., Any]]]) -> None:
    for case in cases:
        plan = parse_plan(case.plan, tools=tools[case.id])
        assert plan.complete, case.id
        assert plan.notes == (), case.id
        assert not any(task.inputs for task in plan), case.id
    assert len(cases) == 1000


def test_every_reference_plan_is_right_when_an_agent_carries_it_out(
    suite: Bfcl, cases: list[Case], tools: Mapping[str, list[Tool[..., Any]]]
) -> None:
    async def all_of_them() -> list[RunResult]:
        agents = [LLMCompiler(Ideal(case.plan), tools[case.id], limits=bfcl_suite().limits) for case in cases]
        return [await agent.arun(case.question) for agent, case in zip(agents, cases, strict=True)]

    results = run_virtual(all_of_them())
    assert [case.id for case, result in zip(cases, results, strict=True) if suite.score(case, result) != 1.0] == []
    ended = [record.outcome for result in results for record in result.tasks.values()]
    assert len(ended) == 1747
    assert all(isinstance(outcome, Succeeded) for outcome in ended)


def planned(row: Row) -> list[Call]:
    """Return the calls of a row's reference plan."""
    return [Call(task.tool, json.loads(json.dumps(dict(task.kwargs)))) for task in parse_plan(reference_plan(row))]


def mutations(calls: list[Call]) -> Iterator[tuple[str, list[Call]]]:
    """Yield calls that are wrong, and what is wrong with them."""
    for place, call in enumerate(calls):
        others = [*calls[:place], *calls[place + 1 :]]
        yield "a call less", others
        yield "a call twice", [*calls, call]
        yield "another function", [*others, replace(call, function=call.function + "_")]
        yield "an unexpected argument", [*others, replace(call, arguments={**call.arguments, "surplus": 1})]
        for name in call.arguments:
            less = {key: value for key, value in call.arguments.items() if key != name}
            yield f"without {name}", [*others, replace(call, arguments=less)]
            for strange in ("no such value", -987654.5, ["no such value"], {"no": "such"}, None):
                yield f"{name}={strange!r}", [*others, replace(call, arguments={**call.arguments, name: strange})]


def test_what_differs_from_a_reference_plan_is_wrong_in_every_row(rows: Mapping[str, Row]) -> None:
    for row in rows.values():
        calls = planned(row)
        assert all_match(calls, row.expected, row.functions), row.id
        for what, wrong in mutations(calls):
            assert not all_match(wrong, row.expected, row.functions), (row.id, what)


def test_order_is_of_no_account_but_where_bfcl_takes_the_first_call_that_fits(rows: Mapping[str, Row]) -> None:
    backwards = {id for id, row in rows.items() if not all_match(planned(row)[::-1], row.expected, row.functions)}
    assert backwards == {"parallel_178"}  # its first answer takes Apple for Microsoft as well


def test_a_listed_contradiction_is_one(rows: Mapping[str, Row]) -> None:
    for id, function, parameter in CONTRADICTIONS:
        declared = tools_of(replace(rows[id], id="not listed"))
        with pytest.raises(PlanError, match=rf"wrong_type\]: argument '{parameter}'.*\n.*{function}"):
            parse_plan(reference_plan(rows[id]), tools=declared)


# --- functions as tools


def test_bfcl_types_become_json_schema() -> None:
    declared = {
        "type": "dict",
        "description": "A place.",
        "properties": {
            "at": {"type": "tuple", "items": {"type": "float"}},
            "kind": {"type": "any", "optional": True, "default": "city"},
            "size": {"type": "string", "enum": ["s", "l"]},
            "old": {"type": "array", "items": {"type": "dict", "properties": {"since": {"type": "integer"}}}},
        },
        "required": ["at"],
    }
    assert json_schema(declared) == {
        "type": "object",
        "description": "A place.",
        "properties": {
            "at": {"type": "array", "items": {"type": "number"}},
            "kind": {"type": "string", "default": "city"},
            "size": {"type": "string", "enum": ["s", "l"]},
            "old": {"type": "array", "items": {"type": "object", "properties": {"since": {"type": "integer"}}}},
        },
        "required": ["at"],
    }


def test_a_tool_takes_no_argument_that_its_function_has_not(tools: Mapping[str, list[Tool[..., Any]]]) -> None:
    with pytest.raises(PlanError, match="unknown_argument"):
        parse_plan("1. math.factorial(number=5, base=2)\n2. join()", tools=tools["simple_python_1"])


def test_the_same_call_has_the_same_result_and_another_one_another(tools: Mapping[str, list[Tool[..., Any]]]) -> None:
    [factorial] = tools["simple_python_1"]
    one, again, other = (asyncio.run(factorial(number=number)) for number in (5, 5, 6))
    assert one == again != other
    assert set(one) == {"result"}


# --- the score of a run


def played(*calls: str) -> str:
    numbered = [f"{id}. spotify.play({call})" for id, call in enumerate(calls, 1)]
    return "\n".join([*numbered, f"{len(calls) + 1}. join()"])


@pytest.mark.parametrize(
    ("plan", "score"),
    [
        pytest.param(played('"Taylor Swift", 20', '"Maroon 5", 15'), 1.0, id="as asked"),
        pytest.param(played('duration=15, artist="maroon 5"', '"Taylor Swift", 20'), 1.0, id="other order"),
        pytest.param(played('"Taylor Swift", 20', '"Maroon 5", 20'), 0.0, id="wrong value"),
        pytest.param(played('"Taylor Swift", 20'), 0.0, id="one call too few"),
        pytest.param(played('"Taylor Swift", 20', '"Maroon 5", 15', '"Maroon 5", 15'), 0.0, id="one call too many"),
        pytest.param(played('"Taylor Swift", 20', '"Maroon 5", "$1.result"'), 0.0, id="value of an earlier result"),
        pytest.param("1. join()", 0.0, id="no call"),
    ],
)
def test_a_run_is_scored_by_the_calls_that_it_made(
    plan: str, score: float, suite: Bfcl, cases: list[Case], tools: Mapping[str, list[Tool[..., Any]]]
) -> None:
    [case] = [case for case in cases if case.id == "parallel_0"]
    result = run_virtual(LLMCompiler(Ideal(plan), tools[case.id], limits=bfcl_suite().limits).arun(case.question))
    assert suite.score(case, result) == score


# --- which cases


def categories(cases: list[Case]) -> dict[str, int]:
    names = [case.id.rpartition("_")[0] for case in cases]
    return {name: names.count(name) for name in CATEGORIES}


@pytest.mark.parametrize(
    ("count", "each"),
    [
        pytest.param(None, [25, 25, 25, 25], id="default"),
        pytest.param(0, [0, 0, 0, 0], id="none"),
        pytest.param(6, [2, 2, 1, 1], id="no multiple of four"),
        pytest.param(900, [300, 200, 200, 200], id="more than an equal share"),
        pytest.param(5000, [400, 200, 200, 200], id="more than there are"),
    ],
)
def test_cases_are_spread_over_the_categories(count: int | None, each: list[int], suite: Bfcl) -> None:
    cases = suite.cases(DATA, count)
    assert list(categories(cases).values()) == each
    assert len({case.id for case in cases}) == len(cases)
    assert suite.cases(DATA, count) == cases


def test_cases_are_spread_over_the_rows_of_a_category(suite: Bfcl) -> None:
    assert [case.id for case in suite.cases(DATA, 16)][4:8] == [f"multiple_{place}" for place in (0, 50, 100, 150)]


def test_a_case_is_what_its_row_says(cases: list[Case]) -> None:
    first = cases[0]
    assert first.id == "simple_python_0"
    assert first.question == "Find the area of a triangle with a base of 10 units and height of 5 units."
    assert json.loads(first.label) == [
        {"calculate_triangle_area": {"base": [10], "height": [5], "unit": ["units", ""]}}
    ]
    assert first.plan == "1. calculate_triangle_area(base=10, height=5)\n2. join()"


# --- missing data


@pytest.mark.parametrize(
    "name", [f"{folder}BFCL_v4_{category}.json" for category in CATEGORIES for folder in ("", "possible_answer/")]
)
def test_a_missing_file_is_an_error_that_says_where_it_is(name: str, tmp_path: Path, suite: Bfcl) -> None:
    shutil.copytree(DATA / "bfcl", tmp_path / "bfcl")
    (tmp_path / "bfcl" / name).unlink()
    with pytest.raises(UsageError) as caught:
        suite.cases(tmp_path, None)
    assert f"{tmp_path / 'bfcl' / name} cannot be read (No such file or directory)" in str(caught.value)
    assert f"berkeley-function-call-leaderboard/bfcl_eval/data/{name}" in str(caught.value)
    assert "of the public repository ShishirPatil/gorilla, or by `llmcompiler bench fetch`" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("{", "JSONDecodeError", id="no JSON"),
        pytest.param("[]", "TypeError", id="no row"),
        pytest.param('{"id": "x"}', "KeyError('question')", id="no question"),
        pytest.param('{"id": "x", "question": []}', "ValueError", id="no turn"),
        pytest.param(
            '{"id": "x", "question": [[{"content": "?"}]], "function": []}', "KeyError('x')", id="no answer to it"
        ),
        pytest.param(
            '{"id": "parallel_0", "question": [[{"content": "?"}]], "function": []}',
            "parallel_0: no function spotify.play",
            id="an answer of another function",
        ),
    ],
)
def test_a_file_that_is_not_the_data_is_an_error(line: str, reason: str, tmp_path: Path, suite: Bfcl) -> None:
    shutil.copytree(DATA / "bfcl", tmp_path / "bfcl")
    (tmp_path / "bfcl" / "BFCL_v4_parallel.json").write_text(line, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        suite.cases(tmp_path, None)
    assert "BFCL_v4_parallel.json is not the dataset" in str(caught.value)
    assert reason in str(caught.value)
