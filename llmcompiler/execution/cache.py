"""Cache: values of identical calls of a read tool, kept over the runs of an agent. Safe between threads."""

import asyncio
import threading

from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.plan.tools import Cache
from llmcompiler.plan.values import Json, copied


class ResultCache:
    """What one tool has returned, by resolved call. Time is the event loop's, so that a virtual clock counts too."""

    def __init__(self, policy: Cache) -> None:
        from cachetools import TTLCache

        self._lock = threading.Lock()
        self._values: TTLCache[str, Json] = TTLCache(policy.size, policy.ttl, timer=_now)

    def get(self, call: str) -> Succeeded | None:
        """Return the value of a call while it is fresh, a private copy of it, else None."""
        with self._lock:
            return Succeeded(copied(self._values[call])) if call in self._values else None

    def put(self, call: str, value: Json) -> None:
        """Keep a private copy of the value of a call that has succeeded."""
        with self._lock:
            self._values[call] = copied(value)


def _now() -> float:
    return asyncio.get_running_loop().time()
