"""Connections: kept between requests, each on its event loop; closed by `close()` once they are idle, or with the loop."""

import asyncio
import gc
import socket
from collections.abc import Iterator

import pytest

from llmcompiler.testing.server import LoopbackServer, Reply, Timing
from tests.execution.running import seconds_until
from tests.transport.serving import World, ask, desk, model_at

PLAN = '1. look("a")\n2. join()<END_OF_PLAN>'
ANSWER = "8849 m"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(lambda request: ANSWER) as server:
        yield server


def is_closed(server: LoopbackServer) -> bool:
    return server.connections == 0


def test_close_ends_what_run_has_left_open_and_another_run_opens_anew() -> None:
    with LoopbackServer(desk(lambda: PLAN)) as server:
        agent = World().agent(server)
        for _ in range(2):
            assert agent.run("q").answer == ANSWER
            assert server.connections == 1
            agent.close()
            seconds_until(lambda: is_closed(server))


def test_close_on_the_loop_itself_ends_them_while_the_loop_goes_on() -> None:
    async def scenario(server: LoopbackServer) -> None:
        agent = World().agent(server)
        await agent.arun("q")
        assert server.connections == 1
        agent.close()
        await asyncio.to_thread(seconds_until, lambda: is_closed(server))

    with LoopbackServer(desk(lambda: PLAN)) as server:
        asyncio.run(scenario(server))


def test_close_just_before_the_loop_ends_closes_them_whole(server: LoopbackServer) -> None:
    async def scenario(steps: int) -> None:
        model = model_at(server)
        await asyncio.gather(*(ask(model) for _ in range(3)))
        model.release()
        for _ in range(steps):
            await asyncio.sleep(0)

    for steps in range(12):  # so that the end of the loop meets the closing wherever it stands
        asyncio.run(scenario(steps))
        gc.collect()  # which would tell of a transport that was left open
        seconds_until(lambda: is_closed(server))


def test_a_reply_that_is_read_comes_to_its_end_and_its_connection_is_closed_then() -> None:
    slow = Reply(ANSWER, timing=Timing(first_token=0.3))

    async def scenario(server: LoopbackServer) -> None:
        model = model_at(server)
        reading = asyncio.create_task(ask(model))
        await asyncio.to_thread(server.wait_until, lambda requests: len(requests) == 1)
        model.release()
        model.release()
        assert (await reading)[0] == ANSWER
        await asyncio.to_thread(seconds_until, lambda: is_closed(server))
        assert (await ask(model))[0] == ANSWER

    with LoopbackServer([slow, ANSWER]) as server:
        asyncio.run(scenario(server))
        seconds_until(lambda: is_closed(server))


def test_each_loop_closes_its_own(server: LoopbackServer) -> None:
    model = model_at(server)

    async def scenario() -> None:
        await ask(model)
        await asyncio.to_thread(asyncio.run, ask(model))
        assert server.connections == 1, "the other loop has ended, and its connection with it"
        await asyncio.to_thread(model.release)
        await asyncio.to_thread(seconds_until, lambda: is_closed(server))

    asyncio.run(scenario())


def test_a_loop_that_does_not_run_closes_its_own_when_it_runs_again(server: LoopbackServer) -> None:
    model, loop = model_at(server), asyncio.new_event_loop()
    loop.run_until_complete(ask(model))
    model.release()
    assert server.connections == 1
    loop.run_until_complete(asyncio.to_thread(seconds_until, lambda: is_closed(server)))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # which Python says of the transport, rightly
def test_a_loop_that_was_closed_with_connections_open_is_in_nobodys_way(server: LoopbackServer) -> None:
    model, loop = model_at(server), asyncio.new_event_loop()
    loop.run_until_complete(ask(model))
    loop.close()
    model.release()
    model.release()
    assert asyncio.run(ask(model))[0] == ANSWER
    del loop
    gc.collect()
    seconds_until(lambda: is_closed(server))


def test_a_model_that_is_garbage_leaves_the_sockets_of_others_alone() -> None:
    async def scenario(server: LoopbackServer) -> None:
        loop, heard = asyncio.get_running_loop(), set[int]()
        model = model_at(server)
        await asyncio.gather(*(ask(model) for _ in range(8)))
        del model
        gc.collect()
        pairs = [socket.socketpair() for _ in range(16)]  # under the numbers of whatever was closed
        for number, (near, _) in enumerate(pairs):
            loop.add_reader(near, heard.add, number)
        await asyncio.to_thread(seconds_until, lambda: is_closed(server))
        for _, far in pairs:
            far.send(b"hello")
        await asyncio.to_thread(seconds_until, lambda: len(heard) == len(pairs))
        for near, far in pairs:
            loop.remove_reader(near)
            near.close()
            far.close()

    slow = Reply(ANSWER, timing=Timing(first_token=0.05))  # so that each reply needs a connection of its own
    with LoopbackServer(lambda request: slow) as server:
        asyncio.run(scenario(server))
