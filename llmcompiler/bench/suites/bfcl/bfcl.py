"""The suite: questions, the functions of each as tools, and a score by BFCL's own rules."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from llmcompiler.bench.suites.bfcl.checker import Call, all_match
from llmcompiler.bench.suites.bfcl.functions import tools_of
from llmcompiler.bench.suites.bfcl.reference import reference_plan
from llmcompiler.bench.suites.bfcl.rows import CATEGORIES, Row, read_rows
from llmcompiler.bench.suites.oracle import Flaws
from llmcompiler.bench.suites.planned import PLAN_CONTENDERS, PlanSuite
from llmcompiler.bench.suites.suite import Case
from llmcompiler.execution.limits import Limits
from llmcompiler.strategies.result import RunResult
from llmcompiler.toolkit.tool import Tool

CASES = 100  # unless a number is asked for
_ANSWER = "The calls were made."  # BFCL looks at the calls alone


class Bfcl:
    """The questions that were asked for, each with the functions that its row brings along."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def cases(self, folder: Path | None, count: int | None) -> list[Case]:
        """Return `count` questions, 100 unless given: as many of each category, evenly spaced over its rows.

        A category that has no more rows leaves the rest to the others. Raises `UsageError` where the data are missing.
        """
        rows = _spread({name: read_rows(name, folder) for name in CATEGORIES}, CASES if count is None else count)
        self._rows |= {row.id: row for row in rows}
        return [Case(id=row.id, question=row.question, label=row.label, plan=reference_plan(row)) for row in rows]

    def tools(self, case: Case) -> list[Tool[..., Any]]:
        """Return the functions of a case that `cases` has given."""
        return tools_of(self._rows[case.id])

    def score(self, case: Case, result: RunResult) -> float:
        """Return 1.0 if the calls that were made are those expected, else 0.0. What was answered is of no account.

        A task that was never handed over, since it could not be read or an input failed, is no call.
        """
        row = self._rows[case.id]
        records = result.tasks.values()
        calls = [Call(each.task.tool, each.arguments) for each in records if each.arguments is not None]
        return float(all_match(calls, row.expected, row.functions))


def bfcl_suite() -> PlanSuite:
    """Return the suite: one message asks for one call or more."""
    rows = Bfcl()
    return PlanSuite(
        name="bfcl",
        seconds={"*": 0.11},  # AsyncLM's mean: functions of 30 to 500 ms
        read=rows.cases,
        tools_for=rows.tools,
        answer=lambda case, outcomes: _ANSWER,
        right=rows.score,
        flaws=Flaws(),
        limits=Limits(replans=0),  # BFCL counts the calls of one answer
        contenders=tuple(name for name in PLAN_CONTENDERS if name != "react_flawed"),
    )


def _spread(rows: Mapping[str, Sequence[Row]], count: int) -> list[Row]:
    shares = dict.fromkeys(rows, 0)
    for name in _turns({name: len(found) for name, found in rows.items()}, count):
        shares[name] += 1
    return [rows[name][place * len(rows[name]) // share] for name, share in shares.items() for place in range(share)]


def _turns(sizes: Mapping[str, int], count: int) -> Iterator[str]:
    """Yield `count` names, or as many as the sizes allow, in turn."""
    left = dict(sizes)
    for name in cycle(sizes):
        if count <= 0 or not any(left.values()):
            return
        if left[name]:
            left[name] -= 1
            count -= 1
            yield name
