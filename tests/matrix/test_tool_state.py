"""Tool outputs, O11, O12 and O14 of reliability.md: what tools change stays theirs, what blocks is elsewhere or named, and
what comes too late or twice is discarded and counted."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from llmcompiler import Failed, Outcome, Succeeded, UsageError, tool
from llmcompiler.execution.executors import Executors
from llmcompiler.execution.watchdog import ALLOWED_SECONDS
from llmcompiler.journal.events import TaskEnded
from llmcompiler.plan.tools import Tier
from tests.execution.running import TIERS, in_tier, outcomes_of, scripted, seconds_until
from tests.execution.tiers import eventually
from tests.matrix import outputs

each_tier = pytest.mark.parametrize("tier", TIERS)


@pytest.fixture(autouse=True)
def as_new():
    rows = [1, 2, 3]
    outputs.SHARED["limits"]["rows"] = rows
    yield
    outputs.SHARED["limits"]["rows"] = rows[:3]
    outputs.KEPT.clear()


# O11


@each_tier
@pytest.mark.parametrize("size", [1, 30_000], ids=["small", "big"])
def test_O11a_a_tool_that_changes_its_arguments_changes_its_own(tier: Tier, size: int) -> None:
    rows = [{"id": id, "tags": ["a"]} for id in range(size)]
    plan = '1. make()\n2. spoils($1)\n3. spoils({"a": [$1, ${1[0]}]})\n4. digest([$1, $2, $3])\n5. join()'

    @tool
    async def make() -> Any:
        return rows

    agent = scripted(plan, tools=[make, *(in_tier(each, tier) for each in (outputs.spoils, outputs.digest))])
    result = asyncio.run(agent.arun("q"))
    agent.close()
    before = outputs.digest(rows)
    assert outputs.digest(result.tasks[1].outcome.value) == before  # type: ignore[union-attr]
    assert result.tasks[4].outcome == Succeeded(outputs.digest([rows, "spoilt", "spoilt"]))
    for id, given in ((2, {"value": rows}), (3, {"value": {"a": [rows, rows[0]]}})):
        assert outputs.digest(result.tasks[id].arguments) == outputs.digest(given), (
            "the record is of what was handed over"
        )


@each_tier
def test_O11b_a_result_that_its_tool_keeps_is_frozen_at_hand_over(tier: Tier) -> None:
    functions = (outputs.gives_what_it_keeps, outputs.changes_what_was_kept, outputs.echo)
    plan = "1. gives_what_it_keeps()\n2. changes_what_was_kept($1)\n3. echo([$2, $1])\n4. join()"
    outcomes = asyncio.run(outcomes_of(plan, [in_tier(each, tier) for each in functions]))
    kept = {"rows": [[1], [2]], "text": "a"}
    assert outcomes[2] == Succeeded(1), "it was changed indeed"
    assert (outcomes[1], outcomes[3]) == (Succeeded(kept), Succeeded([1, kept]))


@pytest.mark.parametrize(
    "rows", [list(range(200_000)), [[id] for id in range(50_000)], {str(id): {"id": id} for id in range(50_000)}]
)
def test_O11b_a_big_result_is_frozen_as_it_was_when_it_was_returned(rows: Any) -> None:
    """It is converted off the loop; the tool, which goes on at once, can neither tear it nor slip anything in."""
    before = outputs.digest(rows)

    @tool
    async def gives() -> Any:
        asyncio.get_running_loop().call_soon(outputs.spoils, rows)
        return rows

    outcomes = asyncio.run(outcomes_of("1. gives()\n2. digest($1)\n3. join()", [gives, outputs.digest]))
    assert outputs.digest(rows) != before
    assert outcomes[2] == Succeeded(before)


@each_tier
def test_O11c_a_change_of_shared_state_is_not_in_results_that_were_handed_over(tier: Tier) -> None:
    functions = (outputs.gives_shared_state, outputs.changes_shared_state, outputs.echo)
    plan = (
        "1. gives_shared_state()\n2. changes_shared_state($1)\n3. gives_shared_state($2)\n4. echo([$1, $3])\n5. join()"
    )
    outcomes = asyncio.run(outcomes_of(plan, [in_tier(each, tier) for each in functions]))
    first, then = {"limits": {"rows": [1, 2, 3]}}, {"limits": {"rows": [1, 2, 3, 3]}}
    assert outcomes[1] == Succeeded(first)
    assert outcomes[3] == Succeeded(then), "what a tool does with its own state is its own matter"
    assert outcomes[4] == Succeeded([first, then])


# O12


@pytest.mark.parametrize("tier", ["thread", "process"])
def test_O12a_a_plain_function_that_blocks_is_off_the_loop(tier: Tier, tmp_path: Path) -> None:
    """It waits for what only the loop can bring: on the loop it would never end."""
    path = tmp_path / "here"

    @tool
    async def comes() -> None:
        path.touch()

    waits = tool(outputs.waits_for) if tier == "thread" else in_tier(outputs.waits_for, tier)
    plan = f"1. waits_for({json.dumps(str(path))})\n2. comes()\n3. join()"
    assert asyncio.run(outcomes_of(plan, [waits, comes]))[1] == Succeeded("came")


def test_O12a_a_plain_function_is_not_let_onto_the_loop() -> None:
    with pytest.raises(UsageError, match="would block the loop"):
        tool(isolate="loop")(outputs.waits_for)


def test_O12b_a_coroutine_that_computes_on_the_loop_is_named_with_its_stack() -> None:
    agent = scripted(f"1. computes({2.2 * ALLOWED_SECONDS})\n2. join()", tools=[outputs.computes])
    result = asyncio.run(agent.arun("q"))
    [blocked] = result.blocked
    assert blocked.tool == "computes"
    assert blocked.stack.splitlines()[-2].endswith("in computes")
    assert result.tasks[1].outcome == Succeeded("done")


def test_O12b_in_a_process_it_blocks_nobody() -> None:
    computes = tool(isolate="process")(outputs.computes)
    agent = scripted(f"1. computes({2.2 * ALLOWED_SECONDS})\n2. join()", tools=[computes])
    result = asyncio.run(agent.arun("q"))
    agent.close()
    assert (result.blocked, result.tasks[1].outcome) == ((), Succeeded("done"))


def test_O12b_a_coroutine_is_not_let_into_a_thread() -> None:
    with pytest.raises(UsageError, match="a coroutine function runs on the loop"):
        tool(isolate="thread")(outputs.computes)


# O14


def test_O14a_on_the_loop_a_value_after_the_end_of_the_run_is_discarded_and_counted() -> None:
    ended = asyncio.Event()

    async def swallows() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
        return "late"

    assert asyncio.run(_abandoned(tool(swallows), {}, ended)) == ([], 1)


async def _abandoned(it: Any, arguments: dict[str, Any], ended: asyncio.Event) -> tuple[list[Outcome], int]:
    executors, told = Executors(), list[Outcome]()
    call = executors.start(it, arguments, told.append)
    await asyncio.sleep(0)
    call.abandon()
    await ended.wait()
    await executors.settle()
    executors.close()
    return told, executors.discarded


def test_O14a_a_cancelled_run_does_not_hear_of_a_coroutine_that_swallowed_its_cancellation() -> None:
    has_begun, may_end, has_ended = (asyncio.Event() for _ in range(3))

    @tool
    async def swallows() -> str:
        has_begun.set()
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()
        has_ended.set()
        return "late"

    agent = scripted("1. swallows()\n2. echo($1)\n3. join()", answers=(), tools=[swallows, outputs.echo])
    executors, events = agent._means.workshop.executors, list[Any]()

    async def follow() -> None:
        async for event in agent.astream("q"):
            events.append(event)

    async def scenario() -> None:
        run = asyncio.create_task(follow())
        await has_begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert (executors.abandoned, executors.discarded) == (1, 0)
        may_end.set()
        await has_ended.wait()

    asyncio.run(scenario())
    assert (executors.abandoned, executors.discarded) == (0, 1)
    assert not any(isinstance(event, TaskEnded) and event.outcome == Succeeded("late") for event in events)


def test_O14a_in_a_thread_a_value_after_the_end_of_the_run_is_discarded_and_counted(tmp_path: Path) -> None:
    executors = Executors()

    async def cancelled() -> list[Outcome]:
        told: list[Outcome] = []
        call = executors.start(in_tier(outputs.is_late, "thread"), {"folder": str(tmp_path)}, told.append)
        await asyncio.to_thread(seconds_until, (tmp_path / "began").exists)
        call.abandon()
        assert executors.abandoned == 1
        (tmp_path / "go").touch()
        await asyncio.to_thread(seconds_until, lambda: executors.discarded)
        return told

    assert asyncio.run(cancelled()) == []
    assert (executors.abandoned, executors.discarded) == (0, 1)
    assert (tmp_path / "late").exists()


@pytest.mark.parametrize("tier", ["thread", "process"])
def test_O14a_a_run_that_was_cancelled_does_not_wait_and_hears_nothing(tier: Tier, tmp_path: Path) -> None:
    plan = f"1. is_late({json.dumps(str(tmp_path))})\n2. join()"
    agent = scripted(plan, answers=(), tools=[in_tier(outputs.is_late, tier)])

    async def scenario() -> None:
        run = asyncio.create_task(agent.arun("q"))
        await asyncio.to_thread(seconds_until, (tmp_path / "began").exists)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        (tmp_path / "go").touch()

    asyncio.run(scenario())
    assert (tier == "process") or eventually((tmp_path / "late").exists)
    agent.close()
    assert (tmp_path / "late").exists() == (tier == "thread"), "a process was killed before it could be late"


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        pytest.param('{"value": "forged"}', "true", id="for no call"),
        pytest.param('{"call": 7, "value": "forged"}', "true", id="for another call"),
        pytest.param('{"call": 1, "value": "forged"}', "forged", id="for its own, which is its own matter"),
    ],
)
def test_O14b_of_two_reports_of_a_process_one_counts_and_the_next_call_gets_its_own(reply: str, value: str) -> None:
    calls = [(outputs.reports_twice, {"reply": reply}), (outputs.fine, {})]
    for _ in range(5):
        executors = Executors(processes=1)
        assert asyncio.run(_one_after_the_other(executors, calls)) == [Succeeded(value), Succeeded("fine")]
        assert executors.discarded == 1


async def _one_after_the_other(executors: Executors, calls: Any, between: Any = lambda: None) -> list[Outcome]:
    told, outcomes = asyncio.Queue[Outcome](), list[Outcome]()
    for function, arguments in calls:
        executors.start(in_tier(function, "process"), arguments, told.put_nowait)
        outcomes.append(await told.get())
        await asyncio.to_thread(between)
    executors.close()
    return outcomes


@pytest.mark.parametrize("times", [1, 3])
def test_O14b_what_an_idle_process_reports_is_discarded_and_counted(times: int, tmp_path: Path) -> None:
    executors = Executors(processes=1)
    arguments = {"reply": '{"call": 2, "value": "forged"}', "folder": str(tmp_path), "times": times}
    calls = [(outputs.reports_later, arguments), (outputs.fine, {})]

    def reported() -> None:
        (tmp_path / "go").touch()
        seconds_until((tmp_path / "said").exists)

    outcomes = asyncio.run(_one_after_the_other(executors, calls, reported))
    assert outcomes == [Succeeded("true"), Succeeded("fine")], "also where it has guessed the number of the next call"
    assert executors.discarded == times


@pytest.mark.parametrize("tier", ["loop", "thread"])
def test_O14b_of_two_reports_on_the_loop_or_in_a_thread_the_first_counts(tier: Tier) -> None:
    """The outcome of a call is what its function returns, so only a tool that takes our frames apart can report twice."""
    agent = scripted(
        "1. reports_by_hand()\n2. echo($1)\n3. join()",
        tools=[in_tier(each, tier) for each in (outputs.reports_by_hand, outputs.echo)],
    )
    executors = agent._means.workshop.executors

    async def scenario() -> Any:
        result = await agent.arun("q")
        await asyncio.to_thread(seconds_until, lambda: executors.discarded)
        return result

    result = asyncio.run(scenario())
    agent.close()
    assert [result.tasks[id].outcome for id in (1, 2)] == [Succeeded("forged")] * 2
    assert [event.id for event in result.events if isinstance(event, TaskEnded)] == [1, 2]
    assert executors.discarded == 1


@pytest.mark.parametrize("tier", ["loop", "thread"])
def test_O14b_a_callback_that_reports_again_changes_nothing(tier: Tier) -> None:
    """The value of a call is what its function returned; whoever calls back later talks to nobody."""
    kept: dict[str, list[str]] = {"said": ["first"]}

    def reports() -> dict[str, list[str]]:
        return kept

    def again(after: Any) -> None:
        kept["said"][0] = "second"

    plan = "1. reports()\n2. again($1)\n3. echo([$2, $1])\n4. join()"
    outcomes = asyncio.run(outcomes_of(plan, [in_tier(each, tier) for each in (reports, again, outputs.echo)]))
    assert outcomes[3] == Succeeded([None, {"said": ["first"]}])


# O14c

FINE = [
    {"error": None},
    {"error": False},
    {"error": ""},
    {"error": []},
    {"error": {}},
    {"value": 1},
    ["error"],
    "error",
    None,
]
REPORTED = [
    ({"error": "no such page"}, "no such page"),
    ({"error": True, "value": 1}, "true"),
    ({"error": {"code": 404, "text": "<gone>"}}, '{"code": 404, "text": "<gone>"}'),
    ({"error": "x" * 5_000}, f'"{"x" * 1_999}… (5,000 characters)'),
]


@each_tier
def test_O14c_success_with_an_error_body_is_a_failure_by_the_rule_of_the_tool(tier: Tier) -> None:
    reports = in_tier(outputs.reports_an_error, tier, error_field="error")
    bodies = [*FINE, *(body for body, _ in REPORTED)]
    plan = "".join(f"{id}. reports_an_error({json.dumps(body)})\n" for id, body in enumerate(bodies, 1)) + "99. join()"
    outcomes = asyncio.run(outcomes_of(plan, [reports]))
    assert [outcomes[id] for id in range(1, len(FINE) + 1)] == [Succeeded(body) for body in FINE]
    for id, (_, text) in enumerate(REPORTED, len(FINE) + 1):
        failure = outcomes[id]
        assert isinstance(failure, Failed)
        assert (failure.error.kind, failure.error.type, failure.error.message) == ("tool", "ReportedError", text)


@each_tier
def test_O14c_without_a_rule_it_is_a_value(tier: Tier) -> None:
    plan = '1. reports_an_error({"error": "no"})\n2. join()'
    outcomes = asyncio.run(outcomes_of(plan, [in_tier(outputs.reports_an_error, tier)]))
    assert outcomes[1] == Succeeded({"error": "no"})


def test_O14c_a_reported_error_is_tried_again() -> None:
    bodies = iter([{"error": "busy"}, {"error": "busy"}, {"value": 1}])

    @tool(retries=2, wait=wait_none(), effect="read", error_field="error")
    async def asks() -> Any:
        return next(bodies)

    result = asyncio.run(scripted("1. asks()\n2. join()", tools=[asks]).arun("q"))
    assert (result.tasks[1].outcome, result.tasks[1].attempts) == (Succeeded({"value": 1}), 3)


def test_O14c_a_secret_in_a_reported_error_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROW_API_KEY", "row-secret-0123456789")

    @tool(error_field="error")
    async def leaks() -> Any:
        return {"error": "the key row-secret-0123456789 was refused"}

    outcomes = asyncio.run(outcomes_of("1. leaks()\n2. join()", [leaks]))
    assert outcomes[1].error.message == "the key *** was refused"  # type: ignore[union-attr]


@pytest.mark.parametrize("field", ["", 1, ["error"]])
def test_O14c_a_rule_that_names_no_field_is_refused(field: Any) -> None:
    with pytest.raises(UsageError, match="error_field must be the name of a field"):
        tool(error_field=field)(outputs.fine)
