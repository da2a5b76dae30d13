"""The unit against a naive model: any order of signals that may come, alone or in batches, gives what the model gives.

The model knows no queue, no counters and no heap: it looks at every task after every signal. Which ready task starts first
is not its business (`test_unit.py` says so in examples); that a start is allowed, and that nothing else could start, is.
"""

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmcompiler.plan.outcomes import Cancelled, Outcome, Succeeded
from llmcompiler.scheduling.messages import (
    AttemptEnded,
    Command,
    EndRound,
    EndTask,
    HeldReleased,
    PlanClosed,
    PlanOpened,
    PlanSealed,
    RepairStarted,
    SetTimer,
    Signal,
    StartTask,
    Stopped,
    TaskAdded,
    TaskDeferred,
    TaskParked,
    TaskPending,
    TaskRefused,
    TaskUnparked,
    Tick,
)
from llmcompiler.scheduling.state import IllegalMove, PlanState, State
from llmcompiler.scheduling.unit import TaskFetchingUnit
from tests.scheduling.invariants import check, snapshot
from tests.scheduling.model import BROKEN, CAPS, REFUSED, Model


def some(*states: State) -> Any:
    """Return a precondition: some task is in one of `states`."""
    return precondition(lambda self: self.model.ids(*states))


class Machine(RuleBasedStateMachine):
    """Tells unit and model the same; a batch reaches the unit at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.batch: list[Signal] = []
        self.begun: Counter[int] = Counter()
        self.issued: set[tuple[Command, int]] = set()
        self.last_id = 0

    @initialize(slots=st.integers(1, 4))
    def open(self, slots: int) -> None:
        self.unit = TaskFetchingUnit(parallel_tasks=slots)
        self.model = Model(slots)

    # Plumbing

    def tell(self, signal: Signal, more: bool = False) -> None:
        self.model.tell(signal, self.now)
        self.batch.append(signal)
        if not more:
            self.flush()

    def flush(self) -> None:
        batch, self.batch = self.batch, []
        if not batch:
            return
        commands = self.unit.handle_all(batch, self.now) if len(batch) > 1 else self.unit.handle(batch[0], self.now)
        for command in commands:
            if isinstance(command, StartTask):
                self.begun[command.id] += 1
            if not isinstance(command, SetTimer | EndRound):
                once = (command, 0 if isinstance(command, EndTask) else self.begun[command.id])
                assert once not in self.issued, f"{command} twice"
                self.issued.add(once)
        self.model.compare(commands, self.now)

    def one_of(self, data: st.DataObject, *states: State) -> int:
        return data.draw(st.sampled_from(self.model.ids(*states)), "task")

    def task(self, data: st.DataObject, id: int) -> TaskAdded:
        needing = self.model.waiting_for(id)
        others = [other for other in self.model.state if other not in needing][-8:]
        inputs = data.draw(st.sets(st.sampled_from(others), max_size=3), "inputs") if others else set()
        tool = data.draw(st.sampled_from([*CAPS]), "tool")
        is_held = data.draw(st.booleans(), "is_held")
        expected = data.draw(st.integers(0, 3), "expected")
        timeout = data.draw(st.none() | st.integers(1, 4), "timeout")
        return TaskAdded(id, tool, frozenset(inputs), is_held, expected, timeout, CAPS[tool])

    def is_writing(self) -> bool:
        return self.model.plan is not PlanState.SEALED

    # The planner

    @precondition(is_writing)
    @rule(data=st.data(), gap=st.integers(1, 2), more=st.booleans())
    def submit(self, data: st.DataObject, gap: int, more: bool) -> None:
        self.last_id += gap
        self.tell(self.task(data, self.last_id), more)

    @precondition(is_writing)
    @rule(data=st.data(), more=st.booleans())
    def pend(self, data: st.DataObject, more: bool) -> None:
        self.last_id += 1
        self.tell(TaskPending(data.draw(st.sampled_from([self.last_id, *self.model.ids(State.INVALID)]), "task")), more)

    @some(State.INVALID)
    @rule(data=st.data(), more=st.booleans())
    def settle(self, data: st.DataObject, more: bool) -> None:
        self.tell(self.task(data, self.one_of(data, State.INVALID)), more)

    @some(State.INVALID)
    @rule(data=st.data(), more=st.booleans())
    def refuse(self, data: st.DataObject, more: bool) -> None:
        self.tell(TaskRefused(self.one_of(data, State.INVALID), REFUSED), more)

    @precondition(lambda self: self.model.plan is PlanState.OPEN and len(self.model.state) > 2)
    @rule(complete=st.booleans(), more=st.booleans())
    def close(self, complete: bool, more: bool) -> None:
        self.tell(PlanClosed(complete), more)

    @precondition(lambda self: self.model.plan is PlanState.CLOSED)
    @rule(more=st.booleans())
    def repair(self, more: bool) -> None:
        self.tell(RepairStarted(), more)

    @some(State.HELD)
    @rule(more=st.booleans())
    def release(self, more: bool) -> None:
        self.tell(HeldReleased(), more)

    @precondition(is_writing)
    @precondition(lambda self: len(self.model.state) > 4)
    @rule(more=st.booleans())
    def seal(self, more: bool) -> None:
        for id in self.model.ids(State.INVALID):
            self.tell(TaskRefused(id, REFUSED), more=True)
        self.tell(PlanSealed(), more)

    @precondition(lambda self: self.model.plan is PlanState.SEALED and not self.model.is_live())
    @precondition(lambda self: not self.model.is_stopped)
    @rule(more=st.booleans())
    def open_next_round(self, more: bool) -> None:
        self.tell(PlanOpened(), more)

    # The tools

    @some(State.RUNNING)
    @rule(data=st.data(), outcome=st.sampled_from([*map(Succeeded, range(5)), BROKEN, Cancelled()]), more=st.booleans())
    def end_attempt(self, data: st.DataObject, outcome: Outcome, more: bool) -> None:
        id = self.one_of(data, State.RUNNING)
        retry_in = data.draw(st.none() | st.integers(0, 5), "retry_in")
        self.tell(AttemptEnded(id, self.model.attempt[id], outcome, retry_in), more)

    @some(State.RUNNING)
    @rule(more=st.booleans())
    def succeed_everywhere(self, more: bool) -> None:
        for id in self.model.ids(State.RUNNING):
            self.tell(AttemptEnded(id, self.model.attempt[id], Succeeded(id)), more=True)
        self.tell(Tick(), more)

    @precondition(lambda self: any(self.model.attempt.values()))
    @rule(data=st.data(), outcome=st.sampled_from([Succeeded(None), BROKEN]), more=st.booleans())
    def report_late(self, data: st.DataObject, outcome: Outcome, more: bool) -> None:
        id = data.draw(st.sampled_from([id for id, attempt in self.model.attempt.items() if attempt]), "task")
        is_running = self.model.state[id] is State.RUNNING
        attempt = data.draw(st.integers(1, self.model.attempt[id]), "attempt") - is_running
        self.tell(AttemptEnded(id, attempt, outcome), more)

    @some(State.RUNNING)
    @rule(data=st.data(), more=st.booleans())
    def park(self, data: st.DataObject, more: bool) -> None:
        self.tell(TaskParked(self.one_of(data, State.RUNNING)), more)

    @some(State.RUNNING)
    @rule(data=st.data(), seconds=st.integers(0, 3), more=st.booleans())
    def defer(self, data: st.DataObject, seconds: int, more: bool) -> None:
        self.tell(TaskDeferred(self.one_of(data, State.RUNNING), self.now + seconds), more)

    @some(State.PARKED)
    @rule(data=st.data(), more=st.booleans())
    def unpark(self, data: st.DataObject, more: bool) -> None:
        self.tell(TaskUnparked(self.one_of(data, State.PARKED)), more)

    @some(State.PARKED)
    @rule(data=st.data(), outcome=st.sampled_from([Succeeded("shared"), BROKEN]), more=st.booleans())
    def serve(self, data: st.DataObject, outcome: Outcome, more: bool) -> None:
        self.tell(AttemptEnded(self.one_of(data, State.PARKED), 0, outcome), more)

    # Time and the end

    @precondition(lambda self: self.model.timer is not None)
    @rule(late=st.integers(0, 2), more=st.booleans())
    def tick(self, late: int, more: bool) -> None:
        self.flush()
        self.now = max(self.now, int(self.model.timer or 0)) + late
        self.tell(Tick(), more)

    @rule(seconds=st.integers(1, 3), ticks=st.booleans())
    def wait(self, seconds: int, ticks: bool) -> None:
        self.flush()
        self.now += seconds
        if ticks:
            self.tell(Tick())

    @precondition(lambda self: len(self.model.state) > 5)
    @rule(really=st.integers(0, 9), more=st.booleans())
    def stop(self, really: int, more: bool) -> None:
        if really == 9:
            self.tell(Stopped(), more)

    @precondition(lambda self: self.model.is_stopped)
    @rule(data=st.data(), more=st.booleans())
    def come_late(self, data: st.DataObject, more: bool) -> None:
        known = data.draw(st.sampled_from([*self.model.state]), "task")
        self.last_id += 1
        late: list[Signal] = [TaskAdded(self.last_id, "free", frozenset({known})), TaskAdded(known, "free")]
        late += [TaskPending(self.last_id), TaskPending(known), TaskRefused(known, REFUSED)]
        late += [
            TaskParked(known),
            TaskDeferred(known, 5),
            TaskUnparked(known),
            AttemptEnded(known, 1, BROKEN, 1.0),
            Tick(),
        ]
        late += [PlanOpened(), PlanClosed(True), RepairStarted(), HeldReleased(), PlanSealed(), Stopped()]
        self.tell(data.draw(st.sampled_from(late), "signal"), more)

    # What may not be

    @precondition(lambda self: self.model.state and not self.model.is_stopped)
    @rule(data=st.data())
    def break_a_rule(self, data: st.DataObject) -> None:
        self.flush()
        signal = data.draw(st.sampled_from(self.illegal_signals(data)), "signal")
        before = snapshot(self.unit)
        with pytest.raises(IllegalMove):
            self.unit.handle(signal, self.now)
        assert snapshot(self.unit) == before

    def illegal_signals(self, data: st.DataObject) -> list[Signal]:
        model, unknown = self.model, self.last_id + 1
        id = data.draw(st.sampled_from([*model.state]), "task")
        state = model.state[id]
        wrong: list[Signal] = [TaskAdded(unknown, "free", frozenset({unknown})), TaskUnparked(unknown)]
        wrong += [AttemptEnded(unknown, 1, BROKEN), TaskParked(unknown), TaskRefused(unknown, REFUSED)]
        if state is State.INVALID:
            wrong += [TaskAdded(id, "free", frozenset({other})) for other in model.waiting_for(id)]
            wrong += [PlanSealed()]
        else:
            wrong += [TaskPending(id), TaskAdded(id, "free"), TaskRefused(id, REFUSED)]
        if state is not State.RUNNING:
            wrong += [TaskParked(id), TaskDeferred(id, 5)]
        if state is not State.PARKED:
            wrong += [TaskUnparked(id)]
        if state in (State.INVALID, State.WAITING, State.HELD):
            wrong += [AttemptEnded(id, 1, Succeeded(None))]
        if model.plan is PlanState.SEALED:
            wrong = [TaskAdded(unknown, "free"), TaskPending(unknown), PlanClosed(True), RepairStarted(), PlanSealed()]
        if model.plan is not PlanState.SEALED or model.is_live():
            wrong += [PlanOpened()]
        return wrong

    # After every rule

    @invariant()
    def unit_and_model_agree(self) -> None:
        if self.batch:
            return
        check(self.unit)
        assert {id: entry.state for id, entry in self.unit.entries.items()} == self.model.state
        assert {id: entry.attempt for id, entry in self.unit.entries.items()} == self.model.attempt
        assert {id: entry.due for id, entry in self.unit.entries.items() if entry.due is not None} == self.model.due
        assert {id: entry.cause for id, entry in self.unit.entries.items() if entry.cause} == self.model.cause
        assert self.unit.plan is self.model.plan
        assert self.unit.late == self.model.late

    def teardown(self) -> None:
        """Whatever has happened, the round can be brought to its end."""
        if not hasattr(self, "unit"):
            return
        self.flush()
        for id in self.model.ids(State.INVALID):
            self.tell(TaskRefused(id, REFUSED))
        if self.model.plan is PlanState.OPEN:
            self.tell(PlanClosed(complete=True))
        if self.is_writing():
            self.tell(PlanSealed())
        while self.model.is_live():
            for id in self.model.ids(State.RUNNING):
                self.tell(AttemptEnded(id, self.model.attempt[id], Succeeded(id)))
            for id in self.model.ids(State.PARKED):
                self.tell(TaskUnparked(id))
            if self.model.timer is not None:
                self.now = max(self.now, int(self.model.timer))
                self.tell(Tick())
            self.unit_and_model_agree()
        assert self.model.is_over


Machine.TestCase.settings = settings(max_examples=250, stateful_step_count=70, derandomize=True)
TestUnitAgreesWithModel = Machine.TestCase
