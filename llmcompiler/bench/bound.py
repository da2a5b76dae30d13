"""The bound: how fast a run could be if the framework cost nothing.

Each task starts at the later of "its text was sent" and "its inputs are done"; the joiner is asked when every task has
ended. Computed from the server's log of what it sent when, and from the tools' own durations.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llmcompiler.passes.reader import Accepted, PlanReader
from llmcompiler.plan.tasks import Task
from llmcompiler.testing.server import LoggedRequest, Timing, tokenize


@dataclass(frozen=True, slots=True)
class Bound:
    """Seconds from the arrival of the planner's request to the last token of the joiner's reply."""

    tasks_ended: float
    total: float


def bound_of(planner: LoggedRequest, joiner_text: str, timing: Timing, seconds: Mapping[str, float]) -> Bound:
    """Return the bound of a one-round run; `seconds` are the durations of the tools by name."""
    reader, ended = PlanReader(None), dict[int, float]()
    for sent in planner.sent:
        for reading in reader.feed(sent.text):
            if isinstance(reading, Accepted):
                ended[reading.task.id] = _end(reading.task, sent.at - planner.at, ended, seconds)
    last_text = next(sent.at for sent in reversed(planner.sent) if ")" in sent.text) - planner.at
    tasks_ended = max([*ended.values(), last_text])
    joiner = timing.first_token + timing.per_token * (len(tokenize(joiner_text)) - 1)
    return Bound(tasks_ended, tasks_ended + joiner)


def _end(task: Task, sent: float, ended: Mapping[int, float], seconds: Mapping[str, float]) -> float:
    return max([sent, *(ended[id] for id in task.inputs)]) + seconds[task.tool]
