"""Session: one question of AsyncLM under way, which others may interrupt."""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeAlias

from llmcompiler.errors import UsageError
from llmcompiler.strategies.asynclm.futures import Futures
from llmcompiler.strategies.asynclm.interrupts import Inbox
from llmcompiler.strategies.asynclm.monitor import Monitor
from llmcompiler.strategies.asynclm.rules import Spent
from llmcompiler.strategies.result import RunResult
from llmcompiler.strategies.run import Run
from llmcompiler.strategies.runner import Start

Begin: TypeAlias = Callable[[Start], Coroutine[Any, Any, RunResult]]
Make: TypeAlias = Callable[[Run, Inbox], Monitor | Futures]


class Session:
    """Answers one question in the background, from `async with` on.

    Leaving waits for the end of the run, and raises `RunFailed` if it has no answer, unless `result` has raised it already;
    leaving by an exception cancels the run.
    """

    def __init__(self, begin: Begin, make: Make) -> None:
        self._begin, self._make = begin, make
        self._inbox = Inbox()
        self._play: Monitor | Futures | None = None
        self._work: asyncio.Task[RunResult] | None = None
        self._was_asked = False

    async def __aenter__(self) -> Self:
        if self._work is not None:
            raise UsageError("a session is entered once; make another one for another question")
        self._work = asyncio.create_task(self._begin(self._start))
        self._work.add_done_callback(lambda _: self._inbox.close())  # before whoever waits for the result goes on
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._work is not None
        try:
            if kind is None and not self._was_asked:
                await self._work
        finally:
            self._inbox.close()
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    @property
    def spent(self) -> Spent:
        """Return where the time and the tokens of the session went so far."""
        return Spent() if self._play is None else self._play.spent

    async def interrupt(self, text: str, *, sender: str = "user") -> None:
        """Put a message into the model's text, at the next safe point; it wakes a model that waits.

        sender: who says it, a name: the user, or another agent. Raises `SessionEnded` if the model has answered already,
        `UsageError` before the session has begun, and on another event loop than its own, where it would wake nobody.
        """
        if self._work is None:
            raise UsageError(
                "only a session under way can be interrupted: `async with agent.session(question) as s: ...`"
            )
        if self._work.get_loop() is not asyncio.get_running_loop():
            raise UsageError(
                "a session is interrupted on its own event loop; from another thread use "
                "asyncio.run_coroutine_threadsafe(session.interrupt(...), loop)"
            )
        self._inbox.put(text, sender)

    async def result(self) -> RunResult:
        """Return the result once there is one.

        Raises `RunFailed` without an answer, `UsageError` if the session was left by an exception, which cancels its run.
        """
        if self._work is None:
            raise UsageError("the session has not begun: `async with agent.session(question) as s: ...`")
        try:
            return await asyncio.shield(self._work)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._work.cancelled() or (task is not None and task.cancelling()):
                raise
            raise UsageError(
                "the session was left by an exception, so its run was cancelled and has no result"
            ) from None
        finally:
            self._was_asked = self._work.done()

    def _start(self, run: Run) -> Monitor | Futures:
        self._play = self._make(run, self._inbox)
        return self._play
