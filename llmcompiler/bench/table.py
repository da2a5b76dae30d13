"""How rows are told: a table of at most 100 columns, or JSON with the machine they were measured on."""

import os
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmcompiler.bench.row import Row

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 100
_MARKS = {None: "", True: "ok", False: "[bold red]MISS[/]"}


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows and the machine as JSON data."""
    return {"machine": machine(), "rows": [row.to_dict() for row in rows]}


def machine() -> dict[str, Any]:
    """Return what a figure depends on: interpreter, system, cores, and how busy they are with other things."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def as_table(rows: Sequence[Row]) -> "Table":
    """Return the rows as a table; a row that misses its limit says MISS."""
    from rich.markup import escape
    from rich.table import Table

    about = machine()
    caption = f"Python {about['python']}, {about['cores']} cores, load {about['load']}; cited: published by others"
    table = Table(
        "measure", "figures", "bound", "limit", "", box=None, padding=(0, 1, 0, 0), caption=caption, width=WIDTH
    )
    for column, width in zip(table.columns, (35, 29, 15, 8, 8), strict=True):
        column.width = width
    for row in rows:
        mark = row.source if row.source != "measured" else _MARKS[row.is_ok]
        style = None if row.source == "measured" else "dim"
        table.add_row(escape(row.name), _figures(row), _bound(row), _limit(row), mark, style=style)
    return table


def _figures(row: Row) -> str:
    told = ", ".join(f"{name} {value:,.{4 if value >= 1 else 3}g}" for name, value in row.figures.items())
    return f"{told} {row.unit}".strip()


def _bound(row: Row) -> str:
    return "" if row.bound is None else f"{row.bound:.4g} ({row.ratio:.3f}x)"


def _limit(row: Row) -> str:
    return "" if row.limit is None else f"{'>=' if row.at_least else '<='} {row.limit:.4g}"
