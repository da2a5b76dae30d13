"""The comparison: oracles in each strategy's format over real HTTP, records that outlive an interruption, the tables."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from llmcompiler import UsageError, tool
from llmcompiler.bench.comparing import grid, report
from llmcompiler.bench.comparing.compare import Comparison, jobs_of
from llmcompiler.bench.comparing.contenders import CONTENDERS, contenders_of
from llmcompiler.bench.comparing.endpoint import Endpoint, Oracles, Real
from llmcompiler.bench.comparing.record import Record, Setting, append, read_records
from llmcompiler.bench.comparing.session import Request, Session, session_of
from llmcompiler.bench.comparing.summary import dearer
from llmcompiler.bench.suites.catalogue import SUITES, suite_of
from llmcompiler.bench.suites.hotpotqa import subjects
from llmcompiler.bench.suites.movie import films_of
from llmcompiler.bench.suites.oracle import UNKNOWN
from llmcompiler.bench.suites.planned import PLAN_CONTENDERS, PlanSuite
from llmcompiler.bench.suites.suite import Case
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.testing.server import LoggedRequest, LoopbackServer, Reply, Status, Timing

DATA = Path(__file__).parents[2].parent / "shared" / "data"
PLANNED = ("parallelqa", "hotpotqa", "movie", "bfcl")


class Served:
    """An endpoint over a server in this process: oracles that answer at once."""

    def __init__(self, server: LoopbackServer) -> None:
        self._model = OpenAIModel("oracle", base_url=server.base_url, api_key="none")
        self._server = server

    def model(self, contender: Any, case: Case) -> Any:
        return self._model.with_fields({"user": f"{contender.name}/{case.id}"})

    def requests(self, contender: Any, case: Case) -> list[LoggedRequest]:
        user = f"{contender.name}/{case.id}"
        return [request for request in self._server.requests if request.request.raw.get("user") == user]


@contextmanager
def served(suite: Any, cases: Sequence[Case], names: Sequence[str]) -> Iterator[Endpoint]:
    played = Oracles({name: suite.oracle(name, cases) for name in names}, Timing())
    with LoopbackServer(played.reply) as server:
        yield Served(server)


def answered(suite: Any, cases: Sequence[Case], names: Sequence[str], **setting: Any) -> list[Record]:
    """Return the records of all contenders on all cases, as fast as it goes."""
    with served(suite, cases, names) as endpoint:
        records: list[Record] = []
        said = Setting(suite=suite.name, profile="local", tool_time=0.0, **setting)
        jobs = jobs_of(cases, contenders_of(names, suite.contenders))
        asyncio.run(Comparison(suite, said, endpoint).run(jobs, 16, records.append))
    return records


# --- oracles


@pytest.mark.parametrize("name", PLANNED)
def test_the_compiler_never_takes_more_tokens_than_loops_on_two_calls_or_more(name: str) -> None:
    suite = suite_of(name)
    records = answered(suite, suite.cases(DATA, 12), ["compiler", "react", "parallel_calls"])
    assert any(record.calls > 1 for record in records)
    assert dearer(records, "compiler", "react") == dearer(records, "compiler", "parallel_calls") == []


@pytest.mark.parametrize("name", PLANNED)
def test_every_oracle_of_a_suite_answers_right_in_its_strategy_s_format(name: str) -> None:
    suite = suite_of(name)
    names = [contender for contender in suite.contenders if contender != "react_flawed"]
    records = answered(suite, suite.cases(DATA, 8), names)
    assert len(records) == 8 * len(names)
    assert [record for record in records if record.score != 1.0 or record.status != "complete"] == []
    assert {record.requests for record in records if record.contender in ("compiler", "rewoo")} == {2}
    by_react = [record for record in records if record.contender == "react"]
    assert all(record.requests == record.calls + 1 for record in by_react)


def test_all_questions_of_parallelqa_are_answered_right_from_what_the_tools_gave() -> None:
    suite = suite_of("parallelqa")
    records = answered(suite, suite.cases(DATA, None), ["compiler", "parallel_calls"])
    assert len(records) == 2 * 113
    assert [record.id for record in records if record.score != 1.0] == []


@pytest.mark.parametrize("contender", [name for name in PLAN_CONTENDERS if name != "react_flawed"])
def test_no_oracle_states_an_answer_that_the_tools_did_not_give(contender: str) -> None:
    suite: Any = suite_of("parallelqa")
    cases = suite.cases(DATA, 3)
    oracle = suite.oracle(contender, cases)

    @tool(effect="read")
    def search(query: str) -> dict[str, Any]:
        """Find nothing."""
        raise LookupError(f"nothing about {query}")

    others = [each for each in suite.tools_for(cases[0]) if each.spec.name != "search"]
    broken = replace(suite, tools_for=lambda case: [search, *others])
    with LoopbackServer(Oracles({contender: oracle}, Timing()).reply) as server:
        records: list[Record] = []
        comparison = Comparison(broken, Setting(suite="parallelqa", profile="local", tool_time=0.0), Served(server))
        asyncio.run(comparison.run(jobs_of(cases, [CONTENDERS[contender]]), 4, records.append))
    assert {record.answer for record in records} == {UNKNOWN}


def test_a_flawed_react_repeats_and_stops_early_at_the_rates_reported() -> None:
    movie = suite_of("movie")
    records = answered(movie, movie.cases(DATA, 40), ["react_flawed"])
    early = sum(record.calls < 8 for record in records)
    assert 29 <= early <= 38  # about 85 % of 40
    hotpotqa = suite_of("hotpotqa")
    repeating = sum(record.calls == 4 for record in answered(hotpotqa, hotpotqa.cases(DATA, 100), ["react_flawed"]))
    assert 3 <= repeating <= 17  # about 10 %


def test_every_question_of_hotpotqa_has_two_subjects_of_its_own() -> None:
    rows = json.loads((DATA / "hotpotqa_comparison.json").read_text(encoding="utf-8"))
    pairs = [subjects(row["question"].strip()) for row in rows]
    assert [pair for pair in pairs if not all(pair) or pair[0].casefold() == pair[1].casefold()] == []
    assert subjects("Were Scott Derrickson and Ed Wood of the same nationality?") == ("Scott Derrickson", "Ed Wood")
    assert subjects("Which writer was from England, Henry Roth or Robert Erskine Childers?")[0] == "Henry Roth"


def test_every_question_about_movies_has_eight_films() -> None:
    rows = json.loads((DATA / "movie_recommendations_formatted.json").read_text(encoding="utf-8"))
    found = [films_of(row["question"]) for row in rows]
    assert {(len(films), len(options)) for films, options in found} == {(4, 4)}
    assert all(row["answer"] in options for row, (_, options) in zip(rows, found, strict=True))


def test_hotpotqa_s_usual_hundred_holds_all_kinds_of_questions_in_their_shares() -> None:
    labels = [case.label for case in suite_of("hotpotqa").cases(DATA, None)]
    assert len(labels) == 100
    assert sum(label in ("yes", "no") for label in labels) == pytest.approx(31, abs=2)  # 458 of 1,487


# --- what a record says


@pytest.fixture(scope="module")
def session() -> Session:
    return session_of(request("hotpotqa", ["compiler", "react"], count=1, tool_time=0.25))


@pytest.fixture(scope="module")
def records(session: Session) -> list[Record]:
    return session.run(lambda record: None)


def test_a_record_holds_the_bound_and_the_prediction_of_its_run(session: Session, records: list[Record]) -> None:
    again = session_of(session.request).run(lambda record: None)
    assert [record.contender for record in records] == ["compiler", "react"]
    for record in records:
        assert record.predicted is not None
        assert record.bound is not None
        # The server never sends early, so on its stream nothing is faster than what its profile promises.
        assert record.predicted - 0.001 <= record.bound <= record.seconds
        assert record.joining is not None
        assert record.joining > PROFILE_FIRST_TOKEN
    ours, theirs = records
    assert ours.predicted < theirs.predicted
    assert [record.predicted for record in again] == [ours.predicted, theirs.predicted]  # nothing measured is in it


PROFILE_FIRST_TOKEN = 0.06  # of the profile `local`


def request(suite: str, contenders: Sequence[str], **said: Any) -> Request:
    return Request(suite=suite, contenders=contenders, folder=DATA, profile="local", **({"tool_time": 0.0} | said))


def test_a_question_on_which_the_model_fails_is_recorded_and_the_run_goes_on() -> None:
    suite = suite_of("parallelqa")
    cases = suite.cases(DATA, 3)
    oracle = Oracles({"compiler": suite.oracle("compiler", cases)}, Timing())

    def reply(asked: Any) -> Reply:
        if cases[1].question in asked.text:
            return Reply(fault=Status(401))
        return oracle.reply(asked)

    with LoopbackServer(reply) as server:
        records: list[Record] = []
        comparison = Comparison(suite, Setting(suite="parallelqa", profile="local", tool_time=0.0), Served(server))
        asyncio.run(comparison.run(jobs_of(cases, [CONTENDERS["compiler"]]), 1, records.append))
    assert [record.status for record in records] == ["complete", "failed", "complete"]
    assert records[1].score == 0.0
    assert "401" in (records[1].error or "")


def test_a_real_endpoint_gives_usage_and_cost_but_no_bound() -> None:
    suite = suite_of("parallelqa")
    [case] = suite.cases(DATA, 1)
    with LoopbackServer(suite.oracle("compiler", [case]).reply) as server:
        model = OpenAIModel("gpt-4.1-mini", base_url=server.base_url, api_key="none")
        setting = Setting(suite="parallelqa", model=str(model), profile="")
        comparison = Comparison(suite, setting, Real(model))
        record = asyncio.run(comparison.answer(case, CONTENDERS["compiler"]))
    assert (record.score, record.bound, record.predicted, record.requests) == (1.0, None, None, 2)
    assert record.input_tokens is not None
    assert record.dollars == pytest.approx((0.4 * record.input_tokens + 1.6 * (record.output_tokens or 0)) / 1e6)


# --- taking a comparison up again


def test_an_interrupted_comparison_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    asked = request("bfcl", ["compiler"], count=3, file=file)

    class Interrupt(Exception):
        pass

    def interrupt(record: Record) -> None:
        if record.id == session.cases[1].id:
            raise Interrupt

    session = session_of(replace(asked, at_once=1))
    with pytest.raises(BaseExceptionGroup):
        session.run(interrupt)
    assert [record.id for record in read_records(file)] == [case.id for case in session.cases[:2]]
    again = session_of(asked)
    assert [case.id for case, _ in again.jobs] == [case.id for case in session.cases[2:]]
    told: list[str] = []
    assert len(again.run(lambda record: told.append(record.id))) == 3
    assert sorted(told) == sorted(case.id for case in session.cases[2:])
    assert session_of(asked).jobs == []


def test_records_of_another_setting_are_not_taken_for_done(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    session_of(request("bfcl", ["compiler"], count=1, file=file)).run(lambda record: None)
    assert session_of(request("bfcl", ["compiler"], count=1, file=file)).jobs == []
    for change in ({"tool_time": 0.5}, {"contenders": ["react"]}, {"profile": "hosted_fast"}):
        assert len(session_of(replace(request("bfcl", ["compiler"], count=1, file=file), **change)).jobs) == 1


def test_a_last_line_that_was_cut_off_is_left_out_and_what_follows_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    session_of(request("bfcl", ["compiler"], count=2, file=file)).run(lambda record: None)
    whole = read_records(file)
    text = file.read_text(encoding="utf-8")
    file.write_text(text[:-20], encoding="utf-8")
    [kept] = read_records(file)
    append(file, whole[1])
    assert read_records(file) == [kept, whole[1]]


@pytest.mark.parametrize("line", ["{}", "[1]", "no JSON", '{"setting": {"suite": "x", "colour": 1}}'])
def test_a_file_of_something_else_is_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"records\.jsonl:1 is no record"):
        session_of(request("bfcl", ["compiler"], count=1, file=file))


# --- who and what


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no suite 'paralelqa'.*parallelqa"):
        session_of(request("paralelqa", ["compiler"]))
    with pytest.raises(UsageError, match=r"no strategy 'compilr'.*compiler"):
        session_of(request("bfcl", ["compilr"]))
    with pytest.raises(UsageError, match=r"tree is not compared in this suite; known here: compiler"):
        session_of(request("bfcl", ["tree"]))
    with pytest.raises(UsageError, match=r"no profile 'lokal'.*local"):
        session_of(replace(request("bfcl", ["compiler"]), profile="lokal"))


@pytest.mark.parametrize("name", PLANNED)
def test_missing_data_say_where_they_are_to_be_had(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bench fetch"):
        session_of(replace(request(name, ["compiler"]), folder=tmp_path))


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_names_its_contenders_and_refuses_others(name: str) -> None:
    suite = suite_of(name)
    assert suite.name == name
    assert set(suite.contenders) <= set(CONTENDERS)
    assert set(suite.published) <= set(CONTENDERS)
    with pytest.raises(UsageError, match="compiler"):
        suite.oracle("nobody", [])


def test_a_plan_suite_is_a_value() -> None:
    assert isinstance(suite_of("movie"), PlanSuite)


# --- tables


def shown(*tables: Any) -> str:
    console = Console(file=StringIO(), width=60)
    for each in tables:
        console.print(each, crop=False)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_tables_say_who_was_how_fast_and_what_it_cost_in_any_terminal(
    session: Session, records: list[Record]
) -> None:
    text = shown(*report.as_tables(session.suite, records))
    assert "…" not in text
    rows = [line.split() for line in text.splitlines() if line.startswith(("compiler", "react"))]
    assert [row[0] for row in rows] == ["compiler", "react", "compiler", "react"]
    assert rows[0][1:3] == ["100", "%"]
    assert rows[2][1:3] == ["2.0", "2.0"]
    notes = "\n".join(report.notes(session.setting, records))
    for fact in (
        "hotpotqa, 1 question;",
        "ORACLE",
        "by construction",
        "profile local",
        "cited",
        "took more tokens than react: 0",
    ):
        assert fact in notes


def test_the_notes_tell_the_questions_of_one_call_apart() -> None:
    session = session_of(request("bfcl", ["compiler", "react"], count=3))  # two of them ask for one call
    notes = report.notes(session.setting, session.run(lambda record: None))
    [line] = [line for line in notes if line.startswith("median and tokens on 2 questions of one call: compiler ")]
    assert "; react " in line


def test_a_grid_has_a_row_for_each_profile_and_strategy_and_a_column_for_each_tool_time() -> None:
    begun: list[tuple[str, float, int]] = []
    asked = request("hotpotqa", ["compiler", "react"], count=1)
    cells = grid.cells_of(
        asked, lambda *told: begun.append(told), lambda record: None, profiles=["local"], tool_times=[0.0, 0.25]
    )
    assert begun == [("local", 0.0, 2), ("local", 0.25, 2)]
    text = shown(grid.as_table(suite_of("hotpotqa"), cells))
    assert "tools 0.15 s" in text
    assert [line.split()[:2] for line in text.splitlines() if "react" in line or "compiler" in line] == [
        ["local", "compiler"],
        ["react", "1.00"],
    ]


def test_a_grid_of_a_real_model_is_refused() -> None:
    real = replace(request("bfcl", ["compiler"]), model=OpenAIModel("x", base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(UsageError, match="grid"):
        grid.cells_of(real, lambda *told: None, lambda record: None)


# --- where it runs


def test_a_comparison_runs_inside_a_running_event_loop() -> None:
    async def cell() -> list[Record]:
        return session_of(request("bfcl", ["compiler"], count=1)).run(lambda _: None)

    assert [record.status for record in asyncio.run(cell())] == ["complete"]


# --- a suite of a size


def test_a_tree_of_fewer_kept_states_visits_fewer_nodes() -> None:
    calls = []
    for name in ("game24:1", "game24:2"):
        suite = suite_of(name)
        assert suite.name == name
        records = answered(suite, suite.cases(DATA, 1), ["compiler", "tree_parallel"])
        assert [record.status for record in records] == ["complete", "complete"]
        calls.append([record.requests for record in sorted(records, key=lambda record: record.contender)])
    (few_planned, few), (many_planned, many) = calls
    assert few < many
    assert few_planned - few == many_planned - many == 5  # three plans and two replans against nothing
    assert suite_of("game24:5").name == "game24"


@pytest.mark.parametrize("name", ["game24:0", "game24:x", "game24:", "game24:21", "movie:3"])
def test_a_size_that_a_suite_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="game24:1 to game24:20"):
        suite_of(name)
