"""AsyncLM over real HTTP: what the chat, completions and futures engines send, and when they ask again."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tenacity import wait_none

from llmcompiler import AsyncLM, LLMCompilerError, ModelRetries, OpenAIModel, RunResult, UsageError, tool
from llmcompiler.strategies.asynclm.chat import ChatEngine
from llmcompiler.strategies.asynclm.completions import CompletionsEngine
from llmcompiler.strategies.asynclm.rules import Spent
from llmcompiler.testing import ScriptedModel
from llmcompiler.testing.server import Cut, LoggedRequest, LoopbackServer, Reply, Timing, ToolCall

QUESTION = "What is the phone?"
CALL = '[CALL] a [HEAD] find("Rose") [END]\n'
INTERRUPT = '[INTR] a [HEAD] "555-4" [END]'
ANSWER = "Answer: 555-4"
SLOW = Timing(first_token=0.01, per_token=0.01)


@tool(effect="read")
async def find(name: str) -> str:
    """Find a phone number."""
    await asyncio.sleep(0.05)
    return "555-4"


def answered(
    replies: Sequence[Reply | str], engine: Any = "chat", **options: Any
) -> tuple[RunResult, list[LoggedRequest], Spent]:
    async def work(server: LoopbackServer) -> tuple[RunResult, Spent]:
        model = OpenAIModel("m", base_url=server.base_url, api_key="any")
        chosen = engine(model) if callable(engine) else engine
        retries = ModelRetries(retries=0, wait=wait_none())
        agent = AsyncLM(model, [find], engine=chosen, retries=retries, **options)
        async with agent.session(QUESTION) as session:
            result = await session.result()
        return result, session.spent

    with LoopbackServer(replies) as server:
        result, spent = asyncio.run(work(server))
        server.assert_consumed()
        return result, server.requests, spent


def messages(request: LoggedRequest) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in request.request.messages[1:]]


def test_chat_is_asked_again_with_the_text_so_far_in_turns() -> None:
    result, requests, spent = answered([CALL + "[TRAP][END]", ANSWER])
    assert (result.answer, result.status) == ("555-4", "complete")
    assert messages(requests[0]) == [("user", QUESTION)]
    assert messages(requests[1]) == [
        ("user", QUESTION),
        ("assistant", f"{CALL}[TRAP][END]"),
        ("user", INTERRUPT),
    ]
    assert spent.waiting == pytest.approx(0.05, abs=0.03)


def test_chat_closes_a_stream_when_it_injects_and_not_within_a_line() -> None:
    words = Reply(CALL + "word " * 30 + "\n" + "more " * 500, timing=SLOW)
    result, requests, spent = answered([words, ANSWER])
    assert result.answer == "555-4"
    assert requests[0].disconnected_at is not None
    assert messages(requests[1])[1:] == [("assistant", (CALL + "word " * 30).strip()), ("user", INTERRUPT)]
    assert spent.counts.generated is None  # nobody knows what the reply that was closed has used
    assert spent.injecting > 0


def test_results_that_come_together_cost_one_request() -> None:
    calls = "".join(f'[CALL] c{n} [HEAD] find("{n}") [END]\n' for n in range(8))
    _, requests, _ = answered([calls, ANSWER], trap="all")
    assert len(requests) == 2
    assert len(messages(requests[1])[-1][1].splitlines()) == 8


def test_a_server_that_can_go_on_with_a_message_gets_one() -> None:
    engine = lambda model: ChatEngine(model, continues=True)  # noqa: E731
    _, requests, _ = answered([CALL + "[TRAP][END]", ANSWER], engine)
    assert messages(requests[1]) == [("user", QUESTION), ("assistant", f"{CALL}[TRAP][END]\n{INTERRUPT}\n")]
    assert requests[1].request.raw["continue_final_message"] is True
    assert requests[1].request.raw["add_generation_prompt"] is False
    with pytest.raises(UsageError, match="continues=True takes a model openai:NAME"):
        ChatEngine(ScriptedModel([]), continues=True)


def test_completions_send_one_text_that_only_grows() -> None:
    result, requests, spent = answered([CALL, ANSWER], "completions")
    first, second = (request.request.prompt or "" for request in requests)
    assert result.answer == "555-4"
    assert f"Question: {QUESTION}" in first
    assert second == f"{first}{CALL}{INTERRUPT}\n"
    assert requests[0].request.raw["max_tokens"] is None
    assert spent.counts.requests == 2
    total = result.usage.total
    assert (spent.counts.prefilled, spent.counts.generated) == (total.input_tokens, total.output_tokens)
    assert 0 < (spent.counts.resent or 0) < (spent.counts.prefilled or 0)


def test_completions_take_the_template_of_a_model() -> None:
    template = "<|system|>{system}<|user|>{question}<|assistant|>"
    _, requests, _ = answered([ANSWER], lambda model: CompletionsEngine(model, template=template))
    assert (requests[0].request.prompt or "").endswith(f"<|user|>{QUESTION}<|assistant|>")
    model = OpenAIModel("m", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(UsageError, match="needs each of the slots"):
        CompletionsEngine(model, template="{system}")
    with pytest.raises(UsageError, match="raw completions take a model openai:NAME"):
        CompletionsEngine(ScriptedModel([]))


@pytest.mark.parametrize("engine", ["futures", "auto"])
def test_futures_are_native_calls_and_what_a_hosted_model_gets_by_itself(engine: str) -> None:
    call = ToolCall("find", '{"name": "Rose"}', "c1")
    wait = ToolCall("await_future", '{"futures": ["f1"]}', "c2")
    result, requests, spent = answered([Reply(tool_calls=[call]), Reply(tool_calls=[wait]), "555-4"], engine)
    assert result.answer == "555-4"
    assert messages(requests[2])[-1] == ("tool", 'f1: "555-4"')
    assert [each["function"]["name"] for each in requests[0].request.tools] == ["find", "await_future"]
    assert (spent.counts.requests, spent.traps) == (3, 1)
    assert 0 < (spent.counts.resent or 0) < (spent.counts.prefilled or 0)


def test_a_native_call_that_cannot_run_is_answered_by_the_reason() -> None:
    _, requests, _ = answered(
        [Reply(tool_calls=[ToolCall("fnd", "{}", "c1"), ToolCall("find", "{", "c2")]), "none"], "futures"
    )
    wrong = [text for role, text in messages(requests[1]) if role == "tool"]
    assert wrong[0].startswith("not run: \"there is no tool 'fnd'")
    assert wrong[1].startswith('not run: "the arguments are no JSON object')


@pytest.mark.parametrize("engine", ["chat", "completions"])
def test_a_stream_that_breaks_off_leaves_the_best_answer(engine: str) -> None:
    broken = Reply(CALL + "word " * 20, timing=SLOW, fault=Cut(after_chunks=25))
    result, requests, _ = answered([broken, "Answer: as good as it gets"], engine)
    assert (result.answer, result.status, result.stopped_by) == ("as good as it gets", "partial", "cut")
    assert '-> "555-4"' in requests[1].request.text
    with pytest.raises(LLMCompilerError, match="broke off"):
        answered([Reply("word " * 20, fault=Cut(after_chunks=5))], engine)


def test_a_text_cut_at_the_token_cap_is_no_whole_one() -> None:
    result, _, _ = answered([Reply(CALL + "[CALL] b [HEAD] fi", finish="length"), "Answer: best"])
    assert (result.answer, result.stopped_by, len(result.tasks)) == ("best", "cut", 1)
