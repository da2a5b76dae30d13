"""X03, refused requests: what may pass is tried again, what will not is told at once, each with its own type."""

import asyncio
import socket

import pytest

from llmcompiler import OpenAIModel, RunFailed, UsageError
from llmcompiler.errors import AuthenticationFailed, BadModelRequest, ContextTooLong, ModelError, ModelUnavailable
from llmcompiler.testing.server import LoopbackServer, Reply, Status, error_body
from tests.transport.serving import KEY, World, ask, desk, model_at


@pytest.mark.parametrize("code", [500, 502, 503, 504, 529, 429, 408, 409])
def test_X03ab_what_may_pass_is_tried_again(code: int) -> None:
    refused = Reply(fault=Status(code))
    with LoopbackServer([refused, refused, "whole"]) as server:
        assert asyncio.run(ask(model_at(server)))[0] == "whole"
        server.assert_consumed()


@pytest.mark.parametrize("code", [500, 503, 429])
def test_X03ab_and_told_with_its_status_when_it_does_not_pass(code: int) -> None:
    with LoopbackServer([Reply(fault=Status(code))] * 3) as server:
        with pytest.raises(ModelUnavailable, match=f"HTTP {code}") as failed:
            asyncio.run(ask(model_at(server)))
        server.assert_consumed()
    assert failed.value.status == code


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(Status(400), BadModelRequest, id="X03c 400"),
        pytest.param(Status(404), BadModelRequest, id="X03c 404"),
        pytest.param(Status(422), BadModelRequest, id="X03c 422"),
        pytest.param(Status(401), AuthenticationFailed, id="X03d 401"),
        pytest.param(Status(403), AuthenticationFailed, id="X03d 403"),
        pytest.param(Status(413), ContextTooLong, id="X03e 413"),
        pytest.param(Status.context_length(), ContextTooLong, id="X03e OpenAI"),
        pytest.param(
            Status(400, body={"object": "error", "message": "This model's maximum context length is 4096 tokens."}),
            ContextTooLong,
            id="X03e vLLM",
        ),
        pytest.param(Status(400, body="<html>bad gateway"), BadModelRequest, id="a body that is no JSON"),
        pytest.param(Status(400, body=b"\xff\xfe"), BadModelRequest, id="a body that is no text"),
        pytest.param(Status(400, body=b""), BadModelRequest, id="no body"),
    ],
)
def test_X03cde_what_will_not_pass_is_told_at_once(status: Status, kind: type[ModelError]) -> None:
    with LoopbackServer([Reply(fault=status)]) as server:
        with pytest.raises(ModelError) as failed:
            asyncio.run(ask(model_at(server)))
        assert len(server.requests) == 1
    assert type(failed.value) is kind
    assert failed.value.status == status.code
    assert server.base_url in str(failed.value)


def test_X03_what_the_server_says_is_passed_on_cut_to_size() -> None:
    said = error_body("too many cooks " * 1000)
    with LoopbackServer([Reply(fault=Status(400, body=said))]) as server, pytest.raises(BadModelRequest) as failed:
        asyncio.run(ask(model_at(server)))
    assert "too many cooks" in str(failed.value)
    assert len(str(failed.value)) < 700


@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, BadModelRequest), (401, AuthenticationFailed), (413, ContextTooLong), (503, ModelUnavailable)],
)
def test_X03_a_run_fails_with_the_reason(code: int, kind: type[ModelError]) -> None:
    with LoopbackServer(desk(lambda: Reply(fault=Status(code)))) as server, pytest.raises(RunFailed) as failed:
        asyncio.run(World().agent(server).arun("q"))
    assert type(failed.value.__cause__) is kind
    assert failed.value.result.status == "failed"


def test_X03d_a_key_that_the_server_repeats_is_not_passed_on() -> None:
    said = error_body(f"Incorrect API key provided: {KEY}")
    refused = Reply(fault=Status(401, body=said))
    with LoopbackServer(desk(lambda: refused)) as server, pytest.raises(RunFailed) as failed:
        asyncio.run(World().agent(server).arun("q"))
    assert "Incorrect API key provided: ***" in str(failed.value)
    told = [str(failed.value), repr(failed.value.result), *map(repr, failed.value.result.events)]
    assert not [text for text in told if KEY in text]


@pytest.mark.parametrize("key", [f"{KEY}\n", f"  {KEY}\r\n"])
def test_X03d_white_space_around_a_key_does_no_harm(key: str) -> None:
    with LoopbackServer(["whole"]) as server:
        model = OpenAIModel("m", base_url=server.base_url, api_key=key)
        assert asyncio.run(ask(model))[0] == "whole"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-two\nlines", "sk-ключ", "sk-\x00"])
def test_X03d_a_key_that_no_header_can_carry_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(UsageError) as failed:
        OpenAIModel("m", base_url="http://127.0.0.1:9/v1", api_key=key)
    assert key not in str(failed.value)


def test_X03_a_port_where_nobody_speaks_http() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.example ready\r\n")
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, family=socket.AF_INET)
        port = server.sockets[0].getsockname()[1]
        async with server:
            await ask(OpenAIModel("m", base_url=f"http://127.0.0.1:{port}/v1"))

    with pytest.raises(ModelUnavailable):
        asyncio.run(scenario())
