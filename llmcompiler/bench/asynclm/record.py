"""Record: what became of one workload in one mode at one pace. A line of JSON each, appended as it happens."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from llmcompiler.bench.asynclm.script import Cell
from llmcompiler.bench.lines import append_line, read_lines
from llmcompiler.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One workload in one mode. Times in seconds.

    set: the name of its workloads. contender: the mode. score: 1.0 if the tools received the right calls, by BFCL's rules.
    predicted: by the latency model. starting, generating, injecting: the model's work, see `Costs`; waiting: the rest.
    tokens_in: without what was cached. tool_per_writing: the mean time of a tool over that of writing a call.
    """

    ground: str
    set: str
    id: str
    contender: str
    order: str
    per_token_ms: float
    first_token_ms: float
    score: float
    error: str | None
    seconds: float
    predicted: float
    requests: int
    tokens_in: int
    tokens_out: int
    starting: float
    generating: float
    injecting: float
    waiting: float
    tool_per_writing: float

    @property
    def cell(self) -> Cell:
        """Return how fast the model was asked to be."""
        return Cell(self.per_token_ms, self.first_token_ms)

    @property
    def key(self) -> tuple[str, ...]:
        """Return what tells it from all others."""
        return (self.ground, self.set, self.id, self.contender, self.order, str(self.cell))


def read_records(path: Path) -> list[Record]:
    """Return the records of a file, see `read_lines`. Raises `UsageError` for a line that is no record."""
    return [_read(data, where) for data, where in read_lines(path)]


def _read(data: dict[str, Any], where: str) -> Record:
    try:
        return Record(**{field.name: data[field.name] for field in fields(Record)})
    except (TypeError, KeyError) as error:
        raise UsageError(f"{where} is no record of asynclm ({error!r}); name another file"[:400]) from error


def append(path: Path, record: Record) -> None:
    """Add a record to a file."""
    append_line(path, asdict(record))
