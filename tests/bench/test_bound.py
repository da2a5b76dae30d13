"""What the bench measures against: bounds, computed from what the server sent when or from the work itself."""

import pytest

from llmcompiler.bench.bound import Bound, bound_of
from llmcompiler.bench.priorities import Work, simulate
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
# Two chains, of 2 + 3 and of 1 + 1 seconds, and three tasks of 2 seconds by themselves.
CHAINS = Work(((), (0,), (), (2,), (), (), ()), (0,) * 7, (2.0, 3.0, 1.0, 1.0, 2.0, 2.0, 2.0))


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


def test_no_schedule_beats_the_longest_chain_or_the_work_shared_out() -> None:
    assert CHAINS.ranks(CHAINS.seconds) == [5.0, 3.0, 2.0, 1.0, 2.0, 2.0, 2.0]
    assert CHAINS.bound(slots=4) == 5.0
    assert CHAINS.bound(slots=2) == 6.5


def test_list_scheduling_takes_the_highest_rank_first_and_else_the_first_come() -> None:
    assert simulate(CHAINS, CHAINS.ranks(CHAINS.seconds), slots=2) == 7.0
    assert simulate(CHAINS, [0.0] * 7, slots=2) == 8.0
    assert simulate(CHAINS, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0], slots=2) == 9.0


def test_a_work_is_written_as_a_plan_whose_arguments_say_which_task_it_is() -> None:
    work = Work(((), (), (0, 1)), (0, 1, 0), (1.0, 1.0, 1.0))
    assert work.plan() == "1. tool0(1, [])\n2. tool1(2, [])\n3. tool0(3, [$1, $2])\n4. join()"
