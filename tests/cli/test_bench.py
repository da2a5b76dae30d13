"""`llmcompiler bench`: what it prints where."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmcompiler.bench.comparing.record import read_records
from llmcompiler.cli import app
from llmcompiler.testing.server import LoopbackServer, Reply, Status
from tests.cli.child import SECONDS, started

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def test_bench_prints_a_table_and_tells_its_progress_beside_it() -> None:
    result = CliRunner().invoke(app, ["bench", "overhead", "--runs", "1", "--only", "chained", "--only", "cancel"])
    assert result.exit_code == 0
    assert "100 chained no-ops" in result.stdout
    assert "cancel 1,000 running tasks" in result.stdout
    assert result.stderr.splitlines() == ["measuring chained no-ops", "measuring cancel"]


def test_bench_prints_json_and_nothing_else() -> None:
    result = CliRunner().invoke(app, ["bench", "--runs", "1", "--only", "chained", "--json", "-"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert [row["name"] for row in told["rows"]] == ["100 chained no-ops", "  original"]


@pytest.mark.parametrize("only", ["nothing such", "xyz"])
def test_bench_refuses_a_name_that_no_measure_has(only: str) -> None:
    result = CliRunner().invoke(app, ["bench", "--only", only])
    assert result.exit_code == 2
    assert f"no measure is named like {only}" in " ".join(result.stderr.split())


def test_overhead_as_json_in_a_file_leaves_the_table_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "overhead.json"
    result = CliRunner().invoke(app, ["bench", "--runs", "1", "--only", "chained", "--json", str(file)])
    assert result.exit_code == 0
    assert "100 chained no-ops" in result.stdout
    assert json.loads(file.read_text(encoding="utf-8"))["rows"][0]["name"] == "100 chained no-ops"


# --- comparisons


def compared(*args: str) -> Any:
    return CliRunner().invoke(app, ["bench", *args, "--profile", "local", "--tool-time", "0"])


def test_a_comparison_prints_its_tables_and_keeps_a_record_a_question(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    asked = ["bfcl", "--strategies", "compiler, parallel_calls", "--n", "2", "--data", str(DATA), "--json", str(file)]
    result = compared(*asked)
    assert result.exit_code == 0, result.output
    tables, _, notes = result.stdout.partition("\nbfcl, 2 questions; ")
    rows = [line.split()[0] for line in tables.splitlines() if line.startswith(("compiler ", "parallel_calls "))]
    assert rows == ["compiler", "parallel_calls"] * 2
    assert notes
    assert "ORACLE" in result.stdout
    assert len(file.read_text(encoding="utf-8").splitlines()) == 4
    again = compared(*asked)
    assert again.exit_code == 0
    assert "4 of 4 answers stand in the file already" in again.stderr
    assert len(file.read_text(encoding="utf-8").splitlines()) == 4


def test_a_question_that_fails_on_a_real_endpoint_is_told_and_is_the_exit_code() -> None:
    with LoopbackServer(lambda request: Reply(fault=Status(401))) as server:
        result = CliRunner().invoke(
            app, ["bench", "webshop", "--strategies", "compiler", "--n", "1", "--base-url", server.base_url]
        )
    assert result.exit_code == 1
    assert "compiler failed on" in result.stderr
    assert "401" in result.stderr
    assert "real" in result.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["paralelqa"], "there is no suite 'paralelqa'"),
        (["bfcl", "--strategies", "compilr"], "there is no strategy 'compilr' to compare"),
        (["bfcl", "--strategies", "tree"], "tree is not compared in this suite"),
        (
            ["parallelqa", "--strategies", "skeleton"],
            "skeleton is not compared: it calls no tools, and the suites are about calling them; known here: compiler, ",
        ),
        (["bfcl", "--data", "/nowhere"], "llmcompiler bench fetch"),
        (["webshop", "--strategies", ","], "name whom to compare; known here: compiler"),
        (["webshop", "--json", "/nowhere/records.jsonl"], "/nowhere/records.jsonl cannot hold records"),
        (["webshop", "--json", "/"], "/ cannot hold records"),
        (["webshop", "--base-url", "localhost:8000/v1"], "http://localhost:8000/v1"),
    ],
)
def test_wrong_use_is_told_and_exits_with_2(args: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["bench", *args])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_ctrl_c_keeps_the_answers_and_says_how_to_go_on(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    args = ("bench", "webshop", "--strategies", "react", "--n", "40", "--at-once", "20", "--json", str(file))
    with started(*args) as child:
        while not (file.exists() and "\n" in file.read_text(encoding="utf-8")):
            assert child.poll() is None, "it ended before its first answer"
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=SECONDS)
    assert child.returncode == 1
    assert f"the answers so far stand in {file}; the same command goes on" in " ".join(told.split())
    assert "Traceback" not in told
    assert told.endswith("interrupted\n")
    assert 1 <= len(read_records(file)) < 40
