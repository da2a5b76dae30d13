"""An arithmetic calculator that walks the syntax tree itself, so that nothing but arithmetic can happen.

    text ─▶ Reader (separators, percents; only known names and signs pass) ─▶ ast.parse ─▶ _value ─▶ number or bool
                                                                                     └─▶ _picked ─▶ what the user named
Invariants: `ast.parse` sees only numbers, operators and the names listed here, in ASCII, and of a quoted text no more
than its number; `_value` refuses all but a few kinds of node; every number is finite and short before it is used again.
Any text ends within 100 ms.
"""

import ast
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmcompiler import tool

Number = int | float

LONGEST = 1_000  # characters
MOST_NODES = 1_000
DEEPEST = 100  # levels of brackets and of the syntax tree; a sum of more terms is written sum(...)
MOST_BITS = 3_322  # of a whole number: 1,000 digits
MOST_EXPONENT = 10_000
MOST_PLACES = 99  # in round(x, places); three digits would be a mistaken round(1,234)
ANY = LONGEST  # arguments: as many as fit

# A percent sign becomes "[_percent]", a postfix that binds as tightly as Python's syntax can; no user can write it.
PERCENT = "_percent"
MINUS = str.maketrans("−–", "--")
LABEL = re.compile("_[0-9]+")  # stands for a quoted text; no user can write it either
# With spaces, so that two signs in a row never make a third: "2 ×× 3" is no power.
PLAIN = dict.fromkeys("×·⋅", " * ") | dict.fromkeys("÷∕", " / ")
PLAIN |= {"^": "**", "≤": "<=", "≥": ">=", "≠": "!=", "π": "pi"}

TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<currency>\$(?=\s*\.?[0-9]))|(?P<name>[^\W\d]\w*)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<quoted>'[^'\n]+'|\"[^\"\n]+\")"
    r"|(?P<sign>\*\*|//|<=|>=|==|!=|[-+*/%^<>()\[\],≤≥≠×·⋅÷∕])"
)
GROUPED = re.compile(r"(?P<grouped>[1-9][0-9]{0,2}(?:,[0-9]{3})+(?!,?[0-9])(?:\.[0-9]+)?)|" + TOKEN.pattern)

CONSTANTS = {"pi": math.pi, "e": math.e}
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: lambda base, exponent: _power(base, exponent),
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@tool(effect="read", timeout=5, expected=0.001)
def calculate(expression: str) -> int | float | bool | str:
    """Return the value of an arithmetic expression, such as "1,250 * 20%" or "max(8848.86, 8611) - 8611".

    Allowed: + - * / // % ** and ^ (power), parentheses, comparisons (the result is true or false), min, max, sum, mean,
    abs, round, floor, ceil, sqrt, exp, log (natural, or log(x, base)), log10, pi, e. No units, no variables. Outermost also
    largest and smallest, which return a name: smallest("K2", 8611 * 90%, "Denali", 6190 * 120%) is "Denali".
    "20%" is 20/100; a % that a number, name or bracket follows is the remainder. A $ before a number is dropped.
    Outside of function arguments 1,000,000 is one number; inside, commas separate. Raises ValueError, with the place.
    """
    if len(expression) > LONGEST:
        raise ValueError(f"the expression has {len(expression):,} characters; at most {LONGEST:,} are read")
    reader = Reader(expression.translate(MINUS))
    reader.read()
    tree = reader.tree()
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in PICKS:
        return expression[_picked(reader, tree, tree.func.id)]
    if isinstance(tree, ast.Compare):
        sides = [_value(reader, side, DEEPEST) for side in (tree.left, *tree.comparators)]
        return all(OPERATORS[type(op)](*sides[i : i + 2]) for i, op in enumerate(tree.ops))
    return _value(reader, tree, DEEPEST)


@dataclass(slots=True)
class Reader:
    """Turns what people write into Python's arithmetic; `places` leads each of its characters back to the text."""

    text: str
    plain: str = ""
    places: list[int] = field(default_factory=list)
    quoted: list[slice] = field(default_factory=list)  # where the quoted texts are, without their quotes
    brackets: list[str] = field(default_factory=lambda: [""])  # whose arguments commas separate; "" if nobody's
    last: str = ""  # the token before this one
    end: int = 0  # where that ended
    grouped: int | None = None  # the place of an argument's comma that looks like the one in 1,000
    separate: bool = True  # whether such a comma can only separate arguments

    def read(self) -> None:
        """Fill `plain`; raise ValueError at the first thing that is not arithmetic."""
        position = 0
        while position < len(self.text):
            match = (TOKEN if self.brackets[-1] else GROUPED).match(self.text, position)
            if match is None:
                hint = "; write == to compare" * (self.text[position] == "=")
                raise self.refusal(f"{self.text[position]!r} is not allowed in arithmetic{hint}", position)
            if match.lastgroup not in ("space", "currency"):
                self._token(match.lastgroup, match.group(), position)
                self.last, self.end = match.group(), match.end()
            elif self.plain:
                self._write(" ", position)  # never first: Python would see an indent
            position = match.end()
        if self.grouped is not None and not self.separate:
            # "max(1,234, 5)" is 1,234 and 5 to a reader, but 1, 234 and 5 to Python: neither is taken.
            raise self.refusal("this comma is ambiguous: write 1234, or 1, 234", self.grouped)

    def tree(self) -> ast.expr:
        """Return the syntax tree of what was read; raise ValueError if it has none, or one that is too large."""
        try:
            tree = ast.parse(self.plain, mode="eval").body
        except (SyntaxError, MemoryError, RecursionError) as error:
            offset = getattr(error, "offset", None) or len(self.plain) + 1  # from 1; past the end where something lacks
            reason = "this cannot be read as arithmetic" if self.plain else "the expression is empty"
            raise self.refusal(reason, [*self.places, len(self.text), len(self.text)][offset - 1]) from error
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            raise self.refusal(f"the expression has more than {MOST_NODES} parts", 0)
        return tree

    def refusal(self, reason: str, start: int, end: int = 0) -> ValueError:
        """Return the error with `reason` and carets under the characters from `start` to `end`."""
        left = max(0, start - 40)
        line = "".join(c if c.isprintable() else " " for c in self.text[left : left + 80])
        carets = "^" * max(1, min(end, left + 80) - start)
        return ValueError(f"{reason} (at character {start + 1})\n  {line}\n  {' ' * (start - left)}{carets}")

    def refusal_at(self, node: ast.expr, reason: str) -> ValueError:
        """Return the error with `reason` and carets under `node`."""
        ends = node.end_col_offset or node.col_offset + 1
        return self.refusal(reason, self.places[node.col_offset], self.places[ends - 1] + 1)

    def _token(self, kind: str | None, word: str, start: int) -> None:
        if kind in ("grouped", "number"):
            if re.match("0[0-9]", word):
                hint = "; commas separate arguments here: write 1000, not 1,000" * (self.last == ",")
                raise self.refusal(f"a number may not start with 0{hint}", start)
            self._write(word.replace(",", ""), start)
        elif kind == "name":
            self._name(word, start)
        elif kind == "quoted":
            self._quoted(word, start)
        elif word == "%":
            self._percent(start)
        else:
            self._sign(word, start)

    def _name(self, word: str, start: int) -> None:
        name = PLAIN.get(word, word).lower()
        if name not in CONSTANTS and name not in FUNCTIONS:
            known = ", ".join([*FUNCTIONS, *CONSTANTS])
            raise self.refusal(f"the name {word[:40]!r} is not among {known}", start, start + len(word))
        if self.end == start and re.search("[0-9.]$", self.last):
            raise self.refusal("write * between a number and what it multiplies", start)
        self._write(name, start)

    def _quoted(self, word: str, start: int) -> None:
        if self.brackets[-1] not in PICKS:
            raise self.refusal("a name in quotes may only stand in largest or smallest", start, start + len(word))
        self._write(f" _{len(self.quoted)} ", start)
        self.quoted.append(slice(start + 1, start + len(word) - 1))

    def _percent(self, start: int) -> None:
        follows = self.text[start + 1 :].lstrip()[:1]
        if follows in ("+", "-") and self.end < start:
            raise self.refusal("write 20% (percent) without a space, or the remainder as 7 % (-3)", start)
        if follows and follows not in "+-*/^<>=!≤≥≠×·⋅÷∕),]":
            self._write("%", start)
        elif re.search(r"[\w.)]$", self.last):
            self._write(f"[{PERCENT}]", start)
        else:
            raise self.refusal("a percent sign needs a number before it", start)

    def _sign(self, word: str, start: int) -> None:
        if word in "([":
            function = "[" if word == "[" else self.last.lower()
            self.brackets.append(function if function == "[" or function in FUNCTIONS else self.brackets[-1])
            if len(self.brackets) > DEEPEST:
                raise self.refusal(f"brackets are nested deeper than {DEEPEST - 1} levels", start)
        elif word in ")]":
            self.brackets = self.brackets[:-1] or [""]
        elif word == ",":
            self._comma(start)
        self._write(PLAIN.get(word, word), start)

    def _comma(self, start: int) -> None:
        function = self.brackets[-1]
        if not function:
            raise self.refusal("a comma separates thousands (1,000,000) or function arguments only", start)
        if re.match("[0-9]{1,3},[0-9]{3}(?![0-9])", self.last + self.text[self.end :]):
            self.grouped = start
            self.separate &= function == "[" or FUNCTIONS[function][2] == ANY  # log(12,345) may be either
        elif self.text[start + 1 : start + 2].isspace():
            self.separate = False

    def _write(self, plain: str, start: int) -> None:
        self.plain += plain
        kept = self.text.startswith(plain, start)
        self.places += range(start, start + len(plain)) if kept else [start] * len(plain)


def _value(reader: Reader, node: ast.expr, depth: int) -> Number:
    """Return the number that `node` stands for; raise ValueError for any node that is not arithmetic."""
    reason = "this is not a number"
    match node:
        case _ if depth == 0:
            reason = f"the expression is nested deeper than {DEEPEST} levels"
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _applied(reader, node, operator.pos, value)
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            sides = [_value(reader, side, depth - 1) for side in (left, right)]
            return _applied(reader, node, OPERATORS[type(op)], *sides)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            return _applied(reader, node, OPERATORS[type(op)], _value(reader, operand, depth - 1))
        case ast.Subscript(value=part, slice=ast.Name(id=name)) if name == PERCENT:
            return _applied(reader, node, operator.truediv, _value(reader, part, depth - 1), 100)
        case ast.Call(func=ast.Name(id=name)) if name in PICKS:
            reason = f"{name} gives a name, not a number; it may only stand outermost"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return _called(reader, node, name, arguments, depth)
        case ast.Call():
            reason = "only a function can be called; write * to multiply"
        case ast.Compare():
            reason = "a comparison is true or false, not a number; it may only stand outermost"
        case ast.List() | ast.Tuple():
            reason = "a list may only be the one argument of min, max, sum or mean"
    raise reader.refusal_at(node, reason)


def _called(reader: Reader, node: ast.Call, name: str, arguments: list[ast.expr], depth: int) -> Number:
    """Return the value of a function; raise ValueError if it takes another number of arguments."""
    function, fewest, most = FUNCTIONS[name]
    if most == ANY and len(arguments) == 1 and isinstance(arguments[0], ast.List | ast.Tuple):
        arguments = arguments[0].elts
    if not fewest <= len(arguments) <= most:
        takes = "1 argument or more" if most == ANY else f"{fewest} to {most} arguments" if most > 1 else "1 argument"
        raise reader.refusal_at(node, f"{name} takes {takes}, not {len(arguments)}")
    return _applied(reader, node, function, *(_value(reader, argument, depth - 1) for argument in arguments))


def _picked(reader: Reader, node: ast.Call, function: str) -> slice:
    """Return where the name stands whose value is the largest, or the smallest; raise ValueError if two share the place."""
    names, arguments = node.args[::2], node.args[1::2]
    labels = [name.id for name in names if isinstance(name, ast.Name) and LABEL.fullmatch(name.id)]
    if not len(labels) == len(names) == len(arguments) or not labels or node.keywords:
        raise reader.refusal_at(node, f"{function} takes names in quotes, each with its value after it")
    values = [_value(reader, argument, DEEPEST) for argument in arguments]
    best = FUNCTIONS[function][0](*values)
    if values.count(best) > 1:
        raise reader.refusal_at(node, f"no single one is the {function}: {values.count(best)} share its value")
    return reader.quoted[int(labels[values.index(best)][1:])]


def _applied(reader: Reader, node: ast.expr, function: Callable[..., Number | complex], *values: Number) -> Number:
    """Return the number that `function` gives; raise ValueError if it gives none, or one that is too large."""
    try:
        result = function(*values)
        if isinstance(result, complex):
            raise ValueError
        if result.bit_length() > MOST_BITS if isinstance(result, int) else not math.isfinite(result):
            raise OverflowError
        return result
    except ZeroDivisionError:
        reason = "division by zero"
    except OverflowError:
        reason = "the result is too large"
    except ArithmeticError as error:
        reason = str(error)  # raised below
    except ValueError:
        reason = "this is not defined for real numbers"
    raise reader.refusal_at(node, reason)


def _power(base: Number, exponent: Number) -> Any:
    """Return `base` to the power of `exponent`; refuse before computing what would take long."""
    if abs(exponent) > MOST_EXPONENT:
        raise ArithmeticError(f"an exponent may be at most {MOST_EXPONENT:,}")
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > 2 * MOST_BITS:
        raise OverflowError
    return base**exponent


def _round(value: Number, places: Number | None = None) -> Number:
    """Return `value` rounded as Python does: a half goes to the even neighbour."""
    if places is None:
        return round(value)
    if not isinstance(places, int) or abs(places) > MOST_PLACES:
        raise ArithmeticError(f"round takes a whole number of places, at most {MOST_PLACES}")
    return round(value, places)


def _log(value: Number, base: Number = math.e) -> float:
    """Return the logarithm; bases 2 and 10 are exact where the result is whole."""
    exact = {2: math.log2, 10: math.log10, math.e: math.log}
    return exact[base](value) if base in exact else math.log(value, base)


def _sum(*values: Number) -> Number:
    """Return the sum: exact for whole numbers, correctly rounded for others."""
    return sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values)


FUNCTIONS: dict[str, tuple[Callable[..., Number], int, int]] = {  # with the fewest and the most arguments
    "min": (lambda *values: min(values), 1, ANY),
    "max": (lambda *values: max(values), 1, ANY),
    "sum": (_sum, 1, ANY),
    "mean": (lambda *values: _sum(*values) / len(values), 1, ANY),
    "abs": (abs, 1, 1),
    "round": (_round, 1, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "sqrt": (math.sqrt, 1, 1),
    "exp": (math.exp, 1, 1),
    "log": (_log, 1, 2),
    "log10": (math.log10, 1, 1),
    "largest": (lambda *values: max(values), 2, ANY),
    "smallest": (lambda *values: min(values), 2, ANY),
}
PICKS = frozenset({"largest", "smallest"})  # of values; what they return is the name before the value
