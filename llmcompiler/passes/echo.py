"""Echo: a plan that is an example of the prompt, call for call, though the question is another one.

It is noted, not refused: two questions may have one plan. The joiner sees what its results are worth.
"""

from collections.abc import Iterable

from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.parser import JoinRead, PlanParser, TaskRead
from llmcompiler.plan.tasks import Task


def echo_notes(text: str, question: str, examples: Iterable[tuple[str, str]]) -> list[Diagnostic]:
    """Return a note if the plan in `text` is that of an example (question and plan) for another question."""
    tasks = _tasks(text)
    for asked, plan in examples:
        if tasks and asked.strip() != question.strip() and _are_same(tasks, _tasks(plan)):
            said = f"this is the plan of the example {asked[:60]!r}, which is another question"
            return [Diagnostic("echo", said, Span(0, len(text)), severity="note")]
    return []


def _tasks(text: str) -> list[Task]:
    """Return the tasks that are read before the join."""
    parser = PlanParser()
    tasks = []
    for item in [*parser.feed(text), *parser.close()]:
        if isinstance(item, JoinRead):
            break
        if isinstance(item, TaskRead):
            tasks.append(item.task)
    return tasks


def _are_same(tasks: list[Task], others: list[Task]) -> bool:
    return len(tasks) == len(others) and all(
        one.id == other.id and one.same_call(other) for one, other in zip(tasks, others, strict=True)
    )
