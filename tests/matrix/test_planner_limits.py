"""Planner output, P30 and P31 of reliability.md: over a limit, endless streams, plans that bring nothing new."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest

from llmcompiler import JoinError, Limits, LLMCompiler, Usage, tool
from llmcompiler.errors import LimitReached, NoProgress
from llmcompiler.models.model import Chunk, Prompt
from llmcompiler.testing import Scripted, run_virtual
from llmcompiler.testing.server import LoopbackServer, Reply, Timing
from tests.matrix.helpers import FINISH, Ran, Toolbox, compiled, ran, served

K2 = {"name": "K2", "value": 8611}
REPLAN = "Action: Replan(more)"


@pytest.mark.parametrize("size", [1, 10_000], ids=["streamed", "one chunk"])
@pytest.mark.parametrize("end", ["\n9. join()", ""], ids=["with join", "cut"])
def test_P30a_over_the_limit_of_tasks_reading_stops_and_the_first_ones_count(size, end):
    tools = Toolbox()
    text = '1. wait(1, "a")\n2. send("Ann")\n3. wait(1, "c")\n4. wait(1, "d")\n5. echo([$4])' + end
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    ran = compiled(tools, Scripted(chunks=chunks), FINISH, limits=Limits(tasks=3))
    assert ran.values == {1: "a", 3: "c"}
    assert (set(ran.outcomes), ran.errors[2][0]) == ({1, 2, 3}, "dropped")
    assert [name for name, _ in tools.calls] == ["wait", "wait"]
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "tasks")
    assert "the run has reached Limits(tasks=3)" in ran.text("join")


def test_P30a_exactly_as_many_tasks_as_allowed_are_no_matter():
    ran = compiled(Toolbox(), "1. echo(1)\n2. echo(2)\n3. join()", FINISH, limits=Limits(tasks=2))
    assert (ran.values, ran.result.status) == ({1: 1, 2: 2}, "complete")


def test_P30a_diagnosed_tasks_count_and_a_task_corrected_beyond_the_limit_is_left_out():
    plan = "1. echo(nonsense)\n2. echo(2)\n3. echo(3)\n4. echo(4)\n1. echo([$4])\n5. join()"
    ran = compiled(Toolbox(), plan, FINISH, limits=Limits(tasks=3))
    assert (ran.values, ran.rejected) == ({2: 2, 3: 3}, [1])
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "tasks")


def test_P30a_tasks_of_all_rounds_count():
    ran = compiled(
        Toolbox(), "1. echo(1)\n2. join()", REPLAN, "2. echo(2)\n3. echo(3)\n4. join()", FINISH, limits=Limits(tasks=2)
    )
    assert (ran.values, ran.result.stopped_by) == ({1: 1, 2: 2}, "tasks")


def test_P30a_without_a_success_it_is_a_typed_error():
    ran = compiled(Toolbox(), '1. search("nowhere")\n2. echo(2)\n3. join()', limits=Limits(tasks=1))
    assert isinstance(ran.failure, LimitReached)
    assert (ran.failure.limit, ran.result.stopped_by, ran.result.status) == ("tasks", "tasks", "failed")


def test_P30b_over_the_limit_of_tokens_what_was_read_runs_and_a_best_answer_is_asked_for():
    tools = Toolbox()
    chunks = ["1. echo(1)\n", '2. send("Ann")\n', *["Thought: hm\n"] * 20, "3. join()"]
    ran = compiled(tools, Scripted(chunks=chunks), FINISH, limits=Limits(tokens=10))
    assert (ran.values, tools.of("send")) == ({1: 1}, [])
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "tokens")
    assert "the run has reached Limits(tokens=10)" in ran.text("join")


def test_P30b_tokens_told_by_the_server_count_too():
    plan = Scripted(text='1. search("K2")\n2. join()', usage=Usage(1, 900, 200))
    ran = compiled(Toolbox(), plan, FINISH, limits=Limits(tokens=1000))
    assert (ran.values, ran.result.status, ran.result.stopped_by) == ({1: K2}, "partial", "tokens")


def test_P30b_without_a_success_it_is_a_typed_error():
    ran = compiled(Toolbox(), Scripted(chunks=["Let me think. "] * 50), limits=Limits(tokens=20))
    assert isinstance(ran.failure, LimitReached)
    assert ran.failure.limit == "tokens"


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        pytest.param('"' + "x" * 200_001 + '"', "too_long", id="P30c and P30e line and string"),
        pytest.param("[" * 34 + "]" * 34, "too_deep", id="P30d nesting"),
        pytest.param('{"a": ' * 40 + "1" + "}" * 40, "too_deep", id="P30d dicts"),
        pytest.param("[" * 50_000, "too_deep", id="P30d nesting without end"),
        pytest.param("1" * 401, "bad_literal", id="P30e number"),
    ],
)
def test_P30_a_call_over_a_limit_is_refused_alone(argument, code):
    tools = Toolbox()
    plan = Scripted(chunks=[f"1. echo(1)\n2. echo({argument})\n3. echo([$1])\n4. join()"])
    ran = compiled(tools, plan, "2. echo(2)", FINISH)
    assert ran.codes in ([code], ["unterminated"])
    assert ran.values == {1: 1, 2: 2, 3: [1]}
    assert len(ran.text("repair")) < 2_000, "a repair request shows a cut view of the line"


class Endless:
    """Replies, and then, from the last one on, a reply that never ends; joins have replies of their own if none is endless.

    `closed` counts the endless streams that were closed, `given` their characters.
    """

    def __init__(self, head: str, pieces: Iterable[str], seconds: float = 0.0, before: Sequence[str] = ()) -> None:
        self.head, self.pieces, self.seconds, self.before = head, pieces, seconds, list(before)
        self.closed = self.given = 0

    async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk]:
        if self.before or (prompt.purpose == "joiner" and not self.head.startswith("Action")):
            yield Chunk(self.before.pop(0) if self.before else FINISH)
            return
        try:
            for piece in itertools.chain([self.head], itertools.cycle(self.pieces)):
                self.given += len(piece)
                yield Chunk(piece)
                await asyncio.sleep(self.seconds)
        finally:
            self.closed += 1


def endless(tools: Toolbox, model: Endless, **options) -> Ran:
    return run_virtual(ran(LLMCompiler(model, list(tools), examples=[], **options)))


STREAMS = [
    pytest.param([f"Line {n} of a story that goes on and on.\n" for n in range(50)], id="P30f prose"),
    pytest.param([" na" * 9], id="P30g one token"),
    pytest.param(["\n" * 40], id="P30g newlines"),
    pytest.param(["1" * 40], id="P30g digits"),
]


@pytest.mark.parametrize("pieces", STREAMS)
def test_P30_an_endless_stream_is_stopped_and_closed(pieces):
    model = Endless('1. search("K2")\n2. send("Ann")\n', pieces)
    ran = endless(Toolbox(), model)
    assert ran.values == {1: K2}
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "plan_text")
    assert (model.closed, model.given < 401_000) == (1, True)


@pytest.mark.parametrize(
    "head", ['1. search("K2")\n2. echo("', "1. echo(1)\n2. echo(", '1. echo(1)\n2. echo("""', "1. echo(1)\n2. echo(#"]
)
def test_P30g_an_endless_argument_never_runs(head):
    tools = Toolbox()
    model = Endless(head, ["na " * 9])
    ran = endless(tools, model)
    assert (set(ran.values), model.closed) == ({1}, 1)
    assert ran.rejected == [2]
    assert ran.result.stopped_by == "plan_text"


def test_P30f_an_endless_stream_without_a_plan_is_a_typed_error():
    model = Endless("", ["na "])
    ran = endless(Toolbox(), model)
    assert isinstance(ran.failure, LimitReached)
    assert (ran.failure.limit, model.closed) == ("plan_text", 1)


def test_P30f_an_endless_stream_of_tasks_is_stopped_by_the_limit_of_tasks():
    model = Endless("", [f"{n}. echo({n})\n" for n in range(1, 1000)])
    tools = Toolbox()
    ran = endless(tools, model)
    assert (len(tools.calls), len(ran.values), ran.result.stopped_by, model.closed) == (200, 200, "tasks", 1)


def test_P30f_an_endless_stream_after_the_join_keeps_nobody_waiting():
    model = Endless('1. search("K2")\n2. join()\n', ["more\n"], seconds=0.5)
    ran = endless(Toolbox(), model)
    assert (ran.values, ran.result.status, ran.result.seconds) == ({1: K2}, "complete", 1.0)
    assert model.closed == 1


def test_P30f_a_slow_endless_stream_is_stopped_by_the_deadline_of_the_request():
    model = Endless('1. search("K2")\n', ["\n"], seconds=20.0)
    ran = endless(Toolbox(), model)
    assert (ran.values, ran.result.status, ran.result.stopped_by) == ({1: K2}, "partial", "cut")
    assert (ran.result.seconds, model.closed) == (300.0, 1)


def test_P30f_an_endless_repair_is_stopped_and_read_as_far_as_it_goes():
    model = Endless('1. search("K2")\n', ["more\n" * 20], before=['1. find("K2")\n2. echo(2)\n3. join()'])
    ran = endless(Toolbox(), model)
    assert (ran.values, ran.result.status, model.closed) == ({1: K2, 2: 2}, "complete", 1)


@pytest.mark.parametrize("head", ["Action: Finish(", "Action: Finish(42)\n", "Action: no\n", "Action: Replan("])
def test_P30f_an_endless_joiner_is_stopped_and_asked_once_more(head):
    model = Endless(head, ["na " * 20], before=['1. search("K2")\n2. join()'])
    ran = endless(Toolbox(), model)
    assert (ran.values, model.given < 802_000) == ({1: K2}, True)
    if head.endswith("42)\n"):
        assert (ran.result.answer, model.closed) == ("42", 1)
    else:
        assert (isinstance(ran.failure, JoinError), model.closed) == (True, 2)


def test_P30f_the_server_sees_that_the_endless_stream_was_left():
    text = '1. search("K2")\n' + "na " * 200_000
    reply = Reply(chunks=[text[at : at + 2_000] for at in range(0, len(text), 2_000)], timing=Timing(per_token=0.001))
    with LoopbackServer([reply, FINISH]) as server:
        ran = served(Toolbox(seconds=0), server)
        requests = server.wait_until(lambda requests: requests[0].disconnected_at is not None)
    assert (ran.values, ran.result.stopped_by) == ({1: K2}, "plan_text")
    assert requests[0].finished_at is None
    assert len(requests[0].text) < len(text)


# P31: no progress.

PLAN_A = '1. search("K2")\n2. send("Ann", "${1.value}")\n3. join()'
PLAN_A_AGAIN = '3. search("K2")\n4. send("Ann", "${3.value}")\n5. join()'
SENT = [{"to": "Ann", "text": "8611"}]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "again",
    [
        pytest.param(PLAN_A, id="P31a numbered from 1"),
        pytest.param(PLAN_A_AGAIN, id="P31a numbered on"),
        pytest.param('7. send("Ann", "8611")\n8. join()', id="P31c the same resolved call"),
        pytest.param('7. send("Ann", "${1.value}")\n8. join()', id="P31c by an earlier result"),
        pytest.param('3. search("K2")\n4. join()', id="P31d only what is known"),
        pytest.param(
            '8. search("K2")\n9. search("K2")\n10. send("Ann", "${9.value}")\n11. join()', id="P31d with a copy"
        ),
        pytest.param("join()", id="P31 nothing at all"),
    ],
)
def test_P31_a_plan_that_brings_nothing_new_ends_the_run_and_repeats_no_effect(again, stream):
    tools = Toolbox()
    ran = compiled(tools, PLAN_A, REPLAN, again, FINISH, stream=stream)
    assert tools.calls == [("search", {"query": "K2"}), ("send", SENT[0])], "neither the read nor the write runs twice"
    assert ran.asked == ["plan", "join", "replan", "join"]
    assert (ran.result.answer, ran.result.status, ran.result.stopped_by) == ("done", "partial", "no_progress")
    assert "The work was stopped: " in ran.text("join")
    assert "made before" in ran.text("join")


def test_P31b_plans_that_alternate_are_seen():
    tools = Toolbox()
    plan_b = '5. search("Everest")\n6. send("Ben")\n7. join()'
    script = [PLAN_A, REPLAN, plan_b, REPLAN, PLAN_A, FINISH]
    ran = compiled(tools, *script, limits=Limits(replans=9))
    assert tools.of("send") == [*SENT, {"to": "Ben", "text": ""}]
    assert len(tools.of("search")) == 2
    assert (ran.result.status, ran.result.stopped_by, len(ran.result.plans)) == ("partial", "no_progress", 3)


def test_P31_a_failed_read_may_be_tried_again_and_what_needed_it_runs_then():
    attempts = []
    tools = Toolbox()

    @tool(effect="read")
    async def flaky(name: str) -> str:
        attempts.append(name)
        if len(attempts) == 1:
            raise ConnectionError("try later")
        return name.upper()

    plan = '{}. flaky("a")\n{}. send("${}")\n9. join()'
    ran = compiled([flaky, *tools], plan.format(1, 2, 1), REPLAN, plan.format(3, 4, 3), FINISH)
    assert ran.errors == {1: ("tool", "ConnectionError: try later"), 2: ("skipped", "1")}
    assert (ran.values[3], tools.of("send")) == ("A", [{"to": "A", "text": ""}])
    assert (ran.result.status, ran.result.stopped_by) == ("complete", None)


def test_P31_a_read_that_fails_in_the_same_way_again_is_no_progress():
    tools = Toolbox()
    ran = compiled(
        tools, '1. search("nowhere")\n2. echo(2)\n3. join()', REPLAN, '3. search("nowhere")\n4. join()', FINISH
    )
    assert len(tools.of("search")) == 2
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "no_progress")
    assert "had the same kind of outcome" in ran.text("join")


def test_P31_a_write_that_failed_is_not_repeated_by_the_same_plan():
    sent = []

    @tool(effect="write")
    async def post(text: str) -> None:
        sent.append(text)
        raise TimeoutError("nobody knows whether it was posted")

    ran = compiled(
        [post, *Toolbox()], '1. echo(1)\n2. post("hi")\n3. join()', REPLAN, '3. post("hi")\n4. join()', FINISH
    )
    assert sent == ["hi"]
    assert ran.result.stopped_by == "no_progress"


@pytest.mark.parametrize("stream", [True, False])
def test_P31_the_errors_of_a_further_plan_are_news_to_the_joiner(stream):
    script = ['1. search("K2")\n2. join()', REPLAN, '2. find("Everest")\n3. join()', "I cannot.", FINISH]
    ran = compiled(Toolbox(), *script, stream=stream)
    assert "there is no tool 'find'" in ran.text("join")
    assert (ran.result.status, ran.result.stopped_by) == ("complete", None)


@pytest.mark.parametrize("stream", [True, False])
def test_P31_a_write_beside_an_error_is_not_repeated(stream):
    tools = Toolbox()
    script = [PLAN_A, REPLAN, '4. send("Ann", "8611")\n5. find("x")\n6. join()', "I cannot.", FINISH]
    ran = compiled(tools, *script, stream=stream)
    assert (tools.of("send"), ran.result.stopped_by) == (SENT, "no_progress")


def test_P31_without_any_result_it_is_a_typed_error_with_the_reason():
    ran = compiled(Toolbox(), "join()", REPLAN, "join()")
    assert isinstance(ran.failure, NoProgress)
    assert "every call was made before" in str(ran.failure)
    assert (ran.result.status, ran.result.stopped_by) == ("failed", "no_progress")


def test_P31_something_new_beside_what_is_known_is_progress():
    tools = Toolbox()
    ran = compiled(
        tools, '1. search("K2")\n2. join()', REPLAN, '3. search("K2")\n4. search("Everest")\n5. join()', FINISH
    )
    assert [call["query"] for call in tools.of("search")] == ["K2", "Everest"], "a read that succeeded is shared"
    assert ran.result.tasks[3].reused_from == 1
    assert (ran.values[3], ran.result.status) == (K2, "complete")
