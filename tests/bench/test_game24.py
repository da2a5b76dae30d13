"""Game of 24: the evaluator and the solver are exact, hostile answers are wrong, ideal models solve all that is asked."""

import asyncio
import json
import pickle
from collections.abc import AsyncIterator
from fractions import Fraction
from itertools import combinations
from operator import add, mul, sub, truediv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler import Failed, OpenAIModel, RunResult, Succeeded, UsageError, execute, parse_plan
from llmcompiler.bench.comparing.contenders import CONTENDERS
from llmcompiler.bench.suites.catalogue import suite_of
from llmcompiler.bench.suites.game24 import game24_suite, nodes
from llmcompiler.bench.suites.game24.expressions import value_of
from llmcompiler.bench.suites.game24.game24 import is_right
from llmcompiler.bench.suites.game24.oracle import NO_WAY
from llmcompiler.bench.suites.game24.solver import steps_from, way_from
from llmcompiler.bench.suites.game24.states import expression_of, left_of, numbers_of, steps_in
from llmcompiler.bench.suites.suite import Case, Oracle
from llmcompiler.models.model import CallPiece, Chunk, Message, Model, Prompt
from llmcompiler.strategies.rounds import END_OF_RESPONSE
from llmcompiler.testing import ScriptedModel, run_virtual
from llmcompiler.testing.server import ChatRequest, LoopbackServer, Reply, Status, read_request
from llmcompiler.testing.server.requests import CHAT

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SUITE = game24_suite()
CASES = SUITE.cases(DATA, 1362)
TESTED = SUITE.cases(DATA, None)
QUESTION = TESTED[0].question  # 4 5 6 10

each_contender = pytest.mark.parametrize("contender", SUITE.contenders)
OWN_REQUESTS = {"compiler": 6, "react": 23, "parallel_calls": 7, "rewoo": 2, "tree": 1}  # for one puzzle, by strategy
PLANS = {"compiler": 3, "react": 22, "parallel_calls": 6, "rewoo": 1, "tree": 3}


def request_of(*texts: str, stop: tuple[str, ...] = ()) -> ChatRequest:
    messages = [{"role": "user", "content": text} for text in texts]
    return read_request(CHAT, json.dumps({"model": "m", "messages": messages, "stop": list(stop)}).encode())


class Played:
    """A model that an oracle plays without a server between."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.requests = 0

    async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk]:
        self.requests += 1
        messages = [message_of(message) for message in prompt.messages]
        body = {"model": "m", "messages": messages, "stop": list(prompt.stop)}
        reply = self.oracle.reply(read_request(CHAT, json.dumps(body).encode()))
        pieces = [CallPiece(at, call.id, call.name, call.arguments) for at, call in enumerate(reply.tool_calls)]
        yield Chunk(reply.text, calls=tuple(pieces))


def message_of(message: Message) -> dict[str, Any]:
    calls = [{"id": call.id, "function": {"name": call.name, "arguments": call.arguments}} for call in message.calls]
    return {"role": message.role, "content": message.text, "tool_calls": calls, "tool_call_id": message.call_id}


async def solved(contender: str, case: Case, model: Model) -> RunResult:
    tools = SUITE.tools(case, model)
    agent = CONTENDERS[contender].agent(model, tools, SUITE)
    return await agent.arun(case.question)


# --- the evaluator

_OPERATIONS = {"+": add, "-": sub, "*": mul, "/": truediv}


def _joined(pair: tuple[Any, Any], sign: str) -> tuple[str, Fraction | None, list[int]]:
    (one, first, numbers), (other, second, more) = pair
    is_fine = first is not None and second is not None and not (sign == "/" and second == 0)
    return f"({one} {sign} {other})", _OPERATIONS[sign](first, second) if is_fine else None, numbers + more


EXPRESSIONS = st.recursive(
    st.integers(0, 13).map(lambda number: (str(number), Fraction(number), [number])),
    lambda parts: st.builds(_joined, st.tuples(parts, parts), st.sampled_from("+-*/")),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_an_expression_is_worth_what_fractions_say(made: tuple[str, Fraction | None, list[int]]) -> None:
    text, value, numbers = made
    if value is None:
        with pytest.raises(ValueError, match="divides by zero"):
            value_of(text)
    else:
        assert value_of(text) == (value, numbers)


@given(st.lists(st.integers(1, 13), min_size=1, max_size=8), st.data())
def test_without_parentheses_the_rules_of_precedence_hold(numbers: list[int], data: Any) -> None:
    signs = [data.draw(st.sampled_from("+-*/")) for _ in numbers[1:]]
    text = "".join(f"{sign}{number}" for sign, number in zip(["", *signs], numbers, strict=True))
    pieces = [f"{sign}Fraction({number})" for sign, number in zip(["", *signs], numbers, strict=True)]
    assert value_of(text)[0] == eval("".join(pieces), {"Fraction": Fraction})


@given(st.text(max_size=300))
def test_any_text_is_an_expression_or_a_value_error(text: str) -> None:
    try:
        value, numbers = value_of(text)
    except ValueError:
        return
    assert isinstance(value, Fraction)
    assert numbers


@given(st.text(max_size=200))
def test_any_answer_gets_a_score(text: str) -> None:
    assert is_right(QUESTION, text) in (True, False)


@pytest.mark.parametrize(
    "answer",
    [
        "(4 * 5) - (6 - 10) = 24",
        "4*5+10-6",
        "I see: 4 * 5 is 20.\nAnswer: 4 × 5 + (10 − 6) = 24",
        "`10 - 6 + 4 * 5 = 24`",
        "**answer: ((10 - (6)) + (5 * 4))**",
    ],
)
def test_an_expression_of_exactly_these_numbers_is_right(answer: str) -> None:
    assert is_right(QUESTION, answer)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("4 * 6 = 24", id="too few numbers"),
        pytest.param("4 * 6 * (10 - 5) / 5 = 24", id="a number twice"),
        pytest.param("4 + 5 + 6 + 10 = 24", id="25"),
        pytest.param("24", id="the target"),
        pytest.param("24 = 4 * 5 + 10 - 6", id="the wrong way round"),
        pytest.param("4 * 5 + 10 - 6 = 24\nor so", id="more behind it"),
        pytest.param("-6 + 10 + 4 * 5", id="a sign before a number"),
        pytest.param("4 / (5 - 5) + 6 + 10", id="a division by zero"),
        pytest.param("4 ** 5 // 6 - 10", id="other operators"),
        pytest.param("45 + 6 - 10", id="joined digits"),
        pytest.param("4 5 6 10", id="no operators"),
        pytest.param("__import__('os').system('true') or 4 * 5 + 10 - 6", id="code"),
        pytest.param("9" * 90, id="a huge number"),
        pytest.param("(" * 10_000 + "4 * 5 + 10 - 6" + ")" * 10_000, id="nested too deep"),
        pytest.param("(" * 49 + "4", id="never closed"),
        pytest.param("٤ * ٥ + ١٠ - ٦", id="other digits"),
        pytest.param(NO_WAY, id="none"),
        pytest.param("", id="nothing"),
    ],
)
def test_anything_else_is_wrong(answer: str) -> None:
    assert not is_right(QUESTION, answer)


# --- the puzzles and the solver


def test_the_papers_hundred_puzzles_are_asked_unless_more_are_wanted() -> None:
    assert (len(TESTED), TESTED[0].id, TESTED[-1].id) == (100, "901", "1000")
    assert [case.id for case in SUITE.cases(DATA, 3)] == ["901", "902", "903"]
    assert [case.id for case in SUITE.cases(DATA, 101)][::100] == ["1", "101"]
    assert len(CASES) == 1362
    assert suite_of("game24").name == "game24"


def test_missing_data_are_told_with_their_home(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"game24\.csv cannot be read .*get it from src/tot/data/24/24\.csv"):
        SUITE.cases(tmp_path, None)
    (tmp_path / "game24.csv").write_text("Rank,Numbers\n1,1 1 4 6\n")
    with pytest.raises(UsageError, match="is not the dataset"):
        SUITE.cases(tmp_path, None)


def test_every_puzzle_has_a_way_to_24_that_the_evaluator_confirms() -> None:
    for case in CASES:
        numbers = left_of(case.question)
        way = way_from(numbers)
        assert way is not None, case
        state = "\n".join([case.question, *map(str, way)])
        expression = expression_of(state)
        assert expression is not None, state
        assert is_right(case.question, f"{expression} = 24"), state
        assert steps_in(state) == list(way)


def reachable(numbers: list[Fraction]) -> bool:
    """A second solver: every pair by every operation, without memory or order."""
    if len(numbers) == 1:
        return numbers[0] == 24
    for i, j in combinations(range(len(numbers)), 2):
        rest = [number for at, number in enumerate(numbers) if at not in (i, j)]
        one, other = numbers[i], numbers[j]
        made = [one + other, one - other, other - one, one * other]
        made += [one / other] if other else []
        made += [other / one] if one else []
        if any(reachable([*rest, each]) for each in made):
            return True
    return False


@given(st.lists(st.integers(1, 13).map(Fraction), min_size=1, max_size=3))
def test_the_solver_finds_a_way_exactly_where_there_is_one(numbers: list[Fraction]) -> None:
    assert (way_from(tuple(numbers)) is not None) == reachable(numbers)


def test_steps_are_those_that_leave_different_numbers() -> None:
    steps = [str(step) for step in steps_from(numbers_of("2 2 6"))]
    assert len({text.partition("left")[2] for text in steps}) == len(steps)
    assert {"2 + 2 = 4 (left: 4 6)", "2 / 6 = 1/3 (left: 1/3 2)", "2 - 6 = -4 (left: -4 2)"} <= set(steps)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param("4 5 6 10\n4 * 5 = 21 (left: 6 10 21)\n21 + 6 = 27 (left: 10 27)\n27 - 3 = 24 (left: 24)", id="false"),
        pytest.param("4 6\n4 * 4 = 16 (left: 6 16)", id="a number that is not there"),
        pytest.param("4 5 6 10\n4 * 5 = 20 (left: 6 10 20)", id="not at its end"),
        pytest.param("4 7\n4 * 7 = 28 (left: 28)", id="not 24"),
        pytest.param("4 1/0\n4 / 1/0 = 24 (left: 24)", id="a fraction that is none"),
        pytest.param("some prose", id="no numbers"),
    ],
)  # fmt: skip
def test_a_state_that_does_not_come_to_24_has_no_expression(state: str) -> None:
    assert expression_of(state) is None


# --- the tools


def run_plan(plan: str, *replies: Any) -> list[Any]:
    tools = SUITE.tools(TESTED[0], ScriptedModel(replies))
    outcomes = run_virtual(execute(parse_plan(plan, tools=tools), tools=tools))
    return [outcome.value if isinstance(outcome, Succeeded) else outcome for outcome in outcomes.values()]


def test_propose_gives_states_and_leaves_out_what_is_no_step() -> None:
    said = "Steps:\n1. 4 + 5 = 9 (left: 6 9 10)\n- 6 * 0.5 = 3 (Left: 3)\n4 + 5 = 9 (left: 6 9 10)\n10 - 4 = 6"
    assert run_plan('1. propose("4 5 6 10")\n2. join()', said) == [
        ["4 5 6 10\n4 + 5 = 9 (left: 6 9 10)", "4 5 6 10\n6 * 1/2 = 3 (left: 3)"]
    ]


@pytest.mark.parametrize(
    ("verdict", "value"),
    [("4 * 6 = 24\nsure", 20), ("**Likely.**", 1), ("impossible", 0.001), ("I am not sure yet", 0), ("", 0)],
)
def test_evaluate_gives_what_the_last_word_is_worth(verdict: str, value: float) -> None:
    assert run_plan('1. evaluate("4 5 6 10")\n2. join()', verdict) == [value]


def test_evaluate_takes_a_list_of_states_and_fails_where_no_numbers_are_left() -> None:
    assert run_plan('1. evaluate(["4 6", "x (left: 24)"])\n2. join()', "sure", "impossible") == [[20, 0.001]]
    (outcome,) = run_plan('1. evaluate("some prose")\n2. join()')
    assert isinstance(outcome, Failed)
    assert "'some prose' are no numbers" in outcome.error.message


def test_select_gives_the_best_and_at_equal_values_the_earlier() -> None:
    plan = '1. select([["a", "b"], ["c"], []], [[1, 20], [20], []], 2)\n2. select([["a"]], [[]])\n3. join()'
    best, refused = run_plan(plan)
    assert best == ["b", "c"]
    assert "one value for each state" in refused.error.message


# --- ideal models


def test_an_oracle_is_plain_data_and_the_same_for_equal_cases() -> None:
    oracle = SUITE.oracle("compiler", TESTED)
    assert pickle.loads(pickle.dumps(oracle)) == oracle


def test_a_contender_without_an_oracle_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="no oracle for tree_search; there are compiler, compiler_batch, react, "):
        SUITE.oracle("tree_search", TESTED)


@given(st.integers(0, 1361))
def test_the_proposer_offers_eight_steps_and_a_right_one_among_them(place: int) -> None:
    numbers = CASES[place].question.rpartition(":")[2].strip()
    reply = SUITE.oracle("tree", []).reply(request_of(f"Input: {numbers}\nPossible next steps:"))
    steps = steps_in(reply.text)
    assert len(steps) == min(8, len(list(steps_from(numbers_of(numbers)))))
    assert any(way_from(step.left) is not None for step in steps)


@pytest.mark.parametrize(
    ("numbers", "last"), [("4 6", "sure"), ("1 1 1", "impossible"), ("24", "sure"), ("23", "impossible")]
)
def test_the_evaluator_knows(numbers: str, last: str) -> None:
    lines = SUITE.oracle("tree", []).reply(request_of(f"Input: {numbers}\nJudge:")).text.splitlines()
    assert (len(lines) > 1, lines[-1]) == (True, last)


def test_no_answer_is_stated_that_the_request_does_not_show() -> None:
    oracle = SUITE.oracle("compiler", TESTED)
    one_step = '3. select(x)\n   -> ["4 5 6 10\\n4 * 5 = 20 (left: 6 10 20)"]'
    for results in ("", "3. select(x)\n   -> failed: gone", one_step):
        asked = request_of(f"Question: {QUESTION}\n\nResults:\n{results}", stop=(END_OF_RESPONSE,))
        assert oracle.reply(asked).text.startswith("Action: Replan(")
    tree = SUITE.oracle("tree", TESTED)
    assert tree.reply(request_of(f'Question: {QUESTION}\n\nLines: "4 5 6 10"')).text == NO_WAY


@each_contender
def test_a_question_of_no_case_is_refused(contender: str) -> None:
    with pytest.raises(LookupError, match="none of the oracle's questions"):
        SUITE.oracle(contender, TESTED).reply(request_of("Question: What is high?"))


@pytest.mark.parametrize("contender", ["react", "parallel_calls", "rewoo"])
@pytest.mark.parametrize("cue", ["Possible next steps:", "Judge:"])
def test_where_the_tools_give_nothing_no_way_is_found(contender: str, cue: str) -> None:
    oracle = SUITE.oracle(contender, TESTED)

    def silent(request: ChatRequest) -> Reply:
        return Reply(fault=Status(400)) if request.last_user.endswith(cue) else oracle.reply(request)

    with LoopbackServer(silent) as server:
        model = OpenAIModel("m", base_url=server.base_url, api_key="any")
        result = asyncio.run(solved(contender, TESTED[0], model))
    assert (result.status, result.answer) == ("complete", NO_WAY)


@each_contender
def test_an_ideal_model_solves_all_of_the_papers_puzzles(contender: str) -> None:
    async def scores() -> list[float]:
        oracle = SUITE.oracle(contender, TESTED)
        return [SUITE.score(case, await solved(contender, case, Played(oracle))) for case in TESTED]

    assert run_virtual(scores()) == [1.0] * 100


def test_every_contender_visits_the_same_nodes() -> None:
    async def counts(case: Case) -> set[tuple[int, int]]:
        found = set()
        for contender in SUITE.contenders:
            model = Played(SUITE.oracle(contender, TESTED))
            result = await solved(contender, case, model)
            assert result.status == "complete"
            found.add((nodes(result), model.requests - result.usage.total.requests))
        return found

    for case in TESTED[:10]:
        ((visited, asked),) = run_virtual(counts(case))
        assert visited == asked
        assert visited > 80


@each_contender
def test_a_contender_solves_puzzles_over_http(contender: str) -> None:
    async def scores(model: Model) -> list[tuple[float, int]]:
        results = [(case, await solved(contender, case, model)) for case in TESTED[:3]]
        return [(SUITE.score(case, result), len(result.plans)) for case, result in results]

    strategy = CONTENDERS[contender].strategy
    with LoopbackServer(SUITE.oracle(contender, TESTED[:3]).reply) as server:
        found = asyncio.run(scores(OpenAIModel("m", base_url=server.base_url, api_key="any")))
        from_tools = [SUITE.is_from_tool(request.request) for request in server.requests]
    assert found == [(1.0, PLANS[strategy])] * 3
    assert from_tools.count(False) == 3 * OWN_REQUESTS[strategy]


def levels(result: RunResult) -> list[list[str]]:
    """Return the tools that each plan of a run calls."""
    return [[task.tool for task in plan] for plan in result.plans]


def test_native_calls_make_a_level_in_one_message_and_react_one_call_after_another() -> None:
    level = [["propose"], ["evaluate"], *[["propose"] * 5, ["evaluate"] * 5] * 2]
    native, react = (
        run_virtual(solved(name, TESTED[0], Played(SUITE.oracle(name, TESTED)))) for name in ("parallel_calls", "react")
    )
    assert levels(native) == level
    assert levels(react) == [[tool] for tools in level for tool in tools]
    assert not any(record.task.inputs for result in (native, react) for record in result.tasks.values())


@pytest.mark.parametrize(("numbers", "kept"), [("4 5 6 10", 5), ("6 6 6 6", 4)])
def test_rewoo_plans_all_depths_ahead_with_as_many_states_as_there_will_be(numbers: str, kept: int) -> None:
    [case] = [case for case in CASES if case.question.endswith(f": {numbers}")]
    result = run_virtual(solved("rewoo", case, Played(SUITE.oracle("rewoo", [case]))))
    assert (SUITE.score(case, result), result.usage.total.requests) == (1.0, 2)
    second = [*["propose"] * kept, *["evaluate"] * kept, "select"]
    third = [*["propose"] * 5, *["evaluate"] * 5, "select"]
    assert levels(result) == [["propose", "evaluate", "select", *second, *third]]
    assert all(isinstance(record.outcome, Succeeded) for record in result.tasks.values())


def test_the_tools_ask_again_where_the_server_is_busy() -> None:
    oracle, refused = SUITE.oracle("tree", TESTED), []

    def busy(request: ChatRequest) -> Any:
        if not refused:
            refused.append(request)
            return Reply(fault=Status.rate_limit(0.01))
        return oracle.reply(request)

    with LoopbackServer(busy) as server:
        model = OpenAIModel("m", base_url=server.base_url, api_key="any")
        result = asyncio.run(solved("tree_parallel", TESTED[0], model))
    assert (SUITE.score(TESTED[0], result), len(refused)) == (1.0, 1)
    assert refused[0].last_user == "Input: 4 5 6 10\nPossible next steps:"
