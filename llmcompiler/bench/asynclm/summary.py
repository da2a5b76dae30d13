"""Summary: means of records, and what is compared with what. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from llmcompiler.bench.asynclm.latency import ASYNC, SYNC, SYNC_PARALLEL
from llmcompiler.bench.asynclm.record import Record
from llmcompiler.bench.asynclm.script import LONGEST_PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One mode in one cell of one set on one ground: means a workload, times in seconds.

    right: the share of right answers. over_sync, over_parallel: the mean wall of that mode over this one's, on the
    workloads that both have; None without it. off: the mean prediction over the mean wall, less 1.
    """

    set: str
    cell: str
    contender: str
    count: int
    right: float
    seconds: float
    over_sync: float | None
    over_parallel: float | None
    predicted: float
    tokens_in: float
    tokens_out: float
    requests: float
    starting: float
    generating: float
    waiting: float
    injecting: float
    tool_per_writing: float

    @property
    def off(self) -> float:
        """Return by how much the prediction is off."""
        return self.predicted / self.seconds - 1


def rows_of(records: Sequence[Record], ground: str, name: str) -> list[Row]:
    """Return the rows of one ground and set, cell by cell, in the order in which they appear."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if (record.ground, record.set, record.order) == (ground, name, LONGEST_PATH):
            groups.setdefault((str(record.cell), record.contender), []).append(record)
    cells = dict.fromkeys(cell for cell, _ in groups)
    return [_row(cell, groups, contender) for cell in cells for of, contender in groups if of == cell]


def all_rows(records: Sequence[Record], ground: str) -> list[Row]:
    """Return the rows of one ground, set by set."""
    return [row for name in dict.fromkeys(record.set for record in records) for row in rows_of(records, ground, name)]


def _row(cell: str, groups: Mapping[tuple[str, str], Sequence[Record]], contender: str) -> Row:
    group = groups[cell, contender]
    over_sync, over_parallel = (_over(groups.get((cell, mode.name), ()), group) for mode in (SYNC, SYNC_PARALLEL))
    return Row(
        set=group[0].set,
        cell=cell,
        contender=contender,
        count=len(group),
        right=fmean(record.score for record in group),
        over_sync=over_sync,
        over_parallel=over_parallel,
        seconds=fmean(record.seconds for record in group),
        predicted=fmean(record.predicted for record in group),
        tokens_in=fmean(record.tokens_in for record in group),
        tokens_out=fmean(record.tokens_out for record in group),
        requests=fmean(record.requests for record in group),
        starting=fmean(record.starting for record in group),
        generating=fmean(record.generating for record in group),
        waiting=fmean(record.waiting for record in group),
        injecting=fmean(record.injecting for record in group),
        tool_per_writing=fmean(record.tool_per_writing for record in group),
    )


def _over(base: Sequence[Record], group: Sequence[Record]) -> float | None:
    theirs = {record.id: record.seconds for record in base}
    pairs = [(theirs[record.id], record.seconds) for record in group if record.id in theirs]
    return sum(their for their, _ in pairs) / sum(our for _, our in pairs) if pairs else None


@dataclass(frozen=True, slots=True)
class Loss:
    """A cell in which one mode is slower than another: by how many seconds in the mean.

    control: how long the tokens take to write that it writes beyond the other, such as its traps; less than 0 if fewer.
    """

    set: str
    cell: str
    seconds: float
    control: float


def losses(records: Sequence[Record], ground: str, contender: str, to: str) -> tuple[list[Loss], int]:
    """Return the cells of a ground in which a mode is slower than another, and in how many the two were measured."""
    found, count = list[Loss](), 0
    for name in dict.fromkeys(record.set for record in records):
        rows = {(row.cell, row.contender): row for row in rows_of(records, ground, name)}
        for row in [row for row in rows.values() if row.contender == contender]:
            other = rows.get((row.cell, to))
            count += other is not None
            if other is not None and row.seconds > other.seconds:
                control = (row.tokens_out - other.tokens_out) * row.generating / row.tokens_out
                found.append(Loss(name, row.cell, row.seconds - other.seconds, control))
    return found, count


def ordered_means(records: Sequence[Record]) -> Mapping[str, Mapping[str, float]]:
    """Return the mean wall of Async for each cell and order, where other orders were measured."""
    measured = {(record.ground, record.set) for record in records if record.order != LONGEST_PATH}
    groups: dict[str, dict[str, list[float]]] = {}
    for record in records:
        if (record.ground, record.set) in measured and record.contender == ASYNC.name:
            groups.setdefault(str(record.cell), {}).setdefault(record.order, []).append(record.seconds)
    return {cell: {order: fmean(walls) for order, walls in by.items()} for cell, by in groups.items()}
