"""ParallelQA: reference plans are legal and compute right answers from the facts alone; the rule of scoring; the data."""

import asyncio
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from llmcompiler import Plan, Succeeded, UsageError, execute, load_tools, parse_plan, tool
from llmcompiler._resources import bundled
from llmcompiler.bench.suites.parallelqa import FILE, read_questions, reference_plans
from llmcompiler.bench.suites.scoring import is_right
from llmcompiler.plan.outcomes import Outcome
from llmcompiler.plan.values import Text

DATA = Path(__file__).parents[2].parent / "shared" / "data"
TOOLS = load_tools(bundled("configs") / "parallelqa.yaml")
PLANS = {id: parse_plan(text, tools=TOOLS) for id, text in reference_plans().items()}
each_plan = pytest.mark.parametrize(("id", "plan"), PLANS.items(), ids=list(PLANS))


def queries(plan: Plan) -> list[str]:
    return [str(task.kwargs["query"]) for task in plan if task.tool == "search"]


def expressions(plan: Plan) -> list[str]:
    """Return the plan's calculations with a sharp sign in the place of each ref."""
    texts = [task.kwargs["expression"] for task in plan if task.tool == "calculate"]
    assert all(isinstance(text, Text) for text in texts), "a calculation without a ref"
    return ["".join(part if isinstance(part, str) else "#" for part in text.parts) for text in texts]


def literals(plan: Plan) -> list[str]:
    """Return the numbers that stand in a plan's calculations as they are, not in names."""
    bare = re.sub(r'"[^"]*"', " ", " ".join(expressions(plan)))
    return re.findall(r"\d+(?:\.\d+)?(?:e\d+)?", bare)


def answer(outcomes: dict[int, Outcome]) -> str:
    last = outcomes[max(outcomes)]
    assert isinstance(last, Succeeded), last
    return str(last.value)


def carry_out(plans: Iterable[Plan], tools: Any = TOOLS) -> list[dict[int, Outcome]]:
    async def one_after_another() -> list[dict[int, Outcome]]:
        return [await execute(plan, tools=tools) for plan in plans]

    return asyncio.run(one_after_another())


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[int, Outcome]]:
    """What became of the tasks of each reference plan, carried out with the real tools over the knowledge base."""
    return dict(zip(PLANS, carry_out(PLANS.values()), strict=True))


# --- the plans


def test_every_question_has_its_plan_in_the_order_of_the_dataset() -> None:
    assert list(PLANS) == [question.id for question in read_questions(DATA)]


@each_plan
def test_a_plan_is_whole_without_notes_and_numbered_from_1(id: str, plan: Plan) -> None:
    assert plan.complete
    assert plan.notes == ()
    assert [task.id for task in plan] == list(range(1, len(plan) + 1))


@each_plan
def test_a_plan_searches_for_each_fact_once_and_then_computes_of_all_of_them(id: str, plan: Plan) -> None:
    asked, computed = queries(plan), expressions(plan)
    assert [task.tool for task in plan] == ["search"] * len(asked) + ["calculate"] * len(computed)
    assert len(set(asked)) == len(asked) >= 2
    assert all(bool(task.inputs) == (task.tool == "calculate") for task in plan)
    assert frozenset().union(*(task.inputs for task in plan)) == set(range(1, len(plan))), "what nobody needs"


@each_plan
def test_a_plan_states_no_fact(id: str, plan: Plan) -> None:
    # Factors are small, one question multiplies by 200, one unit is a million; no fact that is searched for is so small.
    stated = {float(number) for number in literals(plan)}
    assert {number for number in stated if number > 10} <= {200.0, 1e6}


def test_no_plan_states_its_answer() -> None:
    stated = {q.id: [n for n in literals(PLANS[q.id]) if is_right(n, q.label)] for q in read_questions(DATA)}
    assert {id: numbers for id, numbers in stated.items() if numbers} == {}


def test_a_plan_names_its_answer_only_among_others() -> None:
    for plan in PLANS.values():
        named = re.findall(r'"([^"]+)"', "".join(expressions(plan)))
        assert len(set(named)) == len(named)
        assert len(named) in (0, len(queries(plan)))


# --- what they compute


def test_the_tools_compute_113_of_113_answers(outcomes: dict[str, dict[int, Outcome]]) -> None:
    questions = read_questions(DATA)
    wrong = {q.id: answer(outcomes[q.id]) for q in questions if not is_right(answer(outcomes[q.id]), q.label)}
    assert wrong == {}
    assert len(questions) == 113


def test_every_fact_that_is_used_has_a_source_with_its_year(outcomes: dict[str, dict[int, Outcome]]) -> None:
    values = [getattr(outcome, "value", None) for ended in outcomes.values() for outcome in ended.values()]
    sources = [value["source"] for value in values if isinstance(value, dict)]
    assert len(sources) == sum(len(queries(plan)) for plan in PLANS.values())
    assert [source for source in sources if not re.search(r"\b20[0-2]\d\b", source)] == []


def test_other_facts_give_other_answers(outcomes: dict[str, dict[int, Outcome]]) -> None:
    for id, plan in PLANS.items():
        rising, falling = (carry_out([plan], [skewed(plan, base), TOOLS["calculate"]])[0] for base in (1000.0, 0.001))
        assert len({answer(outcomes[id]), answer(rising), answer(falling)}) > 1, id


def skewed(plan: Plan, base: float) -> Any:
    """Return a search whose values are multiplied by `base`, once more with each search of the plan."""
    powers = {query: base**place for place, query in enumerate(queries(plan))}
    true = TOOLS["search"].function

    @tool(effect="read")
    async def search(query: str) -> dict[str, Any]:
        """Return a fact that is none."""
        found = true(query)
        return {**found, "value": found["value"] * powers[query]}

    return search


# --- the rule of scoring


@pytest.mark.parametrize(
    ("given", "label", "right"),
    [
        pytest.param("100", "100", True, id="the number itself"),
        pytest.param("109.99", "100", True, id="just below a tenth more"),
        pytest.param("90.01", "100", True, id="just above a tenth less"),
        pytest.param("110.1", "100", False, id="more than a tenth more"),
        pytest.param("90", "100", False, id="a tenth less exactly"),
        pytest.param("2160", "1964", True, id="a year may be two centuries off"),
        pytest.param(" 1e2\n", "100.0", True, id="whatever float reads"),
        pytest.param("100 m", "100", False, id="a unit"),
        pytest.param("1,000", "1000", False, id="separators"),
        pytest.param("", "100", False, id="nothing for a number"),
        pytest.param("ERROR", "100", False, id="a word for a number"),
        pytest.param("nan", "100", False, id="nan"),
        pytest.param("0", "0", False, id="the label 0 has no right answer"),
        pytest.param("-5", "-5", False, id="nor has a negative one"),
        pytest.param("nan", "nan", False, id="nor has nan, which is a number"),
        pytest.param("inf", "inf", False, id="nor has inf"),
        pytest.param("the  Golden-Gate bridge.", "A GoldenGate Bridge", True, id="case, punctuation, articles, spaces"),
        pytest.param("an apple", "apple", True, id="an article alone"),
        pytest.param("theatre", "atre", False, id="an article is a whole word"),
        pytest.param("Bridge", "Golden Gate Bridge", False, id="a part is not enough"),
        pytest.param("7", "seven", False, id="a number for a word"),
        pytest.param("A.", "the", True, id="nothing is left of either"),
    ],
)
def test_an_answer_is_right_by_the_rule(given: str, label: str, right: bool) -> None:
    assert is_right(given, label) is right


# --- the data


ROW = {"id": "7", "question": "How much?", "answer": "3.5", "branch": 2}


def test_questions_are_read_from_the_folder_that_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps([ROW]), encoding="utf-8")
    [question] = read_questions(tmp_path)
    assert (question.id, question.text, question.label, question.branches) == ("7", "How much?", "3.5", 2)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "cannot be read (No such file or directory)", id="missing"),
        pytest.param(b"[", "is not the dataset (JSONDecodeError", id="no JSON"),
        pytest.param(b"\xff", "is not the dataset (UnicodeDecodeError", id="no text"),
        pytest.param(b'{"id": 1}', "is not the dataset (TypeError", id="no list"),
        pytest.param(b"[7]", "is not the dataset (TypeError", id="no rows"),
        pytest.param(b'[{"id": "1"}]', "is not the dataset (KeyError('question'))", id="no question"),
    ],
)
def test_a_file_that_is_not_the_dataset_is_an_error_that_says_where_it_is(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_questions(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)
    assert reason in str(caught.value)
    assert "get it from datasets/parallelqa_dataset.json of the public repository SqueezeAILab/LLMCompiler" in str(
        caught.value
    )
