"""The grid: speed-ups over profile and tool time, so that nobody has to trust one choice of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmcompiler.bench.comparing.record import Record
from llmcompiler.bench.comparing.report import fixed_table
from llmcompiler.bench.comparing.session import Request, session_of
from llmcompiler.bench.comparing.settings import PROFILES
from llmcompiler.bench.comparing.summary import summaries
from llmcompiler.bench.suites.suite import Suite
from llmcompiler.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

TOOL_TIMES = (0.25, 1.0, 3.0)  # times the suite's own tool times
# The paper's models: hosted, of late 2023, and searches of 0.6 s in the mean, which are the suites' own.
LIKE_THE_PAPER = ("hosted_slow", 1.0)
COUNT = 8  # questions a cell, unless more are asked for


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: the records of all contenders under one profile and one tool time."""

    profile: str
    tool_time: float
    records: Sequence[Record]

    @property
    def speed_ups(self) -> Mapping[str, tuple[float | None, float | None]]:
        """Return the measured and the predicted speed-up of each contender."""
        return {row.contender: (row.speed_up, row.predicted_speed_up) for row in summaries(self.records)}


def cells_of(
    request: Request,
    begins: Callable[[str, float, int], None],
    told: Callable[[Record], None],
    *,
    profiles: Sequence[str] = tuple(PROFILES),
    tool_times: Sequence[float] = TOOL_TIMES,
) -> list[Cell]:
    """Return all cells. begins: is told the profile, the tool time and the number of runs left of each.

    Raises `UsageError` for a real model, whose speed no profile sets.
    """
    if request.model is not None:
        raise UsageError("a grid is of the oracle's profiles; leave out the model, or the grid")
    cells = []
    for profile in profiles:
        for tool_time in tool_times:
            count = request.count or COUNT
            session = session_of(replace(request, profile=profile, tool_time=tool_time, count=count))
            begins(profile, tool_time, len(session.jobs))
            cells.append(Cell(profile, tool_time, session.run(told)))
    return cells


def as_table(suite: Suite, cells: Sequence[Cell]) -> "Table":
    """Return speed-ups over the baseline, measured (predicted), a column for each tool time."""
    mean = max(suite.seconds.values(), default=0.0)
    tool_times = list(dict.fromkeys(cell.tool_time for cell in cells))
    rows = []
    for profile in dict.fromkeys(cell.profile for cell in cells):
        by_tool_time = {cell.tool_time: cell.speed_ups for cell in cells if cell.profile == profile}
        for place, contender in enumerate(by_tool_time[tool_times[0]]):
            shown = [_shown(*by_tool_time[tool_time][contender]) for tool_time in tool_times]
            cited = suite.published.get(contender) if profile == LIKE_THE_PAPER[0] else None
            rows.append(["" if place else profile, contender, *shown, f"{cited:.2f} x" if cited else ""])
    times = [f"tools {mean * tool_time:g} s" for tool_time in tool_times]
    return fixed_table(["profile", "strategy", *times, "paper"], rows, names=2)


def _shown(measured: float | None, predicted: float | None) -> str:
    if measured is None:
        return ""
    return f"{measured:.2f} x" + (f" ({predicted:.2f})" if predicted is not None else "")
