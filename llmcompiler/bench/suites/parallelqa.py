"""ParallelQA: several facts and a calculation over them, with the knowledge base and the calculator of the examples.

The questions stay where the user has them; here they are known by their ids only. A reference plan is what an ideal planner
would write: a search for each fact, all of them independent, then what is computed of them. Values that are needed
more than once have a task of their own. The last task's value is the answer.

Where the labels read a question in a way of their own, the plans follow: the rainforest of Borneo is the whole island,
and the density of New Jersey is the published one (of its land), while that of merged states is computed of total areas.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcompiler._resources import bundled
from llmcompiler.bench.data_folder import read_data
from llmcompiler.bench.suites.oracle import UNKNOWN, Flaws
from llmcompiler.bench.suites.planned import Outcomes, PlanSuite
from llmcompiler.bench.suites.scoring import is_right
from llmcompiler.bench.suites.suite import Case
from llmcompiler.config.loading import load_tools
from llmcompiler.execution.limits import Limits
from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.plan.values import text_of
from llmcompiler.prompting import read_examples
from llmcompiler.strategies.result import RunResult
from llmcompiler.toolkit.tool import Tool

FILE = "parallelqa_dataset.json"

_PLANS = Path(__file__).with_name("data") / "parallelqa.plans"


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the dataset; `label` is the answer that it gives, `branches` the number of things it is about."""

    id: str
    text: str
    label: str
    branches: int


def read_questions(folder: str | Path | None = None) -> list[Question]:
    """Return the questions in the order of the file.

    folder: where the data are; None for where `read_data` looks. Raises `UsageError`, which says where the file is to be
    had, if it is missing or is not what it should be.
    """
    return read_data(FILE, lambda text: [_question(row) for row in json.loads(text)], folder)


def reference_plans() -> Mapping[str, str]:
    """Return the text of the reference plan of every question, by its id."""
    return dict(read_examples(_PLANS))


def _question(row: Mapping[str, Any]) -> Question:
    return Question(str(row["id"]), str(row["question"]), str(row["answer"]), int(row["branch"]))


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
