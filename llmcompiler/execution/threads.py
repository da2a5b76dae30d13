"""Threads: synchronous tools in our own daemon threads.

    start ──▶ an idle thread, the last one that became idle ─┐
         ╲──▶ a new thread, while fewer than `size` count   ─┼─▶ outcome ──▶ done(outcome), in that thread
          ╲─▶ the queue, until a thread is free             ─┘

A thread cannot be stopped, so a call that is abandoned keeps its thread. Such a thread counts no longer towards
`size`, what it returns is discarded, and it ends when its function does. `concurrent.futures` is of no use here: the
interpreter joins its threads at exit, and one hung tool would keep it from exiting.
"""

import _thread
import contextvars
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum, auto
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from llmcompiler.errors import UsageError
from llmcompiler.execution.border import Ended, describe, outcome_of
from llmcompiler.plan.outcomes import Failed

Done: TypeAlias = Callable[[Ended], None]
Work: TypeAlias = Callable[[], Ended]

_IDLE_SECONDS = 10.0  # then a thread ends; so do those of an agent that was dropped without being closed
_log = logging.getLogger(__name__)


class _State(Enum):
    WAITING = auto()  # in the queue, or handed to a thread that has not begun it
    RUNNING = auto()
    OVER = auto()
    ABANDONED = auto()


class ThreadCall:
    """One call of a tool in a thread. Only `abandon` is for callers."""

    __slots__ = ("_done", "_executor", "_state", "_work")

    def __init__(self, executor: "ThreadExecutor", work: Work, done: Done) -> None:
        self._executor = executor
        self._work: Work | None = work
        self._done: Done | None = done
        self._state = _State.WAITING

    def abandon(self) -> None:
        """Withdraw the call if it waits; give up its thread if it runs; do nothing if it is over. Never blocks.

        `done` will not be called afterwards, unless it has already begun.
        """
        self._executor._abandon(self)

    @property
    def is_abandoned(self) -> bool:
        """Return whether the call was abandoned before it was over."""
        return self._state is _State.ABANDONED


_Box: TypeAlias = "SimpleQueue[ThreadCall | None]"  # where a thread receives its next call, or None: end


class ThreadExecutor:
    """Runs synchronous tools in at most `size` daemon threads; safe to use from any thread and any event loop."""

    def __init__(self, size: int = 64, *, name: str = "llmcompiler-tool") -> None:
        if size < 1:
            raise UsageError(f"an executor needs at least one thread, not {size}")
        self.size = size
        self._name = name
        self._numbers = count(1)
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._queue: OrderedDict[ThreadCall, None] = OrderedDict()
        self._idle: list[_Box] = []  # the last one is used first, so that the others may end
        self._seats = 0  # threads that are idle or run a call that somebody waits for
        self._abandoned = 0
        self._discarded = 0
        self._is_closed = False

    @property
    def abandoned(self) -> int:
        """Return how many threads hang at this moment in calls that were abandoned."""
        return self._abandoned

    @property
    def discarded(self) -> int:
        """Return how many abandoned calls have ended after all; nobody saw what came of them."""
        return self._discarded

    def start(self, function: Callable[..., object], kwargs: Mapping[str, Any], done: Done) -> ThreadCall:
        """Run `function(**kwargs)` in a thread and in a copy of the caller's context; return the call at once.

        `done` is called once in that thread with a `Succeeded` that holds JSON data, or with a `Failed`.
        """
        return self.submit(partial(contextvars.copy_context().run, outcome_of, function, dict(kwargs)), done)

    def submit(self, work: Work, done: Done) -> ThreadCall:
        """Run `work`, which returns an outcome of its own, in a thread; return the call at once."""
        if self._pid != os.getpid():
            self._begin_afresh()  # a forked process has none of its parent's threads
        call = ThreadCall(self, work, done)
        with self._lock:
            if self._is_closed:
                raise UsageError("this executor is closed")
            is_new = not self._idle and self._seats < self.size
            if is_new:
                self._seats += 1
            elif self._idle:
                self._idle.pop().put(call)
            else:
                self._queue[call] = None
        if is_new:
            self._begin_thread(call)
        return call

    def close(self) -> None:
        """End the idle threads and withdraw what waits; running calls end as usual. Returns at once."""
        with self._lock:
            self._is_closed = True
            for call in self._queue:
                call._state = _State.ABANDONED
            self._queue.clear()
            self._seats -= len(self._idle)
            for box in self._idle:
                box.put(None)
            self._idle.clear()

    def _abandon(self, call: ThreadCall) -> None:
        following = None
        with self._lock:
            if call._state is _State.WAITING:
                self._queue.pop(call, None)
            elif call._state is _State.RUNNING:
                self._abandoned += 1
                self._seats -= 1
                if self._queue:
                    following, _ = self._queue.popitem(last=False)
                    self._seats += 1
            else:
                return
            call._state = _State.ABANDONED
        if following is not None:
            self._begin_thread(following)

    def _begin_thread(self, call: ThreadCall) -> None:
        name = f"{self._name}-{next(self._numbers)}"
        thread = threading.Thread(target=self._live, args=(call,), name=name, daemon=True)
        # Thread.start() returns when the new thread runs, 0.1 s later if others are busy computing. The caller may be
        # an event loop, so a bare thread, which takes 20 us, does that waiting.
        self._or_fail(call, partial(_thread.start_new_thread, self._or_fail, (call, thread.start)))

    def _or_fail(self, call: ThreadCall, begin: Callable[[], object]) -> None:
        try:
            begin()
        except (RuntimeError, MemoryError) as error:  # the system allows no more threads
            with self._lock:
                self._seats -= 1
                if call._state is not _State.WAITING:
                    return
                call._state = _State.OVER
            self._deliver(call, Failed(describe(error, "crash")))

    def _live(self, call: ThreadCall | None) -> None:
        """Be a thread of this executor."""
        box: _Box = SimpleQueue()
        while call is not None and self._serve(call, box):
            del call  # an idle thread holds on to nobody's data
            call = self._receive(box)

    def _serve(self, call: ThreadCall, box: _Box) -> bool:
        """Run one call; return whether this thread still belongs to the executor."""
        with self._lock:
            if call._state is _State.ABANDONED:
                self._free(box)
                return True
            call._state = _State.RUNNING
            work, call._work = call._work, None
        assert work is not None
        try:
            outcome = work()
        except BaseException as error:  # noqa: BLE001 - a thread that died would take a seat with it
            outcome = Failed(describe(error, "crash"))
        with self._lock:
            if call._state is _State.ABANDONED:
                self._abandoned -= 1
                self._discarded += 1
                return False
            call._state = _State.OVER
            self._free(box)  # before the outcome is known: a dependant may take this thread in the same turn
        self._deliver(call, outcome)
        return True

    def _free(self, box: _Box) -> None:
        if self._is_closed:
            self._seats -= 1
            box.put(None)
        elif self._queue:
            box.put(self._queue.popitem(last=False)[0])
        else:
            self._idle.append(box)

    def _receive(self, box: _Box) -> ThreadCall | None:
        try:
            return box.get(timeout=_IDLE_SECONDS)
        except Empty:
            with self._lock:
                if box in self._idle:
                    self._idle.remove(box)
                    self._seats -= 1
                    return None
            return box.get()  # a call was being handed over while the time ran out

    def _deliver(self, call: ThreadCall, outcome: Ended) -> None:
        done, call._done = call._done, None
        assert done is not None
        try:
            done(outcome)
        except Exception:  # noqa: BLE001 - the caller's code; this thread has others to serve
            _log.exception("nobody could be told how a tool ended")
