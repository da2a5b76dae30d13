"""The first turns of BFCL's conversations over several turns: one message, whose calls are made one after another.

BFCL runs these calls and compares what they leave behind. Here they are read as calls that must be made, each argument with
one acceptable value.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcompiler.bench.data_folder import read_data
from llmcompiler.bench.suites.bfcl.rows import Expected, Function, Row, function_of, rows_in

_NAME = "BFCL_v4_multi_turn_base.json"
_DOCUMENTS = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "TwitterAPI": "posting_api",
    "VehicleControlAPI": "vehicle_control",
}


@dataclass(frozen=True, slots=True)
class FirstTurn:
    """The first turn of a conversation; its functions are all those of the classes involved that the row allows."""

    row: Row
    classes: frozenset[str]


def read_first_turns(folder: Path | None = None) -> list[FirstTurn]:
    """Return the first turns, in the order of the file, each with its calls in the order in which they are to be made.

    Raises `UsageError`, which says where the files are to be had, if one is missing or is not what it should be.
    """
    functions = {
        name: read_data(f"bfcl/multi_turn_func_doc/{file}.json", _functions, folder)
        for name, file in _DOCUMENTS.items()
    }
    calls = read_data(f"bfcl/possible_answer/{_NAME}", _calls, folder)
    return read_data(f"bfcl/{_NAME}", lambda text: [_turn(row, functions, calls) for row in rows_in(text)], folder)


def _functions(text: str) -> list[Function]:
    return [function_of(document) for document in rows_in(text)]


def _calls(text: str) -> dict[str, list[str]]:
    return {row["id"]: row["ground_truth"][0] for row in rows_in(text)}


def _turn(
    row: Mapping[str, Any], functions: Mapping[str, Sequence[Function]], calls: Mapping[str, Sequence[str]]
) -> FirstTurn:
    [message] = row["question"][0]
    classes = sorted(row["involved_classes"])
    excluded = row.get("excluded_function", ())
    known = {each.name: each for name in classes for each in functions[name] if each.name not in excluded}
    expected = tuple(_expected(call, known) for call in calls[row["id"]])
    return FirstTurn(Row(str(row["id"]), str(message["content"]), known, expected), frozenset(classes))


def _expected(text: str, functions: Mapping[str, Function]) -> Expected:
    """Return a call written in Python. Arguments without a name are bound in the order of the function's document."""
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"not a call: {text}") from error
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise ValueError(f"not a call: {text}")
    function = functions[call.func.id]
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    values = dict(zip(function.properties, call.args, strict=False)) | named
    if len(values) < len(call.args) + len(named) or not values.keys() <= function.properties.keys():
        raise ValueError(f"not the arguments of {function.name}: {text}")
    return Expected(function.name, {str(name): [ast.literal_eval(value)] for name, value in values.items()})
