"""Rows of BFCL: a question, the functions that may be called, and which calls count as right."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcompiler.bench.data_folder import read_data
from llmcompiler.plan.values import Json

CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple")

LEFT_OUT = ""  # among the acceptable values: the argument may be left out


@dataclass(frozen=True, slots=True)
class Function:
    """What a model is told of a function. `properties` are the parameters in BFCL's own types."""

    name: str
    description: str
    properties: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """One call that must be made; each argument has a list of acceptable values."""

    function: str
    arguments: Mapping[str, Sequence[Json]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the data, with its answer."""

    id: str
    question: str
    functions: Mapping[str, Function]
    expected: tuple[Expected, ...]

    @property
    def label(self) -> str:
        """Return the expected calls as JSON, in the form in which the data give them."""
        return json.dumps([{call.function: call.arguments} for call in self.expected])


def read_rows(category: str, folder: Path | None = None) -> list[Row]:
    """Return the rows of a category, in the order of the file.

    Raises `UsageError`, which says where the files are to be had, if one is missing or is not what it should be.
    """
    name = f"BFCL_v4_{category}.json"
    answers = read_data(f"bfcl/possible_answer/{name}", _answers, folder)
    return read_data(f"bfcl/{name}", lambda text: [_row(row, answers) for row in rows_in(text)], folder)


def function_of(document: Mapping[str, Any]) -> Function:
    """Return a function as its document describes it. Raises `KeyError` or `TypeError` for what is none."""
    parameters = document["parameters"]
    return Function(
        str(document["name"]),
        str(document["description"]),
        dict(parameters["properties"]),
        tuple(parameters["required"]),
    )


def rows_in(text: str) -> Iterator[Any]:
    """Yield what is on each line: the files are JSON lines, whatever they are called."""
    return (json.loads(line) for line in text.split("\n") if line.strip())


def _answers(text: str) -> dict[str, tuple[Expected, ...]]:
    return {row["id"]: tuple(_expected(call) for call in row["ground_truth"]) for row in rows_in(text)}


def _expected(call: Mapping[str, Mapping[str, Sequence[Json]]]) -> Expected:
    [(function, arguments)] = call.items()
    return Expected(function, dict(arguments))


def _row(row: Mapping[str, Any], answers: Mapping[str, tuple[Expected, ...]]) -> Row:
    [[message]] = row["question"]
    functions = {function.name: function for function in map(function_of, row["function"])}
    expected = answers[row["id"]]
    for call in expected:
        if call.function not in functions:
            raise ValueError(f"{row['id']}: no function {call.function}")
    return Row(str(row["id"]), str(message["content"]), functions, expected)
