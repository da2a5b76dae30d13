"""Whether calls are right, by the rules of BFCL's checker of syntax trees (for Python), oddities included.

The calls that were made must be as many as those expected. Each expected call, in its order, takes the first call left that
fits it; the order of the calls is of no account. (Where one call is expected, that is the rule of the simple and multiple
categories too.) A call fits if

* its name is equal, each required argument is there, each given one is known to both the function's document and the answer,
  and each one that is left out has `""` among its acceptable values;
* each value has exactly the declared type, but an integer may stand for a float, and a value of the type of the first
  acceptable answer (`""` not counted) passes as well: so does the name of a variable where a list is declared. Elements of
  a list are held to their declared type likewise, but no integer stands for a float there; what is deeper is not looked at;
* each value is equal to an acceptable one. Strings are compared without case, spaces and `,./-_*^`, single quotes as double
  ones, also as elements of a list and as values of a dict. Lists are compared in order. In a dict each key has acceptable
  values of its own, and a key that may be left out has `""` among them; lists of dicts are compared in order.

Values are JSON data, so that a tuple is a list.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmcompiler.bench.suites.bfcl.rows import LEFT_OUT, Expected, Function
from llmcompiler.plan.values import Json

_TYPES: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}
_IGNORED = re.compile(r"[ ,./\-_*^]")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made."""

    function: str
    arguments: Mapping[str, Json]


def all_match(calls: Sequence[Call], expected: Sequence[Expected], functions: Mapping[str, Function]) -> bool:
    """Return whether the calls are those expected, in any order."""
    left = list(calls)
    if len(left) != len(expected):
        return False
    for wanted in expected:
        function = functions[wanted.function]
        fitting = next((place for place, call in enumerate(left) if matches(call, wanted, function)), None)
        if fitting is None:
            return False
        del left[fitting]
    return True


def matches(call: Call, expected: Expected, function: Function) -> bool:
    """Return whether one call is the one expected."""
    given, acceptable = call.arguments, expected.arguments
    if call.function != expected.function or not given.keys() >= set(function.required):
        return False
    if not given.keys() <= function.properties.keys() & acceptable.keys():
        return False
    if any(LEFT_OUT not in acceptable[name] for name in acceptable.keys() - given.keys()):
        return False
    return all(_fits(value, acceptable[name], function.properties[name]) for name, value in given.items())


def _fits(value: Json, acceptable: Sequence[Json], declared: Mapping[str, Any]) -> bool:
    wanted, item = _TYPES[declared["type"]], _item_type(declared)
    given = float if wanted is float and type(value) is int else type(value)
    answered = _answer_type(acceptable)
    if given is wanted:
        if item is not None and not any(_elements_fit(value, answer, item) for answer in acceptable):
            return False
    elif given is not answered:
        return False
    if answered not in (None, wanted):  # a variable: its name is compared as it stands
        return value in acceptable
    return _equals_one(value, acceptable, dict if item is dict else wanted)


def _item_type(declared: Mapping[str, Any]) -> type | None:
    """Return the declared type of the elements, None for what has none."""
    if declared["type"] not in ("array", "tuple") or "items" not in declared:
        return None
    return _TYPES[declared["items"]["type"]]


def _answer_type(acceptable: Sequence[Json]) -> type | None:
    """Return the type of the first acceptable value; None if the argument can but be left out."""
    return next((type(answer) for answer in acceptable if answer != LEFT_OUT), None)


def _elements_fit(value: Any, answer: Json, item: type) -> bool:
    if not isinstance(answer, list):
        return True
    answered = _answer_type(answer)
    return all(type(element) in (item, answered) for element in value)


def _equals_one(value: Any, acceptable: Sequence[Any], kind: type) -> bool:
    """Return whether a value is one of the acceptable ones; `kind` says how they are compared."""
    if kind is dict:
        return any(_dicts_equal(value, answer) for answer in acceptable)
    if kind is str:
        return _plain(value) in map(_plain, acceptable)
    if kind is list:
        lists = [list(map(_plain, answer)) for answer in acceptable if isinstance(answer, (list, str))]
        return list(map(_plain, value)) in lists
    return value in acceptable


def _dicts_equal(value: Any, answer: Any) -> bool:
    """Return whether a dict, or each dict of a list, is as the answer says; a list that is left out is an empty one."""
    if isinstance(value, list):
        return len(value) == len(answer) and all(map(_dicts_equal, value, answer))
    if not (isinstance(value, dict) and isinstance(answer, dict)):
        return False
    if any(LEFT_OUT not in answer[key] for key in answer.keys() - value.keys()):
        return False
    return all(key in answer and _plain(item) in map(_plain, answer[key]) for key, item in value.items())


def _plain(value: Any) -> Any:
    """Return a string as it is compared, anything else as it is."""
    return _IGNORED.sub("", value).lower().replace("'", '"') if isinstance(value, str) else value
