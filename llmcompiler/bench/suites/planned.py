"""PlanSuite: a suite whose questions are each answered by one plan. Its oracles are made from the reference plans.

cases ─▶ execute each reference plan with the suite's own tools ─▶ what they gave ─▶ answer ─▶ PlanOracle
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from llmcompiler.bench.suites.oracle import Flaws, PlanOracle, Script, script_of
from llmcompiler.bench.suites.suite import Case, Oracle
from llmcompiler.errors import UsageError
from llmcompiler.execution.limits import Limits
from llmcompiler.models.model import Model
from llmcompiler.plan.outcomes import Outcome
from llmcompiler.strategies.executing import execute
from llmcompiler.strategies.parsing import parse_plan
from llmcompiler.strategies.result import RunResult
from llmcompiler.strategies.runner import run_sync
from llmcompiler.testing.server import ChatRequest
from llmcompiler.toolkit.tool import Tool

Outcomes: TypeAlias = Mapping[int, Outcome]

PLAN_CONTENDERS = (
    "compiler",
    "compiler_batch",
    "react",
    "react_careful",
    "react_flawed",
    "parallel_calls",
    "parallel_calls_late",
    "rewoo",
)
_STRATEGIES = {"compiler_batch": "compiler", "react_flawed": "react", "parallel_calls_late": "parallel_calls"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSuite:
    """A `Suite` of such questions.

    read: gives the cases of a folder, so many, or the usual number for None. tools_for: the tools of a case. answer: what
    an ideal joiner makes of the outcomes. right: the score of an answered run. flaws: of a ReAct that is not ideal.
    """

    name: str
    seconds: Mapping[str, float]
    read: Callable[[Path | None, int | None], Sequence[Case]]
    tools_for: Callable[[Case], Sequence[Tool[..., Any]]]
    answer: Callable[[Case, Outcomes], str]
    right: Callable[[Case, RunResult], float]
    flaws: Flaws
    examples: str | None = None
    limits: Limits = field(default_factory=Limits)
    published: Mapping[str, float] = field(default_factory=dict)
    contenders: Sequence[str] = PLAN_CONTENDERS
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def cases(self, folder: Path | None, count: int | None) -> Sequence[Case]:
        """Return the questions. Raises `UsageError`, which says where the data are to be had."""
        return self.read(folder, count)

    def tools(self, case: Case, model: Model) -> Sequence[Tool[..., Any]]:
        """Return the tools for a question."""
        return self.tools_for(case)

    def score(self, case: Case, result: RunResult) -> float:
        """Return 1.0 for a right answer, else 0.0."""
        return self.right(case, result)

    def is_from_tool(self, request: ChatRequest) -> bool:
        """Return False: these tools ask no model."""
        return False

    def oracle(self, contender: str, cases: Sequence[Case]) -> Oracle:
        """Return the ideal model for a contender, made by carrying out the reference plans. Raises `UsageError`."""
        if contender not in self.contenders:
            raise UsageError(f"{self.name} has no oracle for {contender}; there are {', '.join(self.contenders)}")
        strategy = _STRATEGIES.get(contender, contender)
        scripts = run_sync(self._scripts(cases))
        return PlanOracle(strategy, tuple(scripts), self.flaws if contender == "react_flawed" else None)

    async def _scripts(self, cases: Sequence[Case]) -> list[Script]:
        return [await self._script(case) for case in cases]

    async def _script(self, case: Case) -> Script:
        tools = self.tools_for(case)
        plan = parse_plan(case.plan, tools=tools)
        outcomes = await execute(plan, tools=tools)
        return script_of(case, plan, outcomes, self.answer(case, outcomes))
