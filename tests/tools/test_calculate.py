"""Facts about the example tool `calculate`: what it computes, what it refuses, and that nothing else can happen."""

import importlib.util
import math
import operator
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st


def load(name: str) -> ModuleType:
    """Return the module tools/<name>.py, run afresh."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", Path(__file__).parents[2] / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULE = load("calculate")
calculate = MODULE.calculate

VALUES: dict[str, int | float | bool] = {
    # numbers
    "0": 0,
    "42": 42,
    "3.5": 3.5,
    ".5": 0.5,
    "5.": 5.0,
    "1e3": 1000.0,
    "1.5E-3": 0.0015,
    "-7": -7,
    "+7": 7,
    "--7": 7,
    "pi": math.pi,
    "π": math.pi,
    "e": math.e,
    # operators, as tightly as Python binds them
    "1 + 2 * 3": 7,
    "(1 + 2) * 3": 9,
    "10 - 4 - 3": 3,
    "7 / 2": 3.5,
    "6 / 2": 3.0,
    "7 // 2": 3,
    "-7 // 2": -4,
    "7 % 3": 1,
    "7%3": 1,
    "-7 % 3": 2,
    "7 % (-3)": -2,
    "7.5 % 2": 1.5,
    "2 ** 10": 1024,
    "2 ^ 10": 1024,
    "2 ** 3 ** 2": 512,
    "-2 ** 2": -4,
    "2 ** -1": 0.5,
    "4 ** 0.5": 2.0,
    "0.1 + 0.2": 0.1 + 0.2,
    "2 +\n\t 3": 5,
    "  8  ": 8,
    # signs that people and models write
    "6 × 7": 42,
    "6 · 7": 42,
    "84 ÷ 2": 42.0,
    "50 − 8": 42,
    "50 – 8": 42,
    "−8 × −2": 16,
    # money and thousands
    "1,000,000": 1_000_000,
    "1,250.75 + 1": 1251.75,
    "12,345 - 345": 12_000,
    "(1,000 + 2) * 3": 3006,
    "$5 + $3": 8,
    "$1,000 - $5": 995,
    "-$5": -5,
    "$ 20 * 2": 40,
    # per cent
    "20%": 0.2,
    "1,250 * 20%": 250.0,
    "100 + 10%": 100.1,
    "20% - 5": 0.2 - 5,
    "100*20%-5": 15.0,
    "(10 + 10)%": 0.2,
    "20 % * 5": 1.0,
    "2 ^ 50%": math.sqrt(2),
    "10 / 20%": 50.0,
    "max(5%, 7%)": 0.07,
    "5 % 3 * 2": 4,
    # functions
    "max(8848.86, 8611) - 8611": 8848.86 - 8611,
    "max(100,200)": 200,
    "min(3, 1, 2)": 1,
    "min([3, 1, 2])": 1,
    "sum([100,200,300])": 600,
    "sum([100, 200, 300])": 600,
    "sum((1, 2))": 3,
    "sum(0.1, 0.2, 0.3)": 0.6,
    "mean(1, 2, 3, 4)": 2.5,
    "mean([2, 4])": 3.0,
    "abs(-5)": 5,
    "ABS(-5)": 5,
    "round(2.5)": 2,
    "round(1234.567, 2)": 1234.57,
    "round(1234, -2)": 1200,
    "round((8848 - 8611) / 8611 * 100%, 4)": 0.0275,
    "sqrt(16)": 4.0,
    "floor(-0.5)": -1,
    "ceil(2.1)": 3,
    "log(e)": 1.0,
    "log(1000, 10)": 3.0,
    "log(8, 2)": 3.0,
    "log(81, 3)": math.log(81, 3),
    "log10(1000)": 3.0,
    "exp(0)": 1.0,
    "max(min(1, 2), abs(-3))": 3,
    # comparisons
    "1 < 2": True,
    "2 <= 1": False,
    "2 ≤ 2": True,
    "3 > 2 > 1": True,
    "3 > 2 > 2": False,
    "3 ≥ 4": False,
    "1 == 1.0": True,
    "1 ≠ 1": False,
    "1 != 2": True,
    "(3130 * 2) > 3790": True,
    "8848.86 * 90% > 5895 * 110%": True,
    # at the caps
    "9" * 1000: int("9" * 1000),
    "+".join(["1"] * 100): 100,
    "(" * 99 + "1" + ")" * 99: 1,
    "sum(" + ", ".join(["1"] * 300) + ")": 300,
    "10 ** 999": 10**999,
    "0.5 ** 10000": 0.0,
}


@pytest.mark.parametrize(("expression", "value"), VALUES.items(), ids=[repr(text[:40]) for text in VALUES])
def test_arithmetic_has_its_value_and_type(expression: str, value: float) -> None:
    result = calculate(expression)
    assert (type(result), result) == (type(value), pytest.approx(value, rel=1e-14))


ATTACKS = [
    # code
    "__import__('os').system('id')",
    "__import__(chr(111))",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "open('/etc/passwd')",
    "open",
    "print(1)",
    "globals()",
    "locals()",
    "vars()",
    "dir()",
    "type(1)",
    "getattr(1, 'real')",
    "breakpoint()",
    "exit()",
    "import os",
    "os.system",
    "lambda: 1",
    "(lambda: 1)()",
    "lambda x: x",
    "x",
    "_",
    "__builtins__",
    "_percent",
    "1[_percent]",
    "a = 1",
    "(a := 1)",
    "a += 1",
    "del pi",
    "pass",
    "return 1",
    "yield 1",
    "await pi",
    "assert 1",
    "raise 1",
    "1; 2",
    "1 # 2",
    "if 1: 2",
    "while 1: 1",
    "for pi in e: 1",
    "def f(): 1",
    "class e: pi",
    "@max",
    # objects
    "(1).real",
    "1 .real",
    "1.0.hex()",
    "pi.__class__",
    "max.__self__",
    "().__class__.__bases__",
    "(1).__class__.__mro__[1].__subclasses__()",
    "[].append",
    "max.__globals__['os']",
    # other kinds of value
    "'a'",
    '"a"',
    "'a' * 10**9",
    '"""a"""',
    "b'a'",
    "f'{1}'",
    "r'a'",
    "`1`",
    "True",
    "False",
    "None",
    "True + 1",
    "Ellipsis",
    "...",
    "1j",
    "2 + 3j",
    "inf",
    "nan",
    "float('nan')",
    "[]",
    "[1, 2]",
    "(1, 2)",
    "1, 2",
    "()",
    "{}",
    "{1}",
    "{1: 2}",
    "[1 for pi in [1]]",
    "sum(1 for e in [1])",
    "[1, 2][0]",
    "[[1]]",
    "5[0]",
    "pi[1:2]",
    # logic
    "1 if 2 else 3",
    "1 and 2",
    "1 or 2",
    "not 1",
    "1 in [1]",
    "1 is 1",
    "1 & 2",
    "1 | 2",
    "1 << 100000",
    "1 >> 1",
    "~1",
    "1 @ 2",
    "1 <> 2",
    "1 = 1",
    "1 => 1",
    "(1 < 2) + 1",
    "(1 < 2) < 3",
    "max(1 < 2, 0)",
    "-(1 < 2)",
    # functions
    "max",
    "max()",
    "max + 1",
    "min([])",
    "sum()",
    "mean([])",
    "abs(1, 2)",
    "abs([1])",
    "sqrt()",
    "sqrt(1, 2)",
    "round()",
    "round(1, 2, 3)",
    "round(1.5, 0.5)",
    "round(5, 10**9)",
    "round(5, -10**9)",
    "max(*[1, 2])",
    "max(**[1])",
    "max(1, key=abs)",
    "max(1, [2])",
    "max([1], [2])",
    "max([[1]])",
    "pi()",
    "2(3)",
    "(1)(2)",
    "max(1)(2)",
    "factorial(9)",
    "pow(2, 3)",
    "sin(1)",
    # not defined, or too large
    "1 / 0",
    "1 // 0",
    "1 % 0",
    "0 ** -1",
    "0.0 ** -1",
    "sqrt(-1)",
    "log(0)",
    "log(-1)",
    "log(2, 1)",
    "log10(0)",
    "(-8) ** (1/3)",
    "(-1) ** 0.5",
    "9 ** 9 ** 9",
    "9**9**9**9**9**9",
    "10 ** 1001",
    "2 ** 99999999999",
    "(2 ** 3000) ** 3000",
    "(10 ** 900) * (10 ** 900)",
    "10.0 ** 400",
    "10 ** 400 * 1.0",
    "10 ** 400 / 3",
    "sqrt(10 ** 900)",
    "exp(1000)",
    "exp(10 ** 900)",
    "1e999",
    "-1e999",
    "1e308 * 10",
    "1e308 + 1e308",
    "sum(1e308, 1e308)",
    "mean(1e308, 1e308)",
    "round(1.7e308, -308)",
    "floor(1e999)",
    "9" * 1000 + "0",
    "9" * 999 + "*9" * 300,
    # too long, too deep, too many
    "1" * 1001,
    "1" * 100_000,
    " " * 100_000 + "1",
    "(" * 100_000,
    "(" * 1000,
    "(" * 500 + "1" + ")" * 500,
    "(" * 100 + "1" + ")" * 100,
    "[" * 500 + "]" * 500,
    "abs(" * 150 + "1" + ")" * 150,
    "-" * 999 + "1",
    "+" * 150 + "1",
    "1+" * 499 + "1",
    "2**" * 300 + "2",
    "1<" * 499 + "1+",
    "1" + "%" * 900,
    "max(" * 199,
    "1,000" * 200,
    # not arithmetic at all
    "",
    "   ",
    "\n",
    "\x00",
    "1\x002",
    "1 +",
    "* 2",
    "1 2",
    "1 + + ",
    "2 ** ",
    "(1",
    "1)",
    "(1]",
    ")(",
    "()()",
    "%",
    "% 5",
    "50%%",
    "5%%3",
    "7 % -3",
    "7 % + 3",
    "$",
    "5$",
    "$$5",
    "2$3",
    "$pi",
    "${1.value} + 1",
    "€5",
    "hello",
    "twenty percent of 50",
    "20% of 50",
    "8848 m",
    "5 apples",
    "2pi",
    "2 pi",
    "3(4)",
    "2××3",
    "2 * * 3",
    "2 ÷÷ 3",
    "1,5 + 2",
    "1,0000",
    "1,000,00",
    "0,123",
    "1,,000",
    ",1",
    "1 000",
    "1_000",
    "007",
    "0x10",
    "0b1",
    "1e",
    "1e+",
    "1..2",
    "1.2.3",
    ".",
    "max(1,000, 2)",
    "max(1,234, 5)",
    "sum([1, 2, 3,456])",
    "round(1,234)",
    "log(12,345)",
    "sqrt(1,000)",
    "5²",
    "½",
    "５ + １",
    "٣ + ٤",
    "√4",
    "∞",
    "1\u200b+1",
    "\ud800",
    "🧮",
]


@pytest.mark.parametrize("expression", ATTACKS, ids=[f"{place}: {text[:30]!a}" for place, text in enumerate(ATTACKS)])
def test_anything_but_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        calculate(expression)
    assert type(caught.value) is ValueError
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "2 * x10",
            "the name 'x10' is not among min, max, sum, mean, abs, round, floor, ceil, sqrt, exp, log, log10, pi, e"
            " (at character 5)\n  2 * x10\n      ^^^",
        ),
        ("1 + 5 / (3 - 3)", "division by zero (at character 5)\n  1 + 5 / (3 - 3)\n      ^^^^^^^^^^^"),
        ("1 = 2", "'=' is not allowed in arithmetic; write == to compare (at character 3)\n  1 = 2\n    ^"),
        ("1 + 'a'", "\"'\" is not allowed in arithmetic (at character 5)\n  1 + 'a'\n      ^"),
        ("(1 +", "this cannot be read as arithmetic (at character 1)\n  (1 +\n  ^"),
        ("2 × sqrt(-4)", "this is not defined for real numbers (at character 5)\n  2 × sqrt(-4)\n      ^^^^^^^^"),
        ("2 ** 20000", "an exponent may be at most 10,000 (at character 1)\n  2 ** 20000\n  ^^^^^^^^^^"),
        ("", "the expression is empty (at character 1)\n  \n  ^"),
        ("1" * 1001, "the expression has 1,001 characters; at most 1,000 are read"),
    ],
    ids=["a name", "a division", "a single =", "a quote", "an end", "a domain", "an exponent", "nothing", "length"],
)
def test_a_refusal_says_what_and_where(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        calculate(expression)
    assert str(caught.value) == message


def test_a_refusal_deep_in_a_long_text_shows_only_its_neighbourhood() -> None:
    with pytest.raises(ValueError, match="at character 402") as caught:
        calculate("1 + " * 100 + " oops " + "+ 1" * 100)
    _, line, carets = str(caught.value).split("\n")
    assert len(line) <= 82
    assert line[carets.index("^") : len(carets)] == "oops"


@given(st.text(max_size=60))
@settings(derandomize=True, deadline=None, max_examples=200)
@example("1" * 999 + "%")
def test_any_text_gives_a_number_or_a_value_error(expression: str) -> None:
    assert_number_or_refusal(expression)


PIECES = [
    *"0123456789.,()[]+-*/%^<>=!$ eπ×÷−²_'\"",
    "**",
    "//",
    "==",
    "1,000",
    "max(",
    "sum([",
    "log",
    "1e9",
    "\n",
    "pi",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@settings(derandomize=True, deadline=None, max_examples=600)
def test_any_mixture_of_what_is_allowed_gives_a_number_or_a_value_error(expression: str) -> None:
    assert_number_or_refusal(expression)


def assert_number_or_refusal(expression: str) -> None:
    try:
        result = calculate(expression)
    except ValueError as error:
        result = error
    assert type(result) in (int, float, bool, ValueError)
    assert isinstance(result, ValueError) or math.isfinite(result)


# --- against Python's own arithmetic, on trees that the test builds and writes out itself

Tree = tuple[Any, ...]
EXACT: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
PYTHON: dict[str, Callable[[Any, Any], Any]] = {**EXACT, "//": operator.floordiv, "%": operator.mod}
WAYS = {"*": ["*", "×", "·"], "/": ["/", "÷"], "-": ["-", "−"]}


def trees(leaves: st.SearchStrategy[Any], operators: list[str]) -> st.SearchStrategy[Tree]:
    ways = st.integers(min_value=0, max_value=11)
    return st.recursive(
        st.tuples(st.just("leaf"), leaves, ways),
        lambda inner: st.tuples(st.sampled_from(operators), inner, inner, ways),
        max_leaves=12,
    )


def written(tree: Tree) -> str:
    """Return `tree` as text, in one of the ways that people write it."""
    way = tree[-1]
    if tree[0] == "leaf":
        number = f"{tree[1]:,}" if way % 2 and isinstance(tree[1], int) else repr(tree[1])
        return f"({number})" if number.startswith("-") else f"${number}" if way % 5 == 0 else number
    sign = WAYS.get(tree[0], [tree[0]])[way % len(WAYS.get(tree[0], [0]))]
    space = " " if way % 2 or sign == "%" else ""
    # The right side stands in brackets, as its operators bind to the left otherwise; so does any side that needs it.
    return f"({written(tree[1])}){space}{sign}{space}({written(tree[2])})"


def computed(tree: Tree, operators: dict[str, Callable[[Any, Any], Any]], leaf: Callable[[Any], Any]) -> Any:
    if tree[0] == "leaf":
        return leaf(tree[1])
    return operators[tree[0]](computed(tree[1], operators, leaf), computed(tree[2], operators, leaf))


@given(trees(st.integers(min_value=-(10**9), max_value=10**9) | st.floats(-1e9, 1e9), list(PYTHON)))
@settings(derandomize=True, deadline=None, max_examples=250)
def test_a_random_expression_has_the_value_that_python_computes(tree: Tree) -> None:
    try:
        expected = computed(tree, PYTHON, lambda number: number)
    except ArithmeticError:
        expected = None
    if expected is None or not math.isfinite(expected):
        with pytest.raises(ValueError, match=r"division by zero|too large"):
            calculate(written(tree))
    else:
        assert repr(calculate(written(tree))) == repr(expected)


@given(trees(st.integers(min_value=-(10**6), max_value=10**6), ["+", "-", "*"]))
@settings(derandomize=True, deadline=None, max_examples=150)
def test_whole_numbers_are_exact(tree: Tree) -> None:
    result = calculate(written(tree))
    assert type(result) is int
    assert result == computed(tree, EXACT, Fraction)


@given(trees(st.integers(min_value=1, max_value=10**6), ["+", "*", "/"]))
@settings(derandomize=True, deadline=None, max_examples=150)
def test_fractions_of_positive_numbers_are_right_to_twelve_digits(tree: Tree) -> None:
    assert calculate(written(tree)) == pytest.approx(float(computed(tree, EXACT, Fraction)), rel=1e-12)


@given(st.integers(min_value=0, max_value=999), st.integers(min_value=0, max_value=999))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_operators_bind_as_in_python_without_brackets(left: int, right: int) -> None:
    assert calculate(f"{left} + {right} * 3 - 4 ^ 2 / 8") == left + right * 3 - 4**2 / 8
    assert calculate(f"{left}% + {right}%") == left / 100 + right / 100
    assert calculate(f"{left} < {right}") is (left < right)


def test_no_number_grows_beyond_a_thousand_digits() -> None:
    assert len(str(calculate("9" * 500 + "*" + "9" * 499))) == 999
    with pytest.raises(ValueError, match="too large"):
        calculate("9" * 499 + "**2*10**3")


def test_calculate_is_a_read_tool_with_a_deadline() -> None:
    policy = calculate.spec.policy
    assert (calculate.spec.name, calculate.spec.effect, policy.timeout, policy.expected) == (
        "calculate",
        "read",
        5,
        0.001,
    )
