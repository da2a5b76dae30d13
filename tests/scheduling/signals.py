"""Short names for signals and units in the tests of the task-fetching unit."""

from pathlib import Path
from typing import Any

import pytest

from llmcompiler.plan.outcomes import ErrorRecord, Succeeded, failed
from llmcompiler.scheduling.messages import (
    AttemptEnded,
    Command,
    Signal,
    TaskAdded,
)
from llmcompiler.scheduling.state import IllegalMove, State
from llmcompiler.scheduling.unit import TaskFetchingUnit
from tests.scheduling.invariants import check, snapshot

OK = Succeeded("value")
BROKEN = failed("tool", "ValueError", "broken")
REFUSED = ErrorRecord("plan", "UnknownTool", "no tool is called serach")
DROPPED = failed("dropped", "PlanCut", "not started: the plan ended before its join, so nothing with effects may begin")
ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"


class Checked:
    """A unit that is recounted after every signal, whether it was taken or refused."""

    def __init__(self, *before: Signal, slots: int = 32) -> None:
        self.unit = TaskFetchingUnit(parallel_tasks=slots)
        self.take(*before)

    def take(self, *signals: Signal, at: float = 0) -> list[Command]:
        """Return what follows from signals that come one by one."""
        return [command for signal in signals for command in self.take_together(signal, at=at)]

    def take_together(self, *signals: Signal, at: float = 0) -> list[Command]:
        """Return what follows from signals that come as one batch."""
        commands = self.unit.handle_all(signals, at)
        check(self.unit)
        return commands

    def refuse(self, signal: Signal) -> str:
        """Return the story of an illegal signal, which must change nothing."""
        before = snapshot(self.unit)
        with pytest.raises(IllegalMove) as raised:
            self.unit.handle(signal, 0)
        assert snapshot(self.unit) == before
        check(self.unit)
        return str(raised.value)

    def state(self, id: int = 1) -> State:
        return self.unit.entries[id].state


def add(id: int, *inputs: int, tool: str = "search", **options: Any) -> TaskAdded:
    return TaskAdded(id, tool, frozenset(inputs), **options)


def write(id: int, *inputs: int) -> TaskAdded:
    return add(id, *inputs, is_held=True)


def ok(id: int, attempt: int = 1) -> AttemptEnded:
    return AttemptEnded(id, attempt, OK)


def broken(id: int, attempt: int = 1, retry_in: float | None = None) -> AttemptEnded:
    return AttemptEnded(id, attempt, BROKEN, retry_in)
