"""Ground: where a mode is measured, on which clock, and who speaks there.

There are three: `virtual.py`, `served.py` and `in_process.py`. A ground is a class with the methods of `Ground`: its `voice`
is a model or an engine that says what the script's ideal model says (`script.ideal.goes_on(text)` for CML), at the script's
pace or its own.
"""

from collections.abc import Coroutine
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

from llmcompiler.bench.asynclm.contenders import Contender
from llmcompiler.bench.asynclm.script import Cell, Script
from llmcompiler.models.model import Model
from llmcompiler.strategies.asynclm.engine import Engine

T = TypeVar("T")


@dataclass(slots=True)
class Costs:
    """What sessions cost on the model's side; times in seconds.

    prompt_tokens: of the first request of each session, where its length matters to the time it takes, else 0.
    joiner_tokens: the same of a joiner's. tokens_in: what it was sent, without what it had in its cache.
    starting: from a first request to its first token.
    generating: writing all tokens. injecting: reading results and messages, and the first tokens of the requests that takes.
    """

    requests: int = 0
    prompt_tokens: int = 0
    joiner_tokens: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    starting: float = 0.0
    generating: float = 0.0
    injecting: float = 0.0

    def __add__(self, other: "Costs") -> "Costs":
        return Costs(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def busy(self) -> float:
        """Return the seconds in which the model was at work."""
        return self.starting + self.generating + self.injecting


class Voice(Protocol):
    """The model of one session: a `Model`, or for CML an `Engine`."""

    @property
    def speaker(self) -> Model | Engine:
        """Return what the agent is made with."""
        ...

    async def costs(self) -> Costs:
        """Return what the session has cost, once it has ended."""
        ...


class Ground(Protocol):
    """A place to measure in. at_once: jobs that are played side by side."""

    name: str
    at_once: int

    def cell(self, asked: Cell, prompt_tokens: int = 0, joiner_tokens: int = 0) -> Cell:
        """Return how fast it is behind prompts of so many tokens: as it was asked to be, or at its own pace."""
        ...

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns, on the clock of this ground."""
        ...

    def voice(self, key: str, script: Script, contender: Contender) -> Voice:
        """Return who plays a script; `key` names the session."""
        ...
