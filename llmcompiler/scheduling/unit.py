"""TaskFetchingUnit: signals in, commands out. No clock, no I/O, no randomness; `now` is an argument.

Invariants (recomputed by `check()` in the tests, after every signal):
* `_running` counts the tasks that are RUNNING, in all and by tool, and never exceeds its limit;
* a WAITING task has `missing` > 0 inputs that have not ended; READY, HELD and RUNNING ones have none;
* every dependant of a task that did not succeed has ended or is INVALID;
* what is READY is in `_queue`; while a slot is free, what is there waits for its tool: for its cap or its rate;
* a task with a `due` time is RUNNING (its deadline) or RETRYING (its next attempt);
* the last `SetTimer` is no later than any `due` time and than the time at which a tool's rate allows a start.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import assert_never

from llmcompiler.plan.outcomes import Cancelled, Failed, Outcome, Skipped, Succeeded, failed
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
from llmcompiler.scheduling.queue import ReadyQueue
from llmcompiler.scheduling.state import ALLOWED, PLAN_ALLOWED, Entry, IllegalMove, PlanState, State

_NOT_BEGUN = frozenset({State.INVALID, State.WAITING, State.HELD})
_END_STATE = {Succeeded: State.SUCCEEDED, Failed: State.FAILED, Skipped: State.SKIPPED, Cancelled: State.CANCELLED}
_CUT = "not started: the plan ended before its join, so nothing with effects may begin"
_DROPPED = failed("dropped", "PlanCut", _CUT)


class TaskFetchingUnit:
    """Decides for one run what starts when; `parallel_tasks` is the number of slots."""

    def __init__(self, *, parallel_tasks: int = 32) -> None:
        self.plan = PlanState.OPEN
        self.entries: dict[int, Entry] = {}
        self.late = 0  # attempts that reported after they were given up
        self._slots = parallel_tasks
        self._queue = ReadyQueue(self.entries)
        self._running = 0
        self._live = 0  # tasks without an outcome
        self._invalid = 0
        self._complete = False  # the plan ended in its join
        self._stopped = False
        self._round_ended = False
        self._timers: list[tuple[float, int]] = []  # (time, id); one that is not its task's `due` any more is stale
        self._timer_at: float | None = None
        self._out: list[Command] = []

    def handle(self, signal: Signal, now: float) -> list[Command]:
        """Return what follows from one signal. Raises `IllegalMove`, changing nothing, if it does not fit."""
        return self.handle_all((signal,), now)

    def handle_all(self, signals: Iterable[Signal], now: float) -> list[Command]:
        """Return what follows from signals that arrived together.

        If one of them does not fit, those before it count, and what follows from them comes with the next commands.
        """
        for signal in signals:
            self._take(signal, now)
        self._start_ready(now)
        self._set_timer()
        if self._live == 0 and self.plan is PlanState.SEALED and not self._round_ended:
            self._round_ended = True
            self._out.append(EndRound())
        commands, self._out = self._out, []
        return commands

    def _take(self, signal: Signal, now: float) -> None:
        if self._stopped:
            self._take_late(signal)
            return
        match signal:
            case AttemptEnded():
                self._attempt_ended(signal, now)
            case TaskAdded():
                self._added(signal)
            case Tick():
                self._tick(now)
            case TaskPending(id):
                self._pending(id)
            case TaskRefused(id, error):
                self._end(self._known(id, State.INVALID), Failed(error))
            case TaskParked(id):
                self._leave_slot(self._known(id, State.RUNNING), State.PARKED)
            case TaskDeferred(id, not_before):
                self._defer(self._known(id, State.RUNNING), not_before)
            case TaskUnparked(id):
                self._ready(self._known(id, State.PARKED))
            case Stopped():
                self._stop()
            case _:
                self._take_of_plan(signal)

    def _take_of_plan(self, signal: PlanOpened | PlanClosed | RepairStarted | HeldReleased | PlanSealed) -> None:
        match signal:
            case PlanOpened():
                self._plan_to(PlanState.OPEN)
                self._complete = self._round_ended = False
                self._queue.opened()
            case PlanClosed(complete):
                self._plan_to(PlanState.CLOSED)
                self._complete = complete
            case RepairStarted():
                self._plan_to(PlanState.REPAIRING)
            case HeldReleased():
                self._release()
            case PlanSealed():
                self._seal()
            case _:
                assert_never(signal)

    def _take_late(self, signal: Signal) -> None:
        """The run is over, though not everyone knows: what still comes is cancelled, counted or of no interest."""
        match signal:
            case TaskAdded(id) | TaskPending(id):
                if id not in self.entries:
                    self._finish(self._announce(id, State.INVALID), Cancelled())
            case AttemptEnded(id):
                self._known(id)
                self.late += 1
            case PlanOpened() | Stopped():
                self._round_ended = False  # whoever waits for the end of the round is told again

    # What is told of the plan

    def _announce(self, id: int, state: State) -> Entry:
        entry = self.entries[id] = Entry(id, state)
        self._live += 1
        if state is State.INVALID:
            self._invalid += 1
        return entry

    def _pending(self, id: int) -> None:
        if self.plan is PlanState.SEALED:
            raise IllegalMove(f"task {id} came after the plan was sealed")
        entry = self.entries.get(id)
        if entry is None:
            self._announce(id, State.INVALID)
        elif entry.state is not State.INVALID:
            raise IllegalMove(self._story(entry, "was announced again"))

    def _added(self, task: TaskAdded) -> None:
        entry = self.entries.get(task.id)
        self._check_added(task, entry)
        if entry is None:
            entry = self._announce(task.id, State.WAITING)
        else:
            self._move(entry, State.WAITING)
            self._invalid -= 1
        entry.tool, entry.inputs, entry.is_held = task.tool, task.inputs, task.is_held
        entry.expected, entry.timeout, entry.cap = task.expected, task.timeout, task.cap
        self._queue.grew()
        self._connect(entry)

    def _check_added(self, task: TaskAdded, entry: Entry | None) -> None:
        if self.plan is PlanState.SEALED:
            raise IllegalMove(f"task {task.id} came after the plan was sealed")
        if task.inputs and not self.entries.keys() >= task.inputs:
            unknown = sorted(task.inputs - self.entries.keys())
            raise IllegalMove(f"task {task.id} needs {unknown}, which nobody has announced")
        if entry is not None:
            if entry.state is not State.INVALID:
                raise IllegalMove(self._story(entry, "was added again"))
            if not self._waiting_for(entry).isdisjoint(task.inputs):
                raise IllegalMove(self._story(entry, f"cannot need {sorted(task.inputs)}: some of them need it"))

    def _waiting_for(self, entry: Entry) -> set[int]:
        """Return the ids of `entry` and of all that cannot start before it has ended."""
        found, stack = {entry.id}, [entry.id]
        while stack:
            users = self.entries[stack.pop()].users
            users = [id for id in users if id not in found and not self.entries[id].has_ended]
            found.update(users)
            stack += users
        return found

    def _connect(self, entry: Entry) -> None:
        for id in sorted(entry.inputs) if entry.inputs else ():
            needed = self.entries[id]
            if not needed.has_ended:
                needed.add_user(entry.id)
                entry.missing += 1
            elif needed.state is not State.SUCCEEDED:
                return self._skip(entry, needed.cause or id)
        if entry.missing == 0:
            self._inputs_are_there(entry)
        return None

    def _inputs_are_there(self, entry: Entry) -> None:
        if entry.is_held and self.plan is not PlanState.SEALED:
            self._move(entry, State.HELD)
        else:
            self._ready(entry)

    def _plan_to(self, state: PlanState) -> None:
        if state not in PLAN_ALLOWED[self.plan]:
            raise IllegalMove(f"the plan cannot go from {self.plan} to {state}")
        if state is PlanState.OPEN and self._live:
            raise IllegalMove(f"a new plan cannot be opened: {self._live} tasks have not ended")
        self.plan = state

    def _release(self) -> None:
        for entry in self.entries.values():
            if entry.is_held and not entry.has_ended:
                entry.is_held = False
                if entry.state is State.HELD:
                    self._ready(entry)

    def _seal(self) -> None:
        if self._invalid:
            raise IllegalMove(f"the plan cannot be sealed: {self._invalid} tasks are pending")
        self._plan_to(PlanState.SEALED)
        self._queue.sealed()
        held = [entry for entry in self.entries.values() if entry.is_held and not entry.has_ended]
        for entry in held:
            if self._complete and entry.state is State.HELD:
                self._ready(entry)
            elif not self._complete and not entry.has_ended:
                self._end(entry, _DROPPED)

    def _stop(self) -> None:
        self._stopped, self._round_ended = True, False
        self.plan = PlanState.SEALED
        for entry in self.entries.values():
            if entry.state is State.RUNNING:
                self._out.append(StopTask(entry.id))
            if not entry.has_ended:
                self._finish(entry, Cancelled())

    # What is told of attempts

    def _attempt_ended(self, signal: AttemptEnded, now: float) -> None:
        entry = self._known(signal.id)
        if not self._is_current(entry, signal.attempt):
            if entry.state in _NOT_BEGUN:
                raise IllegalMove(self._story(entry, f"attempt {signal.attempt} ended before one began"))
            self.late += 1
            return
        if signal.retry_in is None or not isinstance(signal.outcome, Failed):
            self._end(entry, signal.outcome)
            return
        at = now + signal.retry_in
        self._leave_slot(entry, State.RETRYING)
        self._set_due(entry, at)
        self._out.append(RetryTask(entry.id, entry.attempt, signal.outcome.error, at))

    def _is_current(self, entry: Entry, attempt: int) -> bool:
        if entry.state is State.RUNNING:
            return attempt == entry.attempt
        return entry.state is State.PARKED and attempt == 0  # an identical read serves it

    def _defer(self, entry: Entry, not_before: float) -> None:
        self._leave_slot(entry, State.READY)
        self._queue.pause(entry.tool, not_before)
        self._queue.push(entry)

    def _tick(self, now: float) -> None:
        self._timer_at = None
        self._queue.resume(now)
        while self._timers and self._timers[0][0] <= now:
            at, id = heappop(self._timers)
            entry = self.entries[id]
            if entry.due != at:
                continue
            entry.due = None
            if entry.state is State.RUNNING:
                self._out.append(ExpireTask(id, entry.attempt))
            else:
                self._ready(entry)

    # Moves

    def _move(self, entry: Entry, state: State) -> None:
        if state not in ALLOWED[entry.state]:
            raise IllegalMove(self._story(entry, f"cannot become {state}"))
        entry.state = state

    def _ready(self, entry: Entry) -> None:
        self._move(entry, State.READY)
        self._queue.push(entry)

    def _start_ready(self, now: float) -> None:
        while self._running < self._slots:
            entry = self._queue.pop()
            if entry is None:
                return
            self._move(entry, State.RUNNING)
            self._running += 1
            self._queue.started(entry)
            entry.attempt += 1
            if entry.timeout is not None:
                self._set_due(entry, now + entry.timeout)
            self._out.append(StartTask(entry.id, entry.attempt))

    def _leave_slot(self, entry: Entry, state: State) -> None:
        self._move(entry, state)
        entry.due = None
        self._running -= 1
        self._queue.stopped(entry)
        if state is not State.RETRYING:
            entry.attempt -= 1  # it never began

    def _finish(self, entry: Entry, outcome: Outcome) -> None:
        before = entry.state
        self._move(entry, _END_STATE[type(outcome)])
        if before is State.RUNNING:
            self._running -= 1
            self._queue.stopped(entry)
        elif before is State.INVALID:
            self._invalid -= 1
        entry.due = None
        self._live -= 1
        self._out.append(EndTask(entry.id, outcome, entry.attempt))

    def _end(self, entry: Entry, outcome: Outcome) -> None:
        """Give the task its outcome; release its users, or skip all that need it, without recursion."""
        self._finish(entry, outcome)
        if isinstance(outcome, Succeeded):
            for id in entry.users:
                user = self.entries[id]
                if user.state is State.WAITING:
                    user.missing -= 1
                    if user.missing == 0:
                        self._inputs_are_there(user)
            return
        cause = entry.cause or entry.id
        stack = list(reversed(entry.users))
        while stack:
            user = self.entries[stack.pop()]
            if user.state is State.WAITING:
                user.cause = cause
                self._finish(user, Skipped(cause))
                stack += reversed(user.users)

    def _skip(self, entry: Entry, cause: int) -> None:
        entry.cause = cause
        self._end(entry, Skipped(cause))

    def _set_due(self, entry: Entry, at: float) -> None:
        entry.due = at
        heappush(self._timers, (at, entry.id))

    def _set_timer(self) -> None:
        timers = self._timers
        if len(timers) > 64 and len(timers) > 4 * self._live:
            timers[:] = [(at, id) for at, id in timers if self.entries[id].due == at]
            heapify(timers)
        while timers and self.entries[timers[0][1]].due != timers[0][0]:
            heappop(timers)
        due = timers[0][0] if timers else None
        resumes = None if self._stopped else self._queue.resumes_at
        if resumes is not None and (due is None or resumes < due):
            due = resumes
        if due is not None and (self._timer_at is None or due < self._timer_at):
            self._timer_at = due
            self._out.append(SetTimer(due))

    def _known(self, id: int, state: State | None = None) -> Entry:
        entry = self.entries.get(id)
        if entry is None:
            raise IllegalMove(f"nobody has announced task {id}")
        if state is not None and entry.state is not state:
            raise IllegalMove(self._story(entry, f"should be {state}"))
        return entry

    def _story(self, entry: Entry, what: str) -> str:
        needs = f", needs {sorted(entry.inputs)}" if entry.inputs else ""
        who = f"task {entry.id} ({entry.tool or 'no tool yet'}{needs})"
        return f"{who} is {entry.state} at attempt {entry.attempt}: {what}"
