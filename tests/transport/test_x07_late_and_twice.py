"""X07: a reply that comes in one piece at its end is a reply like any other; and there is one retry layer, which is ours."""

import asyncio

import pytest
from tenacity import wait_none

from llmcompiler import ModelRetries, RunFailed
from llmcompiler.errors import ModelError
from llmcompiler.testing.server import LoopbackServer, Reply, Status
from tests.transport.serving import ANSWER, World, ask, model_at

PLAN = 'Thought: both.\n1. look("a")\n2. look("b")\n3. save("$1$2")\n4. join()'


@pytest.mark.parametrize("chunks", [[PLAN], ["", "", PLAN], [PLAN, ""]])
def test_X07a_a_plan_that_comes_whole_at_the_end_runs_as_any_other(chunks: list[str]) -> None:
    world = World()
    with LoopbackServer([Reply(chunks=chunks), Reply(chunks=[ANSWER])]) as server:
        result = asyncio.run(world.agent(server).arun("q"))
        server.assert_consumed()
    assert (result.answer, result.status) == ("8849 m", "complete")
    assert sorted(world.looked) == ["a", "b"]
    assert world.saved == ["AB"]
    assert result.tasks[1].started == pytest.approx(result.tasks[2].started, abs=1.0), "side by side, though not early"


@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize("code", [429, 500, 503])
def test_X07b_each_attempt_is_one_request(retries: int, code: int) -> None:
    """The SDK would try twice more by itself, each time."""
    with LoopbackServer(lambda request: Reply(fault=Status(code))) as server:
        with pytest.raises(ModelError):
            asyncio.run(ask(model_at(server), retries=ModelRetries(retries=retries, wait=wait_none())))
        assert len(server.requests) == 1 + retries


def test_X07b_so_it_is_in_a_run() -> None:
    with LoopbackServer(lambda request: Reply(fault=Status(500))) as server:
        with pytest.raises(RunFailed):
            asyncio.run(World().agent(server).arun("q"))
        assert len(server.requests) == 3
