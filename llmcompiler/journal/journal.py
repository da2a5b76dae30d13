"""Journal: stamps events, keeps them, and hands them to whoever listens. A slow listener never stalls the run."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from llmcompiler.journal.events import PASSING, Event

E = TypeVar("E")

MAX_PASSING_BACKLOG = 10_000


class Journal:
    """The events of one run, which begins now; `time` is the clock of its event loop.

    What happened is kept as plain tuples; an event is made of one when somebody looks at it. That is a tenth of what a
    task costs, and less for the garbage collector to go through.
    """

    def __init__(self, run_id: str, time: Callable[[], float]) -> None:
        self.run_id = run_id
        self.round = 1
        self.origin = time()
        self._kept: list[tuple[Any, ...]] = []  # kind, seq, at, round, and the fields of the kind
        self._time = time
        self._seq = 0
        self._listeners: list[Listener] = []

    def now(self) -> float:
        """Return the seconds since the run began."""
        return self._time() - self.origin

    @property
    def events(self) -> tuple[Event, ...]:
        """Return what has happened so far, passing text left out."""
        return tuple(kind(self.run_id, *stamped) for kind, *stamped in self._kept)

    def emit(self, kind: Callable[..., Any], *fields: Any) -> None:
        """Record an event of `kind`, whose own fields are given in order."""
        self._seq += 1
        at = self._time() - self.origin
        if kind not in PASSING:
            self._kept.append((kind, self._seq, at, self.round, *fields))
        if self._listeners:
            event = kind(self.run_id, self._seq, at, self.round, *fields)
            for listener in self._listeners:
                listener.put(event)

    def listen(self, wake: Callable[[], None]) -> "Listener":
        """Return a listener that gets every event from now on; `wake` is called when one has come."""
        listener = Listener(wake)
        self._listeners.append(listener)
        return listener


class Listener:
    """The unread events of one consumer. If it falls far behind, passing text is left out; kept events never are."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.unread: deque[Event] = deque()
        self._wake = wake

    def put(self, event: Event) -> None:
        """Add an event."""
        if isinstance(event, PASSING) and len(self.unread) > MAX_PASSING_BACKLOG:
            return
        self.unread.append(event)
        self._wake()
