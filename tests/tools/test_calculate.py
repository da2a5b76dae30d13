"""Facts about the example tool `calculate`: what it computes, what it refuses, and that nothing else can happen."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tools.calculating import NAMES, VALUES, calculate


@pytest.mark.parametrize(("expression", "value"), VALUES.items(), ids=[repr(text[:40]) for text in VALUES])
def test_arithmetic_has_its_value_and_type(expression: str, value: float) -> None:
    result = calculate(expression)
    assert (type(result), result) == (type(value), pytest.approx(value, rel=1e-14))


@pytest.mark.parametrize(("expression", "name"), NAMES.items(), ids=[repr(text[:40]) for text in NAMES])
def test_of_named_values_the_name_of_the_largest_or_smallest_is_given(expression: str, name: str) -> None:
    assert calculate(expression) == name


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
    # names beside values
    'largest("a")',
    "largest()",
    "largest",
    "largest(1, 2)",
    'largest(1, "a")',
    'largest("a", "b")',
    'largest("a", 1, "b")',
    'largest("a", 1, 2)',
    'largest("a" "b", 1)',
    'largest("a", 5"b")',
    'largest("a"5, 1)',
    'largest("a" + "b", 1)',
    'largest("a", 1, "b", 1)',
    'largest("a", 1, "b", 2.0, "c", 2)',
    'largest("a", 1) + 1',
    'largest("a", 1) < 2',
    'largest("a", 1)%',
    '1 + largest("a", 1)',
    'max(largest("a", 1), 2)',
    'largest("a", largest("b", 1))',
    'largest("a", 1)("b", 2)',
    'largest("a", 1 < 2, "b", 2)',
    'largest("a", 1,234, "b", 5)',
    'largest("a", 1, key="b")',
    'largest(*"a", 1)',
    'largest(["a", 1])',
    'largest({"a": 1})',
    'largest(_0, 1, "a", 2)',
    "largest(max, 1)",
    'largest("", 1)',
    'largest("a\nb", 1)',
    'largest("a" 1)',
    'largest("a, 1)',
    'largest(b"a", 1)',
    'largest(f"{1}", 1)',
    'max("a", 1)',
    'largest("a", 9 ** 9 ** 9)',
    'largest("' + "a" * 1000 + '", 1)',
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
            "the name 'x10' is not among min, max, sum, mean, abs, round, floor, ceil, sqrt, exp, log, log10,"
            " largest, smallest, pi, e"
            " (at character 5)\n  2 * x10\n      ^^^",
        ),
        ("1 + 5 / (3 - 3)", "division by zero (at character 5)\n  1 + 5 / (3 - 3)\n      ^^^^^^^^^^^"),
        ("1 = 2", "'=' is not allowed in arithmetic; write == to compare (at character 3)\n  1 = 2\n    ^"),
        (
            "1 + 'a'",
            "a name in quotes may only stand in largest or smallest (at character 5)\n  1 + 'a'\n      ^^^",
        ),
        (
            "smallest('a', 2, 'b', 1, 'c', 1)",
            "no single one is the smallest: 2 share its value (at character 1)\n"
            "  smallest('a', 2, 'b', 1, 'c', 1)\n  " + "^" * 32,
        ),
        (
            "2 * largest('a', 1)",
            "largest gives a name, not a number; it may only stand outermost (at character 5)\n"
            "  2 * largest('a', 1)\n      ^^^^^^^^^^^^^^^",
        ),
        ("(1 +", "this cannot be read as arithmetic (at character 1)\n  (1 +\n  ^"),
        ("2 × sqrt(-4)", "this is not defined for real numbers (at character 5)\n  2 × sqrt(-4)\n      ^^^^^^^^"),
        ("2 ** 20000", "an exponent may be at most 10,000 (at character 1)\n  2 ** 20000\n  ^^^^^^^^^^"),
        ("", "the expression is empty (at character 1)\n  \n  ^"),
        ("1" * 1001, "the expression has 1,001 characters; at most 1,000 are read"),
    ],
    ids=[
        "a name",
        "a division",
        "a single =",
        "a quote",
        "a tie",
        "no number",
        "an end",
        "a domain",
        "an exponent",
        "nothing",
        "length",
    ],
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
@settings(derandomize=True, max_examples=200)
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
    'largest("',
    '", ',
    "1e9",
    "\n",
    "pi",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@settings(derandomize=True, max_examples=600)
def test_any_mixture_of_what_is_allowed_gives_a_number_or_a_value_error(expression: str) -> None:
    assert_number_or_refusal(expression)


def assert_number_or_refusal(expression: str) -> None:
    try:
        result = calculate(expression)
    except ValueError as error:
        result = error
    assert type(result) in (int, float, bool, str, ValueError)
    assert isinstance(result, ValueError | str) or math.isfinite(result)
