"""Tools for the checks, and a schema check that knows just enough of JSON schema for them."""

from collections.abc import Mapping

from llmcompiler.plan.tools import Problem, Tools, ToolSpec
from llmcompiler.plan.values import Ref, Text

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": tuple, "object": Mapping}


def spec(name, properties, required, *, is_open=False):
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": is_open}
    return ToolSpec(name, f"The tool {name}.", schema)


SPECS = [
    spec("search", {"query": {"type": "string"}, "limit": {"type": "integer", "default": 5}}, ["query"]),
    spec("web.search", {"query": {"type": "string"}}, ["query"]),
    spec("calculate", {"expression": {"type": "string"}}, ["expression"]),
    spec("add", {"a": {"type": "number"}, "b": {"type": "number"}}, ["a", "b"]),
    spec("total", {"numbers": {"type": "array", "items": {"type": "number"}}}, ["numbers"]),
    spec(
        "weather",
        {
            "city": {"type": "string"},
            "unit": {"enum": ["C", "F"], "default": "C"},
            "days": {"type": "integer", "minimum": 1, "maximum": 14, "default": 1},
        },
        ["city"],
    ),
    spec("store", {"data": {"type": "object"}}, ["data"], is_open=True),
    spec("now", {}, []),
]


def check(tool, kwargs):
    """Return what the schema of `tool` has against the literals in `kwargs`; refs are checked at hand-over."""
    properties = next(spec.properties for spec in SPECS if spec.name == tool)
    found = [(name, wrong(properties[name], value)) for name, value in kwargs.items() if name in properties]
    return [Problem(name, message) for name, message in found if message]


def wrong(schema, value):
    if isinstance(value, Ref):
        return ""
    plain = "" if isinstance(value, Text) else value
    kind = schema.get("type")
    if "enum" in schema and plain not in schema["enum"]:
        return f"{plain!r} is none of {schema['enum']}"
    if kind and (not isinstance(plain, TYPES[kind]) or (isinstance(plain, bool) and kind != "boolean")):
        return f"expected {kind}, found {type(plain).__name__}"
    if not schema.get("minimum", 0) <= (plain if kind == "integer" else 0) <= schema.get("maximum", 99):
        return f"{plain} is not between {schema['minimum']} and {schema['maximum']}"
    items = [wrong(schema["items"], item) for item in plain] if kind == "array" else []
    return next((message for message in items if message), "")


TOOLS = Tools({spec.name: spec for spec in SPECS}, check)
