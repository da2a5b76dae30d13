"""Executors: each runs one call of a tool somewhere and says once how it ended, unless the call was abandoned.

* `LoopExecutor`: coroutine functions, on the running event loop, each in a plain `asyncio.Task`, because a task group
  cannot leave a child that swallows cancellation.
* `ThreadExecutor` (threads.py): our own daemon threads. * `ProcessExecutor` (processes.py): processes that can be killed.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeAlias

from llmcompiler.execution.border import Ended, converted, describe
from llmcompiler.execution.closing import abandon_task, aclose_left
from llmcompiler.execution.processes import ProcessExecutor, target_of
from llmcompiler.execution.threads import ThreadExecutor, Work
from llmcompiler.execution.watchdog import TOOL_PREFIX
from llmcompiler.plan.outcomes import Failed, Outcome, Succeeded
from llmcompiler.plan.tools import Tier
from llmcompiler.plan.values import Json, is_big
from llmcompiler.toolkit.convert import NotPlain, snapshot
from llmcompiler.toolkit.tool import Tool

Done: TypeAlias = Callable[[Outcome], None]
GRACE_SECONDS = 0.05  # what a cancelled tool has for its cleanup before it is given up


class Call(Protocol):
    """A call under way."""

    def abandon(self) -> None:
        """Release what can be released; `done` will not be called any more."""
        ...


class LoopCall:
    """A coroutine tool at work."""

    __slots__ = ("_executor", "_task", "is_abandoned")

    def __init__(self, executor: "LoopExecutor", tool: Tool[..., Any], arguments: dict[str, Any], done: Done) -> None:
        self._executor = executor
        self.is_abandoned = False
        # Not by the loop's task factory, which may run it at once. And not in asyncio's register: at its
        # end asyncio.run waits for all that is registered, even for a tool that swallows its cancellation. It belongs
        # to the driver, which is registered.
        run, name = self._run(tool, arguments, done), TOOL_PREFIX + tool.spec.name
        self._task: asyncio.Task[None] = asyncio.Task(run, loop=asyncio.get_running_loop(), name=name)
        asyncio.tasks._unregister_task(self._task)

    def abandon(self) -> None:
        """Cancel the tool; give it up if it does not end soon."""
        self.is_abandoned = True
        task = self._task
        if task.done():
            return
        task.cancel()
        self._executor.leaves(task)

    async def _run(self, tool: Tool[..., Any], arguments: dict[str, Any], done: Done) -> None:
        try:
            value = await tool.function(**arguments)
            outcome = await (self._converted_big(value) if is_big(value) else self._converted(value))
        except KeyboardInterrupt as error:
            if threading.current_thread() is threading.main_thread():
                raise  # Ctrl-C can only arrive here
            outcome = Failed(describe(error))
        except BaseException as error:  # noqa: BLE001  # the border: a tool may raise anything
            outcome = Failed(describe(error))
        if not self.is_abandoned:
            done(outcome)
        elif isinstance(outcome, Succeeded):
            self._executor.discarded += 1

    async def _converted(self, value: object) -> Ended:
        outcome = converted(value)
        if isinstance(outcome, Failed):
            await aclose_left(value, self._executor.leaves)
        return outcome

    async def _converted_big(self, value: object) -> Ended:
        """Convert a big result in a thread, from a snapshot, so that the tool's own code cannot change it meanwhile.

        What is more than plain data is converted here, however big it is, since code of the user's classes runs then.
        """
        with suppress(NotPlain):
            return await in_thread(self._executor.data, partial(converted, snapshot(value)))
        return await self._converted(value)


async def in_thread(threads: ThreadExecutor, work: Work) -> Ended:
    """Return what `work` returns, done in a thread. When this is cancelled, nobody waits for it any more."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Ended] = loop.create_future()

    def end(outcome: Ended) -> None:
        if not ended.done():
            ended.set_result(outcome)

    call = threads.submit(work, partial(_on, loop, end))
    try:
        return await ended
    finally:
        call.abandon()


def _on(loop: asyncio.AbstractEventLoop, done: Callable[[Ended], object], outcome: Ended) -> None:
    loop.call_soon_threadsafe(done, outcome)


class LoopExecutor:
    """Runs coroutine tools on the running loop. Those that were cancelled have a moment to end, then they are given up."""

    def __init__(self, data: ThreadExecutor) -> None:
        self.data = data
        self.discarded = 0  # values that came after their calls were abandoned
        self._leaving: set[asyncio.Task[None]] = set()
        self._given_up: set[asyncio.Task[None]] = set()

    @property
    def abandoned(self) -> int:
        """Return how many cancelled calls have not ended."""
        return len(self._leaving) + len(self._given_up)

    def start(self, tool: Tool[..., Any], arguments: dict[str, Any], done: Done) -> LoopCall:
        """Begin a call."""
        return LoopCall(self, tool, arguments, done)

    def leaves(self, task: asyncio.Task[None]) -> None:
        """Take note of a task that was cancelled."""
        self._leaving.add(task)
        task.add_done_callback(self._left)
        task.get_loop().call_later(GRACE_SECONDS, self._give_up, task)

    async def settle(self) -> None:
        """Wait until the cancelled tasks of this loop have ended or were given up, so that the loop may be closed."""
        loop = asyncio.get_running_loop()
        leaving = [task for task in self._leaving if task.get_loop() is loop]
        if leaving:
            try:
                await asyncio.wait(leaving, timeout=GRACE_SECONDS)
            finally:
                for task in leaving:
                    self._give_up(task)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        self._given_up.discard(task)

    def _give_up(self, task: asyncio.Task[None]) -> None:
        if task in self._leaving and not task.done():
            self._leaving.discard(task)
            self._given_up.add(task)
            abandon_task(task)


class Executors:
    """The executors of one agent, by tier. Threads and processes are started when they are first needed."""

    def __init__(self, *, threads: int = 64, processes: int = 8) -> None:
        # For work on big values; apart from tools, which may hang. Two would keep the loop from the interpreter's lock.
        self.data = ThreadExecutor(1, name="llmcompiler-data")
        self.loop = LoopExecutor(self.data)
        self.threads = ThreadExecutor(threads)
        self.processes = ProcessExecutor(processes)
        self._second = 0

    @property
    def abandoned(self) -> int:
        """Return how many calls were given up and still hang, on the loop and in threads."""
        return self.loop.abandoned + self.threads.abandoned

    @property
    def discarded(self) -> int:
        """Return how many reports nobody saw: they came after the call was given up, or were its second."""
        return self.loop.discarded + self.threads.discarded + self.processes.discarded + self._second

    def discard(self) -> None:
        """Count a report that came through `done` and is of no use, since the call has its outcome already."""
        self._second += 1

    def start(self, tool: Tool[..., Any], arguments: dict[str, Json], done: Done) -> Call:
        """Begin a call in the tool's tier. `done` is called once, on the running loop, unless the call is abandoned.

        Raises pydantic's `ValidationError` if the arguments do not become what the function's annotations want.
        """
        tier: Tier = tool.tier
        if tier == "loop":
            return self.loop.start(tool, tool.adapt(arguments), done)
        done_elsewhere = partial(_on, asyncio.get_running_loop(), done)
        if tier == "thread":
            return self.threads.start(tool.function, tool.adapt(arguments), done_elsewhere)
        return self.processes.start(target_of(tool.function), arguments, done_elsewhere)

    def work(self, work: Work, done: Done) -> Call:
        """Do work on a big value in a thread. `done` is called once, on the running loop, unless the call is abandoned."""
        loop = asyncio.get_running_loop()
        return self.data.submit(work, lambda outcome: _on(loop, done, outcome))

    async def settle(self) -> None:
        """Wait until nothing of the running loop is in the way of its being closed: a moment at most."""
        await self.loop.settle()

    def close(self) -> None:
        """End idle threads and processes; hung ones are left behind and never keep the interpreter from exiting."""
        self.processes.close()
