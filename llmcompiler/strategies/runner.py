"""From a strategy to the face that all of them share: run, arun, astream.

A strategy gives a `Play` for each run: how to answer, and how to give a best answer after the run was stopped.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from llmcompiler.errors import InternalError, LimitReached, LLMCompilerError, NoProgress, RunFailed, UsageError
from llmcompiler.execution.watchdog import watched
from llmcompiler.journal.events import Event, RunEnded, RunStarted
from llmcompiler.strategies.result import RunResult, fold_plans, fold_tasks
from llmcompiler.strategies.run import Means, Run

T = TypeVar("T")
BEST_ANSWER_SECONDS = 30.0  # what a best answer may take after the run's own time is spent


class Play(Protocol):
    """How a strategy answers one question."""

    async def answer(self) -> str:
        """Return the answer; raise a `LLMCompilerError` if there is none."""
        ...

    async def best_answer(self, why: str) -> str:
        """Return the best answer from the results there are, after the run was stopped."""
        ...


Start: TypeAlias = Callable[[Run], Play]


async def arun(question: str, strategy: str, means: Means, start: Start) -> RunResult:
    """Return the result of a run. Raises `RunFailed` if there is no answer."""
    run = new_run(question, means)
    return await _play(run, strategy, start)


async def astream(question: str, strategy: str, means: Means, start: Start) -> AsyncGenerator[Event, None]:
    """Yield the events of a run as they happen; the last one, `RunEnded`, carries the result. Leaving cancels the run."""
    run = new_run(question, means)
    woken = asyncio.Event()
    listener = run.journal.listen(woken.set)
    work = asyncio.create_task(_play(run, strategy, start))
    work.add_done_callback(lambda _: woken.set())
    try:
        while True:
            while listener.unread:
                yield listener.unread.popleft()
            if work.done():
                break
            woken.clear()
            await woken.wait()
        error = None if work.cancelled() else work.exception()
        if error is not None and not isinstance(error, RunFailed):
            raise error
    finally:
        await _ended(work)


async def _ended(work: "asyncio.Task[RunResult]") -> None:
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def new_run(question: str, means: Means) -> Run:
    """Return a run, not begun. Raises `UsageError` for an empty question."""
    if not isinstance(question, str) or not question.strip():
        raise UsageError(f"a question is a text that says something, not {question!r}")
    return Run(question, means)


async def _play(run: Run, strategy: str, start: Start) -> RunResult:
    run.journal.emit(RunStarted, run.question, strategy)
    answer, failure = None, None
    try:
        with watched(run.on_blocked):
            async with asyncio.TaskGroup() as group:
                driver = group.create_task(run.driver.run(), name="llmcompiler driver")
                try:
                    answer = await _answer(run, start(run))
                except LLMCompilerError as error:
                    failure = error
                finally:
                    driver.cancel()
                    await run.end_background()
    except* Exception as errors:
        raise InternalError(f"please report: {errors.exceptions[0]!r}") from errors
    result = _result(run, answer)
    run.journal.emit(RunEnded, result, None if failure is None else str(failure))
    if failure is not None:
        if isinstance(failure, InternalError):
            raise failure
        raise RunFailed(f"no answer: {failure}", result=result) from failure
    return result


async def _answer(run: Run, play: Play) -> str:
    """Return the answer, or the best one there is when a limit is reached."""
    try:
        async with asyncio.timeout(run.limits.seconds) as clock:
            return await play.answer()
    except TimeoutError as error:
        if not clock.expired():
            raise
        failure: LLMCompilerError = run.reached("seconds")
        failure.__cause__ = error
    except (LimitReached, NoProgress) as error:
        failure = error
    run.stopped_by = failure.limit if isinstance(failure, LimitReached) else "no_progress"
    await run.driver.stop()
    if not run.has_results:
        raise failure
    run.limits = replace(run.limits, tokens=None)  # as it may take longer, a best answer may use more
    try:
        async with asyncio.timeout(BEST_ANSWER_SECONDS):
            return await play.best_answer(str(failure))
    except (TimeoutError, LLMCompilerError) as error:
        failure.add_note(f"and no best answer could be had: {error}")
        raise failure from error


def _result(run: Run, answer: str | None) -> RunResult:
    events = run.journal.events
    return RunResult(
        question=run.question,
        answer=answer,
        status="failed" if answer is None else "partial" if run.stopped_by else "complete",
        stopped_by=run.stopped_by,
        tasks=fold_tasks(events),
        plans=fold_plans(events),
        usage=run.usage,
        events=events,
        abandoned=run.workshop.executors.abandoned,
        blocked=tuple(run.blocked),
        seconds=run.journal.now(),
    )


# The synchronous face: one private loop in a daemon thread, so that it works inside Jupyter and other running loops.

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns, run on the private loop. Ctrl-C cancels it."""
    if os.environ.get("LLMCOMPILER_WORKER"):
        work.close()
        raise UsageError(
            "run() was called while a worker process imports your script; put the call under `if __name__ == '__main__':`"
        )
    loop = _private_loop()
    if threading.current_thread() is _thread:
        work.close()
        raise UsageError("run() was called on the event loop of another run, which would wait for itself; await arun()")
    carrier = _Carrier(work)
    try:
        loop.call_soon_threadsafe(carrier.begin)
        return carrier.result.result()
    except KeyboardInterrupt:
        loop.call_soon_threadsafe(carrier.stop)
        raise


class _Carrier(Generic[T]):
    """Carries a coroutine to the private loop. It is there before anything begins, so that Ctrl-C always finds it."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.result: Future[T] = Future()
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the work; called on the loop, as `stop` is."""
        self._task = asyncio.get_running_loop().create_task(self._carry())
        self._task.add_done_callback(lambda _: self._work.close())  # it was never begun if it was cancelled at once

    def stop(self) -> None:
        """Cancel the work."""
        if self._task is None:
            self._work.close()
        else:
            self._task.cancel()

    async def _carry(self) -> None:
        try:
            self.result.set_result(await self._work)
        except BaseException as error:  # noqa: BLE001  # whatever it is belongs to the caller, not to the loop's thread
            self.result.set_exception(error)


def _private_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread  # one a process, like the interpreter's own threads
    with _lock:
        if _loop is None or _thread is None or not _thread.is_alive():  # a forked process has no thread yet
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="llmcompiler loop", daemon=True)
            _thread.start()
        return _loop
