"""ParallelQA: several facts and a calculation over them, with the knowledge base and the calculator of the examples."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmcompiler._resources import bundled
from llmcompiler.bench.parallelqa import is_right, read_questions, reference_plans
from llmcompiler.bench.suites.oracle import UNKNOWN, Flaws
from llmcompiler.bench.suites.planned import Outcomes, PlanSuite
from llmcompiler.bench.suites.suite import Case
from llmcompiler.config.loading import load_tools
from llmcompiler.execution.limits import Limits
from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.plan.values import text_of
from llmcompiler.strategies.result import RunResult
from llmcompiler.toolkit.tool import Tool


def read_cases(folder: Path | None, count: int | None) -> list[Case]:
    """Return the questions in the order of the file, all of them unless a count is given."""
    plans = reference_plans()
    questions = read_questions(folder)[:count]
    return [Case(id=one.id, question=one.text.strip(), label=one.label, plan=plans[one.id]) for one in questions]


def _answer(case: Case, outcomes: Outcomes) -> str:
    """Return the value of the last task."""
    last = outcomes[max(outcomes)]
    return text_of(last.value) if isinstance(last, Succeeded) else UNKNOWN


def _right(case: Case, result: RunResult) -> float:
    return float(is_right(result.answer or "", case.label))


@functools.cache
def _tools() -> tuple[Tool[..., Any], ...]:
    return tuple(load_tools(bundled("configs") / "parallelqa.yaml").values())


def _tools_for(case: Case) -> Sequence[Tool[..., Any]]:
    return _tools()


def parallelqa_suite() -> PlanSuite:
    """Return the suite."""
    return PlanSuite(
        name="parallelqa",
        seconds={"search": 0.6},
        read=read_cases,
        tools_for=_tools_for,
        answer=_answer,
        right=_right,
        flaws=Flaws(stops_early=0.1, repeats=0.1),  # about 10 % of ReAct's answers are wrong
        examples="parallelqa",
        limits=Limits(replans=2),
        published={"react": 1.0, "parallel_calls": 1.86, "compiler": 2.27},  # with GPT-4 2.15
    )
