"""Conversion: what a tool returns becomes plain JSON data, by one table, or is refused by name.

    None, bool, int, float, str ── as they are        list, tuple ── list        dict ── dict with text keys
    whatever `_TABLE` names, dataclasses, pydantic models ── one of the above, and again
    anything else ── NotJson, which says where it is and what to return instead

The result shares nothing mutable with the value, so a tool may keep and change what it returned.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from io import IOBase
from math import isfinite, log10
from pathlib import PurePath
from types import MappingProxyType
from typing import Any
from uuid import UUID

from llmcompiler.plan.values import Json, Step, path_text

MAX_DEPTH = 200
MAX_DIGITS = 4_000  # below the 4,300 at which Python itself refuses to write or read an int

_INT_END = 10**MAX_DIGITS
_PATH_WIDTH = 160


class NotJson(TypeError):
    """A value holds something that is not JSON data; the text names its path, its type and what to return instead."""


class _Culprit(Exception):
    """Raised at the culprit; every container on the way out adds its step, so a good value pays nothing for paths."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[Step] = []  # innermost first
        self.owners: list[int] = []  # the containers' ids, likewise

    def inside(self, owner: object, step: Step) -> None:
        self.owners.append(id(owner))
        self.steps.append(step)

    def __str__(self) -> str:
        path = self.steps[::-1]
        first: dict[int, int] = {}
        for depth, owner in enumerate(reversed(self.owners)):
            if owner in first:  # only a cycle meets one container twice on the way down
                start, end = _place(path[: first[owner]]), _place(path[:depth])
                return f"{end} leads back to {start}; return data without cycles"
            first[owner] = depth
        return f"{_place(path)} {self.reason}"


def snapshot(value: object) -> object:
    """Return a copy of lists, tuples and dicts of plain scalars, for a conversion that cannot be at once.

    It is made at once, so that what a tool does to its value later is not in it. Raises `NotPlain` for anything else,
    whose conversion runs code of its own.
    """
    return _snapshot(value, 0)


class NotPlain(Exception):
    """A value holds more than lists, tuples, dicts and scalars."""


_SCALARS = frozenset({str, int, float, bool, type(None)})


def _snapshot(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if depth > MAX_DEPTH:
        raise NotPlain
    if kind is list or kind is tuple:
        if _SCALARS.issuperset(map(type, value)):  # at the speed of C: a million numbers in 20 ms
            return list(value)
        return [_snapshot(item, depth + 1) for item in value]
    if kind is dict:
        if _SCALARS.issuperset(map(type, value.values())):
            return dict(value)
        return {key: _snapshot(item, depth + 1) for key, item in value.items()}
    raise NotPlain


def to_json(value: object) -> Json:
    """Return `value` as plain JSON data that shares nothing with it. Raises `NotJson` for what cannot be."""
    try:
        return _converted(value, 0)
    except _Culprit as culprit:
        raise NotJson(str(culprit)) from culprit.__cause__


def _converted(value: Any, depth: int) -> Json:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _text(value)
    if value is None or kind is bool:
        return value  # type: ignore[no-any-return]
    if kind is int:
        return value if -_INT_END < value < _INT_END else _integer(value)
    if kind is float:
        return value if isfinite(value) else _float(value)
    if kind is dict:
        return _object(value, depth + 1)
    if kind is list or kind is tuple:
        return _array(value, depth + 1)
    return _odd(value, depth)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Culprit(
            f"holds a lone surrogate at position {error.start}, which is not valid text; "
            "return it decoded with errors='replace'"
        ) from None
    return value


def _integer(value: int) -> int:
    if -_INT_END < value < _INT_END:
        return value
    digits = int(value.bit_length() * log10(2)) + 1  # str() of such an int raises
    raise _Culprit(f"is an int of about {digits:,} digits, and {MAX_DIGITS:,} is the limit; return text or a float")


def _float(value: float) -> float:
    if isfinite(value):
        return value
    raise _Culprit(f"is {value}, which JSON has no number for; return None or text")


def _array(value: list[Any] | tuple[Any, ...], depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise _Culprit(f"is nested deeper than {MAX_DEPTH} levels; return flatter data")
    items: list[Json] = []
    try:
        for item in value:
            items.append(_converted(item, depth))
    except _Culprit as culprit:
        culprit.inside(value, len(items))
        raise
    return items


def _object(value: dict[Any, Any], depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise _Culprit(f"is nested deeper than {MAX_DEPTH} levels; return flatter data")
    members: dict[str, Json] = {}
    for key, item in list(value.items()):  # a list: the tool may still be writing to its dict in another thread
        name = key if type(key) is str and key.isascii() else _key(key)
        if name in members:
            raise _Culprit(f"has two keys that are both {name!r} in JSON; make them different texts")
        try:
            members[name] = _converted(item, depth)
        except _Culprit as culprit:
            culprit.inside(value, name)
            raise
    return members


def _key(key: object) -> str:
    if isinstance(key, Enum):
        return _key(key.value)
    if isinstance(key, str):
        return _text(str.__str__(key))
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return str(_integer(int.__int__(key)))
    raise _Culprit(
        f"has a key of type {_name(type(key))}; keys are text in JSON: str() them, or return a list of pairs"
    )


def _odd(value: object, depth: int) -> Json:
    """Convert what is not plain: one step by the table, then again."""
    if depth > MAX_DEPTH:  # a serializer may return another model for ever
        raise _Culprit(f"is of type {_name(type(value))} inside its like; return plain data")
    try:
        plain = _simpler(value)
    except _Culprit:
        raise
    except Exception as error:  # code of the value's own class ran
        raise _Culprit(f"is of type {_name(type(value))} and could not be read: {_error_text(error)}") from error
    try:
        return _converted(plain, depth if type(plain) in (dict, list) else depth + 1)
    except _Culprit as culprit:
        if culprit.owners:
            culprit.owners[-1] = id(value)  # `plain` is fresh each time round a cycle, `value` is not
        raise


def _simpler(value: object) -> object:
    """Return `value` in a plainer form. Raises `_Culprit` where the table has none."""
    for kind, change in _TABLE:
        if isinstance(value, kind):
            return change(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    # Through sys.modules: where pydantic was never imported nothing can be a model of it.
    model = getattr(sys.modules.get("pydantic.main"), "BaseModel", None)
    if model is not None and isinstance(value, model):
        return value.model_dump(warnings=False)
    raise _Culprit(_refusal(value))


def _tuple(value: tuple[Any, ...]) -> object:
    names = getattr(type(value), "_fields", None)
    return list(value) if names is None else dict(zip(names, value, strict=True))


def _decimal(value: Decimal) -> int | float | str:
    """Return the number whose JSON text is exactly `value`; its own text where there is none."""
    if not value.is_finite():
        raise _Culprit(f"is Decimal {value}, which JSON has no number for; return None or text")
    if abs(value.adjusted()) >= MAX_DIGITS:
        return str(value)
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


# The base class's own method each time: a subclass may print itself otherwise.
_TABLE: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (Enum, lambda member: member.value),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (datetime, datetime.isoformat),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, timedelta.total_seconds),
    (Decimal, _decimal),
    (UUID, UUID.__str__),
    (PurePath, PurePath.__str__),
    (dict, dict),
    (MappingProxyType, dict),
    (list, list),
    (tuple, _tuple),
)

_HINTS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((bytes, bytearray, memoryview), "return text: .decode(), or base64"),
    ((set, frozenset), "return sorted(...) of it, a list"),
    ((Awaitable,), "await it before returning"),
    ((AsyncIterator,), "collect it first: [item async for item in ...]"),
    ((IOBase,), "return what it holds, or its path"),
    ((Iterator, range), "return list(...) of it"),
    ((BaseException,), "raise it instead of returning it"),
    ((type,), "return an instance turned into a dict, or the name"),
    ((complex,), "return text or a list of two numbers"),
)


def _refusal(value: object) -> str:
    kind = type(value)
    hint = next((hint for kinds, hint in _HINTS if isinstance(value, kinds)), "")
    if not hint and hasattr(kind, "tolist"):  # numpy's arrays and scalars
        hint = "return its .tolist()"
    if not hint and hasattr(kind, "to_dict"):  # tables, and many clients' response objects
        hint = "return its .to_dict()"
    if not hint and callable(value):
        hint = "return what it gives when called"
    hint = hint or "return a dict, a dataclass or a pydantic model"
    return f"is of type {_name(kind)}, which is not JSON data; {hint}"


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _place(path: list[Step]) -> str:
    text = f"${path_text(tuple(path))}"
    return text if len(text) <= _PATH_WIDTH else f"{text[: _PATH_WIDTH - 40]}…{text[-40:]}"


def _error_text(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:500]
    except Exception:  # noqa: BLE001 - an exception whose str() fails
        return type(error).__name__
