"""What the runs of one agent share about its tools: concurrency, and how long calls take. Safe between threads."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

Wake: TypeAlias = Callable[[], Any]


class Gate:
    """Lets at most `size` calls of one tool be under way, over all runs; others are told when to try again."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._lock = threading.Lock()
        self._waiting: deque[Wake] = deque()

    def enter(self, wake: Wake) -> bool:
        """Return whether a call may begin; if not, `wake` is called once when it is worth trying again."""
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return True
            self._waiting.append(wake)
            return False

    def leave(self) -> None:
        """A call has ended; the first that waits is woken."""
        with self._lock:
            self._free += 1
            wake = self._waiting.popleft() if self._waiting else None
        if wake is not None:
            wake()

    def withdraw(self, wake: Wake) -> None:
        """Stop waiting. If the turn was given already, it goes to the next one."""
        with self._lock:
            if wake in self._waiting:
                self._waiting.remove(wake)
                return
            following = self._waiting.popleft() if self._waiting and self._free > 0 else None
        if following is not None:
            following()


class Durations:
    """Mean duration of successful calls per tool, learnt over the runs of an agent; newer calls weigh more."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def observe(self, tool: str, seconds: float) -> None:
        """Learn from one call."""
        mean = self._means.get(tool)
        self._means[tool] = seconds if mean is None else mean + 0.2 * (seconds - mean)

    def known(self, tool: str, declared: float | None) -> float | None:
        """Return the seconds a call is expected to take, declared or learnt; None if nobody knows."""
        return self._means.get(tool) if declared is None else declared

    def expected(self, tool: str, declared: float | None) -> float:
        """Return the seconds a call is expected to take: declared, learnt, or 1."""
        known = self.known(tool, declared)
        return 1.0 if known is None else known
