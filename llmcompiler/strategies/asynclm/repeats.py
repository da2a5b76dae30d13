"""Repeats: a model that makes a call again though it was told what came of it."""

from collections import Counter

from llmcompiler.errors import NoProgress

REPEATS = 2  # with nothing else in between, after which the next one ends the run


class Repeats:
    """What one model calls again and again. A turn is what it writes until it is told something."""

    def __init__(self) -> None:
        self._turn = 0
        self._latest: dict[str, int] = {}  # the turn in which each of them came
        self._again: Counter[str] = Counter()

    def next_turn(self) -> None:
        """Note that the model is told what came of its calls."""
        self._turn += 1

    def progress(self) -> None:
        """Note that the model has done something else."""
        self._again.clear()

    def refused(self, said: str) -> None:
        """Note what the model is told of a call that was not made. Raises `NoProgress`."""
        self._note(said, "a call that is refused")

    def made(self, call: str) -> None:
        """Note a call that gives the same each time, and of which no result is pending. Raises `NoProgress`."""
        self._note(call, "the same call")

    def _note(self, said: str, what: str) -> None:
        if said not in self._latest:
            self.progress()
        elif self._latest[said] < self._turn:  # what comes in one turn was not told yet
            self._again[said] += 1
        self._latest[said] = self._turn
        if self._again[said] > REPEATS:
            raise NoProgress(f"the model makes {what} again and again: {said}"[:500])
