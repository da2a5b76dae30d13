"""Watchdog: a tool that blocks the event loop cannot be stopped by anyone, but it can be named, with its stack.

A daemon thread asks each watched loop for a sign of life; if none comes in time, it reads the stack of the loop's thread
and the name of the asyncio task that is running there, which names the tool.
"""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

ALLOWED_SECONDS = 0.5
TOOL_PREFIX = "tool "
_log = logging.getLogger("llmcompiler")


@dataclass(frozen=True, slots=True)
class Blocked:
    """The event loop did not run for `seconds` or more, because of the tool named `tool`; `stack` is where it was."""

    tool: str
    stack: str
    seconds: float = ALLOWED_SECONDS


Report: TypeAlias = Callable[[Blocked], None]


class _Watch:
    """One loop that is watched, and who wants to hear of it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.reports: list[Report] = []
        self.answered = threading.Event()
        self.answered.set()
        self.is_told = False

    def ask(self) -> None:
        """Ask the loop for a sign of life."""
        self.is_told = False
        self.answered.clear()
        try:
            self.loop.call_soon_threadsafe(self.answered.set)
        except RuntimeError:  # the loop was closed
            self.answered.set()


_watches: dict[asyncio.AbstractEventLoop, _Watch] = {}
_changed = threading.Condition()
_thread: threading.Thread | None = None


@contextmanager
def watched(report: Report) -> Iterator[None]:
    """Watch the running loop; `report` is called, in the watchdog's thread, once for each time it is blocked."""
    global _thread  # one watchdog a process
    loop = asyncio.get_running_loop()
    with _changed:
        watch = _watches.setdefault(loop, _Watch())
        watch.reports.append(report)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_patrol, name="llmcompiler watchdog", daemon=True)
            _thread.start()
        _changed.notify()
    try:
        yield
    finally:
        with _changed:
            watch.reports.remove(report)
            if not watch.reports:
                del _watches[loop]


def _patrol() -> None:
    while True:
        with _changed:
            while not _watches:
                _changed.wait()
            watches = list(_watches.values())
        for watch in watches:
            if watch.answered.is_set():
                watch.ask()
        threading.Event().wait(ALLOWED_SECONDS)
        for watch in watches:
            if not watch.answered.is_set() and not watch.is_told:
                watch.is_told = True  # one report until it runs again
                _tell(watch)


def _tell(watch: _Watch) -> None:
    frame = sys._current_frames().get(watch.thread)
    task = asyncio.current_task(watch.loop)
    if frame is None or task is None or not watch.reports or not task.get_name().startswith(TOOL_PREFIX):
        return
    tool, stack = task.get_name().removeprefix(TOOL_PREFIX), "".join(traceback.format_stack(frame)[-6:])
    _log.warning("the tool %r blocks the event loop; make it a plain function, which gets a thread\n%s", tool, stack)
    for report in list(watch.reports):
        report(Blocked(tool, stack))
