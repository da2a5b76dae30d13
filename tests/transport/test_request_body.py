"""What a request to an OpenAI-compatible server holds, and how the user's own fields change it."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from llmcompiler import Effect, Message, Prompt, ToolCall, ToolSpec
from llmcompiler.testing.server import LoopbackServer
from tests.transport.serving import PROMPT, model_at

MESSAGES = [{"role": "user", "content": "How high is Everest?"}]
OURS = {
    "model": "m",
    "messages": MESSAGES,
    "stream": True,
    "stream_options": {"include_usage": True},
    "stop": ["<END_OF_PLAN>"],
}


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        pytest.param({}, {}, id="none of the user's"),
        pytest.param({"temperature": 0.5, "seed": 7}, {"temperature": 0.5, "seed": 7}, id="fields that the SDK knows"),
        pytest.param({"extra_body": {"top_k": 3}}, {"top_k": 3}, id="fields that the SDK does not know"),
        pytest.param({"stop": ["\n\n"]}, {"stop": ["\n\n"]}, id="a field that we set too"),
        pytest.param(
            {"stream_options": {"include_usage": False}}, {"stream_options": {"include_usage": False}}, id="usage"
        ),
        pytest.param({"extra_body": {"stop": ["."]}}, {"stop": ["."]}, id="a field that we set too, told beside"),
    ],
)
def test_a_request_is_our_fields_and_over_them_the_users(
    options: Mapping[str, Any], changes: Mapping[str, Any]
) -> None:
    async def read(server: LoopbackServer) -> None:
        async for _ in model_at(server, options=options).stream(replace(PROMPT, stop=("<END_OF_PLAN>",))):
            pass

    with LoopbackServer(["8849 m"]) as server:
        asyncio.run(read(server))
    assert server.requests[0].request.raw == {**OURS, **changes}


def test_headers_of_the_users_own_go_along_and_are_no_fields() -> None:
    async def read(server: LoopbackServer) -> None:
        async for _ in model_at(server, options={"extra_headers": {"X-Team": "maps"}}).stream(PROMPT):
            pass

    with LoopbackServer(["8849 m"]) as server:
        asyncio.run(read(server))
    assert server.requests[0].headers["x-team"] == "maps"
    assert "extra_headers" not in server.requests[0].request.raw


def test_tools_calls_and_results_are_sent_in_openais_form() -> None:
    spec = ToolSpec("look", "Look it up.", {"properties": {"q": {"type": "string"}}, "required": ["q"]}, Effect.READ)
    bare = ToolSpec("clock", "", {"type": "object"})
    messages = (
        *PROMPT.messages,
        Message("assistant", "", (ToolCall("1", "look", '{"q":"a"}'),)),
        Message("tool", '"A"', call_id="1"),
        Message("assistant", "And:", (ToolCall("2", "clock"),)),
        Message("tool", "12", call_id="2"),
    )

    async def read(server: LoopbackServer) -> None:
        async for _ in model_at(server).stream(Prompt(messages, tools=(spec, bare))):
            pass

    with LoopbackServer(["8849 m"]) as server:
        asyncio.run(read(server))
    body = server.requests[0].request.raw
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    assert body["tools"] == [
        {"type": "function", "function": {"name": "look", "description": "Look it up.", "parameters": schema}},
        {
            "type": "function",
            "function": {"name": "clock", "description": "", "parameters": {"type": "object", "properties": {}}},
        },
    ]
    look, clock = {"name": "look", "arguments": '{"q":"a"}'}, {"name": "clock", "arguments": "{}"}
    assert body["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": look}]},
        {"role": "tool", "tool_call_id": "1", "content": '"A"'},
        {"role": "assistant", "content": "And:", "tool_calls": [{"id": "2", "type": "function", "function": clock}]},
        {"role": "tool", "tool_call_id": "2", "content": "12"},
    ]
