"""RunResult: a fold over the events of a run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from llmcompiler.execution.watchdog import Blocked
from llmcompiler.journal.events import Event, PlanClosed, TaskEnded, TaskPlanned, TaskRejected, TaskStarted
from llmcompiler.models.model import UsageTotals
from llmcompiler.observe.timeline import Row, draw
from llmcompiler.plan.outcomes import Cancelled, Outcome, Succeeded
from llmcompiler.plan.plan import Plan
from llmcompiler.plan.printer import print_call
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Json


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What became of one task. Times are seconds since the run began; None for what did not happen.

    `arguments` are those handed over at the last attempt. `reused_from` is the task whose outcome served this one, or
    `"cache"`.
    """

    task: Task
    round: int
    planned: float
    outcome: Outcome = field(default_factory=Cancelled)
    arguments: Mapping[str, Json] | None = None
    attempts: int = 0
    started: float | None = None
    ended: float | None = None
    reused_from: int | Literal["cache"] | None = None


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    answer: None only inside `RunFailed`. status: `partial` if a limit or a cut plan kept the run from its end; `stopped_by`
    names what. tasks: by id. plans: one a round. abandoned: calls that were given up and were still hanging when the run
    ended. blocked: each time that the event loop was blocked, by which tool, where and how long. seconds: how long the
    run took.
    """

    question: str
    answer: str | None
    status: Literal["complete", "partial", "failed"]
    stopped_by: str | None
    tasks: Mapping[int, TaskRecord]
    plans: tuple[Plan, ...]
    usage: UsageTotals
    events: tuple[Event, ...] = field(repr=False)
    abandoned: int = 0
    blocked: tuple[Blocked, ...] = ()
    seconds: float = 0.0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"tasks": dict(self.tasks)}  # a mapping proxy cannot be pickled or copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"tasks": MappingProxyType(state["tasks"])})

    def timeline(self, width: int = 100) -> str:
        """Return a Gantt chart as text, one line a task, at most `width` columns."""
        return draw([_row(record) for record in self.tasks.values()], self.seconds, width)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON data, without the events."""
        total = self.usage.total
        return {
            "question": self.question,
            "answer": self.answer,
            "status": self.status,
            "stopped_by": self.stopped_by,
            "seconds": round(self.seconds, 4),
            "tasks": [_task_dict(id, record) for id, record in self.tasks.items()],
            "plans": [str(plan) for plan in self.plans],
            "usage": {"total": asdict(total), **{who: asdict(use) for who, use in self.usage.by_purpose.items()}},
            "abandoned": self.abandoned,
            "blocked": [asdict(blocked) for blocked in self.blocked],
        }


def _task_dict(id: int, record: TaskRecord) -> dict[str, Any]:
    outcome = {"kind": type(record.outcome).__name__.lower(), **asdict(record.outcome)}
    times = {"planned": record.planned, "started": record.started, "ended": record.ended}
    return {
        "id": id,
        "call": print_call(record.task),
        "arguments": None if record.arguments is None else dict(record.arguments),
        "outcome": outcome,
        "round": record.round,
        "attempts": record.attempts,
        "reused_from": record.reused_from,
        **{name: None if at is None else round(at, 4) for name, at in times.items()},
    }


def _row(record: TaskRecord) -> Row:
    mark = "done" if isinstance(record.outcome, Succeeded) else type(record.outcome).__name__.lower()
    if record.reused_from is not None:
        mark = "= cache" if record.reused_from == "cache" else f"= task {record.reused_from}"
    call = print_call(record.task)
    return Row(f"{record.task.id}. {call}", record.planned, record.started, record.ended, mark)


def fold_tasks(events: tuple[Event, ...]) -> Mapping[int, TaskRecord]:
    """Return what became of each task, in the order of their ids."""
    records: dict[int, TaskRecord] = {}
    for event in events:
        match event:
            case TaskPlanned(task=task):
                records[task.id] = TaskRecord(task, event.round, event.at)
            case TaskRejected(id=id, final=True):
                records.setdefault(id, TaskRecord(Task(id, event.tool), event.round, event.at))
            case TaskStarted(id=id):
                first = records[id].started if records[id].started is not None else event.at
                records[id] = replace(records[id], started=first, arguments=event.arguments)
            case TaskEnded(id=id):
                record = records.setdefault(id, TaskRecord(Task(id, "?"), event.round, event.at))
                records[id] = replace(
                    record,
                    outcome=event.outcome,
                    ended=event.at,
                    attempts=event.attempts,
                    reused_from=event.reused_from,
                )
    return MappingProxyType(dict(sorted(records.items())))


def fold_plans(events: tuple[Event, ...]) -> tuple[Plan, ...]:
    """Return the plan of each round: the accepted tasks, in the order in which they were accepted."""
    rounds: dict[int, list[Task]] = {}
    complete: dict[int, bool] = {}
    for event in events:
        match event:
            case TaskPlanned(task=task):
                rounds.setdefault(event.round, []).append(task)
            case PlanClosed():
                rounds.setdefault(event.round, [])
                complete[event.round] = event.complete
    return tuple(Plan(tuple(tasks), complete.get(number, False)) for number, tasks in rounds.items())
