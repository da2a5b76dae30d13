"""The curve: speed-up over how long tools take beside the writing of a call, drawn in characters. Pure."""

from collections.abc import Sequence

from llmcompiler.bench.asynclm.latency import ASYNC
from llmcompiler.bench.asynclm.summary import Row

_WIDTH, _HEIGHT = 72, 16
_FOOT = 0.9  # the speed-up at the foot of the plot


def curve(rows: Sequence[Row]) -> list[str]:
    """Return the lines of the plot, none without a speed-up: Async over Sync (`o`) and Sync-Parallel (`+`) in each cell.

    `.` is 1 + tool time / writing time, which many independent calls approach without first tokens (Theorem 6.2).
    """
    marks = [
        (row.tool_per_writing, speed_up, mark)
        for row in rows
        if row.contender == ASYNC.name
        for speed_up, mark in ((row.over_sync, "o"), (row.over_parallel, "+"))
        if speed_up is not None
    ]
    if not marks:
        return []
    right = max(x for x, _, _ in marks) * 1.05
    top = max(max(y for _, y, _ in marks), 1 + right)
    grid = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    for column in range(_WIDTH):
        _put(grid, column, 1 + right * (column + 0.5) / _WIDTH, top, ".")
    for x, y, mark in marks:
        _put(grid, int(x / right * _WIDTH), y, top, mark)
    lines = [f"{_value(place, top):5.2f} |{''.join(line)}" for place, line in enumerate(grid)]
    return [*lines, f"      +{'-' * _WIDTH}", f"       0{'tool time / writing time':^{_WIDTH - 6}}{right:5.2f}"]


def _put(grid: list[list[str]], column: int, y: float, top: float, mark: str) -> None:
    place = round((top - y) / (top - _FOOT) * (_HEIGHT - 1))
    if 0 <= place < _HEIGHT:
        grid[place][min(column, _WIDTH - 1)] = mark


def _value(place: int, top: float) -> float:
    return top - (top - _FOOT) * place / (_HEIGHT - 1)
