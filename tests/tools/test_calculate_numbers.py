"""calculate against Python's own arithmetic, on trees that the test builds and writes out itself."""

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.calculating import calculate

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
@settings(derandomize=True, max_examples=250)
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
@settings(derandomize=True, max_examples=150)
def test_whole_numbers_are_exact(tree: Tree) -> None:
    result = calculate(written(tree))
    assert type(result) is int
    assert result == computed(tree, EXACT, Fraction)


@given(trees(st.integers(min_value=1, max_value=10**6), ["+", "*", "/"]))
@settings(derandomize=True, max_examples=150)
def test_fractions_of_positive_numbers_are_right_to_twelve_digits(tree: Tree) -> None:
    assert calculate(written(tree)) == pytest.approx(float(computed(tree, EXACT, Fraction)), rel=1e-12)


@given(st.integers(min_value=0, max_value=999), st.integers(min_value=0, max_value=999))
@settings(derandomize=True, max_examples=60)
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
