"""ReadyQueue: tasks that may start, the one with the longest remaining path first.

Ranks (expected seconds from the start of a task to the end of everything that needs it) are computed only when there is
a choice to make, and again when the plan has grown by a quarter. Ties go to the smaller id. Source: critical-path list
scheduling, Graham 1966, with expected durations in place of hops.
"""

from heapq import heapify, heappop, heappush

from llmcompiler.scheduling.state import ENDED, Entry, State

_Item = tuple[float, int]


class ReadyQueue:
    """A priority queue that passes over tools which are at their cap, or which may not start before a time."""

    def __init__(self, entries: dict[int, Entry]) -> None:
        self._entries = entries
        self._heap: list[_Item] = []
        self._waiting: dict[str, list[_Item]] = {}  # ready tasks of tools that are at their cap or their rate
        self._by_tool: dict[str, int] = {}  # running tasks, of tools with a cap
        self._not_before: dict[str, float] = {}  # tools at their rate: no start before this time
        self._ranks: dict[int, float] = {}
        self._size = 0  # tasks in the plan
        self._ranked = 0  # tasks in the plan when ranks were computed

    def grew(self) -> None:
        """The plan has one more task."""
        self._size += 1

    def opened(self) -> None:
        """A new plan begins to grow; nothing of the earlier one is left."""
        self._size = self._ranked = 0

    def sealed(self) -> None:
        """The plan will not grow any more: ranks computed from now on are final."""
        self._ranked = 0

    def push(self, entry: Entry) -> None:
        """Add a ready task."""
        heappush(self._heap, (-self._ranks.get(entry.id, entry.expected), entry.id))

    def pop(self) -> Entry | None:
        """Return the task to start next, or None. It must be READY still; others are forgotten."""
        if len(self._heap) > 1 and self._size > 1.25 * self._ranked:
            self._rank()
        while self._heap:
            item = heappop(self._heap)
            entry = self._entries[item[1]]
            if entry.state is not State.READY:
                continue
            if (self._not_before or entry.cap is not None) and not self._has_room(entry):
                heappush(self._waiting.setdefault(entry.tool, []), item)
                continue
            return entry
        return None

    def _has_room(self, entry: Entry) -> bool:
        if self._not_before and entry.tool in self._not_before:
            return False
        return entry.cap is None or self._by_tool.get(entry.tool, 0) < entry.cap

    def started(self, entry: Entry) -> None:
        """Count a task that takes a slot; if its tool has waited and room is left, the next one may try."""
        if entry.cap is not None:
            self._by_tool[entry.tool] = self._by_tool.get(entry.tool, 0) + 1
        if self._waiting and self._has_room(entry):
            self._release(entry.tool)

    def stopped(self, entry: Entry) -> None:
        """Count a task that leaves its slot; the best task that waited for its tool may try again."""
        if entry.cap is None:
            return
        self._by_tool[entry.tool] -= 1
        self._release(entry.tool)

    def pause(self, tool: str, not_before: float) -> None:
        """Start no task of a tool before a time."""
        self._not_before[tool] = max(not_before, self._not_before.get(tool, not_before))

    def resume(self, now: float) -> None:
        """Let the tools whose time has come try again: the best task of each, and the next one once that has started."""
        for tool in [tool for tool, at in self._not_before.items() if at <= now]:
            del self._not_before[tool]
            self._release(tool)

    @property
    def resumes_at(self) -> float | None:
        """Return when the next paused tool may try again."""
        return min(self._not_before.values(), default=None)

    def _release(self, tool: str) -> None:
        waiting = self._waiting.get(tool, ())
        while waiting:
            item = heappop(waiting)
            if self._entries[item[1]].state is State.READY:
                heappush(self._heap, item)
                return

    def _rank(self) -> None:
        # Entries are in the order of reading, so users come after their inputs, save for repaired tasks, whose ranks
        # may be too small: a rank is a preference, never a condition.
        ranks: dict[int, float] = {}
        for entry in reversed(self._entries.values()):
            if entry.state not in ENDED:
                rest = max(ranks.get(user, 0.0) for user in entry.users) if entry.users else 0.0
                ranks[entry.id] = entry.expected + rest
        self._ranks, self._ranked = ranks, self._size
        self._heap = [(-ranks.get(id, 0.0), id) for _, id in self._heap]
        heapify(self._heap)
        for waiting in self._waiting.values():
            waiting[:] = [(-ranks.get(id, 0.0), id) for _, id in waiting]
            heapify(waiting)
