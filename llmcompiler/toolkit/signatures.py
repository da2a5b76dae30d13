"""Signatures: the JSON schema of a function's arguments, and what turns JSON data into what its annotations want."""

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import PydanticUserError, TypeAdapter

from llmcompiler.errors import UsageError
from llmcompiler.toolkit.schema import schema_problem

_PLAIN = (None, type(None), bool, int, float, str, list, dict, Any, object, inspect.Parameter.empty)


def given_schema(parameters: Mapping[str, Any], function: Callable[..., Any], name: str) -> Mapping[str, Any]:
    """Return `parameters` if they are a JSON schema of arguments that the function takes. Raises `UsageError` if not."""
    problem = schema_problem(parameters)
    if problem:
        raise UsageError(f"tool {name}: parameters are no JSON schema of an object: {problem}")
    strange = [key for key in parameters.get("properties", ()) if not _takes(function, key)]
    if strange:
        raise UsageError(f"tool {name}: parameters name {', '.join(strange)}, which the function does not take")
    return parameters


def _takes(function: Callable[..., Any], key: str) -> bool:
    """Return whether a function takes an argument of that name, as far as its signature tells."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return True
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return any(each.kind is each.VAR_KEYWORD or (each.name == key and each.kind in by_name) for each in parameters)


def schema_of(function: Callable[..., Any], name: str) -> Mapping[str, Any]:
    """Return the JSON schema of a function's arguments. Raises `UsageError` for one that has none."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError) as error:
        raise UsageError(f"tool {name}: it has no readable signature; wrap it in a function") from error
    if next(iter(signature.parameters), "") in ("self", "cls"):
        raise UsageError(
            f"tool {name}: decorate no method inside its class; make a tool of the bound one: tool(it.{name})"
        )
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise UsageError(
                f"tool {name}: argument {parameter} cannot be given by name; make it an ordinary parameter"
            )
    hints: dict[str, Any] = {}
    try:
        hints = _hints(function)
        return _json_schema(_stub(signature, hints))
    except (PydanticUserError, NameError, TypeError) as error:
        culprit = next((f"argument {name!r}" for name, hint in hints.items() if not _has_schema(hint)), "a signature")
        said = str(error).partition(". Set ")[0].partition("\n")[0]
        raise UsageError(
            f"tool {name}: {culprit} that JSON schema cannot describe: {said}; "
            "annotate with types of JSON, dataclasses or pydantic models, or pass parameters="
        ) from error


def _stub(signature: inspect.Signature, hints: dict[str, Any]) -> Callable[..., Any]:
    """Return a function of that signature: pydantic does not read every callable, and stumbles over return types."""

    def stub() -> None: ...

    stub.__signature__ = signature.replace(return_annotation=signature.empty)  # type: ignore[attr-defined]
    stub.__annotations__ = hints
    return stub


def _json_schema(kind: Any) -> Mapping[str, Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return adapter.json_schema()


def _has_schema(hint: Any) -> bool:
    try:
        _json_schema(hint)
    except (PydanticUserError, NameError, TypeError):
        return False
    return True


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of the parameters, by name. Raises `NameError`, `TypeError` or `ValueError`."""
    signature = inspect.signature(function)
    written = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    inner = inspect.unwrap(inner_function(function))
    inner = inner if inspect.isroutine(inner) or isinstance(inner, type) else type(inner).__call__
    names = getattr(inspect.unwrap(inner), "__globals__", None) or vars(sys.modules[inner.__module__])
    known = {name: hint for name, hint in written.items() if hint is not signature.empty}
    return typing.get_type_hints(_stub(signature, known), globalns=names, include_extras=True)


def is_async(function: Any) -> bool:
    """Return whether calling `function` gives a coroutine."""
    call = type(function).__call__  # of an object with an async __call__
    return any(map(inspect.iscoroutinefunction, (function, inspect.unwrap(function), call)))


def inner_function(function: Any) -> Any:
    """Return the function that partials stand for, whose name and description are theirs."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def adapters_of(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """Return an adapter for each parameter whose annotation is more than plain JSON data."""
    try:
        hints = _hints(function)
    except (TypeError, NameError, ValueError):
        return {}
    adapters = {}
    for name, hint in hints.items():
        if not _is_plain(hint):
            with suppress(PydanticUserError):  # what no schema describes, beside a schema that was given: JSON data
                adapters[name] = TypeAdapter(hint)
    return adapters


def _is_plain(hint: Any) -> bool:
    if hint in _PLAIN:
        return True
    if typing.get_origin(hint) in (list, dict, typing.Union, type(int | str)):
        return all(map(_is_plain, typing.get_args(hint)))
    return False
