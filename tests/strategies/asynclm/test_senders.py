"""What others say to a session: whole, once, in their own name, and not lost when the run is stopped."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llmcompiler import AsyncLM, Limits, RunResult, ToolCall, UsageError
from llmcompiler.strategies.asynclm.session import Session
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.engines import ScriptedEngine
from tests.strategies.asynclm.sessions import QUESTION, TOOLS

ANSWER = "Answer: 555-4"
FIND = '[CALL] f [HEAD] find("Rose") [END]\n'
Say = Callable[[Session], Awaitable[None]]


def said(say: Say, model: Any, **options: Any) -> RunResult:
    """Return the result of a session to which something is said as it begins."""

    async def work() -> RunResult:
        async with AsyncLM(model, TOOLS, **options).session(QUESTION) as session:
            await say(session)
            return await session.result()

    return run_virtual(work())


def test_what_is_said_before_the_model_writes_is_in_its_first_request() -> None:
    chat, futures = ScriptedModel([ANSWER]), ScriptedModel([ANSWER])
    said(lambda session: session.interrupt("Be quick."), chat, engine="chat")
    said(lambda session: session.interrupt("Be quick."), futures, engine="futures")
    assert (len(chat.prompts), len(futures.prompts)) == (1, 1)
    assert chat.prompts[0].messages[-1].text == f'{QUESTION}\n\n[INTR] @user [HEAD] "Be quick." [END]'
    assert [message.text for message in futures.prompts[0].messages[1:]] == [QUESTION, '@user: "Be quick."']


def test_a_long_message_is_told_whole() -> None:
    engine = ScriptedEngine([ANSWER])
    said(lambda session: session.interrupt("x" * 50_000), engine)
    assert "x" * 50_000 in engine.generations[0].injected[0]


def test_several_tasks_may_speak_at_once_and_each_is_heard_once() -> None:
    async def say(session: Session) -> None:
        await asyncio.gather(*(session.interrupt(f"m{n}", sender=f"agent{n}") for n in range(9)))

    engine = ScriptedEngine([["word "] * 20 + [ANSWER]], per_token=0.1)
    said(say, engine)
    blocks = "".join(engine.generations[0].injected).split("\n")
    assert [block for block in blocks if block] == [f'[INTR] @agent{n} [HEAD] "m{n}" [END]' for n in range(9)]


def test_nobody_speaks_as_the_runtime_or_without_a_name() -> None:
    async def say(session: Session) -> None:
        for sender in ("runtime", "a b", "", None):
            with pytest.raises(UsageError, match="the sender"):
                await session.interrupt("hm", sender=sender)  # type: ignore[arg-type]

    engine = ScriptedEngine([ANSWER])
    said(say, engine)
    assert engine.generations[0].injected == []


def test_another_thread_is_told_how_to_speak() -> None:
    async def work() -> None:
        async with AsyncLM(ScriptedEngine([ANSWER]), TOOLS).session(QUESTION) as session:
            with pytest.raises(UsageError, match="run_coroutine_threadsafe"):
                await asyncio.to_thread(lambda: asyncio.run(session.interrupt("Be quick.")))

    asyncio.run(work())


@pytest.mark.parametrize("when", [0.0, 2.0, 4.9])
def test_what_was_said_is_part_of_the_question_when_a_run_is_stopped(when: float) -> None:
    async def say(session: Session) -> None:
        await asyncio.sleep(when)
        await session.interrupt("In German.", sender="boss")

    engine = ScriptedEngine([[FIND, *["word "] * 90], ANSWER], per_token=0.1)
    result = said(say, engine, limits=Limits(seconds=5))
    assert result.stopped_by == "seconds"
    assert engine.prompts[-1].messages[1].text.startswith(f'{QUESTION}\n@boss: "In German."\n\nResults:\n1. find')


def test_what_was_said_is_part_of_the_question_when_native_calls_are_stopped() -> None:
    async def say(session: Session) -> None:
        await asyncio.sleep(0.5)
        await session.interrupt("In German.")

    find = Scripted(calls=[ToolCall("1", "find", '{"name": "Rose", "seconds": 0.1}')], per_chunk=0.5)
    with ScriptedModel([find, Scripted(text="It is ", finish="length"), "done"]) as model:
        result = said(say, model, engine="futures")
    assert (result.answer, result.stopped_by) == ("done", "cut")
    assert model.prompts[-1].messages[1].text.startswith(f'{QUESTION}\n@user: "In German."\n\nResults:\n1. find')
