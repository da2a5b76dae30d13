"""Orders of calls: what ranks first, and what that is worth on the chains that the paper measures."""

import random
from collections.abc import Iterator
from statistics import fmean

import pytest

from llmcompiler.bench.asynclm.latency import ASYNC, SYNC, SYNC_PARALLEL, Call, Mode, Pace, Work, simulate
from llmcompiler.bench.asynclm.order import (
    ORDERS,
    Order,
    as_given,
    at_random,
    longest_first,
    longest_path,
    remaining_paths,
)

A, B, C = Call(1, 20, 10), Call(2, 20, 60), Call(3, 20, 100, frozenset({1}))
LENGTHS = [1] * 98 + [2] * 61 + [3] * 22 + [4] * 8 + [5] * 9 + [6, 7]  # of the first turns of multi_turn_base


def three_chains(chance: random.Random) -> list[Call]:
    calls: list[Call] = []
    for _ in range(3):
        for place in range(chance.choice(LENGTHS)):
            before = frozenset({calls[-1].id}) if place else frozenset[int]()
            seconds = min(0.5, 0.03 + chance.expovariate(1 / 0.08))
            calls.append(Call(len(calls), chance.randint(12, 30), seconds, before))
    return calls


SAMPLE = [three_chains(random.Random(seed)) for seed in range(1000)]


def mean(mode: Mode, per_token: float, order: Order = as_given) -> float:
    return fmean(simulate(Work(tuple(order(calls, per_token))), Pace(per_token), mode).wall for calls in SAMPLE)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("as_given", [A, B, C], id="as given"),
        pytest.param("longest_first", [C, B, A], id="longest first"),
        pytest.param("longest_path", [A, C, B], id="longest path: a has c behind it"),
    ],
)
def test_what_is_written_first(name: str, expected: list[Call]) -> None:
    assert ORDERS[name]([A, B, C], 1.0) == expected


def test_a_random_order_holds_all_calls_and_is_the_same_each_time() -> None:
    calls = [Call(id, 1, 1) for id in range(20)]
    orders = [at_random(3)(calls, 1.0), at_random(3)(calls, 1.0), at_random(4)(calls, 1.0)]
    assert orders[0] == orders[1] != orders[2]
    assert all(sorted(order, key=lambda call: call.id) == calls for order in orders)


def test_a_path_goes_along_the_slowest_of_what_needs_a_call() -> None:
    calls = [A, B, C, Call(4, 5, 1, frozenset({1})), Call(5, 10, 2, frozenset({2, 3}))]
    assert remaining_paths(calls, 0.5) == {5: 2, 4: 1, 3: 107, 2: 67, 1: 127}


def test_calls_that_need_each_other_have_no_path() -> None:
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        remaining_paths([Call(1, 1, 1, frozenset({2})), Call(2, 1, 1, frozenset({1}))], 1.0)


@pytest.mark.parametrize("per_token", [0.005, 0.01, 0.02, 0.03])
def test_the_longest_path_first_is_no_worse_in_the_mean_than_the_longest_call_first(per_token: float) -> None:
    assert mean(ASYNC, per_token, longest_path) <= mean(ASYNC, per_token, longest_first)


def walls(per_token: float) -> Iterator[float]:
    yield mean(SYNC, per_token)
    yield mean(SYNC_PARALLEL, per_token)
    for order in (at_random(1), longest_first, longest_path):
        yield mean(ASYNC, per_token, order)


@pytest.mark.parametrize(
    ("per_token", "published"),
    [
        pytest.param(0.005, [1.198, 0.987, 0.808, 0.784, 0.734], id="5 ms"),
        pytest.param(0.01, [1.771, 1.562, 1.362, 1.333, 1.268], id="10 ms"),
        pytest.param(0.02, [2.968, 2.758, 2.549, 2.519, 2.445], id="20 ms"),
    ],
)
def test_the_means_of_an_earlier_simulation_come_out_again(per_token: float, published: list[float]) -> None:
    """Four thousand other draws of the same chains; 4 % is three times the error of the mean of a thousand."""
    assert list(walls(per_token)) == pytest.approx(published, rel=0.04)
