"""The loopback server as clients see it: the openai SDK for what it says, the standard library for every byte."""

import http.client
import json
import socket
from datetime import UTC, datetime
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.testing.server import (
    ChatRequest,
    Cut,
    Inject,
    LoopbackServer,
    Reply,
    SplitPackets,
    Status,
    Timing,
    ToolCall,
    Usage,
    error_body,
    sse,
    tokenize,
)
from tests.testing.clients import ADD, CHUNK, QUESTION, SEARCH, TEXT, body, chat, connect, streamed, texts, wire


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
