"""Plan: tasks ending in a join. A DAG by construction, since refs point back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmcompiler.plan.codec import decode_tasks, encode_tasks
from llmcompiler.plan.diagnostics import Diagnostic
from llmcompiler.plan.drawing import graph_of, mermaid_of
from llmcompiler.plan.printer import print_tasks
from llmcompiler.plan.tasks import Task

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in the order in which they were read; `complete` if the text ended in a join.

    `notes` are the lint notes met while reading. Printing a plan and parsing it gives an equal plan; so does JSON.
    """

    tasks: tuple[Task, ...] = ()
    complete: bool = True
    notes: tuple[Diagnostic, ...] = field(default=(), compare=False)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def __str__(self) -> str:
        return print_tasks(self.tasks, joined=self.complete)

    def to_json(self) -> str:
        """Return the plan as versioned JSON text; `Plan.from_json` reads it."""
        return encode_tasks(self.tasks, joined=self.complete)

    @staticmethod
    def from_json(text: str, known: Iterable[int] = ()) -> "Plan":
        """Return the plan that `to_json` wrote. Raises `PlanError` for anything else.

        `known` are ids whose outcomes exist already, from earlier rounds.
        """
        tasks, joined = decode_tasks(text, known=known)
        return Plan(tasks, joined)

    def graph(self) -> "networkx.DiGraph[Any]":
        """Return a `networkx.DiGraph`: nodes are task ids (attribute `task`), edges run from input to user."""
        return graph_of(self.tasks)

    def mermaid(self) -> str:
        """Return the plan as a Mermaid flowchart, join included."""
        return mermaid_of(self.tasks)
