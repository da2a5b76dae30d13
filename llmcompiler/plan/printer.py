"""Printing: canonical text that the parser reads back as equal tasks."""

import json
import re
from collections.abc import Iterable

from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref, Text, Value, path_text


def print_tasks(tasks: Iterable[Task], *, joined: bool = True) -> str:
    """Return one task a line, thoughts before their tasks, and the join if there is one."""
    lines = [line for task in tasks for line in _lines(task)]
    last = max((task.id for task in tasks), default=0) + 1
    return "\n".join([*lines, f"{last}. join()"] if joined else lines)


def _lines(task: Task) -> list[str]:
    thoughts = [f"Thought: {line}" for line in task.thought.split("\n")] if task.thought else []
    return [*thoughts, print_task(task)]


def print_task(task: Task) -> str:
    """Return the task on one line, without its thought."""
    return f"{task.id}. {print_call(task)}"


def print_call(task: Task) -> str:
    """Return `tool(arguments)` on one line."""
    positional = [print_value(value) for value in task.args]
    named = [f"{name}={print_value(value)}" for name, value in task.kwargs.items()]
    return f"{task.tool}({', '.join(positional + named)})"


def print_value(value: Value) -> str:
    """Return a value as the plan language writes it."""
    match value:
        case Ref():
            return str(value)
        case Text(parts):
            return _quote("".join(part.replace("$", "$$") if isinstance(part, str) else _inner(part) for part in parts))
        case str():
            return _quote(value.replace("$", "$$"))
        case tuple():
            return f"[{', '.join(map(print_value, value))}]"
        case None | bool() | int() | float():
            return json.dumps(value)
    pairs = (f"{_quote(key.replace('$', '$$'))}: {print_value(item)}" for key, item in value.items())
    return f"{{{', '.join(pairs)}}}"


def _inner(ref: Ref) -> str:
    return f"${{{ref.id}{path_text(ref.path)}}}"


_UNSAFE = re.compile(r"[\u200b-\u200d\u2028\u2029\u2060\ufeff\ud800-\udfff]")


def _quote(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
