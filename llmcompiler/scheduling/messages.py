"""What the task-fetching unit is told (signals) and what it decides (commands)."""

from dataclasses import dataclass
from typing import TypeAlias, TypeVar, dataclass_transform

from llmcompiler.plan.outcomes import ErrorRecord, Outcome

M = TypeVar("M")


@dataclass_transform(frozen_default=True)
def message(kind: type[M]) -> type[M]:
    """Make a class one of immutable records, which only the type checker enforces: it saves 2 us a task at run time."""
    return dataclass(slots=True, unsafe_hash=True)(kind)


@message
class PlanOpened:
    """A planner begins to write; the first plan of a run is open from the start."""


@message
class TaskPending:
    """A task was read that may not run yet: it is diagnosed, or names an id not read so far."""

    id: int


@message
class TaskAdded:
    """A task may run once its inputs succeeded. Also settles a pending one.

    `expected` is how long an attempt is expected to take, `timeout` how long it may take, in seconds. `cap` is how many
    tasks of the tool may run at once.
    """

    id: int
    tool: str
    inputs: frozenset[int] = frozenset()
    is_held: bool = False
    expected: float = 1.0
    timeout: float | None = None
    cap: int | None = None


@message
class TaskRefused:
    """A pending task will never run."""

    id: int
    error: ErrorRecord


@message
class PlanClosed:
    """The text of the plan has ended; `complete` if in a join."""

    complete: bool


@message
class RepairStarted:
    """The planner was asked to repair what is pending."""


@message
class HeldReleased:
    """Tasks that were added so far are held no longer, though the plan goes on."""


@message
class PlanSealed:
    """Nothing more will come, and nothing is pending."""


@message
class AttemptEnded:
    """An attempt ended. `retry_in` seconds from now another one is due, if the policy of the tool allows one.

    `attempt` is the one of its `StartTask`; 0 if the task was parked and an identical read serves it.
    """

    id: int
    attempt: int
    outcome: Outcome
    retry_in: float | None = None


@message
class TaskParked:
    """A task that was to start could not: something outside this run is in the way. It gives up its slot."""

    id: int


@message
class TaskDeferred:
    """A task that was to start may not: its tool is at its rate until `not_before`. It is ready still, without a slot.

    No other task of the tool is started before that time either.
    """

    id: int
    not_before: float


@message
class TaskUnparked:
    """What was in the way is gone."""

    id: int


@message
class Tick:
    """The time of the last `SetTimer` has come."""


@message
class Stopped:
    """The run is over: cancelled, or out of a limit. Whatever has not ended is cancelled, whatever comes later too.

    It is always answered by `EndRound`.
    """


Signal: TypeAlias = (
    PlanOpened
    | TaskPending
    | TaskAdded
    | TaskRefused
    | PlanClosed
    | RepairStarted
    | HeldReleased
    | PlanSealed
    | AttemptEnded
    | TaskParked
    | TaskDeferred
    | TaskUnparked
    | Tick
    | Stopped
)


@message
class StartTask:
    """Begin an attempt; attempts count from 1."""

    id: int
    attempt: int


@message
class ExpireTask:
    """The attempt is past its timeout: abandon it and report how it ended."""

    id: int
    attempt: int


@message
class StopTask:
    """Abandon the running attempt; the task has ended."""

    id: int


@message
class RetryTask:
    """The attempt failed with `error`; the next one is due at `at`."""

    id: int
    attempt: int
    error: ErrorRecord
    at: float


@message
class EndTask:
    """The task has its outcome after `attempts` attempts."""

    id: int
    outcome: Outcome
    attempts: int


@message
class SetTimer:
    """Send `Tick` at this time; replaces an earlier wish."""

    at: float


@message
class EndRound:
    """The plan is sealed and every task has ended."""


Command: TypeAlias = StartTask | ExpireTask | StopTask | RetryTask | EndTask | SetTimer | EndRound
