"""Offering: tools as providers of native tool calls take them, and the way back from the names they get."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from llmcompiler.plan.tools import ToolSpec

_LONGEST_NAME = 64
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
_DATA = frozenset({"default", "enum", "const", "examples"})  # what stands under these is no schema
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})


class Offering:
    """The tools of an agent, offered natively: `specs` are as a `Prompt` takes them.

    A name that providers refuse, such as `maps/find.city`, is offered as `maps_find_city`, or, where that is taken, with
    a number behind it. Titles are left out of the schemas: they say what the names say, and cost tokens in each request.
    """

    def __init__(self, specs: Iterable[ToolSpec]) -> None:
        self._names: dict[str, str] = {}  # as offered -> as the tool is named
        given = list(specs)
        for spec in sorted(given, key=lambda spec: fit_name(spec.name) != spec.name):  # who can keep their names do
            self._names[self._free_name(fit_name(spec.name))] = spec.name
        offered = {name: offered for offered, name in self._names.items()}
        self.specs = tuple(
            replace(spec, name=offered[spec.name], parameters=_untitled(spec.parameters)) for spec in given
        )

    def tool_of(self, name: str) -> str:
        """Return the name of the tool that is called by a name as it was offered; any other name as it is."""
        return self._names.get(name, name)

    def _free_name(self, name: str) -> str:
        numbered = (f"{name[: _LONGEST_NAME - 1 - len(str(n))]}_{n}" for n in count(2))
        return name if name not in self._names else next(other for other in numbered if other not in self._names)


def fit_name(name: str) -> str:
    """Return a name that every provider takes: 1 to 64 of A-Z, a-z, 0-9, `_` and `-`. One that is such stays."""
    return _UNFIT.sub("_", name)[:_LONGEST_NAME] or "_"


def _untitled(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _part(key, value) for key, value in schema.items() if key != "title"}


def _part(key: str, value: Any) -> Any:
    if key in _DATA:
        return value
    if key in _NAMED and isinstance(value, Mapping):
        return {name: _part("", inner) for name, inner in value.items()}
    if isinstance(value, Mapping):
        return _untitled(value)
    return [_part("", inner) for inner in value] if isinstance(value, list) else value
