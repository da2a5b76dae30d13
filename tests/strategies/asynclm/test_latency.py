"""The latency model of AsyncLM's paper (arXiv 2412.07017, section 6), reproduced exactly on virtual time."""

import asyncio
from itertools import chain
from typing import Any

import pytest

from llmcompiler import AsyncLM, tool
from llmcompiler.testing import run_virtual
from llmcompiler.testing.engines import ScriptedEngine

# (generation, execution) of three calls, in milliseconds.
CALLS = ((50, 300), (50, 100), (50, 40))
PIECES = 5
TRAP = "[TRAP][END]"


def call(id: str, seconds: float, name: str = "work") -> list[str]:
    """Return a call in as many pieces as it takes 10 ms each to write."""
    text = f"[CALL] {id} [HEAD] {name}(seconds={seconds}) [END]"
    size = -(-len(text) // PIECES)
    return [text[start : start + size] for start in range(0, len(text), size)]


def milliseconds(pieces: list[str], effect: Any = "read", **options: Any) -> float:
    @tool(effect=effect)
    async def work(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    async def run() -> float:
        engine = ScriptedEngine([pieces, ["Answer: done"]], per_token=0.01)
        result = await AsyncLM(engine, [work], **options).arun("Do it.")
        return round((result.seconds - 0.01) * 1000, 6)  # without the answer, which the paper's model leaves out

    return run_virtual(run())


WRITTEN = [call(f"c{number}", seconds / 1000) for number, (_, seconds) in enumerate(CALLS)]


def test_calls_are_written_in_the_time_that_the_case_says() -> None:
    assert [len(pieces) * 10 for pieces in WRITTEN] == [generation for generation, _ in CALLS]


def test_asynchronous_calls_take_350_ms() -> None:
    assert milliseconds(list(chain(*WRITTEN)), trap="all") == 350


def test_calls_held_until_all_are_written_take_450_ms() -> None:
    assert milliseconds([*[*chain(*WRITTEN)][:-1], WRITTEN[-1][-1] + TRAP], effect="write", trap="all") == 450


def test_calls_that_are_waited_for_one_by_one_take_590_ms() -> None:
    waiting = [[*pieces[:-1], pieces[-1] + TRAP] for pieces in WRITTEN]
    assert milliseconds(list(chain(*waiting))) == 590


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_no_order_beats_the_longest_first(order: tuple[int, ...]) -> None:
    assert milliseconds(list(chain(*(WRITTEN[at] for at in order))), trap="all") >= 350
