"""The driver: one inbox, one unit. It obeys the unit's commands and reports what came of them; it decides nothing.

Whatever happens to a task passes through here, so here its events are emitted. The unit never sees values: arguments are
resolved, checked and copied at hand-over, results are kept frozen.
"""

import asyncio
import json
import logging
import os
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from pydantic import ValidationError

from llmcompiler.execution.bigs import BigValues
from llmcompiler.execution.border import Ended, Redactor, describe, secrets_in
from llmcompiler.execution.entrance import Entrance
from llmcompiler.execution.executors import Call
from llmcompiler.execution.retrying import TOOL_WAIT, seconds_before_next
from llmcompiler.execution.sharing import SharedReads
from llmcompiler.execution.workshop import Workshop
from llmcompiler.journal.events import TaskEnded, TaskPlanned, TaskRetrying, TaskStarted
from llmcompiler.journal.journal import Journal
from llmcompiler.plan.outcomes import Failed, Outcome, Succeeded, failed
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.tools import Effect
from llmcompiler.plan.values import Json, MissingField, copied, is_big, substitute
from llmcompiler.scheduling.messages import (
    AttemptEnded,
    Command,
    EndRound,
    EndTask,
    ExpireTask,
    RetryTask,
    SetTimer,
    Signal,
    StartTask,
    Stopped,
    StopTask,
    TaskAdded,
    TaskPending,
    TaskUnparked,
    Tick,
)
from llmcompiler.scheduling.unit import TaskFetchingUnit

_log = logging.getLogger("llmcompiler")

BATCH = 64  # signals or commands handled before the loop gets its turn
_RETRYABLE = frozenset({"tool", "timeout", "crash"})


class _Attempt(NamedTuple):
    """An attempt under way: its number, the call that is at work for it, and when the tool began."""

    number: int
    call: Call
    began: float = 0.0


class Driver:
    """Runs the tasks of one run. Create it and use it inside a running event loop."""

    def __init__(
        self, workshop: Workshop, journal: Journal, *, parallel_tasks: int = 32, redactor: Redactor | None = None
    ) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self.tasks: dict[int, Task] = {}
        self.calls: dict[int, str] = {}  # the resolved call of each task that began, for sharing and progress
        self._unit = TaskFetchingUnit(parallel_tasks=parallel_tasks)
        self._shop = workshop
        self._tools = dict(workshop.registry)
        self._journal = journal
        self._redactor = redactor or Redactor(secrets_in(os.environ))
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Signal] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._round_over = asyncio.Event()
        self._task_ended = asyncio.Event()
        self._values: dict[int, Json] = {}
        self._bigs = BigValues()
        self._running: dict[int, _Attempt] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._reads = SharedReads(workshop.caches, self._values, self._bigs, self.calls)
        self._entrance = Entrance(workshop, self._loop, lambda id: self.post(TaskUnparked(id)))

    # What strategies do

    def add(self, task: Task) -> None:
        """Take a task that was accepted; it starts when its inputs are there."""
        spec = self._tools[task.tool].spec
        self.tasks[task.id] = task
        self._journal.emit(TaskPlanned, task)
        policy = spec.policy
        expected = self._shop.durations.expected(task.tool, policy.expected)
        self.post(
            TaskAdded(
                task.id, task.tool, task.inputs, spec.effect.is_held, expected, policy.timeout, policy.concurrency
            )
        )

    def announce(self, task: Task) -> None:
        """Take a task that may not run yet: its dependants wait for it."""
        self.tasks.setdefault(task.id, task)
        self.post(TaskPending(task.id))

    def call_of(self, task: Task, values: Mapping[int, Json]) -> str | None:
        """Return the resolved call of a task, as in `calls`, or None if `values` of its inputs do not give one."""
        if not task.inputs <= values.keys():
            return None
        if self._bigs.reach(task, values):
            return self._bigs.call_text(task, values)
        arguments = self._resolve(task, values)
        return _call_text(task.tool, arguments) if isinstance(arguments, dict) else None

    def post(self, signal: Signal) -> None:
        """Put a signal into the inbox."""
        self._inbox.append(signal)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def round_over(self) -> None:
        """Wait until the plan is sealed and every task has ended."""
        await self._round_over.wait()
        self._round_over.clear()

    async def first_ended(self, ids: Collection[int]) -> list[int]:
        """Wait until any of these tasks has its outcome; return all that have, by id."""
        while not (ended := sorted(self.outcomes.keys() & set(ids))):
            self._task_ended.clear()
            await self._task_ended.wait()
        return ended

    async def stop(self) -> None:
        """Cancel whatever has not ended; return when everything has its outcome."""
        self._round_over.clear()
        self.post(Stopped())
        await self.round_over()

    async def run(self) -> None:
        """Work until cancelled; leave nothing running behind."""
        try:
            while True:
                if not self._inbox:
                    self._wake = self._loop.create_future()
                    await self._wake
                await self._work()
        finally:
            self._shut()
            await self._shop.executors.settle()

    # The loop

    async def _work(self) -> None:
        inbox = self._inbox
        signals = [inbox.popleft() for _ in range(min(BATCH, len(inbox)))]
        commands = self._unit.handle_all(signals, self._loop.time())
        for start in range(0, len(commands), BATCH):
            for command in commands[start : start + BATCH]:
                self._obey(command)
            if start + BATCH < len(commands):
                await asyncio.sleep(0)
        if inbox:
            await asyncio.sleep(0)

    def _obey(self, command: Command) -> None:
        match command:
            case StartTask(id, attempt):
                self._start(id, attempt)
            case EndTask(id, outcome, attempts):
                self._end(id, outcome, attempts)
            case SetTimer(at):
                self._set_timer(at)
            case ExpireTask(id, attempt):
                self._expire(id, attempt)
            case RetryTask(id, attempt, error, at):
                self._journal.emit(TaskRetrying, id, attempt, error, at - self._journal.origin)
            case StopTask(id):
                self._abandon(id)
            case EndRound():
                self._round_over.set()

    # One attempt

    def _start(self, id: int, attempt: int) -> None:
        task = self.tasks[id]
        tool = self._tools[task.tool]
        is_big = self._bigs.reach(task, self._values)
        arguments = {} if is_big else self._resolve(task, self._values)
        if isinstance(arguments, Failed):
            self.post(AttemptEnded(id, attempt, self._redacted(arguments)))
            return
        text = self._bigs.call_text(task, self._values) if is_big else _call_text(task.tool, arguments)
        self.calls[id] = text
        served = self._reads.serve(task, text) if tool.spec.effect is Effect.READ else ()
        if served:
            self._inbox.extend(served)  # the driver is at work, so it needs no waking
            return
        refused = self._entrance.enter(id, task.tool)
        if refused is not None:
            self.post(refused)
        elif is_big:
            call = self._shop.executors.work(partial(self._copies, task), partial(self._copied, id, attempt))
            self._running[id] = _Attempt(attempt, call)
        else:
            self._begin(id, attempt, arguments, _copy(arguments))

    def _copies(self, task: Task) -> Ended:
        """Resolve big arguments, in a thread: once to be kept, once for the tool."""
        arguments = self._resolve(task, self._values)
        if isinstance(arguments, Failed):
            return arguments
        return Succeeded({"kept": arguments, "own": _copy(arguments)})

    def _copied(self, id: int, attempt: int, copies: Outcome) -> None:
        """Big arguments are there; called on the loop."""
        if not self._is_under_way(id, attempt):
            return
        match copies:
            case Succeeded({"kept": dict(kept), "own": dict(own)}):
                self._begin(id, attempt, kept, own)
            case _:
                self._judged(id, attempt, copies)

    def _begin(self, id: int, attempt: int, arguments: dict[str, Json], own: dict[str, Json]) -> None:
        """Start the call, `own` being the tool's copy of the arguments."""
        tool = self._tools[self.tasks[id].tool]
        self._journal.emit(TaskStarted, id, tool.spec.name, attempt, arguments)
        began = self._loop.time()
        try:
            call = self._shop.executors.start(tool, own, partial(self._done, id, attempt))
        except Exception as error:  # noqa: BLE001  # the validators of the tool's own annotations run here
            self._running.pop(id, None)
            self._entrance.leave(id)
            self.post(AttemptEnded(id, attempt, self._redacted(_unfit(error))))
            return
        self._running[id] = _Attempt(attempt, call, began)

    def _resolve(self, task: Task, values: Mapping[int, Json]) -> dict[str, Json] | Failed:
        """Return the arguments as they are handed over: refs replaced, checked, private."""
        if not task.kwargs:
            return {}
        try:
            arguments = {name: substitute(value, values) for name, value in task.kwargs.items()}
            return self._tools[task.tool].schema.hand_over(arguments) if task.inputs else arguments
        except MissingField as error:
            return failed("missing_field", "MissingField", str(error))
        except Exception as error:  # noqa: BLE001  # refused, or the tool's own schema is at fault
            return Failed(describe(error, "arguments"))

    def _is_under_way(self, id: int, attempt: int) -> bool:
        """Return whether an attempt was not given up before it reported."""
        current = self._running.get(id)
        return current is not None and current.number == attempt

    def _done(self, id: int, attempt: int, outcome: Outcome) -> None:
        """An executor reports; called on the loop."""
        if not self._is_under_way(id, attempt):
            self._shop.executors.discard()
            return
        began = self._running.pop(id).began
        if isinstance(outcome, Succeeded):
            self._shop.durations.observe(self.tasks[id].tool, self._loop.time() - began)
        rule = self._tools[self.tasks[id].tool].rule
        if rule is None or not isinstance(outcome, Succeeded):
            self._attempt_over(id, attempt, outcome)
        elif is_big(outcome.value):
            judging = self._shop.executors.work(partial(rule.judge, outcome.value), partial(self._judged, id, attempt))
            self._running[id] = _Attempt(attempt, judging)
        else:
            self._attempt_over(id, attempt, rule.judge(outcome.value))

    def _judged(self, id: int, attempt: int, outcome: Outcome) -> None:
        """Work on a big value ended the attempt; called on the loop."""
        if self._is_under_way(id, attempt):
            del self._running[id]
            self._attempt_over(id, attempt, outcome)

    def _expire(self, id: int, attempt: int) -> None:
        timeout = self._tools[self.tasks[id].tool].spec.policy.timeout
        self._abandon(id)
        self._attempt_over(id, attempt, failed("timeout", "TimeoutError", f"no result within {timeout:g} s"))

    def _attempt_over(self, id: int, attempt: int, outcome: Outcome) -> None:
        self._entrance.leave(id)
        retry_in = None
        if isinstance(outcome, Failed):
            outcome = self._redacted(outcome)
            retry_in = self._retry_in(id, attempt, outcome)
        self.post(AttemptEnded(id, attempt, outcome, retry_in))

    def _redacted(self, outcome: Failed) -> Failed:
        return Failed(replace(outcome.error, message=self._redactor.redact(outcome.error.message)))

    def _retry_in(self, id: int, attempt: int, outcome: Failed) -> float | None:
        tool = self._tools[self.tasks[id].tool]
        if attempt > tool.spec.policy.retries or outcome.error.kind not in _RETRYABLE:
            return None
        try:
            return seconds_before_next(tool.wait or TOOL_WAIT, attempt, RuntimeError(str(outcome.error)))
        except Exception:  # noqa: BLE001  # a strategy may be the user's own
            _log.exception("the tool %r is not tried again, since its wait failed", tool.spec.name)
            return None

    def _abandon(self, id: int) -> None:
        current = self._running.pop(id, None)
        if current is not None:
            current.call.abandon()
        self._entrance.leave(id)

    # The end of a task

    def _end(self, id: int, outcome: Outcome, attempts: int) -> None:
        self.outcomes[id] = outcome
        self._task_ended.set()
        if isinstance(outcome, Succeeded):
            self._values[id] = outcome.value
            self._bigs.keep(id, outcome.value)
        task = self.tasks[id]
        tool = self._tools.get(task.tool)  # None for a task that was refused since nobody knows its tool
        if tool is not None and tool.spec.effect is Effect.READ:
            for follower, signal in self._reads.ended(task, outcome):
                if follower not in self.outcomes:
                    self.post(signal)
        self._entrance.withdraw(id)
        self._journal.emit(TaskEnded, id, outcome, attempts, self._reads.reused.get(id))

    # Timer and end

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self.post, Tick())

    def _shut(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for id in list(self._running):
            self._abandon(id)
        self._entrance.close()


def _call_text(tool: str, arguments: Mapping[str, Json]) -> str:
    if not arguments:
        return tool
    return f"{tool} {json.dumps(arguments, sort_keys=True)}"


def _copy(arguments: Mapping[str, Json]) -> dict[str, Json]:
    return {name: copied(value) for name, value in arguments.items()}


def _unfit(error: Exception) -> Failed:
    if not isinstance(error, ValidationError):
        return Failed(describe(error, "arguments"))
    found = error.errors(include_url=False, include_input=False, include_context=False)
    said = "; ".join(f"argument {'.'.join(map(str, item['loc'])) or '?'}: {item['msg']}" for item in found)
    return failed("arguments", "ValidationError", said or str(error))
