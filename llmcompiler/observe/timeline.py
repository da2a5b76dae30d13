"""A Gantt chart as text."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One bar: what it stands for, when it was planned, started and ended (seconds), and how it ended."""

    label: str
    planned: float
    started: float | None
    ended: float | None
    mark: str


def draw(rows: Sequence[Row], seconds: float, width: int = 100) -> str:
    """Return one line a row: label, bar, duration and how it ended; a dot stands for waiting since it was planned."""
    if not rows:
        return "no task was planned"
    label = min(max(len(row.label) for row in rows), max(16, min(width // 2, width - 40)))
    chart = max(10, width - label - 22)
    scale = chart / max(seconds, *(row.ended or 0.0 for row in rows), 1e-9)
    lines = [
        f"{_cut(row.label, label):<{label}} │{_bar(row, scale, chart)}│ {_duration(row)} {row.mark}" for row in rows
    ]
    axis = f"{'':<{label}}  0{f'{seconds:.2f} s':>{chart - 1}}"
    return "\n".join([*lines, axis])


def _cut(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _bar(row: Row, scale: float, width: int) -> str:
    planned = min(width - 1, int(row.planned * scale))
    if row.started is None:
        return f"{' ' * planned}·".ljust(width)
    start = min(width - 1, int(row.started * scale))
    end = row.ended if row.ended is not None else row.started
    length = max(1, min(width - start, round((end - row.started) * scale)))
    return (" " * planned + "·" * (start - planned) + "█" * length).ljust(width)[:width]


def _duration(row: Row) -> str:
    if row.started is None or row.ended is None:
        return "      –"
    return f"{row.ended - row.started:6.2f}s"
