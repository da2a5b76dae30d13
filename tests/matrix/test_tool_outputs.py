"""Tool outputs, O06 to O08 of reliability.md, on the loop, in threads and in processes: big values are handed on whole and
shown cut, what is no data is refused with its place and left closed, what is data makes the way exactly."""

import asyncio
import gc
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from llmcompiler import Failed, Limits, ReAct, RunResult, Skipped, Succeeded, tool
from llmcompiler.plan.tools import Tier
from llmcompiler.testing import ScriptedModel
from tests.execution.running import FINISH, TIERS, in_tier, outcomes_of, scripted
from tests.matrix import outputs

each_tier = pytest.mark.parametrize("tier", TIERS)
SHOWN = 5_000  # characters that a result may take in a prompt


def ran(tier: Tier, plan: str, *functions: Any, answers: tuple[str, ...] = (FINISH,), plans: tuple[str, ...] = ()):
    """Return the result of a run in a tier, and what the joiner and the planner were shown."""
    tools = [in_tier(each, tier, effect="read") for each in functions]
    agent = scripted(plan, *plans, answers=answers, tools=tools)
    result: RunResult = asyncio.run(agent.arun("q"))
    agent.close()
    models: list[Any] = [agent.joiner_model, agent.planner_model]
    return result, *([prompt.messages[-1].text for prompt in model.prompts] for model in models)


# O06


@each_tier
def test_O06a_a_text_of_50_MB_is_handed_on_whole_and_shown_cut(tier: Tier) -> None:
    plan = '1. big_text()\n2. digest($1)\n3. digest("$1")\n4. count("<$1>")\n5. join()'
    again = "6. digest($1)\n7. fine()\n8. join()"
    functions = (outputs.big_text, outputs.digest, outputs.count, outputs.fine)
    result, joins, plans = ran(tier, plan, *functions, answers=("Action: Replan(more)", FINISH), plans=(again,))
    whole = outputs.big_text()
    values = {id: record.outcome.value for id, record in result.tasks.items()}  # type: ignore[union-attr]
    told = hashlib.sha256(whole.encode()).hexdigest()
    assert values == {1: whole, 2: told, 3: told, 4: outputs.SIZE + 2, 6: told, 7: "fine"}
    assert [result.tasks[id].reused_from for id in (2, 3, 6)] == [None, 2, 2], "a big value is told by its task"
    assert f'1. big_text()\n   -> "é{"x" * 3_998}… (50,000,000 characters)' in joins[0]
    assert "… (50,000,000 characters)" in plans[1]
    assert all(len(text) < SHOWN for text in [*joins, *plans])


@each_tier
def test_O06b_a_list_of_a_million_items_is_handed_on_whole_and_shown_cut(tier: Tier) -> None:
    plan = '1. big_list()\n2. digest($1)\n3. echo([${1[999999]}, ${1[-1]}])\n4. digest({"a": [$1]})\n5. join()'
    result, joins, _ = ran(tier, plan, outputs.big_list, outputs.digest, outputs.echo)
    whole = list(range(1_000_000))
    values = {id: record.outcome.value for id, record in result.tasks.items()}  # type: ignore[union-attr]
    assert values == {1: whole, 2: outputs.digest(whole), 3: [999_999] * 2, 4: outputs.digest({"a": [whole]})}
    assert "1. big_list()\n   -> [0, 1, 2, " in joins[0]
    assert "… (1,000,000 items)" in joins[0]
    assert len(joins[0]) < SHOWN
    assert result.blocked == ()


@each_tier
def test_O06b_records_in_a_field_are_counted_where_they_are_cut(tier: Tier) -> None:
    plan = "1. big_record()\n2. digest(${1.rows})\n3. echo(${1.title})\n4. echo(${1.none})\n5. join()"
    result, joins, _ = ran(tier, plan, outputs.big_record, outputs.digest, outputs.echo)
    assert result.tasks[2].outcome == Succeeded(outputs.digest(outputs.big_record()["rows"]))
    assert result.tasks[3].outcome == Succeeded("rows")
    assert isinstance(result.tasks[4].outcome, Failed)
    assert result.tasks[4].outcome.error.kind == "missing_field"
    assert "… (2 keys, cut in a list of 50,000 items)" in joins[0]
    assert len(joins[0]) < SHOWN


@each_tier
def test_O06_an_observation_of_react_is_cut_too(tier: Tier) -> None:
    model = ScriptedModel(["Action: big_list()", "Action: count($1)", "Action: Finish(done)"])
    tools = [in_tier(each, tier) for each in (outputs.big_list, outputs.count)]
    agent = ReAct(model, tools, limits=Limits(tasks=5))
    result = asyncio.run(agent.arun("q"))
    agent.close()
    assert result.tasks[2].outcome == Succeeded(1_000_000)
    assert "… (1,000,000 items)\n" in model.prompts[1].messages[-1].text
    assert len(model.prompts[2].messages[-1].text) < SHOWN


@each_tier
def test_O06c_ten_thousand_levels_are_refused_and_the_deepest_that_are_not_are_handed_on(tier: Tier) -> None:
    plan = "1. nested(10000)\n2. nested(100)\n3. echo($1)\n4. echo($2)\n5. join()"
    result, joins, _ = ran(tier, plan, outputs.nested, outputs.echo)
    error = result.tasks[1].outcome.error  # type: ignore[union-attr]
    assert (error.kind, error.type) == ("value", "NotJson")
    assert "is nested deeper than 200 levels; return flatter data" in error.message
    assert result.tasks[4].outcome == Succeeded(outputs.nested(100))
    assert "3. echo(value=$1)\n   -> skipped: it needs task 1" in joins[0]


# O07

REFUSED = [
    ("O07a", outputs.generator, "$.rows is of type generator, which is not JSON data; return list(...) of it"),
    ("O07b", outputs.async_generator, "$[0] is of type async_generator, which is not JSON data; collect it first"),
    ("O07b", outputs.async_generator_not_begun, "$[0] is of type async_generator, which is not JSON data; collect it"),
    ("O07c", outputs.endless_generator, "$ is of type generator, which is not JSON data; return list(...) of it"),
    ("O07c", outputs.endless_iterator, "$.rows[0] is of type itertools.count, which is not JSON data"),
    ("O07d", outputs.coroutines, "$.rows[0] is of type coroutine, which is not JSON data; await it before returning"),
    ("O07d", outputs.begun_coroutine, "$[0] is of type coroutine, which is not JSON data; await it before returning"),
    ("O07e", outputs.open_file, "$.file is of type _io.TextIOWrapper, which is not JSON data; return what it holds"),
    ("O07f", outputs.cycle, "$.a[1] leads back to $; return data without cycles"),
    ("O07g", outputs.instance, "$[1].mountain is of type "),
]
CLOSED = {
    outputs.generator,
    outputs.endless_generator,
    outputs.async_generator,
    outputs.async_generator_of_a_coroutine,
    outputs.begun_coroutine,
}


@each_tier
@pytest.mark.parametrize(("row", "function", "said"), REFUSED, ids=[f"{row[0]} {row[1].__name__}" for row in REFUSED])
def test_O07_what_is_no_data_is_refused_by_name_and_left_closed(
    tier: Tier, row: str, function: Any, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert refused(in_tier(function, tier), tmp_path).startswith(said)
    gc.collect()
    assert capfd.readouterr().err == ""
    assert (tmp_path / "closed").exists() == (function in CLOSED)
    while outputs.KEPT:
        assert not outputs.KEPT[-1].closed, "a file may be the tool's own, to be used again"
        outputs.KEPT.pop().close()


def refused(it: Any, folder: Path) -> str:
    """Return how the value of a tool is refused, in a run that goes on."""
    plan = f"1. {it.spec.name}({json.dumps(str(folder))})\n2. fine()\n3. echo($1)\n4. join()"
    outcomes = asyncio.run(outcomes_of(plan, [it, *(in_tier(each, it.tier) for each in (outputs.fine, outputs.echo))]))
    failure = outcomes[1]
    assert isinstance(failure, Failed)
    assert (failure.error.kind, failure.error.type) == ("value", "NotJson")
    assert (outcomes[2], outcomes[3]) == (Succeeded("fine"), Skipped(1))
    return failure.error.message


@pytest.mark.parametrize("tier", ["loop", "process"])
def test_O07b_what_a_coroutine_has_begun_is_closed_on_its_loop(
    tier: Tier, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    it = tool(isolate=tier)(outputs.async_generator_of_a_coroutine)
    assert refused(it, tmp_path).startswith("$.rows is of type async_generator")
    assert (tmp_path / "closed").exists()
    assert capfd.readouterr().err == ""


def test_O07b_it_is_closed_within_the_run(tmp_path: Path) -> None:
    @tool
    async def rows() -> Any:
        return await outputs.async_generator_of_a_coroutine(str(tmp_path))

    async def scenario() -> bool:
        await scripted("1. rows()\n2. join()", tools=[rows]).arun("q")
        return (tmp_path / "closed").exists()

    assert asyncio.run(scenario()), "it was not left to the end of the loop"


@each_tier
@pytest.mark.parametrize(
    "function",
    [
        outputs.goes_on,
        outputs.goes_on_later,
        outputs.coroutine_that_goes_on,
        outputs.exits_when_closed,
        outputs.cleanup_without_end,
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python tells of them too
def test_O07_what_will_not_be_closed_neither_hangs_nor_breaks_the_run(
    tier: Tier, function: Any, tmp_path: Path
) -> None:
    assert "which is not JSON data" in refused(in_tier(function, tier), tmp_path)
    assert (tmp_path / "closed").exists() == (function is outputs.exits_when_closed), "others are closed all the same"
    gc.collect()


# O08

NO_DATA = [
    ("O08a", outputs.has_bytes, "$.a[0] is of type bytes, which is not JSON data; return text: .decode(), or base64"),
    ("O08b", outputs.has_nan, "$[1].x is nan, which JSON has no number for; return None or text"),
    ("O08b", outputs.has_infinity, "$.x is -inf, which JSON has no number for; return None or text"),
    ("O08c", outputs.has_surrogate, "$.a holds a lone surrogate at position 1"),
    ("O08c", outputs.has_surrogate_in_key, "$ holds a lone surrogate at position 0"),
    ("O08e", outputs.has_too_long_an_integer, "$[0] is an int of about 5,001 digits, and 4,000 is the limit"),
    ("O08f", outputs.has_equal_keys, "$.rows has two keys that are both '1' in JSON; make them different texts"),
]


@each_tier
def test_O08_what_is_data_makes_the_way_exactly(tier: Tier) -> None:
    plan = '1. odd_values()\n2. echo($1)\n3. echo([$2, {"again": $2}])\n4. join()'
    outcomes = asyncio.run(outcomes_of(plan, [in_tier(each, tier) for each in (outputs.odd_values, outputs.echo)]))
    value = outputs.odd_values()
    for id, expected in ((1, value), (2, value), (3, [value, {"again": value}])):
        assert repr(outcomes[id]) == repr(Succeeded(expected)), "also 0.0 and -0.0, 1 and 1.0 are told apart"


@each_tier
def test_O08_what_is_none_is_refused_in_the_same_words(tier: Tier) -> None:
    plan = "".join(f"{id}. {row[1].__name__}()\n" for id, row in enumerate(NO_DATA, 1)) + "99. join()"
    outcomes = asyncio.run(outcomes_of(plan, [in_tier(row[1], tier) for row in NO_DATA]))
    for id, (row, _, said) in enumerate(NO_DATA, 1):
        failure = outcomes[id]
        assert isinstance(failure, Failed), row
        assert (failure.error.kind, failure.error.type) == ("value", "NotJson")
        assert failure.error.message.startswith(said), row
