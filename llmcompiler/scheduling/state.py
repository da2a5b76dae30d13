"""States of a task and of a plan, and the legal moves as tables (ARCHITECTURE.md explains them)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from llmcompiler.errors import InternalError


class State(StrEnum):
    """Where a task is in its life."""

    INVALID = "invalid"
    WAITING = "waiting"
    HELD = "held"
    READY = "ready"
    RUNNING = "running"
    PARKED = "parked"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class PlanState(StrEnum):
    """How far the plan of this round has come."""

    OPEN = "open"
    CLOSED = "closed"
    REPAIRING = "repairing"
    SEALED = "sealed"


_S = State
ENDED = frozenset({_S.SUCCEEDED, _S.FAILED, _S.SKIPPED, _S.CANCELLED})

ALLOWED: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        _S.INVALID: frozenset({_S.WAITING, _S.HELD, _S.READY, _S.FAILED, _S.SKIPPED, _S.CANCELLED}),
        _S.WAITING: frozenset({_S.HELD, _S.READY, _S.FAILED, _S.SKIPPED, _S.CANCELLED}),
        _S.HELD: frozenset({_S.READY, _S.FAILED, _S.CANCELLED}),
        _S.READY: frozenset({_S.RUNNING, _S.FAILED, _S.CANCELLED}),
        _S.RUNNING: frozenset({_S.READY, _S.PARKED, _S.RETRYING, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}),
        _S.PARKED: frozenset({_S.READY, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}),
        _S.RETRYING: frozenset({_S.READY, _S.FAILED, _S.CANCELLED}),
        **{ended: frozenset() for ended in ENDED},
    }
)

_P = PlanState
PLAN_ALLOWED: Mapping[PlanState, frozenset[PlanState]] = MappingProxyType(
    {
        _P.OPEN: frozenset({_P.CLOSED, _P.SEALED}),
        _P.CLOSED: frozenset({_P.REPAIRING, _P.SEALED}),
        _P.REPAIRING: frozenset({_P.SEALED}),
        _P.SEALED: frozenset({_P.OPEN}),
    }
)


class IllegalMove(InternalError):
    """A signal does not fit the state of a task or plan; nothing was changed."""


@dataclass(slots=True, eq=False)
class Entry:
    """What the unit knows of one task."""

    id: int
    state: State
    tool: str = ""
    inputs: frozenset[int] = frozenset()
    users: Sequence[int] = ()  # tasks that need this one; a list once there is one
    missing: int = 0
    attempt: int = 0
    is_held: bool = False
    expected: float = 1.0
    timeout: float | None = None
    cap: int | None = None
    due: float | None = None  # when its deadline passes, or its next attempt begins
    cause: int = 0  # of its skipping: the first task on the way that did not succeed by itself

    def add_user(self, id: int) -> None:
        """Note that task `id` needs this one."""
        if isinstance(self.users, list):
            self.users.append(id)
        else:
            self.users = [id]  # most tasks of a wide plan have none, and an empty list each would cost time and memory

    @property
    def has_ended(self) -> bool:
        """Return whether the task has an outcome."""
        return self.state in ENDED
