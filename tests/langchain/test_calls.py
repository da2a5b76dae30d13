"""Native calls of LangChain's chat models, made-up ones: streamed, whole, without an index, and a model that has none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from llmcompiler import ParallelCalls, RunFailed, RunResult, Succeeded, tool
from llmcompiler.errors import BadModelRequest


@tool(effect="read")
async def look(query: str) -> str:
    """Look something up."""
    return query.upper()


class Bindable(BaseChatModel):
    """Gives these messages, one a request: whole, or its chunks if it is a list of chunks. It notes what it is given."""

    replies: list[Any] = Field(default_factory=list)
    bound: list[Any] = Field(default_factory=list)
    seen: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "bindable"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        self.bound.append([one["function"]["name"] for one in tools])
        return self.bind(tools=tools)

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self.seen.append(messages)
        return ChatResult(generations=[ChatGeneration(message=self.replies.pop(0))])


class Streaming(Bindable):
    async def _astream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        self.seen.append(messages)
        for chunk in self.replies.pop(0):
            yield ChatGenerationChunk(message=chunk)


def ran(model: BaseChatModel) -> RunResult:
    return asyncio.run(ParallelCalls(model, [look]).arun("?"))


def chunk(**piece: Any) -> AIMessageChunk:
    return AIMessageChunk("", tool_call_chunks=[tool_call_chunk(**piece)])


def outcomes(result: RunResult) -> list[Any]:
    return [record.outcome for record in result.tasks.values()]


@pytest.mark.parametrize("index", [0, 3, None])
def test_streamed_pieces_are_put_together(index: Any) -> None:
    pieces = [
        chunk(name="look", args="", id="1", index=index),
        chunk(args='{"query"', index=index),
        chunk(args=': "a"}', index=index),
    ]
    model = Streaming(replies=[pieces, [AIMessageChunk("done")]])
    result = ran(model)
    assert (result.answer, outcomes(result), model.bound) == ("done", [Succeeded("A")], [["look"], ["look"]])
    said, told = model.seen[1][2:]
    assert isinstance(said, AIMessage)
    assert said.tool_calls == [tool_call(name="look", args={"query": "a"}, id="1")]
    assert (told.type, told.content, getattr(told, "tool_call_id", "")) == ("tool", '"A"', "1")


def test_the_whole_calls_of_a_chat_model_that_does_not_stream() -> None:
    calls = [tool_call(name="look", args={"query": text}, id=text) for text in "ab"]
    broken = [invalid_tool_call(name="look", args='{"query', id="c", error="no JSON")]
    model = Bindable(replies=[AIMessage("", tool_calls=calls, invalid_tool_calls=broken), AIMessage("done")])
    result = ran(model)
    assert (result.answer, outcomes(result)[:2]) == ("done", [Succeeded("A"), Succeeded("B")])
    assert "the arguments are no JSON object" in str(model.seen[1][-1].content)


def test_a_chat_model_without_native_calls_is_refused() -> None:
    with pytest.raises(RunFailed, match="FakeListChatModel cannot call tools natively: it has no bind_tools") as failed:
        ran(FakeListChatModel(responses=["x"]))
    assert isinstance(failed.value.__cause__, BadModelRequest)
