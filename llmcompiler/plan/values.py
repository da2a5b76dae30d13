"""Values: what an argument may hold, and how refs in it become the outcomes of earlier tasks.

A `Value` is plain JSON data in which refs may stand anywhere: a `Ref` alone keeps the type of what it names, a `Text` is a
string with refs in it. Substitution happens once; what was substituted is never scanned again.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias, Union

from llmcompiler.plan.showing import shown

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
Step: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Ref:
    """The outcome of task `id`, or the part of it that `path` leads to.

    `literal` is the text that a quoted ref stands for if its task never appears; None for an unquoted one.
    """

    id: int
    path: tuple[Step, ...] = ()
    literal: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"${{{self.id}{path_text(self.path)}}}" if self.path else f"${self.id}"


@dataclass(frozen=True, slots=True)
class Text:
    """A string with refs in it, as alternating pieces."""

    parts: tuple[Union[str, "Ref"], ...]


Value: TypeAlias = "None | bool | int | float | str | Ref | Text | tuple[Value, ...] | Mapping[str, Value]"


class MissingField(LookupError):
    """A path leads nowhere in the value it was applied to."""


def path_text(path: tuple[Step, ...]) -> str:
    """Return a path as it is written inside `${...}`: `.name`, `[0]`, `["any key"]`."""
    return "".join(_step_text(step) for step in path)


_NAME = re.compile(r"[^\W\d_]\w*")  # what the parser takes for a name; `str.isidentifier` knows other characters


def _step_text(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if _NAME.fullmatch(step):
        return f".{step}"
    return f"[{json.dumps(step, ensure_ascii=False)}]"


def same(one: Value, other: Value) -> bool:
    """Return whether two values are the same data; unlike `==`, 1 is neither 1.0 nor True."""
    match one, other:
        case tuple(), tuple():
            return len(one) == len(other) and all(map(same, one, other))
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    return type(one) is type(other) and one == other


def refs(value: Value) -> Iterator[Ref]:
    """Yield every ref in `value`, in the order of the text."""
    match value:
        case Ref():
            yield value
        case Text(parts):
            yield from (part for part in parts if isinstance(part, Ref))
        case tuple():
            for item in value:
                yield from refs(item)
        case Mapping():
            for item in value.values():
                yield from refs(item)


def map_refs(value: Value, change: Callable[[Ref], Ref | str]) -> Value:
    """Return `value` with each ref replaced by another ref or by literal text."""
    match value:
        case Ref():
            return change(value)
        case Text(parts):
            return joined([change(part) if isinstance(part, Ref) else part for part in parts])
        case tuple():
            return tuple(map_refs(item, change) for item in value)
        case Mapping():
            return {key: map_refs(item, change) for key, item in value.items()}
    return value


def joined(parts: list[str | Ref]) -> str | Ref | Text:
    """Return the simplest value for the pieces of a string: text, a lone ref, or a `Text`."""
    merged: list[str | Ref] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    if not merged:
        return ""
    return merged[0] if len(merged) == 1 else Text(tuple(merged))


def substitute(value: Value, results: Mapping[int, Json]) -> Json:
    """Return `value` as fresh JSON data, each ref replaced by what it names in `results`.

    Raises `MissingField` where a path leads nowhere. Nothing in the result is shared with `results`.
    """
    match value:
        case Ref():
            return copied(follow(results[value.id], value))
        case Text(parts):
            return "".join(part if isinstance(part, str) else text_of(follow(results[part.id], part)) for part in parts)
        case tuple():
            return [substitute(item, results) for item in value]
        case Mapping():
            return {key: substitute(item, results) for key, item in value.items()}
    return value


def follow(value: Json, ref: Ref) -> Json:
    """Return the part of plain data that the path of `ref` leads to; never an attribute of an object."""
    here = value
    for count, step in enumerate(ref.path):
        match here, step:
            case dict(), str() if step in here:
                here = here[step]
            case list(), int() if -len(here) <= step < len(here):
                here = here[step]
            case _:
                raise MissingField(_missing(ref, count, here))
    return here


def _missing(ref: Ref, count: int, here: Json) -> str:
    place = f"${ref.id}{path_text(ref.path[:count])}"
    if isinstance(here, dict):
        found = f"an object with the keys {', '.join(map(_key_text, islice(here, 12))) or 'none'}"
    elif isinstance(here, list):
        found = f"a list of {len(here)} items"
    else:
        found = f"{shown(here, 60)}, which has no parts"
    return f"{ref} does not exist: {place} is {found}"


def _key_text(key: str) -> str:
    return repr(key if len(key) <= 60 else f"{key[:60]}…")


def text_of(value: Json) -> str:
    """Return the text form of a value inside a string: strings raw, everything else compact JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


BIG = 20_000  # steps: to copy or write that much takes some milliseconds
_HOLDERS = (str, list, tuple, dict)
_STEP = 50  # characters of a text that weigh as much as one value


def weight(value: object, limit: int = BIG) -> int:
    """Return how many steps a walk through the lists, dicts and texts of `value` takes; gives up beyond `limit`."""
    steps, waiting = 0, [value]
    while waiting and steps <= limit:
        item = waiting.pop()
        steps += 1
        if isinstance(item, str):
            steps += len(item) // _STEP
        elif isinstance(item, (list, tuple, dict)):
            if steps + len(item) > limit:
                return limit + 1
            waiting.extend(item)
            waiting.extend(item.values() if isinstance(item, dict) else ())
    return steps


def is_big(value: object) -> bool:
    """Return whether copying or writing `value` would keep the event loop from its work. Costs little itself."""
    return isinstance(value, _HOLDERS) and weight(value) > BIG


def copied(value: Json) -> Json:
    """Return a private copy of plain JSON data."""
    if isinstance(value, list):
        return [copied(item) for item in value]
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return value
