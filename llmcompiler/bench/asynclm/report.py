"""How a measurement is told: a table for each set of workloads and ground, and what follows from them."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from llmcompiler.bench.asynclm.contenders import CONTENDERS
from llmcompiler.bench.asynclm.curve import curve
from llmcompiler.bench.asynclm.latency import ASYNC, COMPILER, FUTURES, SYNC, SYNC_PARALLEL
from llmcompiler.bench.asynclm.measure import PLACES
from llmcompiler.bench.asynclm.points import POINTS, Point, speedup
from llmcompiler.bench.asynclm.record import Record
from llmcompiler.bench.asynclm.summary import Loss, Row, all_rows, losses, ordered_means, rows_of
from llmcompiler.bench.comparing.report import fixed_table
from llmcompiler.bench.table import machine

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 120
_LABELS = ("cell", "mode", "right", "wall", "/sync", "/parallel", "predicted", "off", "in", "out", "requests")
_TIMES = ("start", "write", "wait", "inject")


def tables(records: Sequence[Record]) -> "Iterator[tuple[str, str, Table]]":
    """Yield the name of a set, a title and a table for each ground and set: each mode in each cell."""
    for ground in dict.fromkeys(record.ground for record in records):
        for name in dict.fromkeys(record.set for record in records):
            rows = rows_of(records, ground, name)
            if rows:
                count = f"{rows[0].count} workload{'s' if rows[0].count > 1 else ''}"
                title = f"{name}, {count}, {PLACES[ground].title}"
                yield name, title, fixed_table([*_LABELS, *_TIMES], list(_cells(rows)), names=2, gap=1)


def _cells(rows: Sequence[Row]) -> Iterator[list[str]]:
    before = ""
    for row in rows:
        yield [
            "" if row.cell == before else row.cell,
            row.contender,
            f"{100 * row.right:.0f} %",
            f"{row.seconds:.2f} s",
            _times(row.over_sync),
            _times(row.over_parallel),
            f"{row.predicted:.2f} s",
            f"{100 * row.off:+z.1f} %",
            f"{row.tokens_in:,.0f}",
            f"{row.tokens_out:,.0f}",
            f"{row.requests:.1f}",
            *(f"{seconds:.2f}" for seconds in (row.starting, row.generating, row.waiting, row.injecting)),
        ]
        before = row.cell


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f} x"


def cited(name: str) -> list[str]:
    """Return the paper's points of a set, a line for each of its models."""
    points = [point for point in POINTS if point.workload == name]
    by_model = {model: [point for point in points if point.model == model] for model in (each.model for each in points)}
    return [f"paper, {bars[0].figure}, {model}: {', '.join(map(_bar, bars))}" for model, bars in by_model.items()]


def _bar(point: Point) -> str:
    told = f"{point.mode} {1000 * point.seconds:,.0f} ms"
    if point.mode == SYNC.name:
        return told
    return f"{told} ({speedup(point):.2f} x{', ' + point.label if point.is_simulated else ''})"


def sections(records: Sequence[Record]) -> list[tuple[str, list[str]]]:
    """Return what follows from the tables, each with its title: the curve, the orders, and where Async loses."""
    ground = records[0].ground
    title = f"speed-up of async over sync (o), over sync_parallel (+), 1 + x (.), {PLACES[ground].title}"
    lost = f"who loses where: by how much (writing its further tokens takes), {PLACES[ground].title}"
    told = [
        (title, curve(all_rows(records, ground))),
        ("orders of calls, mean wall of async on chains", order_lines(records)),
        (lost, loss_lines(records, ground)),
    ]
    return [(title, lines) for title, lines in told if lines]


def order_lines(records: Sequence[Record]) -> list[str]:
    """Return what the order of calls is worth: mean walls of Async on virtual time, a line for each cell."""
    return [
        f"{cell:12} " + "  ".join(f"{order} {seconds:.3f} s" for order, seconds in by_order.items())
        for cell, by_order in ordered_means(records).items()
    ]


def loss_lines(records: Sequence[Record], ground: str) -> list[str]:
    """Return where modes are slower than Sync-Parallel, and Async than others, in the mean: lines for each pair."""
    contenders = dict.fromkeys(record.contender for record in records)
    pairs = [(name, SYNC_PARALLEL.name) for name in contenders if name not in (SYNC.name, SYNC_PARALLEL.name)]
    pairs += [(ASYNC.name, other.name) for other in (FUTURES, COMPILER)]
    return [line for pair in pairs for line in _loss_lines(*losses(records, ground, *pair), *pair)]


def _loss_lines(found: Sequence[Loss], count: int, contender: str, to: str) -> Iterator[str]:
    """Yield in how many of the cells one is slower, then which, a line for each set; nothing without a cell."""
    if count:
        yield f"{contender} is slower than {to} in {len(found)} of {count} cells"
    for name, group in groupby(found, key=lambda loss: loss.set):
        yield f"  {name}: {', '.join(map(_loss, group))}"


def _loss(loss: Loss) -> str:
    return f"{loss.cell.removesuffix(' ms')} by {1000 * loss.seconds:.0f} ms ({1000 * loss.control:.0f})"


def notes(records: Sequence[Record]) -> list[str]:
    """Return the lines below all tables: what was measured, and how to read it."""
    about = machine()
    lines = [
        f"an IDEAL model, which writes the right calls; real strategies and tools; Python {about['python']}, "
        f"{about['cores']} cores",
        "cell: milliseconds per token / to the first token; figures are means a workload",
        "/sync, /parallel: the wall of sync, of sync_parallel over this one's; predicted: the wall by the latency model",
        "in, out: tokens, in without what was cached; start, write, wait, inject: seconds to the first token, of writing, "
        "with nothing to write, of reading results and messages",
        "sync and sync_parallel write the same calls as async, and wait otherwise; in interrupts they, and the compiler, "
        "answer one question after another",
    ]
    lines += [f"{name}: {CONTENDERS[name].what}" for name in dict.fromkeys(record.contender for record in records)]
    for ground in dict.fromkeys(record.ground for record in records):
        rows, place = all_rows(records, ground), PLACES[ground]
        worst = max(rows, key=lambda row: abs(row.off))
        lines += [f"{place.title}: {place.about}"] if place.about else []
        lines.append(
            f"{place.title}: the worst prediction of {len(rows)} rows is off by {100 * worst.off:+z.2f} % "
            f"({worst.set}, {worst.cell}, {worst.contender})"
        )
    return lines
