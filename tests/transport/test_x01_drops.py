"""X01, a connection that drops: dispatched tasks keep their results, no effect is repeated, the answer says what it is."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import pytest

from llmcompiler import Failed, ModelRetries, RunFailed, RunResult, Succeeded
from llmcompiler.errors import StreamCut
from llmcompiler.testing.server import Cut, LoopbackServer, Reply, sse
from tests.transport.serving import ANSWER, AT_ONCE, World, ask, desk, is_planner, model_at, raw

LINES = ('1. look("a")\n', '2. look("b")\n', '3. save("$1")\n', "4. join()")
EVENTS = [sse({"choices": [{"delta": {"content": line}}]}) for line in LINES]
TAIL = [sse({"choices": [{"delta": {}, "finish_reason": "stop"}]}), sse("[DONE]")]
PLAN = raw(*EVENTS, *TAIL)
ENDS = [len(b"".join(EVENTS[:count])) for count in range(1, len(EVENTS) + 1)]
SIZE = len(b"".join([*EVENTS, *TAIL]))


class Planner:
    """Answers planner requests by `PLAN`, the next one with a fault."""

    def __init__(self, fault: Cut | None = None) -> None:
        self.fault = fault

    def __call__(self) -> Reply:
        fault, self.fault = self.fault, None
        return PLAN if fault is None else replace(PLAN, fault=(*PLAN.faults, fault))


def requests(server: LoopbackServer, since: int = 0) -> tuple[int, int]:
    """Return how many requests the server saw of planners and of joiners."""
    planners = [is_planner(logged.request) for logged in server.requests[since:]]
    return planners.count(True), planners.count(False)


def check(result: RunResult, world: World, lines: int) -> None:
    """Assert what follows from the first `lines` lines of the plan."""
    is_whole = lines == len(LINES)
    assert (result.status, result.stopped_by) == (("complete", None) if is_whole else ("partial", "cut"))
    assert sorted(world.looked) == ["a", "b"][: min(lines, 2)]
    assert world.saved == (["A"] if is_whole else [])
    outcomes = [record.outcome for record in result.tasks.values()]
    assert outcomes[:2] == [Succeeded("A"), Succeeded("B")][: min(lines, 2)]
    assert len(outcomes) == min(lines, 3)
    if lines == 3:
        assert isinstance(outcomes[2], Failed)
        assert outcomes[2].error.kind == "dropped"
    assert result.plans[0].complete is is_whole


@pytest.mark.parametrize("how", ["close", "reset", "end"])
def test_X01a_drop_before_the_first_byte_is_tried_again(how: Literal["close", "reset", "end"]) -> None:
    fault = Cut(after_bytes=0, how=how)
    with LoopbackServer([Reply("a", fault=fault), Reply("a", fault=fault), "whole"]) as server:
        assert asyncio.run(ask(model_at(server)))[0] == "whole"
        server.assert_consumed()


def test_X01a_a_server_that_always_drops_is_given_up_after_the_last_retry() -> None:
    with LoopbackServer([Reply("a", fault=Cut(after_chunks=0))] * 3) as server:
        with pytest.raises(StreamCut):
            asyncio.run(ask(model_at(server)))
        server.assert_consumed()


def test_X01a_a_run_without_a_single_byte_of_a_plan_fails_with_the_typed_error() -> None:
    retries = ModelRetries(retries=0)
    with LoopbackServer([Reply("a", fault=Cut(after_bytes=0))]) as server:
        with pytest.raises(RunFailed) as failed:
            asyncio.run(World().agent(server, retries=retries).arun("q"))
        server.assert_consumed()
    assert not failed.value.result.tasks
    assert failed.value.result.status == "failed"


def test_X01b_drop_after_every_byte_of_a_plan() -> None:
    planner = Planner()
    with LoopbackServer(desk(planner)) as server:
        asyncio.run(_every_byte(server, planner))


async def _every_byte(server: LoopbackServer, planner: Planner) -> None:
    world = World()
    agent = world.agent(server)
    for cut in range(SIZE + 1):
        world.looked.clear()
        world.saved.clear()
        planner.fault, since = Cut(after_bytes=cut), len(server.requests)
        result = await agent.arun("q")
        lines = sum(end - 1 <= cut for end in ENDS)  # the first line end after the data completes an event
        assert requests(server, since) == ((2, 1) if lines == 0 else (1, 1)), cut  # again only if no text had come
        check(result, world, lines or len(LINES))
        assert ("broke off" in server.requests[-1].request.text) is (0 < lines < len(LINES)), "the joiner was told"


@pytest.mark.parametrize("how", ["close", "end"])
@pytest.mark.parametrize("lines", [1, 2, 3, 4])
def test_X01c_drop_between_steps(lines: int, how: Literal["close", "end"]) -> None:
    world, reply = World(), Reply(chunks=LINES, fault=Cut(after_chunks=lines, how=how))
    with LoopbackServer(desk(lambda: reply)) as server:
        check(asyncio.run(world.agent(server).arun("q")), world, lines)
        assert requests(server) == (1, 1)


def test_X01c_a_reset_loses_at_most_what_was_on_its_way() -> None:
    world, reply = World(), Reply(chunks=LINES, fault=Cut(after_chunks=3, how="reset"))
    with LoopbackServer(desk(lambda: reply)) as server:
        with suppress(RunFailed):  # nothing came, three times
            result = asyncio.run(world.agent(server).arun("q"))
            check(result, world, len(result.plans[0]))
        assert requests(server) in ((1, 1), (2, 1), (3, 1), (3, 0))
    assert world.saved == []
    assert len(world.looked) == len(set(world.looked)) <= 2


def test_X01c_a_finished_write_of_an_earlier_round_is_not_repeated_after_a_drop() -> None:
    plans = iter([PLAN, Reply(chunks=("5. look($3)\n", "6. save($5)\n"), fault=Cut(after_chunks=2))])
    answers = iter(["Thought: no.\nAction: Replan(more)", ANSWER])
    world = World()
    with LoopbackServer(lambda request: next(plans) if is_planner(request) else next(answers)) as server:
        result = asyncio.run(world.agent(server).arun("q"))
        assert requests(server) == (2, 2)
    assert (result.status, result.stopped_by) == ("partial", "cut")
    assert world.saved == ["A"]
    assert world.looked == ["a", "b", "saved"]
    assert isinstance(result.tasks[5].outcome, Succeeded)
    assert isinstance(result.tasks[6].outcome, Failed)


@pytest.mark.parametrize("how", ["close", "end"])
def test_X01d_drop_after_the_end_marker_is_no_fault(how: Literal["close", "end"]) -> None:
    with LoopbackServer([Reply("whole", fault=Cut(after_chunks=99, how=how))]) as server:
        text, chunks = asyncio.run(ask(model_at(server)))
        assert text == "whole"
        assert chunks[-1].usage is not None
        server.assert_consumed()


@pytest.mark.parametrize("kept", [TAIL[:1], TAIL[1:]])
def test_X01d_either_mark_of_the_end_is_enough(kept: list[bytes]) -> None:
    reply = raw(*EVENTS, *kept)
    with LoopbackServer([replace(reply, fault=(*reply.faults, Cut(after_bytes=SIZE)))]) as server:
        assert asyncio.run(ask(model_at(server)))[0] == "".join(LINES)
        server.assert_consumed()


def test_X01d_a_drop_after_the_join_is_of_no_consequence(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    more = Reply(chunks=(*LINES, "\nand so", " on"), fault=Cut(after_chunks=5))
    with LoopbackServer(desk(lambda: more)) as server:
        result = asyncio.run(world.agent(server).arun("q"))
        assert requests(server) == (1, 1)
    check(result, world, len(LINES))
    assert result.usage.by_purpose["planner"].output_tokens is None
    assert not caplog.records, "a task whose error nobody asks for is reported by asyncio"


def test_X01_a_joiner_that_drops_is_tried_again_and_no_task_is() -> None:
    answers = iter([Reply(ANSWER, fault=Cut(after_bytes=0)), ANSWER])
    world = World()
    with LoopbackServer(lambda request: PLAN if is_planner(request) else next(answers)) as server:
        result = asyncio.run(world.agent(server, retries=AT_ONCE).arun("q"))
        assert requests(server) == (1, 2)
    check(result, world, len(LINES))


def test_X01_a_joiner_that_drops_within_its_answer_gives_no_half_answer() -> None:
    world = World()
    with LoopbackServer(desk(lambda: PLAN, Reply(ANSWER, fault=Cut(after_chunks=6)))) as server:
        with pytest.raises(RunFailed) as failed:
            asyncio.run(world.agent(server).arun("q"))
        assert requests(server) == (1, 1)
    assert isinstance(failed.value.__cause__, StreamCut)
    assert failed.value.result.tasks[3].outcome == Succeeded("saved")
    assert world.saved == ["A"]
