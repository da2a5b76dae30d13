"""Parallel calls over real HTTP: what is sent and read, early start between two packets, faults of the server."""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from tenacity import wait_none

from llmcompiler import Failed, ModelRetries, OpenAIModel, ParallelCalls, RunResult, Succeeded, tool
from llmcompiler.strategies.catalogue import STRATEGIES
from llmcompiler.testing.server import Cut, Inject, LoopbackServer, Reply, SplitPackets, Stall, Status, ToolCall, sse
from tests.strategies.calling import QUESTION

LOOK, OTHER = ToolCall("look", '{"query": "é 😀"}', "c1"), ToolCall("look", '{"query": "b"}', "c2")
WRITE = ToolCall("save", '{"text": "x"}', "c3")
RETRIES = ModelRetries(retries=2, wait=wait_none())

_NUMBERS = count(1000)


class World:
    """Two tools with a memory."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.looked = asyncio.Event()

        @tool(effect="read")
        async def look(query: str) -> str:
            """Look something up."""
            self.done.append(f"look {query}")
            self.looked.set()
            return query.upper()

        @tool(effect="write")
        async def save(text: str) -> str:
            """Save a text."""
            self.done.append(f"save {text}")
            return "saved"

        self.tools = [look, save]


def openai(server: LoopbackServer) -> Any:
    return OpenAIModel("m", base_url=server.base_url, api_key="any")


def langchain(server: LoopbackServer) -> Any:
    # ChatOpenAI keeps connections for each address and timeout, beyond the loop they belong to: another test's server may
    # have had this port.
    options = {"timeout": 600.0 + next(_NUMBERS), "max_retries": 0, "stream_usage": True}
    return ChatOpenAI(model="m", base_url=server.base_url, api_key=SecretStr("any"), **options)


each_model = pytest.mark.parametrize("model", [openai, langchain])


def answered(
    *replies: Any, model: Callable[[LoopbackServer], Any] = openai, **options: Any
) -> tuple[RunResult, list[dict[str, Any]], list[str]]:
    """Return the result, the bodies of the requests, and what the tools did."""

    async def work(server: LoopbackServer) -> tuple[RunResult, World]:
        world = World()
        return await ParallelCalls(model(server), world.tools, retries=RETRIES, **options).arun(QUESTION), world

    with LoopbackServer(list(replies)) as server:
        result, world = asyncio.run(work(server))
        server.assert_consumed()
        return result, [dict(logged.request.raw) for logged in server.requests], world.done


@each_model
@pytest.mark.parametrize("early", [True, False])
def test_calls_go_out_and_their_results_come_back(model: Any, early: bool) -> None:
    result, bodies, done = answered(
        Reply("I look.", tool_calls=[LOOK, OTHER, WRITE]), "B and more", model=model, early=early
    )
    assert (result.answer, result.status) == ("B and more", "complete")
    assert sorted(done[:2]) == ["look b", "look é 😀"]
    assert done[2:] == ["save x"]
    assert [one["function"]["name"] for one in bodies[0]["tools"]] == ["look", "save"]
    assistant, *results = bodies[1]["messages"][2:]
    assert (assistant["role"], assistant["content"]) == ("assistant", "I look.")
    assert [
        (one["id"], one["function"]["name"], json.loads(one["function"]["arguments"]))
        for one in assistant["tool_calls"]
    ] == [("c1", "look", {"query": "é 😀"}), ("c2", "look", {"query": "b"}), ("c3", "save", {"text": "x"})]
    assert [(one["role"], one["tool_call_id"], one["content"]) for one in results] == [
        ("tool", "c1", '"É 😀"'),
        ("tool", "c2", '"B"'),
        ("tool", "c3", '"saved"'),
    ]


@each_model
def test_usage_is_what_the_server_counted(model: Any) -> None:
    result, _, _ = answered(Reply(tool_calls=[LOOK]), "done", model=model)
    total = result.usage.total
    assert total.requests == 2
    assert (total.input_tokens or 0) > 50
    assert (total.output_tokens or 0) > 3


@each_model
def test_a_call_runs_while_the_server_still_has_the_rest_of_the_message(model: Any) -> None:
    """The server holds back the message until the first call has run: a loop that waits for its end would never end."""

    async def work(server: LoopbackServer) -> list[str]:
        world = World()
        run = asyncio.create_task(ParallelCalls(model(server), world.tools).arun(QUESTION))
        async with asyncio.timeout(20):
            await world.looked.wait()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        return world.done

    chunks = 1 + 7  # the name of the first call and its arguments; the second call never comes
    with LoopbackServer([Reply(tool_calls=[LOOK, WRITE], fault=Stall(chunks))]) as server:
        assert asyncio.run(work(server)) == ["look é 😀"]


@pytest.mark.parametrize("size", [1, 7])
def test_packets_may_be_split_anywhere(size: int) -> None:
    result, _, _ = answered(Reply(tool_calls=[LOOK, OTHER], fault=SplitPackets(size)), "done")
    assert [record.outcome for record in result.tasks.values()] == [Succeeded("É 😀"), Succeeded("B")]


@each_model
def test_a_server_that_fails_before_the_first_piece_is_asked_again(model: Any) -> None:
    result, bodies, done = answered(
        Reply(fault=Status(503)), Reply(tool_calls=[LOOK]), Reply(fault=Status.rate_limit("0")), "done", model=model
    )
    assert (result.answer, len(bodies), done) == ("done", 4, ["look é 😀"])


@each_model
def test_a_stream_that_breaks_off_within_a_call_is_not_asked_again_and_saves_nothing(model: Any) -> None:
    cut = Reply(tool_calls=[WRITE, LOOK, OTHER], fault=Cut(after_chunks=16))
    result, bodies, done = answered(cut, "done", model=model)
    assert (result.answer, len(bodies), done) == ("done", 2, ["look é 😀"])
    saved, looked, *_ = (record.outcome for record in result.tasks.values())
    assert isinstance(saved, Failed)
    assert looked == Succeeded("É 😀")


@each_model
def test_a_message_cut_by_the_token_cap_saves_nothing(model: Any) -> None:
    result, _, done = answered(Reply(tool_calls=[WRITE, LOOK], finish="length"), "done", model=model)
    assert (result.answer, done) == ("done", ["look é 😀"])


@each_model
@pytest.mark.parametrize("arguments", ['{"query": "a"', '{"query": 5}', "5", "", '{"quary": "a"}'])
def test_wrong_arguments_are_told_and_can_be_sent_back(model: Any, arguments: str) -> None:
    wrong = ToolCall("look", arguments, "w")
    result, bodies, done = answered(Reply(tool_calls=[wrong]), Reply(tool_calls=[OTHER]), "done", model=model)
    assert (result.answer, done) == ("done", ["look b"])
    assistant, told = bodies[1]["messages"][2:]
    assert isinstance(json.loads(assistant["tool_calls"][0]["function"]["arguments"]), dict)
    assert told["tool_call_id"] == "w"
    assert told["content"].startswith("not run: ")


def test_a_server_without_index_and_ids_is_understood() -> None:
    def whole(**call: Any) -> bytes:
        return sse({"choices": [{"index": 0, "delta": {"tool_calls": [{"function": call}]}, "finish_reason": None}]})

    raw = whole(name="look", arguments={"query": "a"}) + whole(name="look", arguments='{"query": "b"}')
    result, bodies, _ = answered(Reply("x", fault=Inject(1, raw)), "done")
    assert [record.outcome for record in result.tasks.values()] == [Succeeded("A"), Succeeded("B")]
    assert [one["id"] for one in bodies[1]["messages"][2]["tool_calls"]] == ["call00001", "call00002"]


def test_a_model_without_native_calls_answers_in_text() -> None:
    result, _, done = answered("I know it: 238 m")
    assert (result.answer, done) == ("I know it: 238 m", [])


def test_it_runs_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text('model: "openai:m"\nstrategy: parallel_calls\n')
    with LoopbackServer(["238 m"]) as server:
        agent = STRATEGIES["parallel_calls"].from_config(file, base_url=server.base_url, api_key="any")
        assert asyncio.run(agent.arun(QUESTION)).answer == "238 m"


def test_a_file_may_not_say_what_is_of_no_use_to_it(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text('model: "openai:m"\nstrategy: parallel_calls\nstream: false\n')
    with pytest.raises(ValueError, match="the strategy parallel_calls has no use for this"):
        ParallelCalls.from_config(file)
