"""How a session is held, and what it has spent."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from llmcompiler.config.choices import HoldWrites, Trap
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.engine import Counts

Phase: TypeAlias = Literal["starting", "generating", "injecting", "waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a session is held."""

    trap: Trap = "any"
    hold_writes: HoldWrites = "trap"
    delimiters: Delimiters = field(default_factory=Delimiters)


@dataclass(slots=True)
class Spent:
    """Where the time of a session went, in seconds, and what happened in it.

    starting: until the first piece of text; generating: between pieces; injecting: from an injection to the piece after
    it; waiting: in traps and at ends of the text. counts: the tokens and requests of its generation.
    """

    starting: float = 0.0
    generating: float = 0.0
    injecting: float = 0.0
    waiting: float = 0.0
    injections: int = 0
    traps: int = 0
    refused: int = 0
    counts: Counts = field(default_factory=Counts)
    _waited: float = field(default=0.0, repr=False)  # until the latest injection

    def __str__(self) -> str:
        seconds = ", ".join(f"{phase} {getattr(self, phase):.3f} s" for phase in get_args(Phase))
        happened = f"injections {self.injections}, traps {self.traps}, refused {self.refused}"
        return f"{seconds}; {happened}; {self.counts}"

    def inject(self) -> float:
        """Count an injection; return for how many seconds the model has waited for it."""
        waited, self._waited = self.waiting - self._waited, self.waiting
        self.injections += 1
        return waited

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        """Count the time within as that of a phase."""
        now = asyncio.get_running_loop().time
        began = now()
        try:
            yield
        finally:
            setattr(self, phase, getattr(self, phase) + now() - began)
