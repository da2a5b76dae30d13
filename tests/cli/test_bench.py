"""`llmcompiler bench`: what it prints where."""

import json

import pytest
from typer.testing import CliRunner

from llmcompiler.cli import app


def test_bench_prints_a_table_and_tells_its_progress_beside_it() -> None:
    result = CliRunner().invoke(app, ["bench", "overhead", "--runs", "1", "--only", "chained", "--only", "cancel"])
    assert result.exit_code == 0
    assert "100 chained no-ops" in result.stdout
    assert "cancel 1,000 running tasks" in result.stdout
    assert result.stderr.splitlines() == ["measuring chained no-ops", "measuring cancel"]


def test_bench_prints_json_and_nothing_else() -> None:
    result = CliRunner().invoke(app, ["bench", "--runs", "1", "--only", "chained", "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert [row["name"] for row in told["rows"]] == ["100 chained no-ops", "  original"]


@pytest.mark.parametrize("only", ["nothing such", "xyz"])
def test_bench_refuses_a_name_that_no_measure_has(only: str) -> None:
    result = CliRunner().invoke(app, ["bench", "--only", only])
    assert result.exit_code == 2
    assert f"no measure is named like {only}" in " ".join(result.stderr.split())
