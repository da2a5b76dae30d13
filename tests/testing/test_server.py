"""The loopback server as clients see it: the openai SDK for what it says, the standard library for every byte."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.testing.server import (
    ChatRequest,
    Cut,
    Drip,
    Fault,
    Inject,
    LoopbackServer,
    Reply,
    SplitPackets,
    Stall,
    Status,
    Timing,
    ToolCall,
    Usage,
    error_body,
    sse,
    tokenize,
)

TEXT = "héllo wörld, 😀 and more\nof the same text"
SEARCH = ToolCall("search", '{"query": "Everest height in metres"}', "call_1")
ADD = ToolCall("add", '{"a": 1, "b": 2}', "call_2")
CHUNK = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How high is Everest?"}]


@pytest.fixture(scope="module")
def sdk() -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="any", base_url="http://127.0.0.1:9/v1", max_retries=0, timeout=5) as client:
        yield client


def chat(sdk: openai.OpenAI, server: LoopbackServer, **options: Any) -> Any:
    client = sdk.with_options(base_url=server.base_url, timeout=options.pop("timeout", 5))
    return client.chat.completions.create(model="m", **{"messages": QUESTION, **options})


def streamed(sdk: openai.OpenAI, server: LoopbackServer, **options: Any) -> list[Any]:
    return list(chat(sdk, server, stream=True, **options))


def texts(chunks: list[Any]) -> list[str]:
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices or []]  # None in an unknown event
    return [delta.content for delta in deltas if delta is not None and delta.content]


def connect(server: LoopbackServer) -> http.client.HTTPConnection:
    host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    return http.client.HTTPConnection(host, int(port), timeout=5)


def post(connection: http.client.HTTPConnection, *, path: str = "/v1/chat/completions", **options: Any) -> None:
    connection.request("POST", path, json.dumps({"model": "m", "messages": QUESTION, "stream": True, **options}))


def body(server: LoopbackServer, **options: Any) -> tuple[bytes, bool]:
    """Return the bytes of the body and whether the response was ended properly."""
    connection = connect(server)
    try:
        post(connection, **options)
        return connection.getresponse().read(), True
    except http.client.IncompleteRead as error:
        return error.partial, False
    finally:
        connection.close()


# What it says.


@pytest.mark.parametrize(
    ("reply", "chunks"),
    [
        pytest.param("It is 8849 m.", tokenize("It is 8849 m."), id="a text is cut into tokens"),
        pytest.param(Reply(TEXT), tokenize(TEXT), id="any characters pass"),
        pytest.param(Reply(chunks=["It", " is 88", "49 m."]), ["It", " is 88", "49 m."], id="chunks are kept"),
        pytest.param(Reply(""), [], id="an empty text has no chunks"),
        pytest.param(Reply("a \ud800 b"), ["a", " \ud800", " b"], id="a lone surrogate passes as an escape"),
    ],
)
def test_a_reply_comes_back_streamed_and_whole(sdk: openai.OpenAI, reply: Reply | str, chunks: list[str]) -> None:
    with LoopbackServer([reply, reply]) as server:
        parts = streamed(sdk, server)
        whole = chat(sdk, server)
        assert texts(parts) == chunks
        assert parts[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
        assert whole.choices[0].message.content == "".join(chunks)
        assert [request.text for request in server.requests] == ["".join(chunks)] * 2
        server.assert_consumed()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param("count", (9, 4, None), id="tokens are counted"),
        pytest.param(Usage(70, 8, 64), (70, 8, 64), id="a record is sent"),
        pytest.param(
            {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9}, (1, 2, None), id="so is a mapping"
        ),
        pytest.param(None, None, id="a server may not tell"),
    ],
)
def test_usage_comes_last_with_empty_choices_where_it_was_asked_for(
    sdk: openai.OpenAI, usage: Any, expected: tuple[int, int, int | None] | None
) -> None:
    def read(usage: Any) -> tuple[int, int, int | None] | None:
        cached = usage and usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens
        return usage and (usage.prompt_tokens, usage.completion_tokens, cached)

    with LoopbackServer([Reply("a b c d", usage=usage)] * 3) as server:
        *before, last = streamed(sdk, server, stream_options={"include_usage": True})
        assert [chunk.usage for chunk in before] == [None] * len(before)
        assert (read(last.usage), last.choices == []) == (expected, expected is not None)
        assert read(chat(sdk, server).usage) == expected
        assert all(chunk.usage is None and chunk.choices for chunk in streamed(sdk, server))


def test_tool_calls_come_whole_or_in_fragments(sdk: openai.OpenAI) -> None:
    with LoopbackServer([Reply("Let me see.", tool_calls=[SEARCH, ADD])] * 2) as server:
        message = chat(sdk, server).choices[0].message
        assert message.content == "Let me see."
        assert [ToolCall(call.function.name, call.function.arguments, call.id) for call in message.tool_calls] == [
            SEARCH,
            ADD,
        ]
        chunks = streamed(sdk, server)
        deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
        starts = [(call.index, call.id, call.function.name) for call in deltas if call.id]
        assert starts == [(0, "call_1", "search"), (1, "call_2", "add")]
        for index, call in enumerate([SEARCH, ADD]):
            fragments = [delta.function.arguments for delta in deltas if delta.index == index]
            assert fragments == ["", *tokenize(call.arguments)]
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
        assert server.requests[1].text == f"Let me see.search{SEARCH.arguments}add{ADD.arguments}"


def test_raw_completions_come_whole_and_streamed(sdk: openai.OpenAI) -> None:
    with LoopbackServer(lambda request: f"<{request.last_user}>") as server:
        client = sdk.with_options(base_url=server.base_url)
        whole = client.completions.create(model="m", prompt="2 + 2 =")
        parts = list(client.completions.create(model="m", prompt="3 + 3 =", stream=True, stop=" ="))
        assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("<2 + 2 =>", "stop")
        assert whole.usage is not None
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (4, 5)
        assert "".join(part.choices[0].text for part in parts) == "<3 + 3"
        assert [request.request.prompt for request in server.requests] == ["2 + 2 =", "3 + 3 ="]


@pytest.mark.parametrize(
    ("options", "said", "finish"),
    [
        pytest.param({"stop": "\n"}, "one two", "stop", id="a stop string cuts and is not sent"),
        pytest.param({"stop": ["four", "three", "nine"]}, "one two\n", "stop", id="the first of several wins"),
        pytest.param({"stop": "five"}, "one two\nthree four", "stop", id="one that is not there changes nothing"),
        pytest.param({"max_tokens": 2}, "one two", "length", id="max_tokens cuts"),
        pytest.param({"max_completion_tokens": 1}, "one", "length", id="so does max_completion_tokens"),
        pytest.param({"max_tokens": 9}, "one two\nthree four", "stop", id="a limit not reached changes nothing"),
        pytest.param({"max_tokens": 2, "stop": "three"}, "one two", "length", id="a limit before the stop string wins"),
    ],
)
@pytest.mark.parametrize("chunks", [None, ["one t", "wo\nth", "ree ", "four"]], ids=["tokens", "chunks"])
def test_the_request_cuts_the_reply(
    sdk: openai.OpenAI, chunks: list[str] | None, options: dict[str, Any], said: str, finish: str
) -> None:
    reply = Reply("one two\nthree four", chunks=chunks)
    with LoopbackServer([reply, reply, Reply(reply.text, finish="odd")]) as server:
        parts = streamed(sdk, server, **options)
        assert ("".join(texts(parts)), parts[-1].choices[0].finish_reason) == (said, finish)
        choice = chat(sdk, server, **options).choices[0]
        assert (choice.message.content, choice.finish_reason) == (said, finish)
        assert json.loads(body(server, stream=False, **options)[0])["choices"][0]["finish_reason"] == "odd"


def test_max_tokens_may_cut_a_call_in_its_arguments(sdk: openai.OpenAI) -> None:
    with LoopbackServer([Reply(tool_calls=[ADD, SEARCH])]) as server:
        choice = chat(sdk, server, max_tokens=4).choices[0]
        assert [call.function.arguments for call in choice.message.tool_calls] == ["".join(tokenize(ADD.arguments)[:3])]
        assert choice.finish_reason == "length"


def test_the_request_can_be_read_from_the_log(sdk: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    parts: Any = [{"role": "user", "content": [{"type": "text", "text": "How "}, {"type": "text", "text": "high?"}]}]
    with LoopbackServer(["8849 m", "8849 m"]) as server:
        chat(sdk, server, temperature=0, stop="END", tools=tools)
        chat(sdk, server, messages=[*QUESTION, *parts, {"role": "assistant", "content": None}])
        first, second = (logged.request for logged in server.requests)
        assert (first.model, first.stream, first.stop, first.temperature) == ("m", False, ("END",), 0)
        assert (first.text, first.last_user, first.tools) == (
            "Be brief.\nHow high is Everest?",
            QUESTION[1]["content"],
            tuple(tools),
        )
        assert (second.last_user, second.prompt_tokens < first.prompt_tokens) == ("How high?", True)
        assert server.requests[0].headers["authorization"] == "Bearer any"
        assert [model.id for model in sdk.with_options(base_url=server.base_url).models.list()] == ["loopback"]


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text


# What goes wrong.


@pytest.mark.parametrize(
    ("status", "error", "retry_after"),
    [
        pytest.param(Status.rate_limit(3), openai.RateLimitError, "3", id="429 in seconds"),
        pytest.param(
            Status.rate_limit(datetime(2030, 1, 2, tzinfo=UTC)),
            openai.RateLimitError,
            "Wed, 02 Jan 2030 00:00:00 GMT",
            id="429 by date",
        ),
        pytest.param(Status.rate_limit("1e99"), openai.RateLimitError, "1e99", id="429 for ever"),
        pytest.param(Status.rate_limit(), openai.RateLimitError, None, id="429 without Retry-After"),
        pytest.param(Status(500), openai.InternalServerError, None, id="500"),
        pytest.param(Status(503), openai.InternalServerError, None, id="503"),
        pytest.param(Status(400), openai.BadRequestError, None, id="400"),
        pytest.param(Status.context_length(), openai.BadRequestError, None, id="context length"),
        pytest.param(Status(401), openai.AuthenticationError, None, id="401"),
        pytest.param(Status(413), openai.APIStatusError, None, id="413"),
        pytest.param(
            Status(502, [("content-type", "text/html")], "<h1>Bad gateway"),
            openai.InternalServerError,
            None,
            id="502 of a proxy",
        ),
    ],
)
def test_a_status_is_the_clients_error(
    sdk: openai.OpenAI, status: Status, error: type[openai.APIStatusError], retry_after: str | None
) -> None:
    with LoopbackServer([Reply(fault=status, timing=Timing(first_token=60))]) as server:
        with pytest.raises(error) as raised:
            streamed(sdk, server)
        assert raised.value.status_code == status.code
        assert raised.value.response.headers.get("retry-after") == retry_after
        if isinstance(status.body, dict):
            assert raised.value.code == "context_length_exceeded"
        server.assert_consumed()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_the_connection_can_drop_after_every_byte(stream: bool) -> None:
    def cut(request: ChatRequest) -> Reply:
        return Reply("1. é()", fault=Cut(after_bytes=int(request.raw["cut"])) if "cut" in request.raw else None)

    with LoopbackServer(cut) as server:
        whole, is_ended = body(server, stream=stream)
        assert is_ended
        for size in range(1, len(whole) + 1):
            expected = whole.replace(b"-000000", b"-%06d" % size)[:size]
            assert body(server, stream=stream, cut=size) == (expected, False)
        with pytest.raises(http.client.RemoteDisconnected):
            body(server, stream=stream, cut=0)
        assert [request.body_bytes for request in server.requests] == [len(whole), *range(1, len(whole) + 1), 0]


@pytest.mark.parametrize(
    ("cut", "count", "has_done", "is_ended"),
    [
        pytest.param(Cut(after_chunks=0), 0, False, False, id="after the headers"),
        pytest.param(Cut(after_chunks=2), 2, False, False, id="after two chunks"),
        pytest.param(Cut(after_chunks=4), 4, False, False, id="before the finish event"),
        pytest.param(Cut(after_chunks=5), 4, True, False, id="after the end marker"),
        pytest.param(Cut(after_chunks=2, how="end"), 2, False, True, id="with a proper end"),
    ],
)
def test_the_connection_can_drop_after_every_chunk(cut: Cut, count: int, has_done: bool, is_ended: bool) -> None:
    with LoopbackServer([Reply(chunks=["a", "b", "c", "d"], fault=cut)]) as server:
        data, was_ended = body(server)
        assert (data.count(b'"content": "') - bool(count), b"[DONE]" in data, was_ended) == (count, has_done, is_ended)
        assert server.requests[0].text == "abcd"[:count]


def test_a_reset_is_a_connection_error(sdk: openai.OpenAI) -> None:
    fault = Cut(after_chunks=2, how="reset")
    with LoopbackServer([Reply(TEXT, fault=fault)]) as server, pytest.raises(openai.APIConnectionError):
        streamed(sdk, server)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b": a comment\n\n", id="a comment"),
        pytest.param(sse({"foo": 1}, name="strange"), id="an unknown event"),
        pytest.param(sse({**CHUNK, "choices": []}), id="empty choices"),
        pytest.param(sse({**CHUNK, "choices": [{"index": 0}]}), id="no delta"),
        pytest.param(sse({**CHUNK, "choices": [], "usage": None}), id="usage null"),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 99])
def test_what_is_injected_stands_among_the_events(sdk: openai.OpenAI, raw: bytes, after: int) -> None:
    with LoopbackServer([Reply(TEXT, fault=Inject(after, raw))] * 2) as server:
        assert "".join(texts(streamed(sdk, server))) == TEXT
        before, _, behind = body(server)[0].partition(raw)
        assert (before.count(b'"content"') - bool(after), behind == b"") == (
            min(after, len(tokenize(TEXT))),
            after == 99,
        )


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        pytest.param(b"data: {bro\n\n", json.JSONDecodeError, id="broken JSON"),
        pytest.param(sse(error_body("overloaded")), openai.APIError, id="an error in the stream"),
    ],
)
def test_what_is_injected_can_break_a_client(sdk: openai.OpenAI, raw: bytes, error: type[Exception]) -> None:
    with LoopbackServer([Reply(TEXT, fault=Inject(1, raw))]) as server, pytest.raises(error):
        streamed(sdk, server)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_packets_split_lines_and_characters(sdk: openai.OpenAI, size: int) -> None:
    reply = Reply(TEXT, fault=SplitPackets(size))
    with LoopbackServer([reply, reply]) as server:
        assert "".join(texts(streamed(sdk, server))) == TEXT
        with socket.create_connection(("127.0.0.1", connect(server).port)) as raw:
            raw.sendall(wire({"model": "m", "messages": QUESTION, "stream": True}, "connection: close"))
            head, _, rest = b"".join(iter(lambda: raw.recv(65536), b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert rest.startswith(b"%x\r\ndata: {"[: 4 + size] % size)
        assert rest.count(b"\r\n") == 2 * -(-server.requests[1].body_bytes // size) + 2


def wire(request: dict[str, Any], *headers: str) -> bytes:
    data = json.dumps(request).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: x", f"content-length: {len(data)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + data


# When it says it.


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
