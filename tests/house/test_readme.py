"""The Python blocks of the README run as they stand, each alone, in an empty folder, without a key or a network.

A block that is marked ```python no-run needs a real model; it only has to be Python that names what there is.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import llmcompiler

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python(?P<mark>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(found["mark"].strip(), found["code"], id=f"line {README[: found.start()].count(chr(10)) + 2}")
    for found in BLOCK.finditer(README)
]
LONG = 20  # lines; a README of more has something to show


def test_a_readme_of_some_length_has_python_to_show() -> None:
    assert BLOCKS or README.count("\n") <= LONG


def test_the_fences_of_the_readme_are_balanced() -> None:
    assert len(re.findall(r"^```", README, re.MULTILINE)) % 2 == 0
    assert len(BLOCKS) == len(re.findall(r"^```python", README, re.MULTILINE))


@pytest.mark.parametrize(("mark", "code"), [block for block in BLOCKS if block.values[0] == ""])
def test_each_block_runs(mark: str, code: str, tmp_path: Path) -> None:
    file = tmp_path / "readme.py"
    file.write_text(code, encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")} | {
        "PYTHONPATH": str(ROOT)
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", file.name],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("mark", "code"), BLOCKS)
def test_each_block_is_marked_as_known_and_names_what_there_is(mark: str, code: str) -> None:
    assert mark in ("", "no-run")
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module == "llmcompiler":
            for name in node.names:
                assert hasattr(llmcompiler, name.name), name.name
