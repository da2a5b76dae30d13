"""Entrance: where the tasks of one run wait for what the runs of an agent share.

    a tool's concurrency ─▶ a free thread or process ─▶ the tool's rate ─▶ the call begins

A task that may not pass gives up its slot, and its timeout does not run. What is entered is left when the attempt is over.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from llmcompiler.execution.gates import Gate, Wake
from llmcompiler.execution.workshop import Workshop
from llmcompiler.scheduling.messages import TaskDeferred, TaskParked


class Entrance:
    """Lets tasks pass or says why not. `opened` is called with a task's id, on the loop, when it may try again."""

    def __init__(self, workshop: Workshop, loop: asyncio.AbstractEventLoop, opened: Callable[[int], None]) -> None:
        self._gates, self._rates = workshop.gates, workshop.rates
        self._loop = loop
        self._opened = opened
        self._inside: dict[int, tuple[Gate, ...]] = {}
        self._waiting: dict[int, tuple[Gate, Wake]] = {}

    def enter(self, id: int, tool: str) -> TaskParked | TaskDeferred | None:
        """Return None if the task may begin, else what the unit is to be told."""
        gates, rate = self._gates[tool], self._rates.get(tool)
        if gates and not self._enter_all(id, gates):
            return TaskParked(id)
        not_before = None if rate is None else rate.start(self._loop.time())
        if not_before is None:
            return None
        self.leave(id)
        return TaskDeferred(id, not_before)

    def _enter_all(self, id: int, gates: tuple[Gate, ...]) -> bool:
        """Enter all the gates, or none and wait at the one that is shut."""
        self._waiting.pop(id, None)
        wake = partial(self._loop.call_soon_threadsafe, self._gate_opened, id)
        for count, gate in enumerate(gates):
            if not gate.enter(wake):
                for entered in gates[:count]:
                    entered.leave()
                self._waiting[id] = gate, wake
                return False
        self._inside[id] = gates
        return True

    def _gate_opened(self, id: int) -> None:
        if id in self._waiting:
            self._opened(id)

    def leave(self, id: int) -> None:
        """The attempt is over, or did not begin after all."""
        if id in self._inside:
            for gate in self._inside.pop(id):
                gate.leave()

    def withdraw(self, id: int) -> None:
        """The task has ended; if it waits, it waits no longer."""
        if id in self._waiting:
            gate, wake = self._waiting.pop(id)
            gate.withdraw(wake)

    def close(self) -> None:
        """Nobody waits any more."""
        for id in list(self._waiting):
            self.withdraw(id)
        self._opened = _nobody  # else the driver would be part of a cycle, and all its values wait for the collector


def _nobody(id: int) -> None:
    pass
