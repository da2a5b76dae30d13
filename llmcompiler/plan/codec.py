"""Plans as versioned JSON: refs and texts are tagged, so that user data cannot imitate them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from llmcompiler.errors import PlanError
from llmcompiler.plan.tasks import MAX_ID, Task
from llmcompiler.plan.values import Ref, Text, Value

VERSION = 1


def encode_tasks(tasks: Iterable[Task], *, joined: bool) -> str:
    """Return JSON text; `decode_tasks` reads it back as equal tasks."""
    return json.dumps({"version": VERSION, "joined": joined, "tasks": [_task(task) for task in tasks]})


def _task(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "tool": task.tool,
        "args": [encode_value(value) for value in task.args],
        "kwargs": {name: encode_value(value) for name, value in task.kwargs.items()},
        "thought": task.thought,
    }


def encode_value(value: Value) -> Any:
    """Return JSON data. Objects become `{"object": ...}`, refs `{"ref": ...}`, texts `{"text": ...}`."""
    match value:
        case Ref(id, path):
            return {"ref": [id, *path]}
        case Text(parts):
            return {"text": [encode_value(part) for part in parts]}
        case tuple():
            return [encode_value(item) for item in value]
        case Mapping():
            return {"object": {key: encode_value(item) for key, item in value.items()}}
    return value


def decode_tasks(text: str, *, known: Iterable[int] = ()) -> tuple[tuple[Task, ...], bool]:
    """Return the tasks and whether they end in a join. Raises `PlanError` for anything `encode_tasks` did not write.

    `known` are ids of earlier rounds, which refs may name too.
    """
    try:
        data = json.loads(text, parse_constant=_no_number)
        if data["version"] != VERSION:
            raise PlanError(f"this plan has version {data['version']!r}; this release reads {VERSION}", text=text)
        tasks = tuple(_read_task(item) for item in data["tasks"])
        joined = data["joined"]
        earlier, seen = frozenset(known), set[int]()
        for task in tasks:
            _require(task.id not in seen and task.inputs - earlier <= seen)
            seen.add(task.id)
        _require(isinstance(joined, bool))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PlanError(f"not a plan in JSON: {type(error).__name__}: {error}", text=text) from error
    return tasks, joined


def _read_task(data: Any) -> Task:
    _require(isinstance(data["args"], list))
    kwargs = {name: _read_value(value) for name, value in data["kwargs"].items()}
    task = Task(data["id"], data["tool"], tuple(_read_value(v) for v in data["args"]), kwargs, data["thought"])
    _require(type(task.id) is int and 0 < task.id <= MAX_ID)
    _require(isinstance(task.tool, str) and isinstance(task.thought, str))
    return task


def _read_value(data: Any) -> Value:
    match data:
        case None | bool() | int() | float() | str():
            return data
        case list():
            return tuple(_read_value(item) for item in data)
        case {"object": dict(items)} if len(data) == 1:
            return {key: _read_value(item) for key, item in items.items()}
        case {"text": list(parts)} if len(data) == 1:
            read = tuple(part if isinstance(part, str) else _read_ref(part) for part in parts)
            return Text(read)
    return _read_ref(data)


def _read_ref(data: Any) -> Ref:
    match data:
        case {"ref": [int(id), *path]} if len(data) == 1 and not isinstance(id, bool):
            _require(all(isinstance(step, str) or type(step) is int for step in path))
            _require(not any(str(step).startswith("__") for step in path))
            return Ref(id, tuple(path))
    raise ValueError(f"no value: {data!r}"[:200])


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _require(fact: bool) -> None:
    if not fact:
        raise ValueError("a task breaks the rules of a plan: unique positive ids, refs to earlier tasks")
