"""A virtual clock for asyncio: waiting takes no time, and a wait that nothing can end is an error.

Threads and processes do not know this clock: it is for coroutine tools and scripted models.
"""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

REAL_SECONDS = 60.0


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set, so the program would wait for ever."""


class _VirtualSelector(selectors.DefaultSelector):
    """Never sleeps: the time that the loop wants to sleep is added to its clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._limit = time.monotonic() + REAL_SECONDS

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready:
            return ready
        if time.monotonic() > self._limit:
            raise Deadlock(f"the virtual loop has been busy for {REAL_SECONDS:.0f} real seconds")
        if timeout is None:
            raise Deadlock(f"nothing is ready and no timer is set at {self.now:.3f} virtual seconds")
        self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0."""

    is_virtual = True  # so the watchdog sets no timer on it, which would keep a deadlock from being seen

    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-9  # with 0 a timer that is due exactly now would never fire

    def time(self) -> float:
        """Return the virtual seconds since the loop began."""
        return self._virtual.now


def run_virtual(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns, run on a new virtual loop. Raises `Deadlock` if it would wait for ever."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
