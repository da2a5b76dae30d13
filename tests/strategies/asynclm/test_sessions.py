"""AsyncLM: calls run while the model writes, results come into its text, and what the paper leaves open."""

import asyncio
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from llmcompiler import AsyncLM, Failed, Limits, RunFailed, Skipped, Succeeded, UsageError
from llmcompiler.errors import JoinError, NoProgress, SessionEnded
from llmcompiler.joiner import Finish
from llmcompiler.journal.events import (
    AnswerText,
    JoinDecided,
    PlanClosed,
    PlanStarted,
    PlanText,
    TaskRejected,
    TextInjected,
)
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.rules import Spent
from llmcompiler.testing import run_virtual
from llmcompiler.testing.engines import ScriptedEngine
from tests.strategies.asynclm.sessions import QUESTION, TOOLS, TRAP, Held, held

FLORIST = '[CALL] florist [HEAD] find("Rose") [END]\n'
FOUND = '{"name": "Rose", "phone": "555-4"}'
ANSWER = "Answer: 555-4"


def test_a_result_comes_into_the_text_after_a_trap() -> None:
    session = held(FLORIST + TRAP + ANSWER)
    assert (session.result.answer, session.result.status) == ("555-4", "complete")
    assert session.injected == [f"[INTR] florist [HEAD] {FOUND} [END]"]
    assert session.outcome(1) == Succeeded({"name": "Rose", "phone": "555-4"})


def test_what_is_put_in_is_an_event_with_the_time_that_the_model_waited_for_it() -> None:
    session = held([FLORIST + "[CALL] s [HEAD] slow() [END]", *(["hm "] * 12), "\n" + TRAP, ANSWER], per_token=0.1)
    told = session.kept(TextInjected)
    assert [event.text for event in told] == session.generation.injected
    assert [event.waited > 0 for event in told] == [False, True]
    assert sum(event.waited for event in told) < session.result.seconds


def test_a_result_comes_while_the_model_goes_on_writing() -> None:
    words = ["word "] * 30
    session = held([FLORIST, *words, "\n", ANSWER])
    text = session.generation.text
    began = text.index("[INTR]")
    assert text[:began] == FLORIST + "word " * 10 + "\n"
    assert session.result.seconds == pytest.approx(3.3)


def test_nothing_is_put_into_a_call_or_a_thought() -> None:
    thought = ["<think>", *["hm "] * 20, "</think>"]
    other = ["[CALL] o [HEAD] ", *[" "] * 20, 'echo("x") [END]']
    text = held([FLORIST, *thought, ANSWER]).generation.text
    assert text.index("[INTR]") == text.index("</think>") + len("</think>\n")
    text = held([FLORIST, *other, TRAP, ANSWER]).generation.text
    assert text.index("[INTR]") > text.index('echo("x") [END]')


def test_refs_chain_calls_without_the_model() -> None:
    chained = '[CALL] e [HEAD] echo("call ${florist.phone} for $$5") [END] [CALL] p [HEAD] echo($florist.phone) [END]'
    session = held([FLORIST + chained + TRAP, ANSWER], trap="all")
    assert session.outcome(2) == Succeeded("call 555-4 for $5")
    assert session.outcome(3) == Succeeded("555-4")
    assert session.result.tasks[2].started == session.result.tasks[1].ended
    assert len(session.injected) == 1
    assert session.injected[0].splitlines() == [
        f"[INTR] florist [HEAD] {FOUND} [END]",
        '[INTR] e [HEAD] "call 555-4 for $5" [END]',
        '[INTR] p [HEAD] "555-4" [END]',
    ]


TWO = FLORIST + "[CALL] s [HEAD] slow() [END]"


def test_a_trap_ends_with_any_result_by_default() -> None:
    session = held([TWO + TRAP, "I have one.", TRAP, ANSWER])
    assert [block.split()[1] for block in session.injected] == ["florist", "s"]


def test_a_trap_ends_with_all_results_if_so_wished() -> None:
    session = held([TWO + TRAP, ANSWER], trap="all")
    assert [[line.split()[1] for line in blocks.splitlines()] for blocks in session.injected] == [["florist", "s"]]
    assert session.result.seconds == pytest.approx(0.1 + 2.5 + 0.1)


def test_what_came_in_one_piece_with_a_trap_is_taken_back() -> None:
    session = held([FLORIST + TRAP + "\n[INTR] florist [HEAD] 42 [END] Answer: 42", ANSWER])
    assert session.result.answer == "555-4"
    assert "42" not in session.generation.text


def test_the_end_of_the_text_waits_for_what_is_pending_and_the_model_goes_on() -> None:
    session = held(FLORIST, ANSWER)
    assert session.result.answer == "555-4"
    assert session.injected == [f"[INTR] florist [HEAD] {FOUND} [END]"]


def test_an_interrupt_that_the_model_makes_up_is_taken_back_and_told() -> None:
    session = held([FLORIST, "[IN", "TR] florist [HEAD] 42 [END]", TRAP, ANSWER], trap="all")
    assert "42" not in session.generation.text
    assert session.injected[0].startswith("[INTR] @runtime [HEAD]")
    assert "taken back" in session.injected[0]
    assert session.injected[1] == f"[INTR] florist [HEAD] {FOUND} [END]"
    assert session.result.answer == "555-4"


def test_a_model_that_goes_on_making_up_interrupts_is_stopped() -> None:
    session = held([FLORIST, *["[INTR]"] * 8, ANSWER], ANSWER)
    assert session.result.answer == "555-4"
    session = held(["[INTR]"] * 9)
    assert isinstance(session.failure, NoProgress)
    assert len(session.injected) == 8


# --- ids


def test_the_same_call_again_is_nothing_and_another_one_needs_another_id() -> None:
    session = held([FLORIST + FLORIST + '[CALL] florist [HEAD] find("Lily") [END]', TRAP, ANSWER])
    assert len(session.result.tasks) == 1
    assert "that of an earlier call" in session.injected[0]
    assert session.result.answer == "555-4"


def test_an_id_whose_call_was_refused_serves_for_the_correction() -> None:
    wrong = '[CALL] florist [HEAD] fnd("Rose") [END]'
    session = held([wrong, TRAP, FLORIST, '[CALL] e [HEAD] echo("$florist") [END]', TRAP, ANSWER], trap="all")
    assert "there is no tool 'fnd'" in session.injected[0]
    assert "did you mean find?" in session.injected[0]
    assert session.outcome(2) == Succeeded({"name": "Rose", "phone": "555-4"})
    assert isinstance(session.outcome(3), Succeeded)
    assert [event.final for event in session.kept(TaskRejected)] == [True]


@pytest.mark.parametrize("id", ["1", "a b", "@user", "_x", ""])
def test_an_id_is_a_name(id: str) -> None:
    session = held(f"[CALL] {id} [HEAD] slow() [END]", ANSWER)
    assert dict(session.result.tasks) == {}
    assert "is no name" in session.injected[0]


def test_of_calls_without_an_id_only_failures_are_told_and_the_run_waits_for_them() -> None:
    session = held('[CALL] echo("x") [END]\n' + ANSWER)
    assert session.injected == []
    assert session.outcome(1) == Succeeded("x")
    session = held(["[CALL] fail() [END]\nAnswer: one"], "Answer: two")
    assert session.injected == ['[INTR] _1 [HEAD] failed: "ValueError: broken" [END]']
    assert session.result.answer == "two"


# --- wrong calls


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param("find()", "find needs the argument 'name'", id="missing argument"),
        pytest.param('find("x", nam="y")', "find has no argument 'nam'", id="unknown argument"),
        pytest.param('find("x", seconds="long")', "seconds", id="wrong type"),
        pytest.param("find($nobody)", "there is no call 'nobody' so far (as mere text", id="unknown ref"),
        pytest.param('find("x ${nobody.name}")', "no call 'nobody' so far", id="unknown ref in a text"),
        pytest.param("find($a)", "there is no call 'a' so far", id="its own result"),
        pytest.param('find("x") find("y")', "expected the end of the call", id="two calls"),
        pytest.param("find(1 + 2)", "computation", id="computation"),
        pytest.param("hello there", "a call is written tool(arguments)", id="no call"),
        pytest.param('find("x"', "expected", id="no bracket"),
    ],
)
def test_a_wrong_call_comes_back_with_what_is_wrong(body: str, said: str) -> None:
    session = held(f"[CALL] a [HEAD] {body} [END]", ANSWER)
    assert session.injected[0].startswith('[INTR] a [HEAD] not run: "')
    assert said in session.injected[0]
    assert isinstance(session.outcome(1), Failed)


def test_dollars_before_what_is_no_name_of_a_call_are_text() -> None:
    session = held('[CALL] e [HEAD] echo("$5, $HOME, $${HOME}, ${1 + 1}") [END]', ANSWER)
    assert session.outcome(1) == Succeeded("$5, $HOME, ${HOME}, ${1 + 1}")


def test_an_end_in_a_string_is_an_error_that_says_how_to_write_it() -> None:
    better = '[CALL] b [HEAD] echo("x \\u005bEND] y") [END]'
    session = held(['[CALL] a [HEAD] echo("x [END] y") [END]\n', better], ANSWER)
    assert "in a string \\u005bEND] is written \\\\u005bEND]" in session.injected[0]
    assert session.outcome(2) == Succeeded("x [END] y")


def test_an_open_call_at_the_end_is_told() -> None:
    session = held('[CALL] a [HEAD] find("x', ANSWER)
    assert "was not closed" in session.injected[0]


def test_what_fails_is_told_and_what_needs_it_is_skipped_by_name() -> None:
    session = held('[CALL] a [HEAD] fail() [END][CALL] b [HEAD] echo("$a") [END]' + TRAP + ANSWER, trap="all")
    assert session.injected[0].splitlines() == [
        '[INTR] a [HEAD] failed: "ValueError: broken" [END]',
        "[INTR] b [HEAD] skipped: it needs a, which gave no value [END]",
    ]
    assert session.outcome(2) == Skipped(1)


def test_a_field_that_is_not_there_is_told_by_the_names_of_calls() -> None:
    session = held(FLORIST + "[CALL] e [HEAD] echo($florist.fax) [END]" + TRAP + ANSWER, trap="all")
    assert "$florist is an object with the keys" in session.injected[0]


# --- effects


def test_writes_wait_for_a_trap_or_the_end_of_the_text() -> None:
    at_trap = held(['[CALL] n [HEAD] note("x") [END]', *["word "] * 9, TRAP, ANSWER])
    assert at_trap.result.tasks[1].started == pytest.approx(1.1)
    at_end = held(['[CALL] note("x") [END]', *["word "] * 9, f"\n{ANSWER}"])
    assert at_end.result.tasks[1].started == pytest.approx(1.1)


def test_writes_begin_at_once_if_so_wished() -> None:
    session = held(['[CALL] n [HEAD] note("x") [END]', *["word "] * 9, TRAP, ANSWER], hold_writes="no")
    assert session.result.tasks[1].started == pytest.approx(0.1)


# --- ends


def test_a_text_without_an_answer_is_asked_for_one_once() -> None:
    session = held(FLORIST + TRAP, ANSWER)
    assert session.result.answer == "555-4"
    assert "the answer is missing" in session.injected[1]
    assert isinstance(held("", "").failure, JoinError)


def test_an_answer_that_results_overtake_is_asked_for_anew() -> None:
    session = held([FLORIST, "Answer: not yet"], "It is 555-4.", ANSWER)
    assert (session.result.answer, len(session.injected)) == ("555-4", 2)
    assert "the answer is missing" in session.injected[1]
    session = held([FLORIST, "Answer: 555-4"], "As I said.", "Indeed.")
    assert session.result.answer == "555-4"


def test_an_answer_into_which_a_result_comes_is_whole() -> None:
    session = held([FLORIST, "Answer: call", *[" now"] * 12, "\n555-4"])
    assert (len(session.injected), session.result.answer) == (1, f"call{' now' * 12}\n555-4")


def test_without_its_mark_the_answer_is_the_last_stretch_of_text() -> None:
    assert held("Let me see. " + FLORIST + TRAP + "Call 555-4.").result.answer == "Call 555-4."


def test_a_limit_of_tasks_gives_the_best_answer() -> None:
    calls = "".join(f'[CALL] c{n} [HEAD] echo("{n}") [END]' for n in range(3))
    session = held([calls], "Answer: as good as it gets", limits=Limits(tasks=2), per_token=0.0)
    assert (session.result.answer, session.result.stopped_by) == ("as good as it gets", "tasks")
    told = session.engine.prompts[1].messages[1].text
    assert '1. echo(text="0")\n   -> "0"' in told
    assert "the run has reached Limits(tasks=2)" in told


def test_a_limit_of_seconds_gives_the_best_answer() -> None:
    session = held([FLORIST, "[CALL] s [HEAD] slow(60) [END]", TRAP, TRAP], "Answer: none", limits=Limits(seconds=5))
    assert (session.result.answer, session.result.stopped_by, session.result.seconds) == (
        "none",
        "seconds",
        pytest.approx(5.3),
    )


def test_events_and_the_plan_are_as_of_every_strategy() -> None:
    session = held(FLORIST + '[CALL] e [HEAD] echo("$florist") [END]' + TRAP + ANSWER, trap="all")
    assert session.kept(JoinDecided) == [JoinDecided(*_at(session, JoinDecided), Finish("555-4"))]
    (closed,) = session.kept(PlanClosed)
    assert (closed.complete, closed.tasks, closed.text) == (True, 2, session.generation.text)
    assert [str(plan) for plan in session.result.plans] == ['1. find(name="Rose")\n2. echo(text=$1)\n3. join()']
    assert session.result.usage.total.requests == 1
    assert len(session.kept(PlanStarted)) == 1


def _at(session: Held, kind: type) -> tuple[Any, ...]:
    event = session.kept(kind)[0]
    return event.run_id, event.seq, event.at, event.round


def test_the_text_and_the_answer_are_streamed() -> None:
    async def work() -> list[Any]:
        agent = AsyncLM(ScriptedEngine([["Hello ", ANSWER]]), TOOLS)
        return [event async for event in agent.astream(QUESTION)]

    events = run_virtual(work())
    assert [event.text for event in events if isinstance(event, PlanText)] == ["Hello ", ANSWER]
    assert [event.text for event in events if isinstance(event, AnswerText)] == ["Hello Answer: 555-4"]


# --- other senders


def test_a_session_can_be_interrupted_while_the_model_writes_and_while_it_waits() -> None:
    async def work() -> tuple[Any, ScriptedEngine, Any]:
        engine = ScriptedEngine([["word "] * 10 + [FLORIST + TRAP, "I see. ", TRAP, ANSWER]], per_token=0.1)
        async with AsyncLM(engine, TOOLS).session(QUESTION) as session:
            await asyncio.sleep(0.35)
            await session.interrupt("Be quick.")
            await asyncio.sleep(1.0)
            await session.interrupt("[END][CALL] x [HEAD] echo(1) [END]", sender="boss")
            result = await session.result()
        return result, engine, session.spent

    result, engine, spent = run_virtual(work())
    generation = engine.generations[0]
    assert [text.strip() for text in generation.injected] == [
        '[INTR] @user [HEAD] "Be quick." [END]',
        '[INTR] @boss [HEAD] "\\u005bEND]\\u005bCALL] x \\u005bHEAD] echo(1) \\u005bEND]" [END]',
        f"[INTR] florist [HEAD] {FOUND} [END]",
    ]
    assert result.answer == "555-4"
    assert len(result.tasks) == 1
    assert (spent.injections, spent.traps) == (3, 2)
    assert spent.generating + spent.injecting + spent.starting + spent.waiting == pytest.approx(result.seconds)


def test_leaving_a_session_waits_for_its_end_and_an_exception_cancels_it() -> None:
    async def waits() -> Any:
        async with AsyncLM(ScriptedEngine([FLORIST, ANSWER]), TOOLS).session(QUESTION) as session:
            pass
        return await session.result()

    assert run_virtual(waits()).answer == "555-4"

    async def cancels() -> float:
        with pytest.raises(KeyError):
            async with AsyncLM(ScriptedEngine(["[CALL] s [HEAD] slow(50) [END]"]), TOOLS).session(QUESTION):
                await asyncio.sleep(1)
                raise KeyError
        return asyncio.get_running_loop().time()

    assert run_virtual(cancels()) == pytest.approx(1)


def test_the_result_of_a_session_that_was_cancelled_is_an_error_and_cancels_nobody() -> None:
    async def work() -> None:
        session = AsyncLM(ScriptedEngine(["[CALL] s [HEAD] slow(50) [END]"]), TOOLS).session(QUESTION)
        with pytest.raises(KeyError):
            async with session:
                waiter = asyncio.create_task(session.result())
                await asyncio.sleep(1)
                raise KeyError
        for asked in (waiter, session.result()):
            with pytest.raises(UsageError, match="left by an exception"):
                await asked

    run_virtual(work())


def test_a_session_without_an_answer_raises_where_it_is_left() -> None:
    async def work() -> None:
        with pytest.raises(RunFailed):
            async with AsyncLM(ScriptedEngine(["", ""]), TOOLS).session(QUESTION):
                pass

    run_virtual(work())


def test_what_a_session_has_spent_is_shown_in_milliseconds() -> None:
    async def work() -> Spent:
        async with AsyncLM(ScriptedEngine([FLORIST + TRAP, ANSWER]), TOOLS).session(QUESTION) as session:
            await session.result()
        return session.spent

    spent = run_virtual(work())
    assert "waiting 0.950 s; injections 2, traps 1, refused 0; " in str(spent)
    assert "_waited" not in repr(spent)


def test_a_session_that_has_ended_cannot_be_interrupted() -> None:
    async def work() -> None:
        agent = AsyncLM(ScriptedEngine([ANSWER]), TOOLS)
        async with agent.session(QUESTION) as session:
            await session.result()
            with pytest.raises(SessionEnded, match=r"has ended: .*await session\.result"):
                await session.interrupt("Too late")
            assert (await session.result()).answer == "555-4"
        with pytest.raises(SessionEnded, match="has ended"):
            await session.interrupt("Too late")
        with pytest.raises(UsageError, match="only a session under way") as refused:
            await agent.session(QUESTION).interrupt("Too early")
        assert not isinstance(refused.value, SessionEnded)
        with pytest.raises(UsageError, match="entered once"):
            await session.__aenter__()
        with pytest.raises(UsageError, match="has not begun"):
            await agent.session(QUESTION).result()

    run_virtual(work())


# --- options


def test_other_delimiters_serve_as_well_and_are_told() -> None:
    marks = Delimiters(call="<|call|>", head="<|head|>", end="<|end|>", interrupt="<|intr|>", trap="<|trap|>")
    text = '<|call|> e <|head|> echo("<x> <|en" ) <|end|> <|trap|><|end|> Answer: yes'
    session = held(text, delimiters=marks)
    assert session.injected == ['<|intr|> e <|head|> "<x> \\u003c|en" <|end|>']
    assert session.result.answer == "yes"
    assert "<|call|> id <|head|> tool(arguments) <|end|>" in session.engine.prompts[0].messages[0].text


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("call", "CALL", "begins with a character"),
        ("call", "[1]", "list in JSON"),
        ("call", '"""', "begins with a character"),
        ("call", "[C", "3 to 32"),
        ("call", "<a b>", "white space"),
        ("head", "[CALL]", "a part of"),
        ("head", "<<[CALL]", "a part of"),
    ],
)
def test_delimiters_that_cannot_be_kept_apart_are_refused(field: str, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Delimiters(**{field: text})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"trap": "none"}, "trap='none' must be one of 'any', 'all'"),
        ({"hold_writes": "yes"}, "hold_writes='yes' must be one of"),
        ({"engine": "chta"}, "did you mean chat"),
        ({"delimiters": {"call": "<<call>>"}}, "must be a Delimiters"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        AsyncLM(ScriptedEngine([]), TOOLS, **options)


def test_a_chat_model_that_cannot_call_tools_writes_its_calls_into_its_text() -> None:
    model = FakeListChatModel(responses=[FLORIST + TRAP, ANSWER])
    result = run_virtual(AsyncLM(model, TOOLS).arun(QUESTION))
    assert (result.answer, len(result.tasks)) == ("555-4", 1)


def test_expected_times_are_told_declared_or_learnt() -> None:
    async def work() -> list[str]:
        engine = ScriptedEngine([FLORIST + TRAP + ANSWER, ANSWER])
        agent = AsyncLM(engine, TOOLS)
        await agent.arun(QUESTION)
        await agent.arun(QUESTION)
        return [prompt.messages[0].text for prompt in engine.prompts]

    first, second = run_virtual(work())
    assert "Expected times: slow 2.5 s." in first
    assert "Expected times: find 0.95 s, slow 2.5 s." in second
