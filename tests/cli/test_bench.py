"""What the bench measures against: the bound, computed from what the server sent when."""

import json

import pytest

from llmcompiler.bench.bound import Bound, bound_of
from llmcompiler.bench.overhead import Row, as_json
from llmcompiler.testing.server import ChatRequest, LoggedRequest, Reply, Sent, Timing

REQUEST = ChatRequest("m", (), None, True, (), (), {}, None, None, {})
PLAN = (
    (0.5, '1. look("a")\n'),
    (0.75, "2. look($1)\n"),
    (1.0, '3. wait("b")\n'),
    (1.25, "4. join("),
    (1.5, ")"),
    (9.0, "so"),
)


def logged(at: float) -> LoggedRequest:
    sent = tuple(Sent(at + after, text) for after, text in PLAN)
    return LoggedRequest(0, at, REQUEST, {}, Reply(""), sent)


@pytest.mark.parametrize(
    ("seconds", "ended"),
    [
        pytest.param({"look": 1.0, "wait": 0.25}, 2.5, id="the chain is the longest way"),
        pytest.param({"look": 0.25, "wait": 3.0}, 4.0, id="the last task is the longest way"),
        pytest.param({"look": 0.125, "wait": 0.125}, 1.5, id="the plan itself is the longest way"),
    ],
)
def test_the_bound_is_the_longest_way_through_text_and_tools_and_then_the_joiner(
    seconds: dict[str, float], ended: float
) -> None:
    bound = bound_of(logged(100.0), "one two three", Timing(first_token=0.5, per_token=0.125), seconds)
    assert bound == Bound(ended, ended + 0.5 + 2 * 0.125)


def test_a_row_is_told_as_a_ratio_to_its_bound() -> None:
    rows = [Row("shape", 9, 1.5, 2.0, "s", 1.25), Row("dispatch", 9, 70.0, 80.0, "us")]
    assert [row.ratio for row in rows] == [1.2, None]
    told = json.loads(json.dumps(as_json(rows)))
    assert told[0] == {
        "name": "shape",
        "runs": 9,
        "median": 1.5,
        "worst": 2.0,
        "unit": "s",
        "bound": 1.25,
        "ratio": 1.2,
    }
