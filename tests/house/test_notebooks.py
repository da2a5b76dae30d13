"""The notebooks as they are committed: run from top to bottom, with small outputs that say nothing of where they ran."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ["01_quickstart", "02_compiler_vs_react", "03_your_tools_in_yaml", "04_benchmarks", "05_asynclm"]
LARGEST_OUTPUT = 100_000  # characters, as they stand in the file
# A path that begins at the root of somebody's machine; the URLs of prose and `</pre>` are none.
ABSOLUTE = re.compile(
    r"(?<![\w.:/<])/(?:home|Users|root|tmp|private|var|opt|usr|work|mnt|workspaces?)/|\b[A-Z]:\\\\Users"
)
ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\blocalhost\b|\w+@\w+")

each_notebook = pytest.mark.parametrize("name", NAMES)


def read(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return data


def code_of(name: str) -> list[dict[str, Any]]:
    return [cell for cell in read(name)["cells"] if cell["cell_type"] == "code"]


def outputs_of(name: str) -> list[dict[str, Any]]:
    return [output for cell in code_of(name) for output in cell["outputs"]]


def test_the_notebooks_are_those_that_are_known_here() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@each_notebook
def test_each_ran_from_top_to_bottom_in_one_go(name: str) -> None:
    cells = code_of(name)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


@each_notebook
def test_each_holds_outputs_and_none_is_an_error_or_a_complaint(name: str) -> None:
    outputs = outputs_of(name)
    assert outputs
    assert [output for output in outputs if output["output_type"] == "error"] == []
    assert [output for output in outputs if output.get("name") == "stderr"] == []


@each_notebook
def test_each_says_first_which_model_it_ran_on_and_that_was_none_of_the_real_ones(name: str) -> None:
    said = "".join(outputs_of(name)[0]["text"])
    assert said.startswith(("Model: a RECORDING", "Model: an ORACLE"))


@each_notebook
def test_no_output_is_large(name: str) -> None:
    assert max(len(json.dumps(output)) for output in outputs_of(name)) < LARGEST_OUTPUT


@each_notebook
def test_nothing_tells_of_the_machine(name: str) -> None:
    text = json.dumps([{**cell, "outputs": _readable(cell)} for cell in read(name)["cells"]])
    assert ABSOLUTE.findall(text) == []
    assert ADDRESS.findall(text) == []


def _readable(cell: dict[str, Any]) -> list[Any]:
    """Return a cell's outputs without its pictures."""
    return [
        {**output, "data": {kind: said for kind, said in output.get("data", {}).items() if "image" not in kind}}
        for output in cell.get("outputs", ())
    ]


@each_notebook
def test_nothing_is_kept_that_differs_each_time_without_a_reason(name: str) -> None:
    notebook = read(name)
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert [cell["metadata"] for cell in notebook["cells"] if cell["metadata"]] == []


@pytest.mark.parametrize("text", ["/home/ada/x.py", 'at "/tmp/abc/web.py"', "(/root/.venv)", "in /Users/ada/x"])
def test_the_paths_that_are_meant_are_found(text: str) -> None:
    assert ABSOLUTE.search(text)


@pytest.mark.parametrize("text", ["</pre>", "configs/demo.yaml", "../configs", "https://example.org/tmp/x", "3/s"])
def test_other_slashes_are_no_paths(text: str) -> None:
    assert not ABSOLUTE.search(text)
