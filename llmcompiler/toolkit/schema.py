"""Arguments against a JSON schema: literals strictly while the plan is read, whole values at hand-over.

At hand-over exact conversions are allowed where the type alone does not fit: a numeral to a number, a whole float to an
integer, "true" to a boolean, anything but null to its JSON text. Nothing is ever rounded, cut or guessed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any

from llmcompiler.plan.tools import Problem
from llmcompiler.plan.values import Json, Ref, Text, Value, shown, text_of

_FITS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_SAYS_NOTHING = frozenset({"title", "description", "default", "examples", "type"})
_INTEGER = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


class ArgumentsRefused(ValueError):
    """Values handed over do not fit the schema of the tool."""


class _Hole:
    """Stands where a ref will put a value that is not known yet."""


class _TextHole(str):
    """Stands for a string whose content is not known yet."""

    __slots__ = ()


_HOLE = _Hole()


class ArgumentSchema:
    """The JSON schema of a tool's arguments, ready for both checks."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self._simple = {name: _simple_type(schema) for name, schema in parameters.get("properties", {}).items()}
        self._required = frozenset(parameters.get("required", ()))
        self._others = set(parameters) - {
            "type",
            "properties",
            "required",
            "additionalProperties",
            "title",
            "description",
        }

    @cached_property
    def _validator(self) -> Any:
        return _validator_class()(dict(self._parameters))

    def problems(self, arguments: Mapping[str, Value]) -> list[Problem]:
        """Return what is wrong with the literals; refs pass, since their values are not known yet."""
        data = {name: _holed(value) for name, value in arguments.items()}
        if self._fits(data):
            return []
        return [_problem(error) for error in _first_each(self._validator.iter_errors(data))]

    def hand_over(self, arguments: dict[str, Json]) -> dict[str, Json]:
        """Return arguments that fit, exactly converted where needed. Raises `ArgumentsRefused`; may change its input."""
        if self._fits(arguments):
            return arguments
        for _ in range(100):
            error = next(iter(self._validator.iter_errors(arguments)), None)
            if error is None:
                return _integers(arguments, self._simple)
            if not _convert(error, arguments):
                problem = _problem(error)
                raise ArgumentsRefused(
                    f"argument {problem.parameter!r}: {problem.message}" if problem.parameter else problem.message
                )
        raise ArgumentsRefused("too many values of the wrong type")

    def _fits(self, data: Mapping[str, Any]) -> bool:
        """Return whether the arguments are plainly right; False says that the full schema must decide."""
        if self._others or not self._required <= data.keys():
            return False
        for name, value in data.items():
            kind = self._simple.get(name, "?")
            if kind == "?" or not (kind == "" or value is _HOLE or _FITS[kind](value)):
                return False
        return True


def _simple_type(schema: Any) -> str:
    """Return the one type that a property's schema asks for, "" if it asks for nothing, "?" if it asks for more."""
    if not isinstance(schema, Mapping) or not schema.keys() <= _SAYS_NOTHING:
        return "" if schema is True else "?"
    kind = schema.get("type", "")
    return kind if kind == "" or (isinstance(kind, str) and kind in _FITS) else "?"


def _holed(value: Value) -> Any:
    match value:
        case Ref():
            return _HOLE
        case Text():
            return _TextHole()
        case tuple():
            return [_holed(item) for item in value]
        case Mapping():
            return {key: _holed(item) for key, item in value.items()}
    return value


@cache
def _validator_class() -> Any:
    """Return a 2020-12 validator that lets holes pass. Imported here: 60 ms that simple schemas do not need."""
    from jsonschema import Draft202012Validator, validators

    wrapped = {word: _passing_holes(word, check) for word, check in Draft202012Validator.VALIDATORS.items()}
    extend: Any = validators.extend
    return extend(Draft202012Validator, wrapped)


_ABOUT_TYPES = frozenset({"type", "$ref", "$dynamicRef", "allOf", "anyOf", "oneOf"})
_ABOUT_ALL = frozenset({"enum", "const", "uniqueItems", "contains", "not", "oneOf", "if", "dependentSchemas"})


def _passing_holes(word: str, check: Any) -> Any:
    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if instance is _HOLE or (isinstance(instance, _TextHole) and word not in _ABOUT_TYPES):
            return
        if word in _ABOUT_ALL and _has_hole(instance):
            return
        yield from check(validator, value, instance, schema) or ()

    return checked


def _has_hole(data: Any) -> bool:
    if isinstance(data, list):
        return any(map(_has_hole, data))
    if isinstance(data, dict):
        return any(map(_has_hole, data.values()))
    return isinstance(data, (_Hole, _TextHole))


def _first_each(errors: Iterator[Any]) -> list[Any]:
    first: dict[object, Any] = {}
    for error in errors:
        first.setdefault(error.path[0] if error.path else None, error)
    return list(first.values())


def _problem(error: Any) -> Problem:
    path = list(error.absolute_path)
    inside = "".join(f"[{step!r}]" for step in path[1:])
    where = f"at {inside}: " if inside else ""
    return Problem(str(path[0]) if path else None, where + _say(error))


def _say(error: Any) -> str:
    instance = "text with a ref" if isinstance(error.instance, _TextHole) else _shown(error.instance)
    match error.validator:
        case "type":
            wanted = error.validator_value
            return f"expected {wanted if isinstance(wanted, str) else ' or '.join(wanted)}, found {_kind(error.instance)} {instance}"
        case "anyOf" | "oneOf":
            wanted = [
                option.get("type", "another form") for option in error.validator_value if isinstance(option, Mapping)
            ]
            return f"expected {' or '.join(map(str, wanted))}, found {_kind(error.instance)} {instance}"
        case "enum":
            return f"expected one of {', '.join(map(_shown, error.validator_value))}, found {instance}"
        case _:
            return str(error.message)[:300]


def _shown(value: Any) -> str:
    try:
        return shown(value, 60)
    except TypeError:
        return "a value with refs"


def _kind(value: Any) -> str:
    return next((name for name, fits in _FITS.items() if fits(value)), "number")


def _convert(error: Any, arguments: dict[str, Json]) -> bool:
    """Convert the value that `error` is about in place, if that loses nothing; return whether it did."""
    path = list(error.absolute_path)
    if not path:
        return False
    for wanted in _wanted_types(error):
        found, value = _exact(error.instance, wanted)
        if found:
            here: Any = arguments
            for step in path[:-1]:
                here = here[step]
            here[path[-1]] = value
            return True
    return False


def _wanted_types(error: Any) -> list[str]:
    if error.validator == "type":
        return [error.validator_value] if isinstance(error.validator_value, str) else list(error.validator_value)
    if error.validator in ("anyOf", "oneOf"):
        depth = len(error.absolute_path)
        inner = [e for e in error.context if e.validator == "type" and len(e.absolute_path) == depth]
        return [kind for e in inner for kind in _wanted_types(e)]
    return []


def _exact(value: Any, wanted: str) -> tuple[bool, Json]:
    match value, wanted:
        case str(), "integer" if _INTEGER.fullmatch(value.strip()):
            return True, int(value)
        case str(), "number" if _NUMBER.fullmatch(value.strip()):
            text = value.strip()
            return True, int(text) if _INTEGER.fullmatch(text) else float(text)
        case (("true" | "false"), "boolean"):
            return True, value == "true"
        case ((bool() | int() | float() | list() | dict()), "string"):
            return True, text_of(value)
    return False, None


def _integers(arguments: dict[str, Json], simple: Mapping[str, str]) -> dict[str, Json]:
    # JSON schema takes 3.0 for an integer; a Python function that asks for an int gets one.
    for name, value in arguments.items():
        if isinstance(value, float) and simple.get(name) == "integer":
            arguments[name] = int(value)
    return arguments
