"""What every task should be after any signals, by a model that knows no queue, no counters and no heap."""

from collections import Counter
from dataclasses import replace

from llmcompiler.plan.outcomes import Cancelled, ErrorRecord, Failed, Outcome, Skipped, Succeeded, failed
from llmcompiler.scheduling.messages import (
    AttemptEnded,
    Command,
    EndRound,
    EndTask,
    ExpireTask,
    HeldReleased,
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
from llmcompiler.scheduling.state import ENDED, PlanState, State

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

    def _HeldReleased(self, signal: HeldReleased, now: float) -> None:
        for id, told in self.told.items():
            if self.state[id] not in ENDED:
                self.told[id] = replace(told, is_held=False)
        self._look_around()

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
