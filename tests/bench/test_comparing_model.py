"""The timing model: worked cases of the wall, what was fixed beforehand, and how records come to a row."""

import asyncio
from statistics import fmean, median
from typing import Any

import pytest

from llmcompiler import UsageError, tool
from llmcompiler.bench.comparing.record import Record, Setting
from llmcompiler.bench.comparing.settings import PROFILES, price_of, profile_of, tool_seconds
from llmcompiler.bench.comparing.slowing import Slowness
from llmcompiler.bench.comparing.summary import dearer, of_one_call, percentile, summaries
from llmcompiler.bench.comparing.timing import Call, Piece, Stage, plan_times, wall
from llmcompiler.testing import run_virtual

NONE: frozenset[int] = frozenset()


def call(id: int, seconds: float, text_at: float, *inputs: int) -> Call:
    return Call(id, frozenset(inputs), seconds, text_at)


@pytest.mark.parametrize(
    ("stages", "at_once", "seconds"),
    [
        pytest.param([], None, 0.0, id="nothing"),
        pytest.param([Stage(2.0)], None, 2.0, id="a text alone"),
        pytest.param([Stage(2.0, (call(1, 5.0, 0.5),))], None, 5.5, id="a task while the text goes on"),
        pytest.param([Stage(2.0, (call(1, 0.5, 0.5),))], None, 2.0, id="a task shorter than the text"),
        pytest.param([Stage(2.0, (call(1, 3.0, 0.5), call(2, 1.0, 1.0, 1)))], None, 4.5, id="a chain"),
        pytest.param([Stage(2.0, (call(1, 1.0, 0.5), call(2, 1.0, 1.9, 1)))], None, 2.9, id="its text comes last"),
        pytest.param([Stage(1.0, (call(1, 3.0, 1.0), call(2, 4.0, 1.0)))], None, 5.0, id="side by side"),
        pytest.param([Stage(1.0, (call(1, 3.0, 1.0), call(2, 4.0, 1.0)))], 1, 8.0, id="one after the other"),
        pytest.param([Stage(1.0, (call(1, 3.0, 1.0),)), Stage(2.0)], None, 6.0, id="a joiner"),
        pytest.param(
            [Stage(1.0, (call(1, 3.0, 1.0),)), Stage(1.0, (call(2, 1.0, 0.2, 1),))],
            None,
            5.2,
            id="input of a round ago",
        ),
    ],
)
def test_the_wall_of_stages(stages: list[Stage], at_once: int | None, seconds: float) -> None:
    assert wall(stages, at_once) == pytest.approx(seconds)


def test_a_task_can_start_when_its_closing_parenthesis_has_come() -> None:
    pieces = [Piece(text, at) for at, text in enumerate(('1. find("a', '")\n2. find("b")', "\n3. join", "()"))]
    assert plan_times(pieces) == {1: 1, 2: 1}


def test_a_task_that_takes_up_an_earlier_round_can_start_as_soon() -> None:
    pieces = [Piece(text, at) for at, text in enumerate(('4. find("$3")', "\n5. find($3)", "\n6. join()"))]
    assert plan_times(pieces, known=[3]) == {4: 0, 5: 1}


def test_the_same_call_takes_the_same_time_and_calls_differ_as_searches_do() -> None:
    times = [tool_seconds(0.6, f"search {number}") for number in range(4000)]
    assert times == [tool_seconds(0.6, f"search {number}") for number in range(4000)]
    assert fmean(times) == pytest.approx(0.6, rel=0.03)
    slowest = [max(times[start : start + 8]) for start in range(0, 4000, 8)]
    assert median(slowest) / 0.6 == pytest.approx(1.8, rel=0.06)  # the paper's: 1.13 s of 0.61 s


def test_a_call_that_is_refused_takes_the_time_of_one_that_is_not() -> None:
    @tool(effect="write")
    def buy(item: str) -> str:
        """Buy an item."""
        raise ValueError(f"{item} is sold out")

    slowness = Slowness({"buy": 0.2})

    async def seconds() -> float:
        now = asyncio.get_running_loop().time
        begun = now()
        with pytest.raises(ValueError, match="sold out"):
            await slowness.slowed([buy])[0].function(item="a lamp")
        return now() - begun

    assert run_virtual(seconds()) == pytest.approx(slowness.of("buy", {"item": "a lamp"}))


def test_prices_are_known_by_the_model_s_name_wherever_it_is_served() -> None:
    assert (
        price_of("openai:gpt-4.1-mini") == price_of("openai:gpt-4.1-mini at http://127.0.0.1:8000/v1") == price_of(None)
    )
    assert price_of("openai:something") is None
    price = price_of("openai:gpt-4.1")
    assert price is not None
    assert price.of(1_000_000, 500_000) == pytest.approx(6.0)


def test_an_unknown_profile_is_told_with_the_nearest() -> None:
    assert profile_of("local") is PROFILES["local"]
    with pytest.raises(UsageError, match=r"no profile 'hosted'.*hosted_"):
        profile_of("hosted")


def record(contender: str, id: str, **said: Any) -> Record:
    fields: dict[str, Any] = {
        "setting": Setting(suite="made", profile="local"),
        "contender": contender,
        "id": id,
        "question": "?",
        "label": "yes",
        "answer": "yes",
        "score": 1.0,
        "status": "complete",
        "error": None,
        "seconds": 1.0,
        "bound": 1.0,
        "predicted": 1.0,
        "joining": 0.5,
        "calls": 2,
        "requests": 2,
        "input_tokens": 100,
        "output_tokens": 10,
        "dollars": 0.001,
    }
    return Record(**(fields | said))


def failed(contender: str, id: str) -> Record:
    nothing = dict.fromkeys(("answer", "bound", "predicted", "joining", "dollars", "input_tokens", "output_tokens"))
    return record(contender, id, score=0.0, status="failed", error="it broke", **nothing)


def test_a_row_is_the_sum_of_its_records() -> None:
    ours = [record("compiler", "1", seconds=1.0), record("compiler", "2", seconds=3.0, bound=2.0, score=0.5)]
    theirs = [record("react", "1", seconds=4.0, predicted=3.0), record("react", "2", seconds=6.0, predicted=5.0)]
    first, second = summaries([*ours, *theirs])
    assert (first.contender, first.questions, first.failed, first.accuracy, first.score) == (
        "compiler",
        2,
        0,
        0.5,
        0.75,
    )
    assert (first.median, first.p95, first.to_bound, first.worst_to_bound) == (2.0, 3.0, 1.25, 1.5)
    assert (first.speed_up, first.predicted_speed_up) == (2.5, 4.0)
    assert (first.input_tokens, first.dollars) == (100, pytest.approx(1.0))
    assert second.speed_up == 1.0


def test_speed_up_counts_only_questions_that_both_answered() -> None:
    records = [record("compiler", "1"), record("compiler", "2", seconds=9.0), record("react", "1", seconds=2.0)]
    ours, theirs = summaries([*records, failed("react", "2")])
    assert ours.speed_up == 2.0
    assert (theirs.failed, theirs.accuracy, theirs.median) == (1, 0.5, 2.0)


def test_speed_ups_are_over_a_tree_where_there_is_one_as_in_the_paper() -> None:
    rows = summaries([record("compiler", "1"), record("react", "1", seconds=3.0), record("tree", "1", seconds=6.0)])
    assert [row.speed_up for row in rows] == [6.0, 2.0, 1.0]


def test_a_contender_that_always_fails_has_a_row_without_times() -> None:
    [row] = summaries([failed("compiler", "1")])
    assert (row.failed, row.accuracy, row.median, row.speed_up, row.dollars, row.to_bound) == (
        1,
        0.0,
        None,
        None,
        None,
        None,
    )


def test_the_questions_that_cost_more_are_named() -> None:
    records = [
        record("compiler", "1", input_tokens=500),
        record("react", "1"),
        record("compiler", "2"),
        record("react", "2"),
        record("compiler", "3", input_tokens=500, calls=1),  # of one call: nothing is promised
        record("react", "3"),
        record("compiler", "4", input_tokens=500),
        record("react", "4", input_tokens=None),
    ]
    assert dearer(records, "compiler", "react") == ["1"]


def test_a_question_is_of_one_call_if_no_contender_made_more() -> None:
    records = [
        record("compiler", "1", calls=1),
        record("react", "1", calls=1),
        record("compiler", "2", calls=1),
        record("react", "2", calls=2),
        record("compiler", "3", calls=0),
    ]
    assert [(each.contender, each.id) for each in of_one_call(records)] == [
        ("compiler", "1"),
        ("react", "1"),
        ("compiler", "3"),
    ]


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert [percentile(range(1, 101), share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert percentile([7.0], 0.95) == 7.0
