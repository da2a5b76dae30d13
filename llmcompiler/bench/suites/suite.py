"""Suite: what a comparison asks, with which tools, how an answer counts, and what an ideal model would write.

data ─▶ cases ─▶ agent over the suite's tools ─▶ RunResult ─▶ score
                   │                    ▲
                   └── requests ──▶ oracle, behind the loopback server (or any real endpoint in its place)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from llmcompiler.execution.limits import Limits
from llmcompiler.models.model import Model
from llmcompiler.strategies.result import RunResult
from llmcompiler.testing.server import ChatRequest, Reply
from llmcompiler.toolkit.tool import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question of a suite.

    label: the answer that the data give, as text; JSON where it is more than one. plan: the reference plan, in the plan
    language up to its join, in the suites where one plan is all that an ideal planner writes.
    """

    id: str
    question: str
    label: str
    plan: str = ""


class Oracle(Protocol):
    """Plays an ideal model to one strategy. It is pickled to the server's process, so it holds plain data alone."""

    def reply(self, request: ChatRequest) -> Reply:
        """Return what an ideal model says to a request. Raises `LookupError` for one that no case of the suite made."""
        ...


class Suite(Protocol):
    """One benchmark.

    seconds: how long a call of each tool takes in the mean (the comparison slows the tools down by that much), under `"*"`
    for those that are not named; without either a tool takes what it takes. examples: the bundled set that the planner is
    shown, None for the general one. options: of strategies, by their names. contenders: those that it has an oracle for.
    published: speed-ups over the baseline that the paper reports, as cited (second-hand).
    """

    name: str
    seconds: Mapping[str, float]
    examples: str | None
    limits: Limits
    options: Mapping[str, Mapping[str, Any]]
    contenders: Sequence[str]
    published: Mapping[str, float]

    def cases(self, folder: Path | None, count: int | None) -> Sequence[Case]:
        """Return the questions: `count` of them, or as many as the suite takes by default.

        folder: where the data are; None for where `bench.data_folder` looks. Raises `UsageError`, which says where the
        data are to be had.
        """
        ...

    def tools(self, case: Case, model: Model) -> Sequence[Tool[..., Any]]:
        """Return the tools for a question; `model` is for tools that ask one themselves."""
        ...

    def score(self, case: Case, result: RunResult) -> float:
        """Return how good an answered question is: 1.0 is right, 0.0 is wrong; in between only where a suite grades."""
        ...

    def is_from_tool(self, request: ChatRequest) -> bool:
        """Return whether a tool made a request, and not the strategy."""
        ...

    def oracle(self, contender: str, cases: Sequence[Case]) -> Oracle:
        """Return the ideal model for one contender. Raises `UsageError`, which names those that there are."""
        ...
