"""Orders in which an ideal model writes calls. Pure.

An order ranks calls; the model writes the first of them that it can write. That is greedy list scheduling with one machine,
the model. For independent calls no order beats `longest_first` (Theorem 6.3 of arXiv 2412.07017), and `longest_path` is the
same order. With dependencies the problem is NP-hard, and greedy is no more than good: where a takes 10 and lets c begin,
c takes 100, b takes 60, and each takes 20 to write, `longest_first` ends at 170, `longest_path` at 160, and a model that
waits 10 for a, to write c before b, at 150.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from llmcompiler.bench.asynclm.latency import Call

Order: TypeAlias = Callable[[Sequence[Call], float], list[Call]]  # calls and seconds per token to the calls in order


def as_given(calls: Sequence[Call], per_token: float) -> list[Call]:
    """Return the calls as they are."""
    return list(calls)


def at_random(seed: int) -> Order:
    """Return an order that is the same for the same seed and number of calls."""

    def shuffled(calls: Sequence[Call], per_token: float) -> list[Call]:
        return random.Random(seed).sample(calls, len(calls))

    return shuffled


def longest_first(calls: Sequence[Call], per_token: float) -> list[Call]:
    """Return the calls that run longest first, the paper's order (LPT). Equal ones stay as they are."""
    return sorted(calls, key=lambda call: -call.seconds)


def longest_path(calls: Sequence[Call], per_token: float) -> list[Call]:
    """Return the calls with the longest remaining path first. Equal ones stay as they are.

    The path of a call: its seconds, and those to write and to run everything behind it on its longest chain.
    """
    paths = remaining_paths(calls, per_token)
    return sorted(calls, key=lambda call: -paths[call.id])


def remaining_paths(calls: Sequence[Call], per_token: float) -> dict[int, float]:
    """Return for each call, by its id, the seconds from its start to the end of all that needs it.

    Raises `ValueError` for calls that need each other.
    """
    paths: dict[int, float] = {}
    left = {call.id: call for call in calls}
    while left:
        needed = {id for call in left.values() for id in call.inputs}
        last = [call for id, call in left.items() if id not in needed]
        if not last:
            raise ValueError(f"calls that need each other: {sorted(left)}")
        for call in last:
            del left[call.id]
            paths[call.id] = call.seconds + _behind(call.id, calls, paths, per_token)
    return paths


def _behind(id: int, calls: Collection[Call], paths: Mapping[int, float], per_token: float) -> float:
    return max((call.tokens * per_token + paths[call.id] for call in calls if id in call.inputs), default=0.0)


RANDOM_SEED = 5
ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "as_given": as_given,
        "random": at_random(RANDOM_SEED),
        "longest_first": longest_first,
        "longest_path": longest_path,
    }
)
