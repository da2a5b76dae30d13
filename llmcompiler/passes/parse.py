"""parse_plan: a whole text at once, by the same reader that takes it in chunks."""

from collections.abc import Iterable, Mapping

from llmcompiler.errors import NotAPlan, PlanError
from llmcompiler.passes.reader import Accepted, PlanReader, Reading
from llmcompiler.plan.diagnostics import render
from llmcompiler.plan.plan import Plan
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.tools import Tools


def read_plan(text: str, tools: Tools | None = None, known: Iterable[int] = ()) -> Plan:
    """Return the plan in `text`; with tools, arguments are bound to names and checked.

    `known` are ids whose outcomes exist already. Raises `NotAPlan` if nothing is readable, `PlanError` with all
    diagnostics if anything is wrong. A text without a join gives a plan that is not `complete`.
    """
    reader = PlanReader(tools, known=known)
    readings = [*reader.feed(text), *reader.close()]
    if reader.is_empty:
        raise NotAPlan(not_a_plan(text), text=text)
    if reader.errors:
        count = len(reader.errors)
        headline = f"the plan has {count} error{'s' if count > 1 else ''}"
        raise PlanError(f"{headline}\n{render(reader.errors, text)}", diagnostics=reader.errors, text=text)
    return plan_of(readings, reader)


def plan_of(readings: Iterable[Reading], reader: PlanReader) -> Plan:
    """Return the accepted tasks as a plan, in the order of the text, inputs before their users."""
    place: dict[int, int] = {}
    tasks: dict[int, Task] = {}
    for reading in readings:
        id = reading.task.id if isinstance(reading, Accepted) else reading.id
        place.setdefault(id, len(place))
        if isinstance(reading, Accepted):
            tasks[id] = reading.task
    ordered: dict[int, Task] = {}
    for id in sorted(tasks, key=place.__getitem__):
        _visit(id, tasks, ordered)
    return Plan(tuple(ordered.values()), reader.is_complete, tuple(reader.notes))


def _visit(start: int, tasks: Mapping[int, Task], ordered: dict[int, Task]) -> None:
    stack = [start]
    while stack:
        task = tasks[stack[-1]]
        missing = sorted(id for id in task.inputs if id in tasks and id not in ordered)
        if missing:
            stack += reversed(missing)
        else:
            ordered.setdefault(stack.pop(), task)


def not_a_plan(text: str) -> str:
    """Return the message for a text in which no task and no join can be read."""
    shown = text.strip()
    if not shown:
        return "the planner answered nothing; a plan is lines like `1. tool(arguments)` ending in `2. join()`"
    cut = shown if len(shown) <= 300 else shown[:300] + "…"
    return f"no task and no join in the planner's text; a plan is lines like `1. tool(arguments)`. It said: {cut}"
