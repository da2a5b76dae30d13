"""Shapes: a fast check for JSON schemas that say no more than types, items and fields, which most do."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Check: TypeAlias = Callable[[Any], bool]

FITS: dict[str, Check] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_SAYS_NOTHING = frozenset({"title", "description", "default", "examples", "type"})
_OF_OBJECTS = frozenset({"properties", "required", "additionalProperties"})


def shape_check(schema: object) -> Check | None:
    """Return a check that says yes to what plainly fits; None for a schema that says more than this can tell.

    Its no means that the full schema must decide, since a value may hold what is not known yet.
    """
    if schema is True:
        return lambda value: True
    if not isinstance(schema, Mapping):
        return None
    kind, words = schema.get("type", ""), schema.keys() - _SAYS_NOTHING
    if not words:
        return (lambda value: True) if kind == "" else FITS.get(kind) if isinstance(kind, str) else None
    if kind == "array" and words == {"items"}:
        return _list_check(shape_check(schema["items"]))
    if kind == "object" and words <= _OF_OBJECTS:
        return _object_check(schema)
    return None


def _list_check(item: Check | None) -> Check | None:
    return None if item is None else lambda value: isinstance(value, list) and all(map(item, value))


def _object_check(schema: Mapping[str, Any]) -> Check | None:
    required = frozenset(schema.get("required", ()))
    others = schema.get("additionalProperties", True)
    other = (lambda value: False) if others is False else shape_check(others)
    fields = {name: shape_check(field) for name, field in schema.get("properties", {}).items()}
    if other is None or None in fields.values():
        return None

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or not required <= value.keys():
            return False
        return all((fields.get(name) or other)(item) for name, item in value.items())

    return check
