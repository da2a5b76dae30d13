"""The golden configurations: what is said about each text, or what it comes to.

A file is a list of cases. A case is a name, the text, and either what is wrong with it or what it comes to:

    === a key that is given twice
    threads: 1                           the text; \\u{feff} is the character U+FEFF
    threads: 2
    --- says
    2:1: threads: this key is given twice, first in line 1

The text stands in a folder with the code of `golden/configs/code`; `good/` and `allowed_package` are allowed. `FOLDER` in a
message is that folder. What a text comes to is told as far as it differs from an empty configuration.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from llmcompiler.config import report
from llmcompiler.config.config import Config
from llmcompiler.config.loading import Inspection, inspect_config
from llmcompiler.execution.requests import ModelRetries
from llmcompiler.toolkit.tool import Tool

FOLDER = Path(__file__).parents[1] / "golden" / "configs"


@dataclass(frozen=True)
class Case:
    text: str
    kind: str
    expected: str


def cases() -> Iterator[object]:
    for path in sorted(FOLDER.glob("*.txt")):
        for block in re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            yield pytest.param(case_in(block), id=f"{path.stem}: {block.splitlines()[0]}")


def case_in(block: str) -> Case:
    _, rest = block.split("\n", 1)
    text, kind, expected = re.split(r"^--- (says|comes to)\n", rest, flags=re.M)
    return Case(unhidden(text.removesuffix("\n")), kind, expected.rstrip("\n"))


def unhidden(text: str) -> str:
    return re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), text)


def inspected(text: str, folder: Path) -> Inspection:
    file = folder / "config.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return inspect_config(file, allow_code=[folder / "good", "allowed_package"])


def told(found: Inspection, folder: Path) -> str:
    """Return what is said about a file, or what it comes to, in the notation of the files."""
    lines = [f"{line}:{column}: {said.message}" for said in found.problems for line, column in [said.place]]
    if found.config is not None:
        lines = [*settings(found.config), *(tool(entry.tool) for entry in found.tools if entry.tool)]
        lines += [f"note {note.place.line}:{note.place.column}: {note.message}" for note in found.notes]
    return re.sub(r"_[0-9a-f]{12}\b|0x[0-9a-f]{6,}", "…", "\n".join(lines).replace(str(folder), "FOLDER"))


def settings(config: Config) -> list[str]:
    plain = inspect_empty()
    named = [field.name for field in fields(config) if field.name not in ("path", "registry")]
    said = {name: getattr(config, name) for name in named if getattr(config, name) != getattr(plain, name)}
    return [
        f"{name}: {value.retries if isinstance(value, ModelRetries) else repr(value)}" for name, value in said.items()
    ]


def inspect_empty() -> Config:
    config = inspect_config(FOLDER / "empty.yaml").config
    assert config is not None
    return config


def tool(made: Tool[..., Any]) -> str:
    said = made.spec.description
    return f"tool {' | '.join(report.tool_row(made))}" + (f" | {said}" if said else "")


@pytest.mark.parametrize("case", list(cases()))
def test_a_text_is_told_as_its_golden_case_says(case: Case, folder: Path) -> None:
    found = inspected(case.text, folder)
    assert (told(found, folder), found.config is None) == (case.expected, case.kind == "says")


def test_every_case_has_a_name_of_its_own() -> None:
    names = [param.id for param in cases()]
    assert len(names) == len(set(names)) >= 150
