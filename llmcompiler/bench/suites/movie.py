"""Movie Recommendation: eight films are looked up, the option that goes with the given four is named. Synthetic records."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmcompiler.bench.data_folder import read_data
from llmcompiler.bench.suites.oracle import UNKNOWN, Flaws
from llmcompiler.bench.suites.planned import Outcomes, PlanSuite
from llmcompiler.bench.suites.records import paragraph, search_tool
from llmcompiler.bench.suites.scoring import is_right
from llmcompiler.bench.suites.suite import Case
from llmcompiler.execution.limits import Limits
from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.plan.values import Json
from llmcompiler.strategies.result import RunResult
from llmcompiler.toolkit.tool import Tool

FILE = "movie_recommendations_formatted.json"
USUAL = 100

_BEGIN = "Find a movie similar to "
# Titles with a comma of their own, which the data do not quote.
_WITH_COMMAS = {
    "Lock, Stock & Two Smoking Barrels": "Lock; Stock & Two Smoking Barrels",
    "Monsters, Inc": "Monsters; Inc",
}


def read_cases(folder: Path | None, count: int | None) -> list[Case]:
    """Return the first questions of the file."""
    rows = read_data(FILE, json.loads, folder)
    return [_case(row) for row in rows[: count or USUAL]]


def films_of(question: str) -> tuple[list[str], list[str]]:
    """Return the given films and the options of a question."""
    head, _, options = question.partition("\nOptions:\n")
    given = head.removeprefix(_BEGIN)
    for title, marked in _WITH_COMMAS.items():
        given = given.replace(title, marked)
    films = [film.strip().replace(";", ",") for film in given.split(", ")]
    return films, [option.strip() for option in options.split("\n") if option.strip()]


def _case(row: Mapping[str, Any]) -> Case:
    question = str(row["question"]).strip()
    films, options = films_of(question)
    names = [json.dumps(film, ensure_ascii=False).replace("$", "$$") for film in (*films, *options)]
    lines = [f"{id}. search({name})" for id, name in enumerate(names, 1)]
    plan = "\n".join([*lines, f"{len(lines) + 1}. join()"])
    return Case(id=str(row["id"]), question=question, label=str(row["answer"]), plan=plan)


def _tools(case: Case) -> Sequence[Tool[..., Any]]:
    films, options = films_of(case.question)
    others = [option for option in options if option != case.label]
    entries: dict[str, Mapping[str, Json]] = {option: _entry(option, []) for option in options}
    for place, film in enumerate(films):  # each names the option that goes with it; all but one name the right one
        entries[film] = _entry(film, [case.label if place else others[0]])
    return search_tool(entries)


def _entry(name: str, liked: list[Json]) -> Mapping[str, Json]:
    return {"title": name, "text": paragraph(name), "viewers_also_liked": liked}


def _answer(case: Case, outcomes: Outcomes) -> str:
    values: list[Any] = [outcome.value for outcome in outcomes.values() if isinstance(outcome, Succeeded)]
    liked = Counter(title for value in values for title in value["viewers_also_liked"])
    return liked.most_common(1)[0][0] if liked else UNKNOWN


def _right(case: Case, result: RunResult) -> float:
    return float(is_right(result.answer or "", case.label))


def movie_suite() -> PlanSuite:
    """Return the suite."""
    return PlanSuite(
        name="movie",
        seconds={"search": 0.6},  # the paper's searches: 0.61 s in the mean, the slowest of eight 1.13 s
        read=read_cases,
        tools_for=_tools,
        answer=_answer,
        right=_right,
        flaws=Flaws(stops_early=0.85),  # about 85 % of ReAct's runs stop before all eight searches
        examples="movie",
        limits=Limits(replans=1),
        published={"react_careful": 1.0, "parallel_calls": 2.76, "compiler": 3.74},
    )
