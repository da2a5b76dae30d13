"""Files of JSON lines: records that are added as they come, and read again when a measurement is taken up once more."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmcompiler.errors import UsageError


def read_lines(path: Path) -> list[tuple[dict[str, Any], str]]:
    """Return the objects of a file, which is made if there is none, and where each stands.

    A last line without its end, of a run that was interrupted while it wrote, is left out. Raises `UsageError` for a line
    that is no JSON object, and for a file that cannot be written.
    """
    try:
        with path.open("a+", encoding="utf-8") as file:
            file.seek(0)
            *lines, rest = file.read().split("\n")
        if rest:  # cut it off, so that the next record begins a line of its own
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot hold records: {error}") from error
    return [
        (_object(line, f"{path}:{number}"), f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()
    ]


def append_line(path: Path, data: Mapping[str, Any]) -> None:
    """Add an object to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(data, ensure_ascii=False) + "\n")


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{where} is no record ({error}); name another file"[:400]) from error
    if not isinstance(data, dict):
        raise UsageError(f"{where} is no record, but {line[:100]!r}; name another file")
    return data
