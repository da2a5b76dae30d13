"""The latency model of AsyncLM: the paper's closed forms and theorems, and each of the terms that the paper leaves out."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.bench.asynclm.latency import (
    ASYNC,
    ASYNC_NAIVE,
    COMPILER,
    FUTURES,
    MODES,
    SYNC,
    SYNC_PARALLEL,
    Arrival,
    Call,
    Mode,
    Pace,
    Prediction,
    Work,
    in_turn,
    seconds_per_writing,
    simulate,
)
from llmcompiler.bench.asynclm.order import longest_first
from llmcompiler.config.choices import Trap
from llmcompiler.testing.server import Timing

MS = Pace(per_token=1.0)  # one unit of time a token: figures are exact
WORKED = (Call(1, 50, 300), Call(2, 50, 100), Call(3, 50, 40))  # in LPT order
A, B, C = Call(1, 20, 10), Call(2, 20, 60), Call(3, 20, 100, frozenset({1}))


def wall(calls: Sequence[Call], mode: Mode, pace: Pace = MS) -> float:
    return simulate(Work(tuple(calls)), pace, mode).wall


# --- the worked cases


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        pytest.param(SYNC, 590, id="sync"),
        pytest.param(SYNC_PARALLEL, 450, id="sync_parallel"),
        pytest.param(ASYNC, 350, id="async"),
        pytest.param(ASYNC_NAIVE, 350, id="async_naive"),
        pytest.param(FUTURES, 350, id="futures"),
        pytest.param(COMPILER, 350, id="compiler"),
    ],
)
def test_three_independent_calls_without_further_terms(mode: Mode, expected: float) -> None:
    assert wall(WORKED, mode) == expected


@pytest.mark.parametrize(
    ("calls", "waits", "expected"),
    [
        pytest.param((B, A, C), False, 170, id="longest first"),
        pytest.param((A, B, C), False, 160, id="longest path"),
        pytest.param((A, C, B), False, 160, id="a, c, b, passing c over while a runs"),
        pytest.param((A, C, B), True, 150, id="a, c, b, waiting for a: the optimum"),
    ],
)
def test_a_call_that_needs_another(calls: tuple[Call, ...], waits: bool, expected: float) -> None:
    assert simulate(Work(calls, waits=waits), MS, ASYNC).wall == expected


@pytest.mark.parametrize("mode", [ASYNC, ASYNC_NAIVE])
def test_refs_let_a_call_be_written_before_its_inputs_are_there(mode: Mode) -> None:
    calls = (Call(1, 20, 100), Call(2, 20, 100, frozenset({1})))
    assert simulate(Work(calls), MS, mode).wall == 20 + 100 + 20 + 100
    assert simulate(Work(calls, refs=True), MS, mode).wall == 20 + 100 + 100
    assert simulate(Work(calls), MS, COMPILER).wall == 20 + 100 + 100


# --- theorems


def independent(least: int = 2, most: int = 6) -> st.SearchStrategy[list[Call]]:
    sizes = st.tuples(st.integers(1, 60), st.integers(1, 400))
    return st.lists(sizes, min_size=least, max_size=most).map(
        lambda pairs: [Call(id, tokens, seconds) for id, (tokens, seconds) in enumerate(pairs)]
    )


@st.composite
def dags(draw: st.DrawFn) -> list[Call]:
    calls = draw(independent(1, 8))
    return [
        Call(
            call.id,
            call.tokens,
            call.seconds,
            draw(st.frozensets(st.integers(0, call.id - 1))) if call.id else frozenset(),
        )
        for call in calls
    ]


@given(independent())
def test_closed_forms_of_independent_calls(calls: list[Call]) -> None:
    writing, seconds = sum(call.tokens for call in calls), [call.seconds for call in calls]
    assert wall(calls, SYNC) == writing + sum(seconds)
    assert wall(calls, SYNC_PARALLEL) == writing + max(seconds)
    ordered = longest_first(calls, 1.0)
    ends = [sum(each.tokens for each in ordered[: place + 1]) + call.seconds for place, call in enumerate(ordered)]
    for mode in (ASYNC, ASYNC_NAIVE, FUTURES, COMPILER):
        assert wall(ordered, mode) == max(ends)


@given(independent())
def test_async_is_no_slower_than_parallel_and_that_is_faster_than_sync(calls: list[Call]) -> None:
    """Theorem 6.1; the strict part needs two calls that take time."""
    assert wall(longest_first(calls, 1.0), ASYNC) <= wall(calls, SYNC_PARALLEL) < wall(calls, SYNC)


@given(st.lists(st.integers(1, 400), min_size=2, max_size=60), st.integers(1, 60))
def test_the_speedup_of_many_calls_nears_one_and_the_ratio_of_the_means(seconds: list[int], tokens: int) -> None:
    """Theorem 6.2 with its error: both ends lie within the longest call over all the writing."""
    calls = [Call(id, tokens, each) for id, each in enumerate(seconds)]
    limit = 1 + seconds_per_writing(calls, MS)
    speedup = wall(calls, SYNC) / wall(longest_first(calls, 1.0), ASYNC)
    assert limit / (1 + max(seconds) / (tokens * len(seconds))) <= speedup * (1 + 1e-9)
    assert speedup <= limit * (1 + 1e-9)


@given(independent(2, 4))
def test_no_order_beats_longest_first(calls: list[Call]) -> None:
    """Theorem 6.3."""
    assert wall(longest_first(calls, 1.0), ASYNC) == min(wall(order, ASYNC) for order in permutations(calls))


def by_level(calls: Sequence[Call]) -> tuple[Call, ...]:
    depths: dict[int, int] = {}
    for call in calls:
        depths[call.id] = 1 + max((depths[id] for id in call.inputs), default=-1)
    return tuple(sorted(calls, key=lambda call: depths[call.id]))


@given(dags(), st.integers(0, 12), st.integers(0, 8))
def test_async_in_the_order_of_the_levels_is_slower_than_parallel_by_its_control_tokens_at_most(
    calls: list[Call], control: int, trap_tokens: int
) -> None:
    """With traps for any result; one for all may wait for a call of the next level as well."""
    pace = Pace(per_token=1.0, first_token=60.0, per_read_token=0.25)
    read = [replace(call, result_tokens=8) for call in calls]
    written = [replace(call, tokens=call.tokens + control) for call in read]
    parallel = simulate(Work(tuple(read), prompt_tokens=50), pace, SYNC_PARALLEL)
    work = Work(by_level(written), prompt_tokens=50, trap_tokens=trap_tokens, waits=True)
    told = simulate(work, pace, ASYNC)
    assert told.wall <= parallel.wall + (told.generated - parallel.generated) * pace.per_token


@given(dags(), st.sampled_from(MODES), st.sampled_from(["any", "all"]), st.booleans())
def test_the_parts_add_up_and_everything_is_written_and_read(
    calls: list[Call], mode: Mode, trap: Trap, refs: bool
) -> None:
    calls = [replace(call, result_tokens=7) for call in calls]
    work = Work(tuple(calls), answer_tokens=30, prompt_tokens=100, trap=trap, refs=refs)
    told = simulate(work, Pace(0.01, 0.3, 0.001, 0.0001), mode)
    assert told.generated == sum(call.tokens for call in calls) + 30
    assert told.prefilled - told.resent == 100 + 7 * len(calls)
    assert told.wall == pytest.approx(told.starting + told.generating + told.waiting + told.injecting)
    assert told.starting == pytest.approx(0.3 + 0.1)
    assert told.injecting == pytest.approx((told.requests - 1) * 0.3 + 0.007 * len(calls) + told.resent * 0.0001)
    assert (told.requests, told.resent) == (1, 0) if mode is ASYNC else told.resent > 0


# --- each further term by hand

PAIR = (Call(1, 10, 100, result_tokens=4), Call(2, 10, 30, result_tokens=4))
PACE = Pace(per_token=1.0, first_token=50.0, per_read_token=0.5, per_resent_token=0.125)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        pytest.param(
            SYNC,
            Prediction(60, 25, 130, (50 + 2 + 30 * 0.125) + (50 + 2 + 44 * 0.125), 3, 25, 20 + 34 + 48, 30 + 44),
            id="sync: a request a call",
        ),
        pytest.param(
            SYNC_PARALLEL,
            Prediction(60, 25, 100, 50 + 4 + 40 * 0.125, 2, 25, 20 + 48, 40),
            id="sync_parallel: a request a level",
        ),
        pytest.param(
            COMPILER,  # the first call has run for 10 when the text ends
            Prediction(60, 25, 90, 50 + 4 + 40 * 0.125, 2, 25, 20 + 48, 40),
            id="compiler: the first call starts while the second is written",
        ),
        pytest.param(
            ASYNC,  # written at 80; the second result at 110, read by 112; the first at 170
            Prediction(60, 25, 30 + 58, 4, 1, 25, 20 + 8, 0),
            id="async: one request",
        ),
        pytest.param(
            ASYNC_NAIVE,  # the first result ends at 170, while the second is read: 110 to 167
            Prediction(60, 25, 30 + 3, (50 + 2 + 5) + (50 + 2 + 5.5), 3, 25, 20 + 44 + 48, 40 + 44),
            id="async_naive: a request an interrupt",
        ),
    ],
)
def test_requests_reading_and_the_answer_are_counted(mode: Mode, expected: Prediction) -> None:
    assert simulate(Work(PAIR, answer_tokens=5, prompt_tokens=20), PACE, mode) == expected


@pytest.mark.parametrize("mode", MODES)
def test_a_joiner_alone_may_have_a_first_token_of_its_own(mode: Mode) -> None:
    """It holds the reading of all that stands in its prompt. A mode that goes on with its text knows no such prompt."""
    work = Work(PAIR, answer_tokens=5, prompt_tokens=20)
    told, plain = simulate(work, replace(PACE, later_first_token=33.0), mode), simulate(work, PACE, mode)
    assert told == (replace(plain, injecting=33.0) if mode is COMPILER else plain)


def test_a_trap_is_written_and_what_ends_meanwhile_is_read_without_waiting() -> None:
    work = Work((Call(1, 10, 3), Call(2, 10, 100)), trap_tokens=5)
    told = simulate(work, MS, ASYNC)
    assert (told.generated, told.waiting, told.wall) == (10 + 10 + 5, 95, 120)  # the first is read before the trap


def test_a_trap_for_any_result_wakes_for_each_and_one_for_all_but_once() -> None:
    work = {trap: Work(PAIR, trap_tokens=5, trap=trap) for trap in ("any", "all")}
    woken = {trap: simulate(each, PACE, ASYNC_NAIVE) for trap, each in work.items()}
    assert {trap: (told.requests, told.generated) for trap, told in woken.items()} == {"any": (3, 30), "all": (2, 25)}


@pytest.mark.parametrize(("tokens", "seconds"), [(8, 0.269), (9, 0.136)])
def test_a_trap_is_written_once_a_result_however_times_are_rounded(tokens: int, seconds: float) -> None:
    told = simulate(Work((Call(1, tokens, seconds),), trap_tokens=1), Pace(0.01), ASYNC)
    assert told.generated == tokens + 1


def test_a_trap_for_any_result_lets_a_chain_go_on_while_others_run() -> None:
    calls = (Call(1, 10, 20), Call(2, 10, 500), Call(3, 10, 300, frozenset({1})))
    assert simulate(Work(calls, trap="any"), MS, ASYNC).wall == 520
    assert simulate(Work(calls, trap="all"), MS, ASYNC).wall == 520 + 10 + 300


def test_futures_take_a_request_a_level_but_wait_for_no_level() -> None:
    chain = (Call(1, 10, 100), Call(2, 10, 100, frozenset({1})), Call(3, 10, 100, frozenset({2})))
    work = Work(chain, answer_tokens=5, trap_tokens=2, trap="all")
    told = simulate(work, Pace(1.0, first_token=50.0), FUTURES)
    assert (told.requests, told.generated) == (4, 37)
    assert told.wall == 50 + 10 + 300 + 50 + 5  # the calls run in a row, whatever is written meanwhile


def test_a_server_sends_the_first_token_of_a_request_at_its_first_token_time() -> None:
    pace = Pace.of(Timing(first_token=0.3, per_token=0.01, per_prompt_token=0.001))
    told = simulate(Work((), answer_tokens=11, prompt_tokens=100), pace, SYNC)
    assert told.wall == pytest.approx(0.1 + 0.3 + 10 * 0.01)


# --- the user interrupts

LATER = Work(
    (Call(1, 10, 100), Call(2, 10, 100, frozenset({-1})), Call(3, 10, 100, frozenset({-2}))),
    arrivals=(Arrival(-1, 5, tokens=4), Arrival(-2, 200, tokens=4)),
)


def test_a_message_of_the_user_is_read_between_calls() -> None:
    told = simulate(LATER, MS, ASYNC)  # the second call is written at 10, the third at 200
    assert (told.wall, told.prefilled) == (200 + 10 + 100, 8)


@pytest.mark.parametrize("trap", ["any", "all"])
def test_a_message_of_the_user_ends_a_trap(trap: Trap) -> None:
    calls = (Call(1, 10, 500), Call(2, 10, 100, frozenset({-1})))
    told = simulate(Work(calls, arrivals=(Arrival(-1, 200),), trap=trap, trap_tokens=5), MS, ASYNC)
    assert (told.wall, told.generated) == (510, 20 + (15 if trap == "any" else 10))


def test_a_message_that_comes_after_the_answer_begins_a_session_of_its_own() -> None:
    calls = (Call(1, 10, 20), Call(2, 10, 20, frozenset({-2})))
    work = Work(calls, answer_tokens=5, prompt_tokens=7, arrivals=(Arrival(-2, 100, tokens=4),))
    told = simulate(work, Pace(per_token=1.0, first_token=30.0), ASYNC)
    assert told.wall == 100 + 30 + 10 + 20 + 5  # the first is answered at 65
    assert (told.requests, told.starting, told.prefilled, told.resent) == (2, 60, 7 + 7 + 4, 0)


def test_a_message_that_comes_during_the_answer_is_read_at_its_end() -> None:
    calls = (Call(1, 10, 20), Call(2, 10, 20, frozenset({-2})))
    told = simulate(Work(calls, answer_tokens=5, arrivals=(Arrival(-2, 32),)), MS, ASYNC)
    assert (told.wall, told.requests) == (35 + 10 + 20 + 5, 1)


def test_a_wait_may_name_the_calls_that_are_waited_for() -> None:
    calls = (Call(1, 10, 100), Call(2, 10, 100), Call(3, 10, 100, frozenset({1})))
    told = simulate(Work(calls, trap_tokens=2, named_tokens=4, trap="all"), MS, FUTURES)
    assert told.generated == 30 + 2 + 3 * 4
    assert simulate(Work(calls[:2], trap_tokens=2, named_tokens=4, trap="all"), MS, FUTURES).generated == 20 + 2 + 2 * 4


def test_modes_that_wait_answer_one_question_after_another() -> None:
    parts = [(at, Work((Call(1, 10, 100),))) for at in (0.0, 5.0, 300.0)]
    told = in_turn(parts, MS, SYNC_PARALLEL)
    assert told.wall == 300 + 110  # the second is asked at 110, done at 220; the third comes at 300
    assert (told.requests, told.waiting) == (6, 380)
    with pytest.raises(ValueError, match="in_turn"):
        simulate(LATER, MS, SYNC)


# --- what cannot be done


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        pytest.param((Call(1, 1, 1), Call(1, 1, 1)), "twice", id="one id for two calls"),
        pytest.param((Call(1, 1, 1, frozenset({9})),), "9", id="an input that is no call"),
    ],
)
def test_a_job_says_what_is_wrong_with_its_ids(calls: tuple[Call, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Work(calls)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_calls_that_need_each_other_are_told_not_waited_for(mode: Mode) -> None:
    work = Work((Call(1, 1, 1), Call(2, 1, 1, frozenset({3})), Call(3, 1, 1, frozenset({2}))))
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        simulate(work, MS, mode)
