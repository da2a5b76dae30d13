"""HotpotQA, comparison questions: two things are looked up side by side and compared. The records are synthetic."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmcompiler.bench.data_folder import read_data
from llmcompiler.bench.suites.oracle import UNKNOWN, Flaws
from llmcompiler.bench.suites.planned import Outcomes, PlanSuite
from llmcompiler.bench.suites.records import paragraph, search_tool
from llmcompiler.bench.suites.sampling import spread_out
from llmcompiler.bench.suites.scoring import is_right
from llmcompiler.bench.suites.suite import Case
from llmcompiler.execution.limits import Limits
from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.plan.values import Json
from llmcompiler.strategies.result import RunResult
from llmcompiler.toolkit.tool import Tool

FILE = "hotpotqa_comparison.json"
USUAL = 100

_SMALL = frozenset(
    ("of", "the", "de", "la", "le", "du", "and", "von", "van", "der", "da", "di", "del", "el", "for", "in")
)
_SMALL |= {"on", "at", "to", "vs.", "&", "a", "an", "und", "y"}
_JOINTS = frozenset(("or", "and"))
_WORD = re.compile(r"[^\s,?:;]+|[,?:;]")


def read_cases(folder: Path | None, count: int | None) -> list[Case]:
    """Return the questions, of yes-or-no, numeric and other ones in their shares."""
    rows = read_data(FILE, json.loads, folder)
    chosen = spread_out(rows, count or USUAL, _kind)
    return [_case(row) for row in chosen]


def subjects(question: str) -> tuple[str, str]:
    """Return the two things that a question compares, as it spells them: what stands on both sides of an "or" or "and".

    A rule of thumb; where it finds no such pair, two runs of capitalised words, or else the two halves of the question.
    """
    words = _WORD.findall(question)
    pairs = [(_run(words, at, -1), _run(words, at, 1)) for at, word in enumerate(words) if word.lower() in _JOINTS]
    told = [pair for pair in pairs if all(pair) and pair[0] != pair[1]]
    if told:
        return max(told, key=lambda pair: min(len(pair[0]), len(pair[1])))
    runs = list(dict.fromkeys(found[0] for found in re.finditer(r"[A-Z0-9][\w'.-]*(?: [A-Z0-9][\w'.-]*)*", question)))
    if len(runs) > 1:
        first, second = sorted(runs[1:] if len(runs) > 2 else runs, key=len, reverse=True)[:2]
        return first, second
    middle = len(words) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])


def _run(words: Sequence[str], at: int, step: int) -> str:
    """Return the capitalised words beside a joint, with the small ones between them."""
    taken: list[str] = []
    here = at + step
    if 0 <= here < len(words) and words[here] == ",":
        here += step
    while 0 <= here < len(words) and (words[here][0].isupper() or words[here][0].isdigit() or words[here] in _SMALL):
        if here == 0 and step < 0:  # the question word
            break
        taken.append(words[here])
        here += step
    while taken and taken[-1] in _SMALL:
        taken.pop()
    while taken and taken[0] in _SMALL:
        taken.pop(0)
    return " ".join(taken if step > 0 else reversed(taken))


def _kind(row: Mapping[str, Any]) -> str:
    answer = str(row["answer"])
    return answer if answer in ("yes", "no") else "number" if answer.replace(".", "").isdigit() else "other"


def _case(row: Mapping[str, Any]) -> Case:
    question = str(row["question"]).strip()
    first, second = (json.dumps(name, ensure_ascii=False).replace("$", "$$") for name in subjects(question))
    plan = f"1. search({first})\n2. search({second})\n3. join()"
    return Case(id=str(row["id"]), question=question, label=str(row["answer"]), plan=plan)


def _tools(case: Case) -> Sequence[Tool[..., Any]]:
    first, second = subjects(case.question)
    return search_tool({first: _entry(first, case.label, 0), second: _entry(second, case.label, 1)})


def _entry(name: str, label: str, place: int) -> Mapping[str, Json]:
    """Return a record whose `finding` decides the question: equal ones for yes, different ones for no, else the label."""
    finding = {"yes": "alpha", "no": ("alpha", "beta")[place]}.get(label, label)
    return {"title": name, "text": paragraph(name), "finding": finding}


def _answer(case: Case, outcomes: Outcomes) -> str:
    values: list[Any] = [outcome.value for outcome in outcomes.values() if isinstance(outcome, Succeeded)]
    if len(values) < 2:
        return UNKNOWN
    first, second = (str(value["finding"]) for value in values[:2])
    if {first, second} <= {"alpha", "beta"}:
        return "yes" if first == second else "no"
    return first


def _right(case: Case, result: RunResult) -> float:
    return float(is_right(result.answer or "", case.label))


def hotpotqa_suite() -> PlanSuite:
    """Return the suite."""
    return PlanSuite(
        name="hotpotqa",
        seconds={"search": 0.6},
        read=read_cases,
        tools_for=_tools,
        answer=_answer,
        right=_right,
        flaws=Flaws(stops_early=0.0, repeats=0.1),  # about 10 % of ReAct's runs with LLaMA-2 took more than four calls
        examples="hotpotqa",
        limits=Limits(replans=1),
        published={"react_careful": 1.0, "parallel_calls": 1.61, "compiler": 1.80},
    )
