"""X02, a server that asks for patience: Retry-After is honoured with a cap and jitter, by one retry layer."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from tenacity import wait_fixed

from llmcompiler import ModelRetries, RunFailed
from llmcompiler.errors import ModelUnavailable
from llmcompiler.execution.requests import Deadlines
from llmcompiler.testing.server import LoopbackServer, Reply, Status
from tests.transport.serving import AT_ONCE, World, ask, desk, is_planner, model_at

SLACK = 2.0  # what a busy machine may add


def distances(server: LoopbackServer) -> list[float]:
    """Return the seconds between the requests that the server saw."""
    times = [logged.at for logged in server.requests]
    return [later - earlier for earlier, later in pairwise(times)]


def busy(retry_after: float | datetime | str | None = None) -> Reply:
    return Reply(fault=Status.rate_limit(retry_after))


@pytest.mark.parametrize("seconds", ["1", "0.25"])
def test_X02a_seconds(seconds: str) -> None:
    with LoopbackServer([busy(seconds), "whole"]) as server:
        assert asyncio.run(ask(model_at(server)))[0] == "whole"
        [distance] = distances(server)
        assert float(seconds) <= distance <= 1.1 * float(seconds) + SLACK
        server.assert_consumed()


def test_X02a_every_wait_is_the_servers_own() -> None:
    with LoopbackServer([busy("0.3"), busy("0.1"), "whole"]) as server:
        asyncio.run(ask(model_at(server), retries=ModelRetries(retries=2, wait=wait_fixed(60))))
        long, short = distances(server)
        assert long >= 0.3
        assert 0.1 <= short <= 0.11 + SLACK
        server.assert_consumed()


@pytest.mark.parametrize("seconds", ["0", "-5"])
def test_X02a_nothing_to_wait_for(seconds: str) -> None:
    with LoopbackServer([busy(seconds), "whole"]) as server:
        asyncio.run(ask(model_at(server), retries=ModelRetries(retries=1, wait=wait_fixed(60))))
        assert distances(server)[0] <= SLACK


def test_X02b_a_date() -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    with LoopbackServer([busy(until), "whole"]) as server:
        asyncio.run(ask(model_at(server), retries=ModelRetries(retries=1, wait=wait_fixed(60))))
        assert datetime.now(UTC) >= until
        assert distances(server)[0] <= 1.1 * 2 + SLACK
        server.assert_consumed()


@pytest.mark.parametrize("date", [datetime(1999, 12, 31, tzinfo=UTC), "Fri, 31 Dec 1999 23:59:59 -0000"])
def test_X02b_a_date_that_has_passed(date: datetime | str) -> None:
    with LoopbackServer([busy(date), "whole"]) as server:
        asyncio.run(ask(model_at(server), retries=ModelRetries(retries=1, wait=wait_fixed(60))))
        assert distances(server)[0] <= SLACK


@pytest.mark.parametrize("said", [None, "soon", "", "Fri, 99 Foo 2026 25:61:61 GMT", "1.2.3"])
def test_X02c_no_header_or_none_that_can_be_read(said: str | None) -> None:
    with LoopbackServer([busy(said), "whole"]) as server:
        asyncio.run(ask(model_at(server), retries=ModelRetries(retries=1, wait=wait_fixed(0.2))))
        [distance] = distances(server)
        assert 0.2 <= distance <= 0.2 + SLACK
        server.assert_consumed()


def test_X02c_the_waits_of_the_one_retry_layer_grow() -> None:
    with LoopbackServer([busy()] * 2 + ["whole"]) as server:
        asyncio.run(ask(model_at(server), retries=ModelRetries()))
        first, second = distances(server)
        assert 0.5 <= first <= 0.75 + SLACK
        assert 1.0 <= second <= 1.25 + SLACK
        server.assert_consumed()


@pytest.mark.parametrize(
    "said",
    ["86400", "1e12", "inf", datetime(9999, 12, 31, tzinfo=UTC), "Fri, 31 Dec 9999 23:59:59 -0000"],
)
@pytest.mark.parametrize("total", [300.0, None])
def test_X02d_absurdly_long_is_the_typed_error_at_once(said: str | datetime, total: float | None) -> None:
    with LoopbackServer([busy(said)]) as server:
        with pytest.raises(ModelUnavailable) as failed:
            asyncio.run(asyncio.wait_for(ask(model_at(server), deadlines=Deadlines(total=total)), 5))
        assert len(server.requests) == 1
    assert failed.value.status == 429
    assert failed.value.retry_after is not None
    assert failed.value.retry_after > 600
    assert "not tried again" in failed.value.__notes__[0]


def test_X02d_longer_than_what_is_left_of_the_deadline() -> None:
    with LoopbackServer([busy("0.2"), busy("60")]) as server:
        with pytest.raises(ModelUnavailable):
            asyncio.run(asyncio.wait_for(ask(model_at(server), deadlines=Deadlines(total=30.0)), 10))
        assert len(server.requests) == 2


def test_X02_one_retry_layer_only() -> None:
    with LoopbackServer([busy("0")] * 3) as server:
        with pytest.raises(ModelUnavailable):
            asyncio.run(ask(model_at(server), retries=AT_ONCE))
        server.assert_consumed()


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_X02_the_server_sees_as_many_requests_as_were_allowed(retries: int) -> None:
    with LoopbackServer([busy("0")] * (retries + 1)) as server:
        with pytest.raises(ModelUnavailable):
            asyncio.run(ask(model_at(server), retries=ModelRetries(retries=retries)))
        server.assert_consumed()


def test_X02_the_planner_and_the_joiner_are_both_patient() -> None:
    plans = iter([busy("0"), Reply('1. look("a")\n2. join()')])
    answers = iter([busy("0"), Reply("Action: Finish(A)")])
    with LoopbackServer(lambda request: next(plans if is_planner(request) else answers)) as server:
        result = asyncio.run(World().agent(server).arun("q"))
        assert [is_planner(logged.request) for logged in server.requests] == [True, True, False, False]
    assert (result.answer, result.status) == ("A", "complete")


def test_X02_a_run_that_is_refused_for_good_fails_with_the_reason() -> None:
    with LoopbackServer(desk(lambda: busy("86400"))) as server:
        with pytest.raises(RunFailed, match="429") as failed:
            asyncio.run(World().agent(server).arun("q"))
        assert len(server.requests) == 1
    assert isinstance(failed.value.__cause__, ModelUnavailable)
