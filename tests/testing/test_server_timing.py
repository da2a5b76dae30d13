"""The loopback server: when it says what, to many clients, and what was not foreseen."""

import asyncio
import json
import socket
import threading
import time
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from llmcompiler.testing.server import (
    Cut,
    Drip,
    Fault,
    LoopbackServer,
    Reply,
    SplitPackets,
    Stall,
    Status,
    Timing,
    tokenize,
)
from tests.testing.clients import QUESTION, TEXT, chat, connect, post, streamed, wire


def test_no_chunk_is_sent_before_it_is_due_and_the_order_holds(sdk: openai.OpenAI) -> None:
    timing = Timing(first_token=0.05, per_token=0.01, per_prompt_token=0.002)
    with LoopbackServer([TEXT, Reply(TEXT), Reply(TEXT, timing=Timing())], timing=timing) as server:
        streamed(sdk, server)
        chat(sdk, server)
        streamed(sdk, server)
        first, whole, at_once = server.requests
        start = first.at + 0.05 + 0.002 * first.request.prompt_tokens
        assert [sent.text for sent in first.sent] == tokenize(TEXT)
        assert [number for number, sent in enumerate(first.sent) if sent.at < start + 0.01 * number] == []
        assert [sent.at for sent in first.sent] == sorted(sent.at for sent in first.sent)
        assert first.first_sent_at == first.sent[0].at
        assert whole.sent[0].at - whole.at >= 0.05 + 0.01 * (len(tokenize(TEXT)) - 1)
        assert (at_once.finished_at or 0) - at_once.at < 1


def test_a_server_that_is_late_catches_up_in_one_burst(sdk: openai.OpenAI) -> None:
    reply = Reply(chunks=list("abcdef"), timing=Timing(per_token=0.02), fault=Stall(2, seconds=0.15))
    with LoopbackServer([reply]) as server:
        streamed(sdk, server)
        _, second, *burst = (sent.at - server.requests[0].at for sent in server.requests[0].sent)
        assert (second >= 0.02, burst[0] - second >= 0.15) == (True, True)
        assert len(set(burst)) == 1


@pytest.mark.parametrize(
    ("after", "text"),
    [
        pytest.param(0, "", id="before the first byte"),
        pytest.param(1, "one", id="in the middle"),
        pytest.param(99, "one two", id="after the end marker"),
    ],
)
def test_a_stall_outlives_the_clients_patience_and_its_leaving_is_noticed(after: int, text: str) -> None:
    with LoopbackServer([Reply("one two", fault=Stall(after))]) as server:
        connection = connect(server)
        connection.timeout = 0.1
        post(connection)
        server.wait_until(lambda requests: requests and requests[0].text == text)
        with pytest.raises(TimeoutError):
            connection.getresponse().read()
        assert (server.requests[0].disconnected_at, server.requests[0].finished_at) == (None, None)
        connection.close()
        (left,) = server.wait_until(lambda requests: requests[0].disconnected_at)
        assert (left.finished_at, left.text) == (None, text)


@pytest.mark.parametrize(
    ("drip", "stream", "line"),
    [
        pytest.param(Drip(0.01), True, b": keep-alive\n\n", id="comments"),
        pytest.param(Drip(0.01), False, b" ", id="white space"),
        pytest.param(Drip(0.01, text="x"), True, b'"content": "x"', id="chunks"),
    ],
)
def test_a_drip_goes_on_until_the_client_leaves(drip: Drip, stream: bool, line: bytes) -> None:
    with LoopbackServer([Reply("never said", fault=drip)]) as server:
        connection = connect(server)
        post(connection, stream=stream)
        response = connection.getresponse()
        assert all(line in response.read1() for _ in range(3))
        response.close()
        connection.close()
        assert server.wait_until(lambda requests: requests[0].disconnected_at)[0].text == ""


# Many clients, and the end.


def test_a_connection_serves_one_request_after_another(sdk: openai.OpenAI) -> None:
    faults: list[Fault | None] = [None, Status(500), Cut(after_chunks=1, how="end"), SplitPackets(5)]
    with LoopbackServer([Reply("ok", fault=fault) for fault in faults]) as server:
        connection = connect(server)
        post(connection)
        connection.getresponse().read()
        port = connection.sock.getsockname()[1]
        for _ in faults[1:]:
            post(connection)
            connection.getresponse().read()
            assert connection.sock.getsockname()[1] == port
        connection.close()


def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    request = wire({"model": "m", "messages": QUESTION})
    with (
        LoopbackServer(["first", "second"]) as server,
        socket.create_connection(("127.0.0.1", connect(server).port)) as raw,
    ):
        raw.sendall(request + request[:-1])
        raw.sendall(request[-1:])
        seen = b""
        while seen.count(b"\r\n0\r\n\r\n") < 2:
            seen += raw.recv(65536)
        assert seen.index(b'"first"') < seen.index(b'"second"')


def test_two_hundred_streams_run_at_once() -> None:
    async def ask(client: openai.AsyncOpenAI, number: int) -> str:
        messages: Any = [{"role": "user", "content": f"request {number}"}]
        stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def ask_all(server: LoopbackServer) -> list[str]:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(200)))

    timing = Timing(first_token=0.05, per_token=0.01)
    with LoopbackServer(lambda request: f"answer to {request.last_user}", timing=timing) as server:
        assert asyncio.run(ask_all(server)) == [f"answer to request {number}" for number in range(200)]


def test_close_does_not_wait_for_a_thousand_stalled_clients() -> None:
    with ExitStack() as clients:
        with LoopbackServer(lambda _: Reply("x", fault=Stall(0))) as server:
            port = connect(server).port
            for _ in range(1000):
                client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
                client.sendall(wire({"model": "m", "messages": QUESTION}))
            server.wait_until(lambda requests: len(requests) == 1000, timeout=30)
            start = time.monotonic()
        assert time.monotonic() - start < 2  # 0.05 s on an idle machine
    assert [thread for thread in threading.enumerate() if thread.name == "loopback-server"] == []
    assert [request for request in server.requests if request.disconnected_at or request.finished_at] == []


# What was not foreseen.


def test_a_script_that_was_used_up_exactly_is_consumed(sdk: openai.OpenAI) -> None:
    with LoopbackServer(["one", "two"]) as server:
        with pytest.raises(AssertionError, match=r"reply 0 was never asked for: 'one'\n +reply 1"):
            server.assert_consumed()
        streamed(sdk, server)
        streamed(sdk, server)
        server.assert_consumed()


def test_a_request_too_many_gets_a_500_that_says_so(sdk: openai.OpenAI) -> None:
    with LoopbackServer(["one"]) as server:
        streamed(sdk, server)
        with pytest.raises(openai.InternalServerError, match="the script has 1 replies, all used"):
            streamed(sdk, server)
        assert server.requests[1].reply is None
        with pytest.raises(AssertionError, match=r"no reply for request 1 \('How high is Everest\?'\)"):
            server.assert_consumed()


def test_a_callable_that_raises_is_told_to_both_sides(sdk: openai.OpenAI) -> None:
    with LoopbackServer(lambda request: {"other": "text"}[request.model]) as server:
        with pytest.raises(openai.InternalServerError, match="KeyError: 'm'"):
            streamed(sdk, server)
        with pytest.raises(AssertionError, match="KeyError: 'm'"):
            server.assert_consumed()


@pytest.mark.parametrize(
    ("path", "options", "code", "why"),
    [
        pytest.param("/v1/chat/completions", {"messages": []}, 400, "at least one message", id="no messages"),
        pytest.param("/v1/chat/completions", {"model": None}, 400, "must provide a model", id="no model"),
        pytest.param("/v1/chat/completions", {"tools": 3}, 400, "tools cannot be 3", id="tools of a wrong type"),
        pytest.param("/v1/completions", {"prompt": [1, 2]}, 400, "prompt must be one string", id="a prompt of ids"),
        pytest.param("/v1/responses", {}, 404, "there is no POST /v1/responses here", id="an unknown path"),
    ],
)
def test_a_wrong_request_is_refused_and_not_counted(path: str, options: dict[str, Any], code: int, why: str) -> None:
    with LoopbackServer([]) as server:
        connection = connect(server)
        post(connection, path=path, **options)
        response = connection.getresponse()
        assert (response.status, why in json.loads(response.read())["error"]["message"]) == (code, True)
        connection.close()
        assert server.requests == []
        with pytest.raises(AssertionError, match=why):
            server.assert_consumed()


def test_what_is_not_http_is_refused() -> None:
    with LoopbackServer([]) as server, socket.create_connection(("127.0.0.1", connect(server).port)) as raw:
        raw.sendall(b"hello\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


def test_a_large_body_is_asked_for_with_100_continue() -> None:
    request = wire({"model": "m", "messages": QUESTION}, "expect: 100-continue")
    head = request[: request.index(b"\r\n\r\n") + 4]
    with LoopbackServer(["ok"]) as server, socket.create_connection(("127.0.0.1", connect(server).port)) as raw:
        raw.sendall(head)
        assert raw.recv(100).startswith(b"HTTP/1.1 100")
        raw.sendall(request[len(head) :])
        assert raw.recv(100).startswith(b"HTTP/1.1 200")


def test_wrong_use_is_an_error_at_once() -> None:
    with pytest.raises(TypeError, match="put it into a list"):
        LoopbackServer("one text")
    with pytest.raises(RuntimeError, match="only inside"):
        _ = LoopbackServer([]).base_url
    with pytest.raises(ValueError, match="one of the two"):
        Cut()
    with pytest.raises(ValueError, match="give one of the two"):
        Reply("a", chunks=["b"])
    with pytest.raises(ValueError, match="one Status"):
        Reply(fault=(Status(500), Status(503)))
    with LoopbackServer([]) as server:
        pass
    with pytest.raises(RuntimeError, match="make another"), server:
        pass
