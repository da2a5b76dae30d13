"""Arguments against a JSON schema: literals strictly while the plan is read, whole values at hand-over.

At hand-over exact conversions are allowed where the type alone does not fit: a numeral to a number, a whole float to an
integer, "true" to a boolean, anything but null to its JSON text. Nothing is ever rounded, cut or guessed.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import cache, cached_property
from typing import Any

from llmcompiler.plan.showing import shown
from llmcompiler.plan.tools import Problem
from llmcompiler.plan.values import Json, Ref, Text, Value, text_of
from llmcompiler.toolkit.shapes import FITS, shape_check

_INTEGER = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,400}\.?\d{0,400}|\.\d{1,400})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_PASSES = 10  # a converted value may uncover another one that does not fit, seldom more than once


class ArgumentsRefused(ValueError):
    """Values handed over do not fit the schema of the tool."""


class _Hole:
    """Stands where a ref will put a value that is not known yet."""

    def __repr__(self) -> str:
        return "a ref"


class _TextHole(str):
    """Stands for a string whose content is not known yet."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "text with a ref"


_HOLE = _Hole()


class ArgumentSchema:
    """The JSON schema of a tool's arguments, ready for both checks."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self._plain = {name: shape_check(schema) for name, schema in parameters.get("properties", {}).items()}
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
        return validator_of(self._parameters)

    def problems(self, arguments: Mapping[str, Value]) -> list[Problem]:
        """Return what is wrong with the literals; refs pass, since their values are not known yet."""
        data = {name: _holed(value) for name, value in arguments.items()}
        if self._fits(data):
            return []
        try:
            return [_problem(error) for error in _first_each(self._errors(data))]
        except ArgumentsRefused as error:
            return [Problem(None, str(error))]

    def hand_over(self, arguments: dict[str, Json]) -> dict[str, Json]:
        """Return arguments that fit, exactly converted where needed. Raises `ArgumentsRefused`; may change its input."""
        if self._fits(arguments):
            return arguments
        for _ in range(_PASSES):
            errors = self._errors(arguments)
            if not errors:
                return arguments
            if not any([_convert(error, arguments) for error in errors]):
                problem = _problem(errors[0])
                raise ArgumentsRefused(
                    f"argument {problem.parameter!r}: {problem.message}" if problem.parameter else problem.message
                )
        raise ArgumentsRefused("these values fit no reading of the schema")

    def _errors(self, arguments: Mapping[str, Any]) -> list[Any]:
        from referencing.exceptions import Unresolvable

        try:
            return list(self._validator.iter_errors(arguments))
        except RecursionError:
            raise ArgumentsRefused("the schema of this tool refers to itself without end") from None
        except Unresolvable as error:
            raise ArgumentsRefused(f"the schema of this tool has a $ref that leads nowhere: {error}") from None

    def _fits(self, data: Mapping[str, Any]) -> bool:
        """Return whether the arguments are plainly right; False says that the full schema must decide."""
        if self._others or not self._required <= data.keys():
            return False
        for name, value in data.items():
            fits = self._plain.get(name)
            if fits is None or not (value is _HOLE or fits(value)):
                return False
        return True


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


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Return a validator that lets holes pass and fetches nothing."""
    from referencing import Registry

    return validator_class()(dict(schema), registry=Registry())  # without it $refs are fetched


@cache
def validator_class() -> Any:
    """Return a 2020-12 validator that lets holes pass. Imported here: 60 ms that simple schemas do not need.

    To JSON schema 3.0 is an integer; to a Python function that asks for an int it is none.
    """
    from jsonschema import Draft202012Validator, validators

    wrapped = {word: _passing_holes(word, check) for word, check in Draft202012Validator.VALIDATORS.items()}
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    extend: Any = validators.extend
    return extend(Draft202012Validator, wrapped, type_checker=types)


def schema_problem(parameters: object) -> str:
    """Return why a JSON schema cannot be that of a tool's arguments, "" if it can."""
    if not isinstance(parameters, Mapping) or parameters.get("type", "object") != "object":
        return f"expected one of type object, found {str(parameters)[:100]}"
    return any_schema_problem(parameters)


def any_schema_problem(given: Mapping[str, Any]) -> str:
    """Return why a mapping is no JSON schema that can be used, "" if it is one."""
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    schema = dict(given)
    try:
        # No formats: a pattern may be of another dialect than Python's.
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(()))
    except SchemaError as error:
        return f"{error.json_path}: {error.message[:300]}"
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for ref in _schema_refs(schema):
        try:
            resolver.lookup(ref)
        except Unresolvable:
            return f"$ref {ref!r} leads nowhere, and nothing is fetched"
    return ""


def _schema_refs(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for part in schema.values():
            yield from _schema_refs(part)
    if isinstance(schema, list):
        for part in schema:
            yield from _schema_refs(part)


_ABOUT_TYPES = frozenset({"type", "$ref", "$dynamicRef", "allOf", "anyOf", "oneOf"})
_ABOUT_ALL = frozenset(
    {"enum", "const", "uniqueItems", "contains", "not", "oneOf", "if", "dependentSchemas"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)


def _passing_holes(word: str, check: Any) -> Any:
    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if instance is _HOLE or (isinstance(instance, _TextHole) and word not in _ABOUT_TYPES):
            return
        if word in _ABOUT_ALL and _has_hole(instance):
            return
        with suppress(re.error):  # a pattern in a dialect that is not Python's: left to the tool
            yield from check(validator, value, instance, schema) or ()

    return checked


def _has_hole(data: Any) -> bool:
    if isinstance(data, list):
        return any(map(_has_hole, data))
    if isinstance(data, dict):
        return any(map(_has_hole, data.values()))
    return isinstance(data, (_Hole, _TextHole))


def _first_each(errors: list[Any]) -> list[Any]:
    first: dict[object, Any] = {}
    for error in errors:
        first.setdefault(error.path[0] if error.path else None, error)
    return list(first.values())


def _problem(error: Any) -> Problem:
    path = list(error.absolute_path)
    inside = "".join(f"[{step!r}]" for step in path[1:])
    where = f"at {inside}: " if inside else ""
    return Problem(str(path[0]) if path else None, where + said(error))


def said(error: Any) -> str:
    """Return what a validator's error says, in a few words: what was expected and what was found."""
    instance = repr(error.instance) if isinstance(error.instance, _TextHole) else _shown(error.instance)
    match error.validator:
        case "type":
            wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
            return f"expected {' or '.join(wanted)}, found {_kind(error.instance)} {instance}"
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
    return next((name for name, fits in FITS.items() if fits(value)), "number")


def _convert(error: Any, arguments: dict[str, Json]) -> bool:
    """Convert the value that `error` is about in place, if that loses nothing; return whether it did."""
    path = list(error.absolute_path)
    if not path:
        return False
    here: Any = arguments
    with suppress(LookupError, TypeError):  # what held the value may have been converted itself
        for step in path[:-1]:
            here = here[step]
        if here[path[-1]] is not error.instance:
            return False
        for wanted in _wanted_types(error):
            found, value = _exact(error.instance, wanted)
            if found:
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
        case float(), "integer" if value.is_integer():
            return True, int(value)
        case str(), "number" if _NUMBER.fullmatch(value.strip()):
            return _number(value.strip())
        case (("true" | "false"), "boolean"):
            return True, value == "true"
        case ((bool() | int() | float() | list() | dict()), "string"):
            return True, text_of(value)
    return False, None


def _number(text: str) -> tuple[bool, Json]:
    if _INTEGER.fullmatch(text):
        return True, int(text)
    number = float(text)
    return Decimal(text) == Decimal(repr(number)), number
