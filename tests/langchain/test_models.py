"""LangChain's chat models as models: a real ChatOpenAI over real HTTP, and made-up ones for what no server sends."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from typing import Any

import pytest
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel, FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from pydantic import Field, SecretStr
from tenacity import wait_none

from llmcompiler import Chunk, LLMCompiler, Message, ModelRetries, Prompt, ReAct, RunFailed, Usage, UsageError, tool
from llmcompiler.errors import (
    AuthenticationFailed,
    BadModelRequest,
    ContextTooLong,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    StreamCut,
)
from llmcompiler.execution.requests import Deadlines, stream_reply
from llmcompiler.models.langchain import LangChainModel
from llmcompiler.models.provider import model_of
from llmcompiler.testing.server import ChatRequest, Cut, LoopbackServer, Reply, Stall, Status
from llmcompiler.testing.server import Usage as SentUsage
from tests.transport.serving import is_planner

KEY = "sk-langchain-0123456789"
PROMPT = Prompt((Message("system", "Be brief."), Message("user", "How high is Everest?")), "joiner")
STOPPING = Prompt(PROMPT.messages, "agent", ("\nObservation:", "<END>"))
PLAN = '1. look("a")\n2. join()<END_OF_PLAN>'
FINISH = "Thought: enough.\nAction: Finish(A)"

_NUMBERS = count(1)


@tool(effect="read")
async def look(query: str) -> str:
    """Look something up."""
    return query.upper()


def chat(server: LoopbackServer, **options: Any) -> ChatOpenAI:
    options = {"max_retries": 0, "stream_usage": True, **options}
    # ChatOpenAI keeps connections for each address and timeout, beyond the loop they belong to: another test's server may
    # have had this port.
    return ChatOpenAI(
        model="m", base_url=server.base_url, api_key=SecretStr(KEY), **{"timeout": 600.0 + next(_NUMBERS), **options}
    )


async def ask(
    model: BaseChatModel, prompt: Prompt = PROMPT, *, retries: int = 2, deadlines: Deadlines | None = None
) -> list[Chunk]:
    retrying = ModelRetries(retries=retries, wait=wait_none())
    return [chunk async for chunk in stream_reply(model_of(model), prompt, deadlines or Deadlines(), retrying)]


def answer(model: BaseChatModel, prompt: Prompt = PROMPT, **options: Any) -> tuple[str, Chunk]:
    """Return the text of a reply, and its last chunk."""
    chunks = asyncio.run(ask(model, prompt, **options))
    return "".join(chunk.text for chunk in chunks), chunks[-1]


def refusal(model: BaseChatModel, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as failed:
        asyncio.run(ask(model, **options))
    return failed.value


# ChatOpenAI over HTTP


def test_text_is_streamed_and_the_messages_are_the_prompts() -> None:
    with LoopbackServer([Reply(chunks=["8849", " m"])]) as server:
        chunks = asyncio.run(ask(chat(server)))
        request = server.requests[0].request
    assert [chunk.text for chunk in chunks if chunk.text] == ["8849", " m"]
    assert [(message["role"], message["content"]) for message in request.messages] == [
        ("system", "Be brief."),
        ("user", "How high is Everest?"),
    ]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (SentUsage(10, 5, cached_tokens=4), Usage(1, 10, 5, 4)),
        (SentUsage(10, 5), Usage(1, 10, 5, None)),
        (None, None),
    ],
)
def test_usage_is_what_the_server_says_and_unknown_where_it_does_not(sent: Any, expected: Usage | None) -> None:
    with LoopbackServer([Reply("8849 m", usage=sent)]) as server:
        _, last = answer(chat(server))
    assert last.usage == expected


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_the_finish_reason_is_told(finish: str) -> None:
    with LoopbackServer([Reply("8849 m", finish=finish)]) as server:
        assert answer(chat(server))[1].finish == finish


def test_a_429_is_tried_again_when_the_server_says() -> None:
    busy = Reply(fault=Status.rate_limit("0.3"))
    with LoopbackServer([busy, "8849 m"]) as server:
        assert answer(chat(server))[0] == "8849 m"
        first, second = server.requests
        assert second.at - first.at >= 0.3
        server.assert_consumed()


def test_a_server_that_asks_for_too_much_patience_is_told_at_once() -> None:
    with LoopbackServer([Reply(fault=Status.rate_limit("86400"))]) as server:
        error = refusal(chat(server))
        assert len(server.requests) == 1
    assert isinstance(error, ModelUnavailable)
    assert (error.status, error.retry_after) == (429, 86400.0)


def test_with_the_clients_own_retries_on_ours_are_off() -> None:
    """X07b: one retry layer."""
    with LoopbackServer([Reply(fault=Status.rate_limit("0"))] * 2) as server:
        error = refusal(chat(server, max_retries=1), retries=5)
        server.assert_consumed()
    assert error.retried
    assert "with its max_retries=0 ModelRetries would" in error.__notes__[0]


def test_with_the_clients_own_retries_off_ours_are_on() -> None:
    """X07b: one retry layer."""
    with LoopbackServer([Reply(fault=Status(503))] * 3) as server:
        error = refusal(chat(server), retries=2)
        server.assert_consumed()
    assert isinstance(error, ModelUnavailable)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status(400), BadModelRequest),
        (Status(404), BadModelRequest),
        (Status(401), AuthenticationFailed),
        (Status(403), AuthenticationFailed),
        (Status(413), ContextTooLong),
        (Status.context_length(), ContextTooLong),
    ],
)
def test_what_will_not_pass_is_told_at_once_by_its_type(status: Status, kind: type[ModelError]) -> None:
    with LoopbackServer([Reply(fault=status)]) as server:
        error = refusal(chat(server))
        assert len(server.requests) == 1
    assert (type(error), error.status) == (kind, status.code)
    assert "ChatOpenAI:m" in str(error)


def test_a_stream_that_is_cut_before_any_text_is_tried_again_and_later_it_is_an_error() -> None:
    with LoopbackServer([Reply("8849 m", fault=Cut(after_bytes=0)), "8849 m"]) as server:
        assert answer(chat(server))[0] == "8849 m"
        server.assert_consumed()
    with LoopbackServer([Reply(chunks=["8849", " m"], fault=Cut(after_chunks=1))]) as server:
        assert isinstance(refusal(chat(server)), StreamCut)


def test_nobody_at_the_address_is_unavailable() -> None:
    with LoopbackServer([]) as server:
        model = chat(server)
    assert type(refusal(model, retries=0)) is ModelUnavailable


def test_the_clients_own_timeout_is_a_timeout() -> None:

    with LoopbackServer([Reply("late", fault=Stall(0))]) as server:
        error = refusal(chat(server, timeout=0.2), retries=0)
    assert isinstance(error, ModelTimeout)
    assert error.which == "first token"


def test_an_agent_runs_on_it_and_counts_its_use() -> None:
    def desk(request: ChatRequest) -> Reply:
        return Reply(PLAN if is_planner(request) else FINISH, usage=SentUsage(100, 10, cached_tokens=50))

    with LoopbackServer(desk) as server:
        result = asyncio.run(LLMCompiler(chat(server), [look], examples=()).arun("q"))
        assert [logged.request.stop for logged in server.requests] == [("<END_OF_PLAN>",), ("<END_OF_RESPONSE>",)]
    assert (result.answer, result.status) == ("A", "complete")
    assert result.usage.by_purpose == {"planner": Usage(1, 100, 10, 50), "joiner": Usage(1, 100, 10, 50)}


def test_a_plan_that_hits_the_token_cap_is_a_cut_plan() -> None:
    def desk(request: ChatRequest) -> Reply:
        return Reply('1. look("a")\n2. look("b', finish="length") if is_planner(request) else Reply(FINISH)

    with LoopbackServer(desk) as server:
        result = asyncio.run(LLMCompiler(chat(server), [look], examples=()).arun("q"))
    assert (result.answer, result.status, result.stopped_by) == ("A", "partial", "cut")


def test_its_key_is_kept_out_of_what_is_shown() -> None:
    said = f"Incorrect API key provided: {KEY}"
    with LoopbackServer([Reply(fault=Status(401, body={"error": {"message": said}}))]) as server:
        model = chat(server)
        with pytest.raises(RunFailed, match=r"Incorrect API key provided: \*\*\*") as failed:
            asyncio.run(LLMCompiler(model, [look], examples=()).arun("q"))
        assert KEY not in repr(model_of(model))
    assert KEY not in str(failed.value)


def test_a_model_that_refuses_stop_strings_is_asked_without_and_stopped_here() -> None:
    said = "Unsupported parameter: 'stop' is not supported with this model."

    def desk(request: ChatRequest) -> Reply:
        if request.stop:
            return Reply(fault=Status(400, body={"error": {"message": said, "type": "invalid_request_error"}}))
        return Reply("Action: look(1)\nObservation: made up")

    with LoopbackServer(desk) as server:
        model = model_of(chat(server))

        async def text() -> str:
            return "".join([chunk.text async for chunk in stream_reply(model, STOPPING, Deadlines(), ModelRetries())])

        assert asyncio.run(text()) == "Action: look(1)"
        assert asyncio.run(text()) == "Action: look(1)"
        assert [bool(logged.request.stop) for logged in server.requests] == [True, False, False]


# Chat models that were made up


class Made(BaseChatModel):
    """Streams these chunks, then raises the error; takes note of the stop strings."""

    chunks: list[AIMessageChunk] = Field(default_factory=list)
    error: Any = None
    seen: list[Any] = Field(default_factory=list)
    max_retries: int = 0

    @property
    def _llm_type(self) -> str:
        return "made"

    def _generate(self, messages: list[BaseMessage], stop: list[str] | None = None, *_: Any, **__: Any) -> ChatResult:
        raise AssertionError("it streams")

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *_: Any, **__: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        self.seen.append(stop)
        for chunk in self.chunks:
            yield ChatGenerationChunk(message=chunk)
        if self.error is not None:
            raise self.error


def made(*pieces: str | list[Any], **last: Any) -> Made:
    chunks = [AIMessageChunk(piece) for piece in pieces]
    return Made(chunks=[*chunks, AIMessageChunk("", **last)] if last else chunks)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["Action: look(1)", "\nObservation: 2"], "Action: look(1)"),
        (["Action: look(1)\nObs", "ervation", ": 2"], "Action: look(1)"),
        (["a\n", "\nObservation:"], "a\n"),
        (["a<E", "ND of it"], "a<END of it"),
        (["a<EN", "D>b\nObservation:"], "a"),
        (["whole<EN"], "whole<EN"),
        (["\nObservation:"], ""),
    ],
)
def test_a_model_that_ignores_stop_strings_is_stopped_here(pieces: list[str], text: str) -> None:
    model = made(*pieces)
    assert answer(model, STOPPING)[0] == text
    assert model.seen == [["\nObservation:", "<END>"]]


def test_react_does_not_believe_what_a_model_makes_up_behind_its_action() -> None:
    replies = iter(
        [AIMessage("Thought: x\nAction: look('a')\nObservation: B\nAction: Finish(B)"), AIMessage("Action: Finish(A)")]
    )
    result = asyncio.run(ReAct(GenericFakeChatModel(messages=replies), [look]).arun("q"))
    assert result.answer == "A"


def test_content_in_blocks_is_text_and_thoughts_are_signs_of_life() -> None:
    thought = [{"type": "thinking", "thinking": "hm", "index": 0}]
    model = made(thought, [{"type": "text", "text": "8849", "index": 1}], [{"type": "text", "text": " m", "index": 1}])
    chunks = asyncio.run(ask(model))
    assert [chunk.text for chunk in chunks] == ["", "8849", " m", ""]


def test_thoughts_beside_the_content_are_signs_of_life() -> None:
    model = Made(chunks=[AIMessageChunk("", additional_kwargs={"reasoning_content": "hm"}), AIMessageChunk("8849")])
    assert [chunk.text for chunk in asyncio.run(ask(model))] == ["", "8849", ""]


def test_a_lone_surrogate_does_not_come_through() -> None:
    assert answer(made("a\ud800b"))[0] == "a\ufffdb"


def counts(input: int, output: int, **details: int) -> dict[str, Any]:
    return {
        "input_tokens": input,
        "output_tokens": output,
        "total_tokens": input + output,
        **({"input_token_details": details} if details else {}),
    }


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ([counts(10, 0, cache_read=3), counts(0, 5)], Usage(1, 10, 5, 3)),
        ([counts(10, 0), counts(0, 5)], Usage(1, 10, 5, None)),
        ([None, counts(10, 5)], Usage(1, 10, 5, None)),
        ([None, None], None),
    ],
)
def test_usage_told_in_parts_is_their_sum(said: Sequence[Any], usage: Usage | None) -> None:
    model = Made(chunks=[AIMessageChunk("a", usage_metadata=part) for part in said])
    assert answer(model)[1].usage == usage


@pytest.mark.parametrize(
    ("metadata", "finish"),
    [
        ({"finish_reason": "stop"}, "stop"),
        ({"finish_reason": "length"}, "length"),
        ({"finish_reason": "MAX_TOKENS"}, "length"),
        ({"stop_reason": "max_tokens"}, "length"),
        ({"stop_reason": "end_turn"}, "end_turn"),
        ({"stopReason": "max_tokens"}, "length"),
        ({"done_reason": "length"}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"model_name": "m"}, None),
    ],
)
def test_every_providers_word_for_the_token_cap_is_length(metadata: dict[str, Any], finish: str | None) -> None:
    assert answer(made("8849", response_metadata=metadata))[1].finish == finish


def test_a_model_that_cannot_stream_gives_its_reply_at_once() -> None:
    class Whole(Made):
        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            message = AIMessage("8849 m", usage_metadata=counts(3, 2), response_metadata={"finish_reason": "stop"})
            return ChatResult(generations=[ChatGeneration(message=message)])

        _astream = BaseChatModel._astream

    assert answer(Whole()) == ("8849 m", Chunk("", Usage(1, 3, 2, None), "stop"))


class Refused(Exception):
    def __init__(self, status: int, said: str = "no", **headers: str) -> None:
        super().__init__(said)
        self.status_code = status
        self.response = type(
            "Response", (), {"headers": {name.replace("_", "-"): said for name, said in headers.items()}}
        )


class Rejected(Exception):
    """Carries its status as httpx's errors do."""

    response = type("Response", (), {"status_code": 503, "headers": {}})


class APITimeoutError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Refused(429), ModelUnavailable),
        (Refused(529), ModelUnavailable),
        (Refused(401), AuthenticationFailed),
        (Refused(400), BadModelRequest),
        (Rejected(), ModelUnavailable),
        (ContextOverflowError("too long"), ContextTooLong),
        (ConnectionRefusedError("nobody"), ModelUnavailable),
        (TimeoutError(), ModelTimeout),
        (APITimeoutError("late"), ModelTimeout),
        (ValueError("odd"), ModelError),
    ],
)
def test_errors_before_the_reply_have_their_types(error: Exception, kind: type[ModelError]) -> None:
    failed = refusal(Made(error=error), retries=0)
    assert type(failed) is kind
    assert failed.__cause__ is error


def test_an_error_within_the_reply_is_a_cut_stream_or_a_late_one() -> None:
    begun = [AIMessageChunk("8849")]
    assert type(refusal(Made(chunks=begun, error=ConnectionResetError()))) is StreamCut
    late = refusal(Made(chunks=begun, error=TimeoutError()))
    assert isinstance(late, ModelTimeout)
    assert late.which == "idle"


def test_retry_after_is_read_from_any_clients_response() -> None:
    error = refusal(Made(error=Refused(429, retry_after="7000")))
    assert error.retry_after == 7000.0


@pytest.mark.parametrize(
    "error", [Refused(400, "no stop here"), ValueError("`stop` found"), NotImplementedError("stop")]
)
def test_an_error_about_stop_is_asked_again_once_without(error: Exception) -> None:
    model = Made(error=error)
    with pytest.raises(ModelError):
        asyncio.run(ask(model, STOPPING, retries=0))
    assert model.seen == [["\nObservation:", "<END>"], None]


@pytest.mark.parametrize("error", [Refused(400, "bad"), Refused(429, "stop it"), ValueError("unstoppable")])
def test_any_other_error_is_not(error: Exception) -> None:
    model = Made(error=error)
    with pytest.raises(ModelError):
        asyncio.run(ask(model, STOPPING, retries=0))
    assert len(model.seen) == 1


def test_our_deadlines_hold_and_leaving_ends_its_stream() -> None:
    ended: list[str] = []

    class Silent(Made):
        async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
            try:
                await asyncio.Event().wait()
                yield ChatGenerationChunk(message=AIMessageChunk(""))
            finally:
                ended.append("ended")

    begun = time.monotonic()
    error = refusal(Silent(), retries=0, deadlines=Deadlines(first_token=0.05))
    assert isinstance(error, ModelTimeout)
    assert error.which == "first token"
    assert ended == ["ended"]
    assert time.monotonic() - begun < 5


# What a user calls a model


def test_a_chat_model_is_taken_for_planner_joiner_and_agent() -> None:
    model = made("x")
    agent = LLMCompiler(model, [look], joiner_model=made("y"))
    assert isinstance(agent.planner_model, LangChainModel)
    assert isinstance(agent.joiner_model, LangChainModel)
    assert isinstance(ReAct(model, [look]).model, LangChainModel)


@pytest.mark.parametrize(
    "make", [lambda: made("x").bind(a=1), lambda: RunnableLambda(str), lambda: FakeListLLM(responses=["x"])]
)
def test_any_other_runnable_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(UsageError, match="is no chat model: give the BaseChatModel itself"):
        model_of(make())
