"""The futures engine: native calls are answered at once, and later calls take what they will give."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from llmcompiler import AsyncLM, Failed, RunFailed, RunResult, Skipped, Succeeded, ToolCall, UsageError, tool
from llmcompiler.errors import JoinError, ModelUnavailable, NoProgress
from llmcompiler.models.model import Message, Prompt
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.scripted import ScriptedReply
from tests.strategies.asynclm.sessions import QUESTION, TOOLS


@dataclass(frozen=True)
class Ran:
    result: RunResult
    failure: BaseException | None
    prompts: list[Prompt]

    def told(self, request: int) -> list[Message]:
        """Return the messages that a request, counted from 1, has beyond the one before."""
        return list(self.prompts[request - 1].messages[len(self.prompts[request - 2].messages) :])


def called(*replies: ScriptedReply, **options: Any) -> Ran:
    async def work() -> Ran:
        with ScriptedModel(replies) as model:
            agent = AsyncLM(model, TOOLS, engine="futures", **options)
            try:
                result, failure = await agent.arun(QUESTION), None
            except RunFailed as error:
                result, failure = error.result, error.__cause__
        return Ran(result, failure, model.prompts)

    return run_virtual(work())


def call(name: str, /, id: str = "", **arguments: Any) -> ToolCall:
    return ToolCall(id or name, name, json.dumps(arguments))


def calling(*calls: ToolCall, **options: Any) -> Scripted:
    return Scripted(calls=calls, **options)


FIND, AWAIT = call("find", name="Rose"), call("await_future", futures=["f1"])
FOUND = '{"name": "Rose", "phone": "555-4"}'
RUNNING = '{"future": "f1", "status": "running"}'


def test_a_call_is_answered_by_a_future_and_the_model_may_wait_for_it() -> None:
    ran = called(calling(FIND), calling(AWAIT), "555-4")
    assert (ran.result.answer, ran.result.status) == ("555-4", "complete")
    assert ran.told(2)[1:] == [Message("tool", RUNNING, call_id="find")]
    assert ran.told(3)[1:] == [Message("tool", f"f1: {FOUND}", call_id="await_future")]
    assert ran.result.seconds == pytest.approx(0.95)
    assert {spec.name for spec in ran.prompts[0].tools} == {"find", "slow", "echo", "note", "fail", "await_future"}


def test_later_calls_take_futures_in_the_same_message_and_in_others() -> None:
    echo = call("echo", text="call ${f1.phone} or $f1 for $5 and $$f1")
    ran = called(calling(FIND, call("echo", "e", text="$f1.phone")), calling(echo), "I wait", "done", trap="all")
    assert ran.result.tasks[2].outcome == Succeeded("555-4")
    assert ran.result.tasks[3].outcome == Succeeded('call 555-4 or {"name":"Rose","phone":"555-4"} for $5 and $f1')
    assert ran.result.tasks[2].started == ran.result.tasks[1].ended
    assert ran.told(4)[-1].role == "user"
    assert ran.told(4)[-1].text.splitlines()[:2] == [f"f1: {FOUND}", 'f2: "555-4"']


def test_a_message_without_calls_waits_for_any_or_all_that_is_pending() -> None:
    both = calling(FIND, call("slow"))
    ran = called(both, "I wait", "and wait", "done")
    assert [ran.told(3)[-1].text, ran.told(4)[-1].text] == [f"f1: {FOUND}", 'f2: "slept"']
    ran = called(both, "I wait", "done", trap="all")
    assert ran.told(3)[-1].text == f'f1: {FOUND}\nf2: "slept"'


def test_a_result_that_is_there_at_the_end_of_the_message_answers_its_call() -> None:
    ran = called(calling(FIND, call("echo", text="x" * 40), per_chunk=0.2), "done")
    assert ran.told(2)[1] == Message("tool", FOUND, call_id="find")


def test_results_of_earlier_calls_are_told_with_the_next_turn() -> None:
    ran = called(calling(FIND), calling(call("slow", seconds=0.1), first_token=2.0), "I wait", "done")
    assert ran.told(3)[-1] == Message("user", f"f1: {FOUND}")


def test_writes_wait_for_the_whole_message() -> None:
    ran = called(calling(call("note", text="x"), call("echo", text="y" * 30), per_chunk=0.5), "I wait", "done")
    assert ran.result.tasks[1].started == pytest.approx(ran.result.tasks[2].planned + 0.5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"name": ', "no JSON object"),
        ('{"nam": "x"}', "find has no argument 'nam'"),
        ('{"name": "$f1.__class__"}', "private name"),
    ],
)
def test_a_wrong_call_comes_back_with_what_is_wrong(arguments: str, said: str) -> None:
    ran = called(calling(FIND, ToolCall("b", "find", arguments)), "I wait", "done", trap="all")
    assert isinstance(ran.result.tasks[2].outcome, Failed)
    assert any(said in message.text for prompt in ran.prompts for message in prompt.messages)


def test_what_needs_a_failed_call_is_skipped_by_its_future() -> None:
    ran = called(calling(call("fail"), call("echo", text="$f1")), "done")
    assert ran.result.tasks[2].outcome == Skipped(1)
    assert ran.told(2)[-1].text == "skipped: it needs f1, which gave no value"


def test_waiting_for_nothing_is_told_and_ends_the_run_the_third_time() -> None:
    ran = called(calling(AWAIT), "done")
    assert "none of these is pending" in ran.told(2)[-1].text
    assert isinstance(called(calling(AWAIT), calling(AWAIT), calling(AWAIT)).failure, NoProgress)


def test_a_reply_that_is_cut_is_as_far_as_it_came_a_partial_answer() -> None:
    ran = called(Scripted(text="It is 555-4 and", finish="length"))
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("It is 555-4 and", "partial", "cut")


def test_an_empty_reply_is_asked_for_an_answer_once() -> None:
    echoed = calling(call("echo", text="x"), per_chunk=0.1)
    ran = called(echoed, "", "done")
    assert ran.result.answer == "done"
    assert ran.told(3)[-1].text == '@runtime: "your reply was empty: call a tool, or reply with the answer"'
    assert isinstance(called(echoed, "", "").failure, JoinError)


@pytest.mark.parametrize("arguments", ['{"futures": ["f1"', '{"futures": "$f1"}', '{"ids": ["${f1.phone}"]}', "f1, f9"])
def test_futures_are_awaited_however_they_are_named(arguments: str) -> None:
    ran = called(calling(FIND, ToolCall("w", "await_future", arguments)), "done")
    assert ran.told(2)[2].text.splitlines()[0] == f"f1: {FOUND}"


def test_what_is_awaited_stands_as_whole_json_in_the_transcript() -> None:
    ran = called(calling(FIND, ToolCall("w", "await_future", '{"futures": ["f1"')), "done")
    assert [each.arguments for each in ran.told(2)[0].calls] == ['{"name":"Rose"}', '{"futures": ["f1"]}']


def test_awaiting_what_is_not_there_says_what_is() -> None:
    ran = called(calling(FIND, call("await_future", futures=["f1", "f9"])), "done")
    assert ran.told(2)[2].text.splitlines()[1:] == ["f9: there is no such call so far"]
    ran = called(calling(FIND, call("await_future", futures=["f9"])), "I wait", "done")
    assert "none of these is pending, f1 is" in ran.told(2)[2].text


@pytest.mark.parametrize("arguments", ["{", '{"futures": []}', '{"futures": ["f1"]}'])
def test_awaiting_nothing_again_and_again_ends_the_run(arguments: str) -> None:
    waits = calling(ToolCall("", "await_future", arguments))
    assert isinstance(called(waits, waits, waits).failure, NoProgress)


def test_a_call_that_is_refused_again_and_again_ends_the_run_with_the_reason() -> None:
    ran = called(*[calling(call("fnd", name="Rose"))] * 4)
    assert isinstance(ran.failure, NoProgress)
    assert "a call that is refused again and again: there is no tool 'fnd' (did you mean find?)" in str(ran.failure)


def test_a_read_whose_result_was_told_is_not_made_for_ever() -> None:
    ran = called(*[calling(FIND, first_token=1.0)] * 5, "best")  # the result is told after the second
    assert (ran.result.answer, ran.result.stopped_by) == ("best", "no_progress")
    assert 'the same call again and again: find(name="Rose")' in ran.prompts[-1].messages[-1].text


def test_a_read_that_runs_may_be_made_again_meanwhile() -> None:
    ran = called(*[calling(call("slow"), first_token=0.3)] * 7, calling(AWAIT), "done")
    assert (ran.result.answer, len(ran.result.tasks)) == ("done", 7)


@pytest.mark.parametrize("text", ["$f2", "$f2.phone", "see ${f2.phone}", "see $f2"])
def test_a_future_that_is_not_there_yet_is_an_error_and_no_text(text: str) -> None:
    ran = called(calling(call("echo", "a", text=text), call("echo", "b", text="x"), per_chunk=0.1), "done")
    assert ran.told(2)[1].text.startswith("not run: \"there is no call 'f2' so far (as mere text it is written $$f2)")


def test_a_future_as_mere_text_is_written_with_two_dollars() -> None:
    ran = called(calling(call("echo", text="$$f9 and $$f1"), per_chunk=0.1), "done")
    assert ran.told(2)[1].text == '"$f9 and $f1"'


def test_a_stream_that_breaks_off_leaves_the_best_answer() -> None:
    ran = called(
        calling(FIND, call("note", text="x"), error=ModelUnavailable("gone")), "as good as it gets", retries=None
    )
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("as good as it gets", "partial", "cut")
    assert isinstance(ran.result.tasks[2].outcome, Failed)
    assert isinstance(called(Scripted(text="x", error=ModelUnavailable("gone"))).failure, ModelUnavailable)


def test_a_session_can_be_interrupted_and_hears_it_at_the_next_turn() -> None:
    async def work() -> tuple[RunResult, list[Prompt]]:
        with ScriptedModel([calling(FIND), calling(AWAIT), "I see", "555-4"]) as model:
            async with AsyncLM(model, TOOLS, engine="futures").session(QUESTION) as session:
                await asyncio.sleep(0.5)
                await session.interrupt("Be quick.")
                result = await session.result()
        return result, model.prompts

    result, prompts = run_virtual(work())
    assert result.answer == "555-4"
    assert [message.text for message in prompts[2].messages[-2:]] == [
        "a message has come first",
        '@user: "Be quick."',
    ]
    assert prompts[3].messages[-1].text == f"f1: {FOUND}"


def test_a_tool_may_not_have_the_name_of_ours() -> None:
    @tool(name="await_future")
    async def mine() -> str:
        return ""

    with pytest.raises(UsageError, match="await_future"):
        AsyncLM(ScriptedModel([]), [mine], engine="futures")
