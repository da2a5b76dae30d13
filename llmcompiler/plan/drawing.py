"""Pictures of a plan: a networkx graph for analysis, Mermaid for documents."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmcompiler.plan.printer import print_call
from llmcompiler.plan.tasks import Task

if TYPE_CHECKING:
    import networkx


def graph_of(tasks: Sequence[Task]) -> "networkx.DiGraph[Any]":
    """Return a directed graph: nodes are ids with the attribute `task`, edges run from input to user."""
    import networkx  # 100 ms, needed only where a plan is analysed or drawn

    graph: networkx.DiGraph[Any] = networkx.DiGraph()
    known = {task.id for task in tasks}
    for task in tasks:
        graph.add_node(task.id, task=task)
        graph.add_edges_from((input_id, task.id) for input_id in sorted(task.inputs & known))
    return graph


def mermaid_of(tasks: Sequence[Task]) -> str:
    """Return a Mermaid flowchart from top to bottom; tasks that nothing uses lead to the join."""
    used = {input_id for task in tasks for input_id in task.inputs}
    known = {task.id for task in tasks}
    lines = ["flowchart TD"]
    lines += [f'    t{task.id}["{_label(task)}"]' for task in tasks]
    lines.append("    join([join])")
    lines += [f"    t{input_id} --> t{task.id}" for task in tasks for input_id in sorted(task.inputs & known)]
    lines += [f"    t{task.id} --> join" for task in tasks if task.id not in used]
    return "\n".join(lines)


def _label(task: Task) -> str:
    text = f"{task.id}. {print_call(task)}"
    text = text if len(text) <= 80 else text[:79] + "…"
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
