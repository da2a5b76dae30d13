"""What `llmcompiler bench` does: the suite `overhead`, the comparisons, `asynclm`, and `fetch`."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from llmcompiler.bench.comparing import grid, report
from llmcompiler.bench.comparing.record import Record
from llmcompiler.bench.comparing.session import Request, session_of
from llmcompiler.bench.suites.catalogue import SUITES, suite_of
from llmcompiler.errors import UsageError
from llmcompiler.models.model import Model
from llmcompiler.models.provider import model_of
from llmcompiler.plan.diagnostics import did_you_mean

if TYPE_CHECKING:
    from llmcompiler.bench.asynclm import record as asynclm_record
    from llmcompiler.bench.asynclm.measure import Measurement

USUAL_MODEL = "openai:gpt-4.1-mini"  # as in the bundled configurations
_TOLD = 5  # failures that are told: more say nothing new
_ASKING = (*SUITES, "asynclm")
_ONLY_FOR = (  # options, the suites that have a use for them, and why others do not
    (("ground",), ("asynclm",), "only asynclm has grounds to measure on"),
    (("runs", "only"), ("overhead",), "only overhead has measures to choose from and to repeat"),
    (("strategies", "n"), _ASKING, "only suites that ask questions compare strategies on so many of them"),
    (
        ("model", "base-url", "profile", "tool-time", "grid"),
        SUITES,
        "models and paces are for suites that compare strategies; asynclm plays an ideal model at paces of its own",
    ),
)
_USUAL = ("compiler", "react", "parallel_calls", "tree", "tree_parallel")


def contenders_named(suite: str, names: str | None) -> list[str]:
    """Return the contenders that a text names, with commas between them, or the usual ones of a suite."""
    if names is None:
        return [name for name in _USUAL if name in suite_of(suite).contenders]
    return _names(names)


def known_suite(name: str) -> str:
    """Return the name of a suite. Raises `UsageError` with the nearest names."""
    known = [*SUITES, "asynclm", "overhead", "fetch"]
    if name.partition(":")[0] not in known:
        raise UsageError(f"there is no suite {name!r}; {did_you_mean(name, known)}")
    return name


def real_model(name: str | None, base_url: str | None) -> Model | None:
    """Return the real model that is named, or served at a URL; None for the oracles."""
    if name is None and base_url is None:
        return None
    return model_of(name or USUAL_MODEL, base_url=base_url)


def measure_overhead(runs: int, only: Sequence[str], file: str | None, out: Console, err: Console) -> None:
    """Print what the framework costs, against the least time possible; with `file` also as JSON, "-" for stdout alone."""
    from llmcompiler.bench import overhead, table
    from llmcompiler.bench.peers.compare import missing

    rows = overhead.measure(runs, lambda name: err.print(f"measuring {name}", style="dim"), only)
    if file is not None:
        text = json.dumps(table.as_json(rows), indent=2) + "\n"
        if file == "-":
            sys.stdout.write(text)
            return
        Path(file).write_text(text, encoding="utf-8")
    out.print(table.as_table(rows), width=table.WIDTH, crop=False)
    for name, how in missing().items():
        out.print(Text(f"{name}: {how}"), soft_wrap=True)


def compare(request: Request, out: Console, err: Console) -> list[Record]:
    """Run a comparison, print its table, and return the records."""
    session = session_of(request)
    _say_what_is_done(len(session.records), len(session.jobs), err)
    with _kept(request.file, err), _progress(err) as begin:
        told = begin(session.suite.name, len(session.jobs))
        records = session.run(told)
    for table in report.as_tables(session.suite, records):
        out.print(table, crop=False)
        out.print()
    for line in report.notes(session.setting, records):
        out.print(Text(line, "dim"), width=report.WIDTH)
    _say_what_failed([record for record in records if record.answer is None], err)
    return records


def compare_in_grid(request: Request, out: Console, err: Console) -> list[Record]:
    """Run a comparison under every profile and tool time, print the speed-ups, and return the records."""
    suite = suite_of(request.suite)
    with _kept(request.file, err), _progress(err) as begin:
        told: list[Callable[[Record], None]] = []

        def begins(profile: str, tool_time: float, jobs: int) -> None:
            told.append(begin(f"{profile}, tools x {tool_time:g}", jobs))

        cells = grid.cells_of(request, begins, lambda record: told[-1](record))
    out.print(grid.as_table(suite, cells), crop=False)
    profile, tool_time = grid.LIKE_THE_PAPER
    out.print(
        Text(
            f"\nspeed-up over the first baseline, measured (predicted by the timing model); ORACLE, an ideal model; "
            f"{request.count or grid.COUNT} questions a cell; {profile} with tool times x {tool_time:g} is the setting that "
            "resembles the paper's, whose figures are cited, not checked",
            "dim",
        ),
        width=report.WIDTH,
    )
    records = [record for cell in cells for record in cell.records]
    _say_what_failed([record for record in records if record.answer is None], err)
    return records


def refuse(given: Mapping[str, object], why: str) -> None:
    """Raise `UsageError` for options that are given though they would have no effect; `why` says for what reason."""
    if named := [f"--{name}" for name, value in given.items() if value]:
        raise UsageError(f"{why}; leave out {', '.join(named)}")


def refuse_unused(suite: str, given: Mapping[str, object]) -> None:
    """Raise `UsageError` for options that have no effect on a suite."""
    kind = suite.partition(":")[0]
    for names, users, why in _ONLY_FOR:
        if kind not in users:
            refuse({name: given[name] for name in names}, why)


def measure_asynclm(
    suite: str, modes: str | None, grounds: str | None, count: int | None, folder: str | None, file: str | None
) -> "Measurement":
    """Return what is to be measured of AsyncLM; texts name several with commas between them. Raises `UsageError`.

    suite: `asynclm`, or `asynclm:` and the names of sets of workloads.
    """
    from llmcompiler.bench.asynclm import measure

    usual = measure.Request()
    request = measure.Request(
        sets=_names(suite.partition(":")[2]) or usual.sets,
        modes=_names(modes) or usual.modes,
        grounds=_names(grounds) or usual.grounds,
        count=count,
        folder=Path(folder) if folder else None,
        file=Path(file) if file else None,
    )
    return measure.measurement_of(request)


def show_asynclm(measurement: "Measurement", out: Console, err: Console) -> "list[asynclm_record.Record]":
    """Run a measurement of AsyncLM, print its tables, and return the records."""
    from llmcompiler.bench.asynclm import report

    _say_what_is_done(len(measurement.done), sum(len(jobs) for _, jobs in measurement.left), err)
    with _kept(measurement.request.file, err), _progress(err) as begin:
        records = measurement.run(begin)
    for name, title, table in report.tables(records):
        out.print(Text(title, "bold"))
        out.print(table, crop=False)
        for line in report.cited(name):
            out.print(Text(line, "dim"), width=report.WIDTH)
        out.print()
    for title, lines in report.sections(records):
        out.print(Text(title, "bold"))
        for line in lines:
            out.print(Text(line), width=report.WIDTH)
        out.print()
    for line in report.notes(records):
        out.print(Text(line, "dim"), width=report.WIDTH)
    _say_what_failed([record for record in records if record.error], err)
    return records


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


@contextmanager
def _kept(file: Path | None, err: Console) -> Iterator[None]:
    """Say what becomes of the answers so far when Ctrl-C ends a comparison."""
    try:
        yield
    except KeyboardInterrupt:
        if file is None:
            told = "the answers so far are lost: --json keeps them"
        elif file.exists() and file.stat().st_size:
            told = f"the answers so far stand in {file}; the same command goes on"
        else:
            told = "there was no answer yet"
        err.print(Text(told, "dim"))
        raise


def _say_what_is_done(done: int, left: int, err: Console) -> None:
    if done:
        said = f"{done} of {done + left} answers stand in the file already; name another file to ask anew"
        err.print(Text(said, "dim"))


def _say_what_failed(failed: "Sequence[Record | asynclm_record.Record]", err: Console) -> None:
    for record in failed[:_TOLD]:
        err.print(Text(f"{record.contender} failed on {record.id}: {record.error}", "red"), soft_wrap=True)
    if len(failed) > _TOLD:
        err.print(Text(f"and {len(failed) - _TOLD} more", "red"))


def fetch_data(folder: str | None, out: Console, err: Console) -> bool:
    """Download what is missing of the data; say what became of each file. Returns whether all of them are there."""
    from llmcompiler.bench.fetch import fetch

    is_whole = True
    for file in fetch(folder):
        is_whole = is_whole and file.state != "failed"
        said = f"{file.state:8} {file.path}" + (f": {file.reason}" if file.reason else "")
        (err if file.state == "failed" else out).print(
            Text(said, "red" if file.state == "failed" else ""), soft_wrap=True
        )
    return is_whole


@contextmanager
def _progress(err: Console) -> Iterator[Callable[[str, int], Callable[[object], None]]]:
    """Yield what begins a bar: a name and a number of runs give what is told each record."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as progress:

        def begin(name: str, total: int) -> Callable[[object], None]:
            bar = progress.add_task(name, total=total)
            return lambda record: progress.advance(bar)

        yield begin
