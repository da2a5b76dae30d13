"""Sharing: identical reads of one run are made once, and a read whose value is in its tool's cache is not made at all."""

from collections.abc import Iterator, Mapping
from typing import Literal

from llmcompiler.execution.bigs import BigValues
from llmcompiler.execution.cache import ResultCache
from llmcompiler.plan.outcomes import Outcome, Succeeded
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Json
from llmcompiler.scheduling.messages import AttemptEnded, Signal, TaskParked, TaskUnparked


class SharedReads:
    """The reads of one run, by resolved call: the first of several is made, the others wait for its value."""

    def __init__(
        self, caches: Mapping[str, ResultCache], values: Mapping[int, Json], bigs: BigValues, calls: Mapping[int, str]
    ) -> None:
        self.reused: dict[int, int | Literal["cache"]] = {}  # what served a task, if it was not its own call
        self._caches, self._values, self._bigs, self._calls = caches, values, bigs, calls
        self._leaders: dict[str, int] = {}  # call -> the read that is running or has succeeded
        self._followers: dict[int, list[int]] = {}  # running read -> tasks that wait to share it

    def serve(self, task: Task, call: str) -> list[Signal]:
        """Return what the unit is to be told of a read that need not be made, nothing if it is to be made."""
        id = task.id
        leader = self._leaders.setdefault(call, id)
        if leader == id:
            cache = self._cache_of(task)
            kept = None if cache is None else cache.get(call)
            return [] if kept is None else self._served(id, "cache", kept)
        if leader in self._values:
            return self._served(id, leader, Succeeded(self._values[leader]))
        self._followers.setdefault(leader, []).append(id)
        return [TaskParked(id)]

    def _served(self, id: int, by: int | Literal["cache"], outcome: Succeeded) -> list[Signal]:
        self.reused[id] = by
        return [TaskParked(id), AttemptEnded(id, 0, outcome)]

    def ended(self, task: Task, outcome: Outcome) -> Iterator[tuple[int, Signal]]:
        """Yield each task that has waited for a read to end, with what the unit is to be told of it."""
        id, is_success = task.id, isinstance(outcome, Succeeded)
        if is_success:
            self._keep(task, outcome)
        elif self._leaders.get(self._calls.get(id, "")) == id:
            del self._leaders[self._calls[id]]  # only reads that succeeded are shared
        for follower in self._followers.pop(id, ()):
            if is_success:
                self.reused[follower] = id
                yield follower, AttemptEnded(follower, 0, outcome)
            else:
                yield follower, TaskUnparked(follower)

    def _keep(self, task: Task, outcome: Outcome) -> None:
        """Put a result into the cache of its tool, if there is one. To copy a big one would block the loop."""
        cache = self._cache_of(task)
        if cache is None or task.id in self.reused or not isinstance(outcome, Succeeded):
            return
        if not self._bigs.holds(outcome.value):
            cache.put(self._calls[task.id], outcome.value)

    def _cache_of(self, task: Task) -> ResultCache | None:
        """Return where the value of a call is kept over runs. One with big arguments is told by names of this run only."""
        cache = self._caches.get(task.tool)
        return None if cache is None or self._bigs.reach(task, self._values) else cache
