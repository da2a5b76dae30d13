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

from llmcompiler.plan.outcomes import Cancelled, ErrorRecord, Failed, Outcome, Skipped, Succeeded, failed
from llmcompiler.scheduling.messages import (
    AttemptEnded,
    Command,
    EndRound,
    EndTask,
    ExpireTask,
    PlanClosed,
    PlanOpened,
    PlanSealed,
    RepairStarted,
    RetryTask,
    SetTimer,
    Signal,
    StartTask,
    Stopped,
    StopTask,
    TaskAdded,
    TaskDeferred,
    TaskParked,
    TaskPending,
    TaskRefused,
    TaskUnparked,
    Tick,
)
from llmcompiler.scheduling.state import ENDED, IllegalMove, PlanState, State
from llmcompiler.scheduling.unit import TaskFetchingUnit
from tests.scheduling.invariants import check, snapshot

CAPS: dict[str, int | None] = {"free": None, "two": 2, "one": 1}
BROKEN = failed("tool", "ValueError", "broken")
REFUSED = ErrorRecord("plan", "UnknownTool", "nobody knows it")
DROPPED = failed("dropped", "PlanCut", "not started: the plan ended before its join, so nothing with effects may begin")


class Model:
    """What every task should be, by id. `expected` collects the commands that have to come, starts left out."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.state: dict[int, State] = {}
        self.told: dict[int, TaskAdded] = {}
        self.outcome: dict[int, Outcome] = {}
        self.cause: dict[int, int] = {}
        self.attempt: dict[int, int] = {}
        self.due: dict[int, float] = {}
        self.not_before: dict[str, float] = {}
        self.plan = PlanState.OPEN
        self.is_cut = False
        self.is_stopped = False
        self.is_over = False
        self.timer: float | None = None
        self.late = 0
        self.expected: list[Command] = []

    def ids(self, *states: State) -> list[int]:
        return [id for id, state in self.state.items() if state in states]

    def is_live(self) -> bool:
        return any(state not in ENDED for state in self.state.values())

    def waiting_for(self, id: int) -> set[int]:
        """Return `id` and what needs it, directly or not, and has not ended."""
        found = {id}
        for _ in self.state:
            found |= {user for user, task in self.told.items() if self.state[user] not in ENDED and found & task.inputs}
        return found

    # Signals

    def tell(self, signal: Signal, now: float) -> None:
        if self.is_stopped and not isinstance(signal, AttemptEnded | PlanOpened | Stopped | TaskAdded | TaskPending):
            return
        getattr(self, f"_{type(signal).__name__}")(signal, now)

    def _TaskPending(self, signal: TaskPending, now: float) -> None:
        if signal.id not in self.state:
            self.state[signal.id] = State.INVALID
            self.attempt[signal.id] = 0
            if self.is_stopped:
                self._end(signal.id, Cancelled())

    def _TaskAdded(self, signal: TaskAdded, now: float) -> None:
        if self.is_stopped:
            self._TaskPending(TaskPending(signal.id), now)
            return
        self.state[signal.id] = State.WAITING
        self.told[signal.id] = signal
        self.attempt.setdefault(signal.id, 0)
        for id in sorted(signal.inputs):
            if id in self.outcome and not isinstance(self.outcome[id], Succeeded):
                self._lose(signal.id, Skipped(self.cause.get(id, id)))
                return
        self._look_around()

    def _TaskRefused(self, signal: TaskRefused, now: float) -> None:
        self._lose(signal.id, Failed(signal.error))

    def _PlanOpened(self, signal: PlanOpened, now: float) -> None:
        if not self.is_stopped:
            self.plan, self.is_cut = PlanState.OPEN, False
        self.is_over = False

    def _PlanClosed(self, signal: PlanClosed, now: float) -> None:
        self.plan, self.is_cut = PlanState.CLOSED, not signal.complete

    def _RepairStarted(self, signal: RepairStarted, now: float) -> None:
        self.plan = PlanState.REPAIRING

    def _PlanSealed(self, signal: PlanSealed, now: float) -> None:
        is_cut = self.is_cut or self.plan is PlanState.OPEN
        self.plan = PlanState.SEALED
        for id in [*self.state]:
            if is_cut and self.state[id] not in ENDED and self.told[id].is_held:
                self._lose(id, DROPPED)
        self._look_around()

    def _Stopped(self, signal: Stopped, now: float) -> None:
        self.plan, self.is_stopped, self.is_over = PlanState.SEALED, True, False
        for id in [*self.state]:
            if self.state[id] is State.RUNNING:
                self.expected.append(StopTask(id))
            if self.state[id] not in ENDED:
                self._end(id, Cancelled())

    def _AttemptEnded(self, signal: AttemptEnded, now: float) -> None:
        id, state = signal.id, self.state[signal.id]
        is_served = state is State.PARKED and signal.attempt == 0
        is_current = state is State.RUNNING and signal.attempt == self.attempt[id]
        if not is_served and not is_current:
            self.late += 1
        elif isinstance(signal.outcome, Succeeded):
            self._end(id, signal.outcome)
            self._look_around()
        elif isinstance(signal.outcome, Failed) and signal.retry_in is not None:
            self.state[id] = State.RETRYING
            self.due[id] = now + signal.retry_in
            self.expected.append(RetryTask(id, signal.attempt, signal.outcome.error, self.due[id]))
        else:
            self._lose(id, signal.outcome)

    def _TaskParked(self, signal: TaskParked, now: float) -> None:
        self.state[signal.id] = State.PARKED
        self.attempt[signal.id] -= 1
        self.due.pop(signal.id, None)

    def _TaskDeferred(self, signal: TaskDeferred, now: float) -> None:
        tool = self.told[signal.id].tool
        self.state[signal.id] = State.READY
        self.attempt[signal.id] -= 1
        self.due.pop(signal.id, None)
        self.not_before[tool] = max(signal.not_before, self.not_before.get(tool, 0))

    def _TaskUnparked(self, signal: TaskUnparked, now: float) -> None:
        self.state[signal.id] = State.READY

    def _Tick(self, signal: Tick, now: float) -> None:
        self.timer = None
        self.not_before = {tool: at for tool, at in self.not_before.items() if at > now}
        for id in [id for id, at in self.due.items() if at <= now]:
            del self.due[id]
            if self.state[id] is State.RETRYING:
                self.state[id] = State.READY
            else:
                self.expected.append(ExpireTask(id, self.attempt[id]))

    # What follows

    def _end(self, id: int, outcome: Outcome) -> None:
        ends = {Succeeded: State.SUCCEEDED, Failed: State.FAILED, Skipped: State.SKIPPED, Cancelled: State.CANCELLED}
        self.state[id] = ends[type(outcome)]
        self.outcome[id] = outcome
        self.due.pop(id, None)
        self.expected.append(EndTask(id, outcome, self.attempt[id]))

    def _lose(self, id: int, outcome: Outcome) -> None:
        """A task did not succeed; neither will those that need it."""
        needing = self.waiting_for(id) - {id}
        self._end(id, outcome)
        cause = outcome.cause if isinstance(outcome, Skipped) else id
        for lost in [id, *needing]:
            if lost != id:
                self._end(lost, Skipped(cause))
            if isinstance(self.outcome[lost], Skipped):
                self.cause[lost] = cause

    def _look_around(self) -> None:
        for id in self.ids(State.WAITING, State.HELD):
            if all(self.state[needed] is State.SUCCEEDED for needed in self.told[id].inputs):
                is_held = self.told[id].is_held and self.plan is not PlanState.SEALED
                self.state[id] = State.HELD if is_held else State.READY

    # Commands

    def may_start(self, id: int) -> bool:
        running = self.ids(State.RUNNING)
        tool = self.told[id].tool
        cap = CAPS[tool]
        of_tool = sum(self.told[other].tool == tool for other in running)
        has_room = (cap is None or of_tool < cap) and tool not in self.not_before
        return self.state[id] is State.READY and len(running) < self.slots and has_room

    def compare(self, commands: list[Command], now: float) -> None:
        """Check the commands that followed from all that was told since the last time."""
        for command in commands:
            if isinstance(command, StartTask):
                assert self.may_start(command.id), command
                self.state[command.id] = State.RUNNING
                self.attempt[command.id] += 1
                assert command.attempt == self.attempt[command.id]
                timeout = self.told[command.id].timeout
                if timeout is not None:
                    self.due[command.id] = now + timeout
        assert not [id for id in self.ids(State.READY) if self.may_start(id)]
        resumes = [] if self.is_stopped else self.not_before.values()
        first = min([*self.due.values(), *resumes], default=None)
        if first is not None and (self.timer is None or first < self.timer):
            self.timer = first
            self.expected.append(SetTimer(first))
        if self.plan is PlanState.SEALED and not self.is_live() and not self.is_over:
            self.is_over = True
            self.expected.append(EndRound())
        others = [command for command in commands if not isinstance(command, StartTask)]
        assert Counter(others) == Counter(self.expected)
        if EndRound() in others:
            assert commands[-1] == EndRound()
        self.expected = []


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
        late += [PlanOpened(), PlanClosed(True), RepairStarted(), PlanSealed(), Stopped()]
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


Machine.TestCase.settings = settings(max_examples=250, stateful_step_count=70, deadline=None, derandomize=True)
TestUnitAgreesWithModel = Machine.TestCase
