"""The result cache of a read tool: kept with the agent, by resolved call, for a time and up to a size."""

import asyncio
from typing import Any

import pytest

from llmcompiler import Cache, LLMCompiler, RunResult, Succeeded, UsageError, tool
from llmcompiler.testing import run_virtual
from tests.execution.test_driver_concurrency import agent_for

LOOK = '1. look("a")\n2. join()'


def looking(cache: float | Cache, **options: Any) -> tuple[Any, list[str]]:
    """Return a tool with a cache, and the list of what it was really called with."""
    called: list[str] = []

    @tool(effect="read", cache=cache, **options)
    async def look(topic: str) -> dict[str, Any]:
        called.append(topic)
        return {"topic": topic, "found": [1, 2]}

    return look, called


async def runs_with_pauses(agent: LLMCompiler, *pauses: float) -> list[RunResult]:
    results = []
    for pause in pauses:
        await asyncio.sleep(pause)
        results.append(await agent.arun("q"))
    return results


def test_a_fresh_value_serves_an_identical_call_of_a_later_run() -> None:
    look, called = looking(60)
    first, second = run_virtual(runs_with_pauses(agent_for(2, LOOK, [look]), 0, 59))
    assert called == ["a"]
    assert second.tasks[1].outcome == first.tasks[1].outcome == Succeeded({"topic": "a", "found": [1, 2]})
    assert (second.tasks[1].reused_from, second.tasks[1].attempts, second.tasks[1].started) == ("cache", 0, None)
    assert "= cache" in second.timeline()


def test_a_value_is_forgotten_after_its_time() -> None:
    look, called = looking(60)
    run_virtual(runs_with_pauses(agent_for(3, LOOK, [look]), 0, 61, 30))
    assert called == ["a", "a"]


def test_calls_are_told_apart_by_their_resolved_arguments() -> None:
    look, called = looking(60)
    plan = '1. look("a")\n2. look("b")\n3. look("${1.topic}")\n4. join()'
    results = run_virtual(runs_with_pauses(agent_for(2, plan, [look]), 0, 1))
    assert called == ["a", "b"]
    assert [record.reused_from for record in results[1].tasks.values()] == ["cache", "cache", 1]


def test_what_was_used_longest_ago_goes_when_the_cache_is_full() -> None:
    look, called = looking(Cache(60, size=1))
    plan = '1. look("a")\n2. look("b")\n3. join()'
    run_virtual(runs_with_pauses(agent_for(2, plan, [look]), 0, 1))
    assert called == ["a", "b", "a", "b"]


def test_a_failure_is_not_kept() -> None:
    called = []

    @tool(effect="read", cache=60)
    async def look(topic: str) -> str:
        called.append(topic)
        if len(called) == 1:
            raise ConnectionError("not today")
        return "found"

    results = run_virtual(runs_with_pauses(agent_for(2, LOOK, [look]), 0, 1))
    assert results[1].tasks[1].outcome == Succeeded("found")
    assert called == ["a", "a"]


def test_a_value_that_somebody_changed_is_served_as_it_was() -> None:
    look, _ = looking(60)
    agent = agent_for(2, LOOK, [look])

    async def both() -> Any:
        first = await agent.arun("q")
        first.tasks[1].outcome.value["found"].append("mine")  # type: ignore[union-attr]
        return (await agent.arun("q")).tasks[1].outcome

    assert run_virtual(both()) == Succeeded({"topic": "a", "found": [1, 2]})


def test_a_call_that_the_cache_serves_does_not_count_for_the_rate() -> None:
    look, called = looking(60, rate="1/h")
    results = run_virtual(runs_with_pauses(agent_for(3, LOOK, [look]), 0, 1, 1))
    assert called == ["a"]
    assert [result.status for result in results] == ["complete"] * 3


@pytest.mark.parametrize("effect", ["undeclared", "idempotent", "write"])
def test_only_reads_are_cached(effect: str) -> None:
    with pytest.raises(UsageError, match=f"tool look: a cache needs effect read; the effect is {effect}"):

        @tool(effect=effect, cache=60)
        async def look() -> None: ...


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan"), "soon", Cache(0), Cache(1, size=0), True])
def test_what_is_no_cache_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError):

        @tool(effect="read", cache=wrong)
        async def look() -> None: ...
