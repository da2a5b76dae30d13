"""Showing: a value as one line of JSON for people and prompts, cut to a width, at the cost of the width alone."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmcompiler.plan.values import Json


def shown(value: "Json", width: int) -> str:
    """Return `value` as JSON, cut to `width` characters.

    What was cut says the true size: characters of a text, items of a list, keys of an object; and, where the greatest part
    lies further in, also the size of that. A number by itself is shown whole.
    """
    line = _Line(width)
    if line.add(value):
        return "".join(line.pieces)
    if not line.inside:
        return json.dumps(value)
    greatest = max(line.inside, key=len)
    within = "" if greatest is line.inside[0] else f", cut in {_kind(greatest)} of {_size(greatest)}"
    return f"{''.join(line.pieces)}… ({_size(line.inside[0])}{within})"


class _Line:
    """JSON as it is being written until the width is reached; then `inside` is what was being written, outermost first."""

    def __init__(self, width: int) -> None:
        self.pieces: list[str] = []
        self.inside: list[Any] = []
        self._room = width

    def add(self, value: Any) -> bool:
        """Write a value; return whether there was room for all of it."""
        has_size = isinstance(value, (str, list, tuple, dict))
        if not has_size:
            return self._put(json.dumps(value))
        self.inside.append(value)
        fits = self._add(value)
        if fits:
            self.inside.pop()
        return fits

    def _add(self, value: Any) -> bool:
        match value:
            case str():
                return self._put(json.dumps(value[: self._room + 1], ensure_ascii=False))  # JSON is never shorter
            case dict():
                return (
                    self._put("{")
                    and all(self._member(key, value, key_at) for key_at, key in enumerate(value))
                    and (self._put("}"))
                )
        items = (self._put(", " if at else "") and self.add(item) for at, item in enumerate(value))
        return self._put("[") and all(items) and self._put("]")

    def _member(self, key: str, owner: dict[str, Any], at: int) -> bool:
        return self._put(", " if at else "") and self.add(key) and self._put(": ") and self.add(owner[key])

    def _put(self, piece: str) -> bool:
        self.pieces.append(piece[: self._room])
        fits = len(piece) <= self._room
        self._room -= len(self.pieces[-1])
        return fits


def _kind(value: Any) -> str:
    return "a text" if isinstance(value, str) else "an object" if isinstance(value, dict) else "a list"


def _size(value: Any) -> str:
    one, many = ("key", "keys") if isinstance(value, dict) else ("item", "items")
    if isinstance(value, str):
        one, many = "character", "characters"
    return f"{len(value):,} {one if len(value) == 1 else many}"
