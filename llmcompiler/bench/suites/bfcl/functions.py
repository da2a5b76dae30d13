"""BFCL's functions as tools: their types as JSON schema, and results that are made up."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from llmcompiler.bench.suites.bfcl.rows import Function, Row
from llmcompiler.plan.values import Json
from llmcompiler.toolkit.tool import Tool, tool

_TYPES = {"float": "number", "dict": "object", "tuple": "array", "any": "string"}  # the others are JSON schema's own

# Where no acceptable answer has the type that the row's own document declares: row, function, parameter, and why. Such a
# parameter takes any value, since to refuse the only right answers would be wrong. BFCL's checker takes them as well.
CONTRADICTIONS: Mapping[tuple[str, str, str], str] = {
    ("parallel_multiple_21", "linear_regression_fit", "x"): "a list of floats; the answer names a variable",
    ("parallel_multiple_21", "linear_regression_fit", "y"): "a list of floats; the answer names a variable",
    ("parallel_multiple_94", "sort_list", "elements"): "a list of integers; one of the answers sorts words",
}


def tools_of(row: Row) -> list[Tool[..., Any]]:
    """Return the functions of a row as tools. Each gives a number that depends on its name and its arguments alone."""
    return [_tool_of(function, parameters_of(function, row)) for function in row.functions.values()]


def _tool_of(function: Function, parameters: Mapping[str, Any]) -> Tool[..., Any]:
    async def made_up(**arguments: Any) -> dict[str, Json]:
        called = json.dumps([function.name, arguments], sort_keys=True)
        return {"result": zlib.crc32(called.encode()) % 1000}

    return tool(name=function.name, description=function.description, parameters=parameters)(made_up)


def parameters_of(function: Function, row: Row) -> dict[str, Any]:
    """Return the JSON schema of the arguments of a row's function."""
    properties = {name: json_schema(declared) for name, declared in function.properties.items()}
    for name, schema in properties.items():
        if (row.id, function.name, name) in CONTRADICTIONS:
            properties[name] = {"description": schema["description"]}
    return {
        "type": "object",
        "properties": properties,
        "required": list(function.required),
        "additionalProperties": False,
    }


def json_schema(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return what BFCL declares of a value as JSON schema: any value is a string, by its checker's rules."""
    schema = {word: said for word, said in declared.items() if word != "optional"}
    schema["type"] = _TYPES.get(declared["type"], declared["type"])
    if "items" in declared:
        schema["items"] = json_schema(declared["items"])
    if "properties" in declared:
        schema["properties"] = {name: json_schema(inner) for name, inner in declared["properties"].items()}
    return schema
