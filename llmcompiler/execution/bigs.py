"""Big values: how a call that is handed one is told from another, without reading it.

A call is told by its tool and resolved arguments. The text of a big value would take as long as the value is big, at every
start; so a big part is named by the task that gave it, and the path that leads to it.
"""

import json
from collections.abc import Mapping
from typing import Any

from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Json, MissingField, Ref, Text, Value, follow, is_big, refs


class BigValues:
    """The big results of one run. They are known by identity, since a result that serves several tasks is one object."""

    def __init__(self) -> None:
        self._givers: dict[int, int] = {}  # `id` of the value, which the run keeps alive -> the task that gave it first

    def keep(self, task: int, value: Json) -> None:
        """Take note of a task's result."""
        if is_big(value):
            self._givers.setdefault(id(value), task)

    def holds(self, value: Json) -> bool:
        """Return whether a result is big."""
        return id(value) in self._givers

    def reach(self, task: Task, values: Mapping[int, Json]) -> bool:
        """Return whether a big value is among the arguments of a task; all its inputs are in `values`."""
        return bool(self._givers) and any(self._is_big(ref, values) for value in task.values() for ref in refs(value))

    def call_text(self, task: Task, values: Mapping[int, Json]) -> str:
        """Return what tells the call of a task from others, big parts named; never equal to that of a call without."""
        told = {name: self._told(value, values) for name, value in task.kwargs.items()}
        return f"{task.tool} with {json.dumps(told, sort_keys=True)}"

    def _is_big(self, ref: Ref, values: Mapping[int, Json]) -> bool:
        if id(values[ref.id]) not in self._givers:
            return False
        try:
            return is_big(follow(values[ref.id], ref))
        except MissingField:
            return False  # which is found when the arguments are resolved

    def _told(self, value: Value, values: Mapping[int, Json]) -> Any:
        """Return JSON data for a value. Every object in it is a tag, so that no data can pass for a name."""
        match value:
            case Ref(id=giver) if self._is_big(value, values):
                return {"big": [self._givers[id(values[giver])], *value.path]}
            case Ref():
                try:
                    return {"data": follow(values[value.id], value)}
                except MissingField:
                    return {"missing": [value.id, *value.path]}
            case Text(parts):
                return {"text": [self._told(part, values) for part in parts]}
            case tuple():
                return [self._told(item, values) for item in value]
            case Mapping():
                return {"object": {key: self._told(item, values) for key, item in value.items()}}
        return value
