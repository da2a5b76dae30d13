"""Rows, their table and their JSON; which measures a suite takes."""

import json

import pytest
from rich.console import Console

from llmcompiler import UsageError
from llmcompiler.bench import overhead, walls
from llmcompiler.bench.fresh import fresh
from llmcompiler.bench.row import Row, cited, costs, fewer, spread
from llmcompiler.bench.table import WIDTH, as_json, as_table

WALL = Row("shape", "a run", {"median": 1.5, "worst": 2.0}, "s", bound=1.25, limit=1.625)
SLOW = Row("dispatch [a task]", "a run", {"least": 70.0}, "us", limit=30.0)
SPEED = Row("parser", "a text", {"best": 2.5}, "MB/s", limit=2.0, at_least=True)
OTHER = cited("  original", {"least": 1.0, "most": 2.0}, "s")


@pytest.mark.parametrize(
    ("row", "ratio", "is_ok"),
    [
        pytest.param(WALL, 1.2, True, id="within"),
        pytest.param(SLOW, None, False, id="beyond"),
        pytest.param(SPEED, None, True, id="at least"),
        pytest.param(OTHER, None, None, id="nothing is asked"),
    ],
)
def test_the_first_figure_is_held_against_bound_and_limit(row: Row, ratio: float | None, is_ok: bool | None) -> None:
    assert (row.ratio, row.is_ok) == (ratio, is_ok)


def test_a_table_marks_what_misses_and_what_was_not_measured() -> None:
    console = Console(width=WIDTH, record=True, force_terminal=False)
    console.print(as_table([WALL, SLOW, SPEED, OTHER]))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[1].split() == ["shape", "median", "1.5,", "worst", "2", "s", "1.25", "(1.200x)", "<=", "1.625", "ok"]
    assert lines[2].split() == ["dispatch", "[a", "task]", "least", "70", "us", "<=", "30", "MISS"]
    assert lines[3].split() == ["parser", "best", "2.5", "MB/s", ">=", "2", "ok"]
    assert lines[4].split() == ["original", "least", "1,", "most", "2", "s", "cited"]


def test_rows_are_told_as_json_with_the_machine() -> None:
    told = json.loads(json.dumps(as_json([WALL, OTHER])))
    assert told["machine"].keys() == {"python", "implementation", "system", "cores", "load"}
    assert told["rows"][0] == {
        "name": "shape",
        "what": "a run",
        "figures": {"median": 1.5, "worst": 2.0},
        "unit": "s",
        "bound": 1.25,
        "limit": 1.625,
        "at_least": False,
        "source": "measured",
        "ratio": 1.2,
        "is_ok": True,
    }
    assert told["rows"][1]["source"] == "cited"


def test_walls_are_told_by_median_and_worst_and_costs_by_the_least() -> None:
    values = [3.0, 1.0, 2.0, 9.0, 4.0]
    assert spread(values) == {"median": 3.0, "worst": 9.0}
    assert costs(values) == {"least": 1.0, "median": 3.0}
    assert [fewer(runs) for runs in (1, 3, 9)] == [1, 1, 3]


def test_a_suite_takes_the_measures_whose_names_hold_a_text() -> None:
    said: list[str] = []
    measures = {name: lambda runs, name=name: [Row(name, "", {"runs": runs}, "")] for name in ("One", "two", "one two")}
    assert [row.name for row in overhead.measure(2, said.append, measures=measures)] == ["One", "two", "one two"]
    assert [row.name for row in overhead.measure(2, said.append, ["ONE"], measures)] == ["One", "one two"]
    assert said == ["One", "two", "one two", "One", "one two"]
    with pytest.raises(UsageError, match="no measure is named like three; known: One, two, one two"):
        overhead.measure(2, said.append, ["three"], measures)


def test_a_measure_in_a_process_of_its_own_gives_the_same_rows() -> None:
    assert fresh(walls.published)(1) == walls.published(1)
