"""The rate of a tool: within a run, over the runs of an agent, for each attempt; waiting for it holds no slot."""

import asyncio

import pytest

from llmcompiler import Limits, Rate, Succeeded, UsageError, tool
from llmcompiler.execution.rates import RateGate
from llmcompiler.testing import run_virtual
from tests.execution.running import virtual
from tests.execution.test_driver_concurrency import Meter, agent_for, calls, together


def windows(starts: list[float], seconds: float) -> int:
    """Return the most starts within any `seconds`."""
    return max(sum(first <= at < first + seconds for at in starts) for first in starts)


@pytest.mark.parametrize("rate", ["3/s", "60/min", "2/5s", Rate(4, 2.0)])
def test_within_any_time_no_more_calls_begin_than_the_rate_allows(rate: str | Rate) -> None:
    meter = Meter()
    made = meter.tool(seconds=0.1, rate=rate)
    outcomes = virtual(calls(30), [made])
    said = made.spec.policy.rate
    assert said is not None
    assert {outcome.value for outcome in outcomes.values() if isinstance(outcome, Succeeded)} == set(range(1, 31))
    assert windows(meter.starts, said.seconds) == min(30, said.starts)
    assert max(meter.starts) == pytest.approx((30 - 1) // said.starts * said.seconds, abs=0.01)  # and no later


def test_a_task_that_waits_for_its_rate_holds_no_slot() -> None:
    limited, free = Meter(), Meter()
    slow = limited.tool(rate="1/10s", name="slow")
    other = free.tool(name="work")
    text = "1. slow(1)\n2. slow(2)\n3. slow(3)\n4. work(4)\n5. work(5)\n6. join()"
    virtual(text, [slow, other], limits=Limits(parallel_tasks=2))
    assert free.starts == [0.0, 1.0]
    assert limited.starts == pytest.approx([0.0, 10.0, 20.0], abs=0.001)


def test_a_rate_counts_over_all_runs_of_an_agent() -> None:
    meter = Meter()
    agent = agent_for(3, calls(4), [meter.tool(seconds=0.1, rate="4/s")])
    results = run_virtual(together(agent, 3))
    assert windows(meter.starts, 1.0) == 4
    assert [len(result.tasks) for result in results] == [4, 4, 4]


def test_each_attempt_counts() -> None:
    starts = []

    @tool(rate="1/s", retries=2, timeout=0.1)
    async def hangs() -> None:
        starts.append(asyncio.get_running_loop().time())
        await asyncio.Event().wait()

    virtual("1. hangs()\n2. join()", [hangs])
    assert len(starts) == 3
    assert windows(starts, 1.0) == 1


def test_the_timeout_does_not_run_while_a_task_waits_for_its_rate() -> None:
    meter = Meter()
    outcomes = virtual(calls(4), [meter.tool(seconds=0.5, rate="1/min", timeout=1.0)])
    assert all(isinstance(outcome, Succeeded) for outcome in outcomes.values())


def test_a_rate_beside_a_concurrency() -> None:
    meter = Meter()
    virtual(calls(6), [meter.tool(seconds=3, rate="2/s", concurrency=2)])
    assert meter.most == 2
    assert meter.starts == pytest.approx([0, 0, 3, 3, 6, 6], abs=0.001)


def test_a_run_that_is_stopped_while_tasks_wait_for_their_rate_ends_at_once() -> None:
    meter = Meter()
    agent = agent_for(1, calls(3), [meter.tool(seconds=1, rate="1/h")], limits=Limits(seconds=5))
    result = run_virtual(agent.arun("q"))
    assert (result.status, result.stopped_by, result.seconds) == ("partial", "seconds", 5.0)


def test_a_virtual_clock_that_begins_anew_finds_a_fresh_rate() -> None:
    gate = RateGate(Rate(1, 60.0))
    assert gate.start(100.0) is None
    assert gate.start(101.0) == pytest.approx(160.0, abs=0.001)
    assert gate.start(0.0) is None


@pytest.mark.parametrize("wrong", ["fast", "0/s", "5", "5/0s", "5/year", "-1/s", "5//s", "1e3/s", Rate(0, 1), 5])
def test_what_is_no_rate_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="rate"):

        @tool(rate=wrong)  # type: ignore[call-overload]
        async def look() -> None: ...
