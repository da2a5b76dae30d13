"""Rate: how many calls of a tool may begin within a time, over all runs of an agent. Safe between threads."""

import threading

from llmcompiler.plan.tools import Rate

_TICKS = 1_000_000  # a second; the bucket counts time in whole numbers


class RateGate:
    """A sliding window: within any `rate.seconds` at most `rate.starts` calls begin. Times are the event loop's."""

    def __init__(self, rate: Rate) -> None:
        from pyrate_limiter import InMemoryBucket, RateItem  # 150 ms, for tools with a rate only
        from pyrate_limiter import Rate as Window

        self._item = RateItem
        self._bucket = InMemoryBucket([Window(rate.starts, max(1, round(rate.seconds * _TICKS)))])
        self._lock = threading.Lock()
        self._latest = 0

    def start(self, now: float) -> float | None:
        """Count a call that begins now and return None; or return the time before which none may begin."""
        with self._lock:
            at = round(now * _TICKS)
            if at < self._latest:
                self._bucket.flush()  # a virtual clock has begun anew
            self._latest = at
            self._bucket.leak(at)
            item = self._item("call", at)
            if self._bucket.put(item):
                return None
            wait = self._bucket.waiting(item)
            assert isinstance(wait, int)
            return (at + max(1, wait)) / _TICKS
