"""The latency model of AsyncLM's paper (arXiv 2412.07017, section 6), reproduced exactly on virtual time."""

import asyncio
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    async def work(seconds: float, after: str = "") -> str:
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


EXECUTIONS = st.lists(
    st.integers(1, 50).map(lambda tens: tens * 10), min_size=2, max_size=8, unique=True
)  # identical reads would be run once


@settings(max_examples=30)
@given(EXECUTIONS)
def test_any_independent_calls_take_what_the_model_of_the_paper_says(executions: list[int]) -> None:
    generation = 10 * PIECES
    longest_first = sorted(executions, reverse=True)
    written = [call(f"c{number}", execution / 1000) for number, execution in enumerate(longest_first)]
    trapped = [[*pieces[:-1], pieces[-1] + TRAP] for pieces in written]
    asynchronous = milliseconds([*chain(*written)], trap="all")
    parallel = milliseconds([*chain(*written[:-1], trapped[-1])], effect="write", trap="all")
    one_by_one = milliseconds([*chain(*trapped)])
    finished = [execution + generation * place for place, execution in enumerate(longest_first, 1)]
    assert asynchronous == max(finished)
    assert parallel == generation * len(executions) + max(executions)
    assert one_by_one == sum(executions) + generation * len(executions)
    assert asynchronous <= parallel < one_by_one


def chained(*orders: str, waits: bool = False) -> float:
    """Return what a chain a, c and a call b take, 20 ms each to write, written in this order."""
    seconds = {"a": 0.01, "b": 0.06, "c": 0.1}
    after = {"a": "", "b": "", "c": ', after="$a"'}
    pieces = []
    for name in orders:
        text = f"[CALL] {name} [HEAD] work({seconds[name]}{after[name]}) [END]"
        wait = TRAP if waits and name == "a" else ""
        pieces += [text[:20], text[20:] + wait]
    return milliseconds(pieces, trap="all")


def test_a_chain_by_refs_needs_no_wait_of_the_model_so_the_longest_path_first_is_best() -> None:
    assert chained("b", "a", "c") == 160
    assert chained("a", "b", "c") == 160
    assert chained("a", "c", "b") == 140  # the optimum with the model in between is 150
    assert chained("a", "c", "b", waits=True) == 150
