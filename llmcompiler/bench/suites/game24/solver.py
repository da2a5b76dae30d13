"""The exact solver: every step from some numbers, and a way to 24 if there is one. What the ideal model knows."""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

from llmcompiler.bench.suites.game24.expressions import OPERATIONS
from llmcompiler.bench.suites.game24.states import TARGET, Step


def steps_from(numbers: tuple[Fraction, ...]) -> Iterator[Step]:
    """Yield every step that can be taken, one for each set of numbers that it may leave."""
    seen = set()
    for i, j in combinations(range(len(numbers)), 2):
        rest = [number for at, number in enumerate(numbers) if at not in (i, j)]
        for one, sign, other in _operations(numbers[i], numbers[j]):
            made = OPERATIONS[sign](one, other)
            left = tuple(sorted([*rest, made]))
            if left not in seen:
                seen.add(left)
                yield Step(one, sign, other, made, left)


def _operations(one: Fraction, other: Fraction) -> Iterator[tuple[Fraction, str, Fraction]]:
    for sign in "+-*/":
        for first, second in ((one, other), (other, one)) if sign in "-/" else ((one, other),):
            if sign != "/" or second:
                yield first, sign, second


def way_from(numbers: tuple[Fraction, ...]) -> tuple[Step, ...] | None:
    """Return steps that lead to 24, or None if none do."""
    return _way(tuple(sorted(numbers)))


@lru_cache(maxsize=100_000)
def _way(numbers: tuple[Fraction, ...]) -> tuple[Step, ...] | None:
    if len(numbers) == 1:
        return () if numbers[0] == TARGET else None
    for step in steps_from(numbers):
        further = _way(step.left)
        if further is not None:
            return (step, *further)
    return None
