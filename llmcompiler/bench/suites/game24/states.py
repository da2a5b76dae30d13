"""States of the game: a text whose first line names the puzzle and whose further lines are the steps taken.

Write an expression ...: 4 9 10 13
13 - 9 = 4 (left: 4 4 10)
10 - 4 = 6 (left: 4 6)
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from llmcompiler.bench.suites.game24.expressions import OPERATIONS

TARGET = 24
DEPTH = 3  # steps from four numbers to one

_NUMBER = r"-?\d{1,12}(?:/\d{1,12}|\.\d{1,12})?"
_NUMBERS = re.compile(rf"{_NUMBER}(?:\s+{_NUMBER})*")
_STEP = re.compile(
    rf"(?P<one>{_NUMBER})\s*(?P<sign>[-+*/])\s*(?P<other>{_NUMBER})\s*=\s*(?P<made>{_NUMBER})"
    rf"\s*\(left:\s*(?P<left>{_NUMBERS.pattern})\s*\)",
    re.IGNORECASE,
)


class Step(NamedTuple):
    """One operation of a state: two of its numbers become one, which leaves `left`."""

    one: Fraction
    sign: str
    other: Fraction
    made: Fraction
    left: tuple[Fraction, ...]

    def __str__(self) -> str:
        return f"{self.one} {self.sign} {self.other} = {self.made} (left: {number_text(self.left)})"


def number_text(numbers: Sequence[Fraction]) -> str:
    """Return numbers as a state has them."""
    return " ".join(map(str, numbers))


def numbers_of(text: str) -> tuple[Fraction, ...]:
    """Return the numbers that a text consists of. Raises `ValueError` if there is anything else in it."""
    if _NUMBERS.fullmatch(text.strip()) is None:
        raise ValueError(f"{text[:100]!r} are no numbers")
    return tuple(map(_fraction, text.split()))


def left_of(state: str) -> tuple[Fraction, ...]:
    """Return the numbers that are left in a state: those behind the last colon. Raises `ValueError` if there are none."""
    lines = state.strip().splitlines() or [""]
    return numbers_of(lines[-1].rpartition(":")[2].strip(" )"))


def steps_in(text: str) -> list[Step]:
    """Return the steps in a text, in their order, right or wrong."""
    return [
        Step(
            _fraction(found["one"]),
            found["sign"],
            _fraction(found["other"]),
            _fraction(found["made"]),
            numbers_of(found["left"]),
        )
        for found in _STEP.finditer(text)
    ]


def expression_of(state: str) -> str | None:
    """Return the expression to which the steps of a state come, if they are right and it is 24; else None."""
    first, _, rest = state.strip().partition("\n")
    try:
        pool = [(number, str(number)) for number in left_of(first)]
        steps = steps_in(rest)
    except ValueError:
        return None
    for step in steps:
        one, other = _take(pool, step.one), _take(pool, step.other)
        if one is None or other is None or (step.sign == "/" and not step.other):
            return None
        if OPERATIONS[step.sign](step.one, step.other) != step.made:
            return None
        pool.append((step.made, f"({one} {step.sign} {other})"))
    return pool[0][1].removeprefix("(").removesuffix(")") if [value for value, _ in pool] == [TARGET] else None


def _take(pool: list[tuple[Fraction, str]], value: Fraction) -> str | None:
    for entry in pool:
        if entry[0] == value:
            pool.remove(entry)
            return entry[1]
    return None


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError(f"{text} divides by zero") from error
