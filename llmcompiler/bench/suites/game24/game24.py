"""The suite: puzzles, tools that ask the model, a score by our own evaluator, and the ideal model for each contender.

A depth of the tree is one step of arithmetic, three of them a puzzle. Each contender visits the same states: one proposal
for every state kept, one verdict for every state proposed, the best `breadth` kept. What differs is who orders the calls.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmcompiler.bench.data_folder import read_data
from llmcompiler.bench.suites.game24.expressions import value_of
from llmcompiler.bench.suites.game24.oracle import GameOracle
from llmcompiler.bench.suites.game24.states import TARGET, left_of
from llmcompiler.bench.suites.game24.tools import BREADTH, EVALUATE_CUE, PROPOSE_CUE, game_tools
from llmcompiler.bench.suites.suite import Case, Oracle
from llmcompiler.errors import UsageError
from llmcompiler.execution.limits import Limits
from llmcompiler.models.model import Model
from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.strategies.result import RunResult
from llmcompiler.testing.server import ChatRequest
from llmcompiler.toolkit.tool import Tool

FILE = "game24.csv"
TESTED = slice(900, 1000)  # the rows on which the paper tests
QUESTION = "Write an expression that is 24, with each of these numbers used exactly once and + - * / and parentheses: "

_STRATEGIES = {
    "compiler": "compiler",
    "compiler_batch": "compiler",
    "react": "react",
    "parallel_calls": "parallel_calls",
    "parallel_calls_late": "parallel_calls",
    "rewoo": "rewoo",
    "tree": "tree",
    "tree_parallel": "tree",
}  # whose oracle plays to a contender
_NAMED = re.compile(r"\s*answer\s*:", re.IGNORECASE)


class Game24:
    """Four numbers, and an expression of them that is 24."""

    seconds: Mapping[str, float] = {}  # propose and evaluate take what the model takes
    examples = "game24"
    limits = Limits(parallel_tasks=64, replans=3)  # a level is 40 calls, three depths are two replans
    contenders: Sequence[str] = tuple(_STRATEGIES)
    published: Mapping[str, float] = {"tree": 1.0, "compiler": 2.89}

    def __init__(self, breadth: int = BREADTH) -> None:
        self.name = "game24" if breadth == BREADTH else f"game24:{breadth}"
        self.options: Mapping[str, Mapping[str, Any]] = {"tree": {"breadth": breadth}}
        self._breadth = breadth

    def cases(self, folder: Path | None, count: int | None) -> list[Case]:
        """Return the first `count` of the paper's 100 puzzles, all of them unless given; more are the file's, in order.

        Raises `UsageError` where the data are missing.
        """
        cases = read_data(FILE, _read, folder)
        tested = cases[TESTED]
        return tested[:count] if count is None or count <= len(tested) else cases[:count]

    def tools(self, case: Case, model: Model) -> list[Tool[..., Any]]:
        """Return `propose` and `evaluate`, which ask `model`, and `select`."""
        return game_tools(model)

    def score(self, case: Case, result: RunResult) -> float:
        """Return 1.0 if the last line of the answer is right, else 0.0."""
        return float(is_right(case.question, result.answer or ""))

    def is_from_tool(self, request: ChatRequest) -> bool:
        """Return whether the proposer or the evaluator made a request."""
        return request.last_user.endswith((PROPOSE_CUE, EVALUATE_CUE))

    def oracle(self, contender: str, cases: Sequence[Case]) -> Oracle:
        """Return the ideal model for one contender. Raises `UsageError`, which names those that there are."""
        if contender not in self.contenders:
            raise UsageError(f"{self.name} has no oracle for {contender}; there are {', '.join(self.contenders)}")
        return GameOracle(_STRATEGIES[contender], tuple(case.question for case in cases), self._breadth)


def game24_suite(breadth: int = BREADTH) -> Game24:
    """Return the suite; breadth: states kept of each level, by which the number of nodes grows."""
    return Game24(breadth)


def is_right(question: str, answer: str) -> bool:
    """Return whether the last line of an answer is an expression of exactly the question's numbers, and is 24.

    `Answer:` before it and `= 24` behind it are allowed. Any other text is wrong, whatever it is.
    """
    lines = answer.strip().splitlines() or [""]
    expression = _NAMED.sub("", lines[-1].strip(" `*$"), count=1).partition("=")[0]
    try:
        value, numbers = value_of(expression)
    except ValueError:
        return False
    return value == TARGET and sorted(numbers) == sorted(left_of(question))


def nodes(result: RunResult) -> int:
    """Return how many nodes of the tree a run has visited: states proposed from and states judged, a request each."""
    count = 0
    for record in result.tasks.values():
        if record.task.tool in ("propose", "evaluate") and isinstance(record.outcome, Succeeded):
            state = (record.arguments or {}).get("state")
            count += len(state) if isinstance(state, list) else 1
    return count


def _read(text: str) -> list[Case]:
    return [
        Case(id=row["Rank"], question=f"{QUESTION}{row['Puzzles']}", label=str(TARGET))
        for row in csv.DictReader(text.splitlines())
    ]
