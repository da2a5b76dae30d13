"""X04, a server that is slow: connect, first token, idle and total are four deadlines, and a slow drip ends by the last."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tenacity import wait_fixed

from llmcompiler import ModelRetries, OpenAIModel, RunFailed, Succeeded
from llmcompiler.errors import ModelTimeout, ModelUnavailable
from llmcompiler.execution.requests import Deadlines
from llmcompiler.journal.events import PlanClosed
from llmcompiler.testing.server import Drip, Inject, LoopbackServer, Reply, Stall, Timing, sse
from tests.transport.serving import World, ask, desk, is_planner, model_at

SLACK = 2.0  # what a busy machine may add
PATIENT = Deadlines(first_token=20, idle=20, total=20)
ROLE = sse({"choices": [{"delta": {"role": "assistant", "content": ""}}]})


@contextmanager
def closed_port() -> Iterator[str]:
    """Yield the URL of a port where nobody listens."""
    with socket.socket() as held:  # bound, so that nobody else gets it
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"


@contextmanager
def full_port() -> Iterator[str]:
    """Yield the URL of a port that takes no more connections: its queue is full and nobody accepts."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


def test_X04a_connect_refused_is_tried_again() -> None:
    with closed_port() as url:
        model, begun = OpenAIModel("m", base_url=url), time.monotonic()
        with pytest.raises(ModelUnavailable) as failed:
            asyncio.run(ask(model, retries=ModelRetries(retries=2, wait=wait_fixed(0.1))))
        assert time.monotonic() - begun >= 0.2
    assert url in str(failed.value)
    assert failed.value.status is None


def test_X04a_connect_never_accepted() -> None:
    with full_port() as url:
        model, begun = OpenAIModel("m", base_url=url, connect=0.2), time.monotonic()
        with pytest.raises(ModelTimeout) as failed:
            asyncio.run(ask(model, deadlines=PATIENT))
        assert 3 * 0.2 <= time.monotonic() - begun <= 3 * 0.2 + SLACK, "three attempts"
    assert failed.value.which == "connect"
    assert "0.2 s" in str(failed.value)


def test_X04b_first_token() -> None:
    with LoopbackServer([Reply("late", fault=Stall(0))] * 3) as server:
        with pytest.raises(ModelTimeout) as failed:
            asyncio.run(ask(model_at(server), deadlines=Deadlines(first_token=0.2, idle=20, total=20)))
        logged = server.wait_until(lambda seen: len(seen) == 3 and all(one.disconnected_at for one in seen))
        assert all((one.disconnected_at or 0) - one.at <= 0.2 + SLACK for one in logged)
        server.assert_consumed()
    assert failed.value.which == "first token"


def test_X04b_a_first_token_in_the_second_attempt() -> None:
    with LoopbackServer([Reply("late", fault=Stall(0)), "whole"]) as server:
        deadlines = Deadlines(first_token=0.2, idle=20, total=20)
        assert asyncio.run(ask(model_at(server), deadlines=deadlines))[0] == "whole"
        server.assert_consumed()


@pytest.mark.parametrize("fault", [(Inject(0, ROLE), Stall(0)), (Drip(0.05),), (Drip(0.05, text=""),)])
def test_X04b_headers_roles_comments_and_empty_pieces_are_no_first_token(fault: tuple[Stall | Drip, ...]) -> None:
    with LoopbackServer([Reply("late", fault=fault)]) as server:
        with pytest.raises(ModelTimeout) as failed:
            deadlines = Deadlines(first_token=0.3, idle=20, total=20)
            asyncio.run(ask(model_at(server), deadlines=deadlines, retries=ModelRetries(retries=0)))
        server.assert_consumed()
    assert failed.value.which == "first token"


@pytest.mark.parametrize("fault", [Stall(2), Drip(0.05, after=2), Drip(0.05, text="", after=2)])
def test_X04c_idle(fault: Stall | Drip) -> None:
    with LoopbackServer([Reply(chunks=["a", "b", "c"], fault=fault)]) as server:
        with pytest.raises(ModelTimeout) as failed:
            asyncio.run(ask(model_at(server), deadlines=Deadlines(first_token=20, idle=0.3, total=20)))
        [logged] = server.wait_until(lambda seen: seen[0].disconnected_at)
        assert logged.text.startswith("ab")
        assert (logged.disconnected_at or 0) - logged.at <= 0.3 + SLACK
    assert failed.value.which == "idle"


def test_X04c_each_piece_starts_the_idle_time_anew() -> None:
    with LoopbackServer([Reply(chunks=list("abcdef"), timing=Timing(per_token=0.1))]) as server:
        deadlines = Deadlines(first_token=20, idle=0.4, total=20)
        assert asyncio.run(ask(model_at(server), deadlines=deadlines))[0] == "abcdef"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(chunks=["x"] * 100, timing=Timing(per_token=0.05)), id="a long reply"),
        pytest.param(Reply("late", fault=Stall(0)), id="no reply"),
        pytest.param(Reply(chunks=["a", "b"], fault=Stall(1)), id="half a reply"),
        pytest.param(Reply("late", fault=Drip(0.05, text="x")), id="X04e a drip from the first piece on"),
        pytest.param(Reply(chunks=["a", "b"], fault=Drip(0.05, text="x", after=1)), id="X04e a drip in between"),
    ],
)
def test_X04de_total_ends_what_defeats_the_others_and_is_not_tried_again(reply: Reply) -> None:
    with LoopbackServer([reply]) as server:
        begun = time.monotonic()
        with pytest.raises(ModelTimeout) as failed:
            asyncio.run(ask(model_at(server), deadlines=Deadlines(first_token=20, idle=20, total=0.4)))
        assert 0.4 <= time.monotonic() - begun <= 0.4 + SLACK
        server.wait_until(lambda seen: seen[0].disconnected_at)
        server.assert_consumed()
    assert failed.value.which == "total"


def test_X04d_total_holds_over_all_attempts() -> None:
    stalled = Reply("late", fault=Stall(0))
    with LoopbackServer([stalled] * 3) as server:
        begun = time.monotonic()
        with pytest.raises(ModelTimeout) as failed:
            asyncio.run(ask(model_at(server), deadlines=Deadlines(first_token=0.2, idle=20, total=0.5)))
        assert 0.5 <= time.monotonic() - begun <= 0.5 + SLACK
        server.assert_consumed()
    assert failed.value.which == "total"


def test_X04c_a_planner_that_falls_silent_cuts_the_plan() -> None:
    plan = Reply(chunks=['1. look("a")\n', '2. save("$1")\n', "3. join()"], fault=Stall(2))
    world = World()
    with LoopbackServer(desk(lambda: plan)) as server:
        agent = world.agent(server, deadlines=Deadlines(first_token=20, idle=0.3, total=20))
        result = asyncio.run(agent.arun("q"))
        assert [is_planner(one.request) for one in server.requests] == [True, False]
    assert (result.status, result.stopped_by) == ("partial", "cut")
    assert (world.looked, world.saved) == (["a"], [])
    assert result.tasks[1].outcome == Succeeded("A")
    [closed] = [event for event in result.events if isinstance(event, PlanClosed)]
    assert (result.tasks[1].ended or closed.at) < closed.at, "the task did not wait for the rest of the plan"


@pytest.mark.parametrize("silent", ["planner", "joiner"])
def test_X04b_a_model_that_never_speaks_fails_the_run(silent: str) -> None:
    stalled, plan = Reply("late", fault=Stall(0)), '1. look("a")\n2. join()'
    with LoopbackServer(desk(lambda: stalled if silent == "planner" else plan, stalled)) as server:
        agent = World().agent(server, deadlines=Deadlines(first_token=0.2), retries=ModelRetries(retries=0))
        with pytest.raises(RunFailed) as failed:
            asyncio.run(agent.arun("q"))
        server.wait_until(lambda seen: seen[-1].disconnected_at)
    assert isinstance(failed.value.__cause__, ModelTimeout)
    assert len(failed.value.result.tasks) == (silent == "joiner")


def test_X04e_a_planner_that_drips_on_after_its_join_does_not_hold_up_the_answer() -> None:
    plan = Reply('1. look("a")\n2. join()', fault=Drip(0.02, text=" and", after=99))
    with LoopbackServer(desk(lambda: plan)) as server:
        begun = time.monotonic()
        result = asyncio.run(World().agent(server, deadlines=PATIENT).arun("q"))
        assert time.monotonic() - begun <= SLACK
        server.wait_until(lambda seen: seen[0].disconnected_at)
    assert (result.status, result.answer) == ("complete", "8849 m")
