"""What an arithmetic expression is worth, exactly. The text may be anything; nothing of it is ever run.

sum     = product , { ( "+" | "-" ) , product } ;
product = factor , { ( "*" | "/" ) , factor } ;
factor  = digits | "(" , sum , ")" ;
"""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from operator import add, mul, sub, truediv

LONGEST = 100  # characters; four numbers need a third of it, and nesting is bounded by it too

_SYMBOLS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_TOKEN = re.compile(r"\s*(?:([0-9]+)|([-+*/()]))")
OPERATIONS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {"+": add, "-": sub, "*": mul, "/": truediv}


def value_of(text: str) -> tuple[Fraction, list[int]]:
    """Return the value of an expression, and its numbers in the order of the text.

    Raises `ValueError` for a text that is none, is too long, or divides by zero.
    """
    reader = _Reader(_tokens(text.translate(_SYMBOLS).strip()))
    try:
        value = reader.sum()
    except ZeroDivisionError as error:
        raise ValueError("it divides by zero") from error
    if reader.tokens:
        raise ValueError(f"{reader.tokens[-1]!r} stands behind the end")
    return value, reader.numbers


def _tokens(text: str) -> list[str]:
    """Return the tokens, the first one last."""
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"{text[at : at + 10]!r} is no part of an expression")
        tokens.append(found[1] or found[2])
        at = found.end()
    return tokens[::-1]


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.numbers: list[int] = []

    def sum(self) -> Fraction:
        return self._chain("+-", self._product)

    def _product(self) -> Fraction:
        return self._chain("*/", self._factor)

    def _chain(self, operators: str, part: Callable[[], Fraction]) -> Fraction:
        value = part()
        while self.tokens and self.tokens[-1] in operators:
            value = OPERATIONS[self.tokens.pop()](value, part())
        return value

    def _factor(self) -> Fraction:
        token = self.tokens.pop() if self.tokens else "the end"
        if token == "(":
            value = self.sum()
            if not self.tokens or self.tokens.pop() != ")":
                raise ValueError("a parenthesis is not closed")
            return value
        if not token.isdigit():
            raise ValueError(f"a number is missing before {token!r}")
        self.numbers.append(int(token))
        return Fraction(token)
