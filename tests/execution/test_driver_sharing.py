"""Only succeeded reads are shared, within a round and between rounds; each user gets a copy of its own."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tenacity import wait_fixed

from llmcompiler import Failed, Limits, RunResult, Succeeded, tool
from llmcompiler.journal.events import TaskEnded, TaskStarted
from llmcompiler.testing import run_virtual
from llmcompiler.toolkit.tool import Tool
from tests.execution import rogues
from tests.execution.running import FINISH, in_tier, scripted

REPLAN = "Thought: no.\nAction: Replan(more)"


class Source:
    """A tool that counts its calls; the first `failures` fail."""

    def __init__(self, *, seconds: float = 1, failures: int = 0) -> None:
        self.calls: list[object] = []
        self._seconds, self._failures = seconds, failures

    def tool(self, **options: Any) -> Tool[..., Any]:
        async def look(query: Any = "", more: Any = None) -> dict[str, Any]:
            self.calls.append(query)
            await asyncio.sleep(self._seconds)
            if len(self.calls) <= self._failures:
                raise ConnectionError("broken")
            return {"query": query, "list": [1]}

        return tool(**{"effect": "read", **options})(look)


def run(
    source: Source, *plans: str, answers: tuple[str, ...] = (FINISH,), limits: Limits | None = None, **options: Any
) -> RunResult:
    tools = [source.tool(**options), in_tier(rogues.echo, "loop")]
    return run_virtual(scripted(*plans, answers=answers, tools=tools, limits=limits).arun("q"))


def test_an_identical_read_that_has_succeeded_is_served_from_it() -> None:
    source = Source()
    result = run(source, '1. look("a")\n2. look(query="a", more=$1)\n3. look("b")\n4. join()')
    assert source.calls == ["a", "b", "a"], "these differ"
    source = Source()
    result = run(source, '1. look("a")\n2. echo("$1")\n3. look("${2.query}")\n4. join()')
    assert source.calls == ["a"]
    assert (result.tasks[3].outcome, result.tasks[3].reused_from) == (result.tasks[1].outcome, 1)
    assert (result.tasks[3].attempts, result.tasks[3].started, result.tasks[3].ended) == (0, None, 1)


def test_an_identical_read_that_is_running_is_waited_for() -> None:
    source = Source()
    result = run(source, '1. look("a")\n2. look("a")\n3. look(query="a")\n4. join()')
    assert source.calls == ["a"]
    assert [record.reused_from for record in result.tasks.values()] == [None, 1, 1]
    assert {record.ended for record in result.tasks.values()} == {1}
    assert [event.id for event in result.events if isinstance(event, TaskStarted)] == [1]
    ended = [event for event in result.events if isinstance(event, TaskEnded)]
    assert [(event.id, event.attempts, event.reused_from) for event in ended] == [(1, 1, None), (2, 0, 1), (3, 0, 1)]


def test_a_task_that_waits_for_an_identical_read_holds_no_slot() -> None:
    source = Source(seconds=5)
    result = run(source, '1. look("a")\n2. look("a")\n3. look("b")\n4. join()', limits=Limits(parallel_tasks=2))
    assert result.tasks[3].started == 0


def test_reads_are_shared_between_rounds() -> None:
    source = Source()
    plans = '1. look("a")\n2. join()', '3. look("a")\n4. look("b")\n5. join()'
    result = run(source, *plans, answers=(REPLAN, FINISH))
    assert source.calls == ["a", "b"]
    assert [record.reused_from for record in result.tasks.values()] == [None, 1, None]
    assert result.status == "complete"


@pytest.mark.parametrize("effect", ["undeclared", "idempotent", "write"])
def test_nothing_else_is_shared(effect: str) -> None:
    source = Source()
    plans = '1. look("a")\n2. look("a")\n3. join()', '4. look("a")\n5. look("b")\n6. join()'
    result = run(source, *plans, answers=(REPLAN, FINISH), effect=effect)
    assert sorted(source.calls) == ["a", "a", "a", "b"]
    assert {record.reused_from for record in result.tasks.values()} == {None}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", "true"),
        ("1", '"1"'),
        ("null", '"null"'),
        ("[1, 2]", "[2, 1]"),
        ('"a"', '"A"'),
        ('""', "null"),
    ],
)
def test_calls_that_differ_at_all_are_not_shared(one: str, other: str) -> None:
    source = Source()
    run(source, f"1. look({one})\n2. look({other})\n3. join()")
    assert len(source.calls) == 2


def test_the_order_of_keys_is_no_difference() -> None:
    source = Source()
    run(source, '1. look({"a": 1, "b": 2}, more=1)\n2. look(more=1, query={"b": 2, "a": 1})\n3. join()')
    assert len(source.calls) == 1


def test_a_failed_leader_serves_nobody() -> None:
    source = Source(failures=1)
    result = run(source, '1. look("a")\n2. look("a")\n3. look("a")\n4. join()')
    assert source.calls == ["a", "a"], "the first to follow leads the other"
    assert isinstance(result.tasks[1].outcome, Failed)
    assert [result.tasks[id].reused_from for id in (2, 3)] == [None, 2]
    assert [result.tasks[id].ended for id in (1, 2, 3)] == [1, 2, 2]


def test_all_may_fail() -> None:
    source = Source(failures=3)
    result = run(source, '1. look("a")\n2. look("a")\n3. look("a")\n4. join()')
    assert len(source.calls) == 3
    assert {type(record.outcome) for record in result.tasks.values()} == {Failed}
    assert {record.attempts for record in result.tasks.values()} == {1}


def test_a_leader_that_is_late_serves_nobody() -> None:
    source = Source(seconds=10)
    result = run(source, '1. look("a")\n2. look("a")\n3. join()', timeout=4)
    assert [result.tasks[id].ended for id in (1, 2)] == [4, 8]


def test_a_failed_read_of_an_earlier_round_is_made_again() -> None:
    source = Source(failures=1)
    plans = '1. look("a")\n2. join()', '3. look("a")\n4. echo("new")\n5. join()'
    result = run(source, *plans, answers=(REPLAN, FINISH))
    assert source.calls == ["a", "a"]
    assert isinstance(result.tasks[3].outcome, Succeeded)
    assert result.tasks[3].reused_from is None


def test_followers_wait_while_their_leader_tries_again() -> None:
    source = Source(failures=1)
    result = run(source, '1. look("a")\n2. look("a")\n3. join()', retries=1, wait=wait_fixed(10))
    assert len(source.calls) == 2
    assert [record.ended for record in result.tasks.values()] == [12, 12]
    assert result.tasks[2].reused_from == 1


def test_followers_wait_while_their_leader_waits_for_its_tool() -> None:
    source = Source()
    result = run(source, '1. look("a")\n2. look("b")\n3. look("b")\n4. join()', concurrency=1)
    assert source.calls == ["a", "b"]
    assert [record.ended for record in result.tasks.values()] == [1, 2, 2]


def test_followers_of_a_leader_that_a_limit_stops_end_with_the_run() -> None:
    source = Source(seconds=100)
    result = run(source, '1. echo("x")\n2. look("a")\n3. look("a")\n4. join()', limits=Limits(seconds=5))
    assert result.seconds == 5
    assert len(source.calls) == 1


def test_a_dependant_of_a_follower_goes_on_at_once() -> None:
    source = Source()
    result = run(source, '1. look("a")\n2. look("a")\n3. echo("${2.query}")\n4. join()')
    assert (result.tasks[3].outcome, result.tasks[3].ended) == (Succeeded("a"), 1)


@pytest.mark.parametrize("change", [lambda value: value["list"].append(2), lambda value: value.clear()])
def test_a_shared_value_is_a_copy_for_each(change: Callable[[dict[str, Any]], None]) -> None:
    source = Source()

    @tool
    async def spoils(value: dict[str, Any]) -> None:
        change(value)

    tools = [source.tool(), spoils, in_tier(rogues.echo, "loop")]
    plan = '1. look("a")\n2. spoils($1)\n3. look("a")\n4. spoils($3)\n5. echo([$1, $3, $2, $4])\n6. join()'
    result = run_virtual(scripted(plan, tools=tools).arun("q"))
    whole = {"query": "a", "list": [1]}
    assert result.tasks[5].outcome == Succeeded([whole, whole, None, None])
    assert result.tasks[1].outcome == result.tasks[3].outcome == Succeeded(whole)
