"""Contenders: the modes of calling that are measured, and what plays each.

Sync and Sync-Parallel could be a loop of native calls as well. Here they write the same calls as Async, token by token, and
end their text where Async goes on: so that what differs is the waiting, and no format. Their functions are ones with
effects, which begin when the text ends; they write no traps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from llmcompiler.bench.asynclm.latency import (
    ASYNC,
    ASYNC_NAIVE,
    COMPILER,
    FUTURES,
    SYNC,
    SYNC_PARALLEL,
    Mode,
)
from llmcompiler.bench.asynclm.workload import Workload
from llmcompiler.config.choices import Trap
from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean

Wire: TypeAlias = Literal["cml", "native", "plan"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of the tables: a mode, and what plays it.

    wire: what the model writes. what: how the mode is told. trap: what ends its waiting. refs: calls name others whose
    results have not come.
    """

    mode: Mode
    wire: Wire
    what: str
    trap: Trap = "all"
    refs: bool = False

    @property
    def name(self) -> str:
        """Return the name of the mode."""
        return self.mode.name

    @property
    def takes_messages(self) -> bool:
        """Return whether the user may interrupt, else a further question waits until the one before is answered."""
        return not self.mode.waits_for_all

    def fits(self, workload: Workload) -> bool:
        """Return whether it differs from the others there: refs between calls need a chain."""
        return not self.refs or any(part.is_chain for part in workload.parts)


ASYNC_REFS = replace(ASYNC, name="async_refs")
CONTENDERS: Mapping[str, Contender] = MappingProxyType(
    {
        contender.name: contender
        for contender in (
            Contender(SYNC, "cml", "one call a request, which waits for it"),
            Contender(SYNC_PARALLEL, "cml", "all calls that can be written, then a wait for all of them"),
            Contender(ASYNC_NAIVE, "cml", "AsyncLM, engine chat: each interrupt is a new request", "any"),
            Contender(ASYNC, "cml", "AsyncLM: interrupts go into a text whose prefix is cached", "any"),
            Contender(
                ASYNC_REFS, "cml", "the same, with calls that name earlier ones before these have ended", "any", True
            ),
            Contender(FUTURES, "native", "AsyncLM, engine futures: native calls, answered by futures"),
            Contender(COMPILER, "plan", "LLMCompiler: one plan, one joiner"),
        )
    }
)


def contenders_of(names: Sequence[str]) -> list[Contender]:
    """Return the contenders of these names, each once. Raises `UsageError` with the nearest names."""
    for name in names:
        if name not in CONTENDERS:
            raise UsageError(f"there is no mode {name!r} to measure; {did_you_mean(name, list(CONTENDERS))}")
    return [CONTENDERS[name] for name in dict.fromkeys(names)]
