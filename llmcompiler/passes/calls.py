"""The reading of a native tool call: its arguments are one JSON object, all literal, and are checked like any task's."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from llmcompiler.passes.check import check_task
from llmcompiler.plan.arguments import MAX_DEPTH
from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.parser import TaskRead
from llmcompiler.plan.showing import shown
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.tools import Tools
from llmcompiler.plan.values import Value

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_EXCERPT = 200


class BadArguments(ValueError):
    """The arguments of a call are no JSON object that can be used; the text says why, and quotes them."""


def read_arguments(text: str) -> Mapping[str, Value]:
    """Return the arguments in a JSON object; nothing at all, and `null`, are none. Raises `BadArguments`.

    Nothing in them is a ref: `$1` is text. Line ends within strings are tolerated.
    """
    try:
        return _object(text)
    except (ValueError, RecursionError) as error:
        said = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise BadArguments(f"the arguments are no JSON object: {said}; they are {shown(text, _MAX_EXCERPT)}") from error


def check_call(
    id: int, tool: str, arguments: Mapping[str, Value], tools: Tools, span: Span
) -> tuple[Task, list[Diagnostic]]:
    """Return the task that a call asks for, and what is wrong with it. `span` is where the call stands."""
    places = tuple((name, span) for name in arguments)
    return check_task(TaskRead(Task(id, tool, kwargs=arguments), span, kwarg_spans=places), tools)


def _object(text: str) -> Mapping[str, Value]:
    if not text.strip():
        return {}
    data = json.loads(text, strict=False, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_without_twins)
    if data is not None and not isinstance(data, dict):
        raise ValueError("write an object with the names of the parameters as keys")
    return {_text(name): _value(value, 1) for name, value in (data or {}).items()}


def _value(data: Any, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    match data:
        case str():
            return _text(data)
        case list():
            return tuple(_value(item, depth + 1) for item in data)
        case dict():
            return {_text(key): _value(item, depth + 1) for key, item in data.items()}
    plain: Value = data
    return plain


def _text(text: str) -> str:
    if not text.isascii() and _LONE_SURROGATE.search(text):
        raise ValueError("a lone surrogate is no character")
    return text


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is given twice")
        found[key] = value
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _refuse(said: str) -> NoReturn:
    raise ValueError(f"{said} is no number of JSON")
