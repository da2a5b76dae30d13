"""The closed union of events. Every strategy emits the same ones; `PlanText` and `AnswerText` pass and are not kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from llmcompiler.joiner import Decision
from llmcompiler.plan.diagnostics import Diagnostic
from llmcompiler.plan.outcomes import ErrorRecord, Outcome
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Json

if TYPE_CHECKING:
    from llmcompiler.strategies.result import RunResult


@dataclass(frozen=True, slots=True)
class _Event:
    """`at` is in seconds since the run began; `seq` counts the events of a run from 1; `round` from 1."""

    run_id: str
    seq: int
    at: float
    round: int


@dataclass(frozen=True, slots=True)
class RunStarted(_Event):
    """A question is to be answered."""

    question: str
    strategy: str


@dataclass(frozen=True, slots=True)
class PlanStarted(_Event):
    """A planner request begins."""

    purpose: Literal["plan", "repair"]


@dataclass(frozen=True, slots=True)
class TaskPlanned(_Event):
    """A task was read and accepted."""

    task: Task


@dataclass(frozen=True, slots=True)
class TaskRejected(_Event):
    """A task was diagnosed; `final` if it will not run, else it waits for the repair."""

    id: int
    tool: str
    diagnostics: tuple[Diagnostic, ...]
    final: bool


@dataclass(frozen=True, slots=True)
class TextInjected(_Event):
    """`text` was put into what the model writes, which had waited for it for `waited` seconds: 0 if it was writing."""

    text: str
    waited: float


@dataclass(frozen=True, slots=True)
class PlanClosed(_Event):
    """The plan's text has ended. `skipped` and `ignored` count characters outside tasks and after the join."""

    complete: bool
    tasks: int
    errors: tuple[Diagnostic, ...]
    notes: tuple[Diagnostic, ...]
    skipped: int
    ignored: int
    text: str


@dataclass(frozen=True, slots=True)
class TaskStarted(_Event):
    """An attempt begins, with the arguments as handed over."""

    id: int
    tool: str
    attempt: int
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class TaskRetrying(_Event):
    """An attempt failed with `error`; the next one is due at `due`, in seconds since the run began."""

    id: int
    attempt: int
    error: ErrorRecord
    due: float


@dataclass(frozen=True, slots=True)
class TaskEnded(_Event):
    """A task has its outcome. `reused_from` names the identical read that served it: a task's id, or the cache."""

    id: int
    outcome: Outcome
    attempts: int
    reused_from: int | Literal["cache"] | None


@dataclass(frozen=True, slots=True)
class JoinDecided(_Event):
    """The joiner has decided."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Replanned(_Event):
    """Another round begins, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunEnded(_Event):
    """The run is over. `error` says why there is no answer, if there is none."""

    result: "RunResult"
    error: str | None


@dataclass(frozen=True, slots=True)
class PlanText(_Event):
    """A piece of the planner's text, as it came."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerText(_Event):
    """A piece of the answer, as it came. If the joiner is asked again, its second answer follows the first one."""

    text: str


Event: TypeAlias = (
    RunStarted
    | PlanStarted
    | TaskPlanned
    | TaskRejected
    | TextInjected
    | PlanClosed
    | TaskStarted
    | TaskRetrying
    | TaskEnded
    | JoinDecided
    | Replanned
    | RunEnded
    | PlanText
    | AnswerText
)
PASSING = (PlanText, AnswerText)
