"""Watchdog: a tool that blocks the event loop cannot be stopped by anyone, but it can be named, with its stack.

A timer on each watched loop notes how late it comes, so that no block is missed and its length is true. A daemon thread
looks meanwhile at what runs there: the stack of the loop's thread, and the asyncio task, whose name tells the tool.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

ALLOWED_SECONDS = 0.5
BEAT_SECONDS = 0.02  # the loop notes so often that it runs; by so much a block may have been longer than is told
TOOL_PREFIX = "tool "
_LOOK_SECONDS = 0.1
_LOOK_AFTER = ALLOWED_SECONDS / 2  # of silence: a block that is just long enough to be told has been seen by then
_log = logging.getLogger("llmcompiler")


@dataclass(frozen=True, slots=True)
class Blocked:
    """The event loop did not run for `seconds`.

    tool: the one that kept it, None if it was something else or nobody saw what. stack: where that was, "" if nobody saw.
    """

    tool: str | None
    stack: str
    seconds: float


Report: TypeAlias = Callable[[Blocked], None]


@dataclass(frozen=True, slots=True)
class _Sight:
    """What was seen to run on a loop that has been silent since `since`."""

    since: float
    tool: str | None
    stack: str


class _Watch:
    """One loop that is watched, and who wants to hear of it. Created on the loop."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._last = time.monotonic()  # when the loop was known to run
        self._sight: _Sight | None = None
        self._warned = 0.0  # since when the loop was silent as the last warning was given
        self._looks = threading.Lock()
        self._timer = self._loop.call_later(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        self.measure()
        self._timer = self._loop.call_later(BEAT_SECONDS, self._beat)

    def measure(self) -> None:
        """Note that the loop runs, and tell if it did not for too long. Called on the loop."""
        since, self._last = self._last, time.monotonic()
        silent = self._last - since - BEAT_SECONDS
        if silent < ALLOWED_SECONDS or self._loop.is_closed():
            return
        with self._looks:
            sight = self._sight
            if sight is None or sight.since != since:
                sight = _Sight(since, None, "")
            self._warn(sight)
        for report in list(self.reports):
            report(Blocked(sight.tool, sight.stack, silent))

    def look(self) -> None:
        """See what runs there if the loop is silent, a tool by preference. Called in the watchdog's thread."""
        with self._looks:
            since, sight = self._last, self._sight
            silent = time.monotonic() - since - BEAT_SECONDS
            if silent < _LOOK_AFTER or self._loop.is_closed():
                return
            if sight is None or sight.since != since:
                sight = self._sight = self._seen(since)
            elif sight.tool is None:
                seen = self._seen(
                    since
                )  # which may be the loop as it wakes, so only a tool takes the first one's place
                sight = self._sight = sight if seen.tool is None else seen
            if silent >= ALLOWED_SECONDS:
                self._warn(sight)  # now, since it may never end

    def _seen(self, since: float) -> _Sight:
        frame, task = sys._current_frames().get(self._thread), asyncio.current_task(self._loop)
        name = "" if task is None else task.get_name()
        tool = name.removeprefix(TOOL_PREFIX) if name.startswith(TOOL_PREFIX) else None
        return _Sight(since, tool, "".join(traceback.format_stack(frame)[-6:]) if frame else "")

    def _warn(self, sight: _Sight) -> None:
        """Warn of a tool, once for each time. What others do to the loop is told, but is no warning of ours."""
        if sight.tool is None or self._warned == sight.since:
            return
        self._warned = sight.since
        said = "the tool %r blocks the event loop; make it a plain function, which gets a thread\n%s"
        _log.warning(said, sight.tool, sight.stack)

    def end(self) -> None:
        """Measure no more."""
        self._timer.cancel()


_watches: dict[asyncio.AbstractEventLoop, _Watch] = {}
_changed = threading.Condition()
_thread: threading.Thread | None = None


@contextmanager
def watched(report: Report) -> Iterator[None]:
    """Watch the running loop; `report` is called on it, once for each time it was blocked, when it runs again.

    A loop that says of itself that it `is_virtual` is not watched: its time does not pass while code runs.
    """
    loop = asyncio.get_running_loop()
    if getattr(loop, "is_virtual", False):
        yield
        return
    watch = _watch_of(loop)
    watch.measure()  # what was before is no matter of this one
    watch.reports.append(report)
    try:
        yield
    finally:
        watch.measure()  # the timer may be about to come
        watch.reports.remove(report)
        if not watch.reports:
            watch.end()
            with _changed:
                del _watches[loop]


def _watch_of(loop: asyncio.AbstractEventLoop) -> _Watch:
    global _thread  # one watchdog a process
    with _changed:
        if loop not in _watches:
            _watches[loop] = _Watch()
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_patrol, name="llmcompiler watchdog", daemon=True)
            _thread.start()
        _changed.notify()
        return _watches[loop]


def _patrol() -> None:
    while True:
        with _changed:
            while not _watches:
                _changed.wait()
        _look_at_all()
        time.sleep(_LOOK_SECONDS)


def _look_at_all() -> None:
    with _changed:
        watches = list(_watches.values())
    for watch in watches:
        watch.look()
