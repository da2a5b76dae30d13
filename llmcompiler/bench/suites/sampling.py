"""Choosing some of a suite's questions: the same ones each time, from all kinds alike."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def spread_out(items: Sequence[T], count: int, kind: Callable[[T], Any]) -> list[T]:
    """Return `count` items, or all if there are fewer, of each kind about its share, in the order in which they came."""
    if count >= len(items):
        return list(items)
    by_kind = sorted(range(len(items)), key=lambda place: (kind(items[place]), place))
    chosen = {by_kind[round(step * len(items) / count)] for step in range(count)}
    return [items[place] for place in sorted(chosen)]
