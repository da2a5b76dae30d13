"""BFCL's rules, one by one, right and wrong."""

from collections.abc import Mapping
from typing import Any

import pytest

from llmcompiler.bench.suites.bfcl.checker import Call, all_match
from llmcompiler.bench.suites.bfcl.rows import Expected, Function
from llmcompiler.plan.values import Json

Declared = Mapping[str, Any]

TEXT: Declared = {"type": "string"}
WHOLE: Declared = {"type": "integer"}
REAL: Declared = {"type": "float"}
YES: Declared = {"type": "boolean"}
ANY: Declared = {"type": "any"}
DICT: Declared = {"type": "dict"}
WORDS: Declared = {"type": "array", "items": TEXT}
WHOLES: Declared = {"type": "array", "items": WHOLE}
REALS: Declared = {"type": "array", "items": REAL}
DICTS: Declared = {"type": "array", "items": DICT}
PAIR: Declared = {"type": "tuple", "items": WHOLE}


@pytest.mark.parametrize(
    ("declared", "acceptable", "value", "right"),
    [
        # types
        pytest.param(WHOLE, [5], 5, True, id="an integer"),
        pytest.param(WHOLE, [5], 5.0, False, id="a float is no integer"),
        pytest.param(WHOLE, [5], "5", False, id="nor is a numeral"),
        pytest.param(WHOLE, [1], True, False, id="nor is true"),
        pytest.param(WHOLE, [5], 6, False, id="another integer"),
        pytest.param(REAL, [5.0], 5, True, id="an integer for a float"),
        pytest.param(REAL, [5], 5.0, True, id="a float where the answer is an integer"),
        pytest.param(REAL, [5], 5, True, id="an integer for a float where the answer is one"),
        pytest.param(REAL, [5.0], 10**400, False, id="an integer beyond all floats"),
        pytest.param(REAL, [1.0], True, False, id="true is no float"),
        pytest.param(REAL, ["", None], None, True, id="null where the answer is null"),
        pytest.param(YES, [True], True, True, id="true"),
        pytest.param(YES, [True], 1, False, id="1 is not true"),
        pytest.param(YES, [True], "true", False, id="nor is its name"),
        pytest.param(ANY, ["red"], "red", True, id="any is a string"),
        pytest.param(ANY, ["1"], 1, False, id="any is nothing else"),
        pytest.param(ANY, [1], 1, True, id="any is what the answer is"),
        # what the answer's type allows
        pytest.param(WORDS, ["names"], "names", True, id="a variable"),
        pytest.param(WORDS, ["names"], "Names", False, id="a variable is compared as it stands"),
        pytest.param(TEXT, ["", True], True, True, id="a value of the answer's type"),
        pytest.param(TEXT, ["", True], "true", False, id="not of the declared type, if the answer has another"),
        pytest.param(WHOLE, [2.5, 3], 2.5, True, id="the first answer says the type"),
        pytest.param(WHOLE, [3, 2.5], 2.5, False, id="not the second"),
        # strings
        pytest.param(TEXT, ["New York, NY"], "new york ny", True, id="case, spaces, commas"),
        pytest.param(TEXT, ["2*x^2 - a_b/c."], "2x2abc", True, id="all that is ignored"),
        pytest.param(TEXT, ["it's"], 'IT"S', True, id="quotes are one"),
        pytest.param(TEXT, ["a;b"], "ab", False, id="a semicolon is not ignored"),
        pytest.param(TEXT, ["a\tb"], "ab", False, id="nor is a tab"),
        pytest.param(TEXT, ["Paris", "Lutetia"], "lutetia", True, id="the second answer"),
        pytest.param(TEXT, ["Paris"], "London", False, id="another string"),
        pytest.param(TEXT, ["Paris", ""], "-", True, id="nothing but what is ignored, where it may be left out"),
        # lists
        pytest.param(WORDS, [["a b", "C"]], ["AB", "c"], True, id="elements that are strings"),
        pytest.param(WORDS, [["a", "b"]], ["b", "a"], False, id="the order of a list"),
        pytest.param(WORDS, [["a", "b"], ["b", "a"]], ["b", "a"], True, id="two orders that are acceptable"),
        pytest.param(WORDS, [["a", "b"]], ["a"], False, id="a shorter list"),
        pytest.param(WORDS, [["a"]], "a", False, id="no list"),
        pytest.param(WHOLES, [[1, 2]], [1, 2], True, id="integers"),
        pytest.param(WHOLES, [[1, 2]], [1, 2.0], False, id="an element of another type"),
        pytest.param(WHOLES, [[1, 2]], [True, 2], False, id="true among integers"),
        pytest.param(WHOLES, [["a"]], ["a"], True, id="elements of the answer's type"),
        pytest.param(REALS, [[1, 2]], [1, 2], True, id="integers for floats where the answer has them"),
        pytest.param(REALS, [[1.0, 2.0]], [1, 2], False, id="no integers for floats where it has floats"),
        pytest.param(WORDS, [[]], [], True, id="an empty list"),
        pytest.param(WORDS, [["a"], ""], [], True, id="an empty list where it may be left out"),
        pytest.param(WORDS, [["a"]], [], False, id="an empty list where it may not"),
        pytest.param(PAIR, [[3, 4]], [3, 4], True, id="a list for a tuple"),
        pytest.param(PAIR, [[3, 4]], [4, 3], False, id="the order of a tuple"),
        # dicts
        pytest.param(DICT, [{"k": [1, 2]}], {"k": 2}, True, id="one of a key's values"),
        pytest.param(DICT, [{"k": [1]}], {"k": 3}, False, id="none of them"),
        pytest.param(DICT, [{"k": ["A b"]}], {"k": "ab"}, True, id="a string in a dict"),
        pytest.param(DICT, [{"k": [1]}], {"k": 1, "more": 1}, False, id="a key too many"),
        pytest.param(DICT, [{"k": [1], "o": [2]}], {"k": 1}, False, id="a key too few"),
        pytest.param(DICT, [{"k": [1], "o": [2, ""]}], {"k": 1}, True, id="a key that may be left out"),
        pytest.param(DICT, [{"k": [1]}, {"k": [2]}], {"k": 2}, True, id="the second dict"),
        pytest.param(DICT, ["", {"k": [1]}], {"k": 1}, True, id="a dict that may be left out"),
        pytest.param(DICT, [{"k": [{"in": "A"}]}], {"k": {"in": "A"}}, True, id="a dict in a dict, as it stands"),
        pytest.param(DICT, [{"k": [{"in": "A"}]}], {"k": {"in": "a"}}, False, id="whose strings are not made plain"),
        pytest.param(DICT, [{"k": [1]}], [{"k": 1}], False, id="a list is no dict"),
        pytest.param(DICTS, [[{"k": [1]}, {"k": [2]}]], [{"k": 1}, {"k": 2}], True, id="dicts in a list"),
        pytest.param(DICTS, [[{"k": [1]}, {"k": [2]}]], [{"k": 2}, {"k": 1}], False, id="their order"),
        pytest.param(DICTS, [[{"k": [1]}, {"k": [2]}]], [{"k": 1}], False, id="their number"),
        pytest.param(DICTS, [[{"k": [1]}], [{"k": [2]}]], [{"k": 2}], True, id="the second list of dicts"),
        pytest.param(DICTS, [[{"k": [1]}]], [1], False, id="an element that is no dict"),
        pytest.param(DICTS, ["", [{"k": [1]}]], [1], False, id="also where the list may be left out"),
    ],
)
def test_a_value_is_right_by_the_rule(declared: Declared, acceptable: list[Json], value: Json, right: bool) -> None:
    function = Function("f", "", {"x": declared}, ("x",))
    assert all_match([Call("f", {"x": value})], [Expected("f", {"x": acceptable})], {"f": function}) is right


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        pytest.param({"a": 1, "b": 2}, True, id="all that is asked"),
        pytest.param({"a": 1, "b": 2, "c": 3}, True, id="with what may be left out"),
        pytest.param({"a": 1, "b": 2, "c": 4}, False, id="what may be left out has another value"),
        pytest.param({"b": 2}, False, id="without what the document requires"),
        pytest.param({"a": 1}, False, id="without what only the answer requires"),
        pytest.param({"a": 1, "b": 2, "d": 4}, False, id="with what the answer does not know"),
        pytest.param({"a": 1, "b": 2, "e": 5}, False, id="with what the document does not know"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_arguments_are_known_and_complete(arguments: dict[str, Json], right: bool) -> None:
    function = Function("f", "", dict.fromkeys("abcd", WHOLE), ("a",))
    expected = Expected("f", {"a": [1, ""], "b": [2], "c": [3, ""], "e": [5, ""]})
    assert all_match([Call("f", arguments)], [expected], {"f": function}) is right


@pytest.mark.parametrize(
    ("expected", "calls", "right"),
    [
        pytest.param(["f1"], ["f1"], True, id="one call"),
        pytest.param(["f1"], ["g1"], False, id="another function"),
        pytest.param(["f1"], [], False, id="no call"),
        pytest.param(["f1"], ["f1", "f1"], False, id="twice"),
        pytest.param(["f1", "g1"], ["g1", "f1"], True, id="any order"),
        pytest.param(["f1", "f1"], ["f1", "f1"], True, id="the same call twice, as asked"),
        pytest.param(["f1", "f1"], ["f1", "f2"], False, id="a call serves but once"),
        pytest.param(["f12", "f1"], ["f2", "f1"], True, id="the first that fits is taken: the right one"),
        pytest.param(
            ["f12", "f1"], ["f1", "f2"], False, id="the first that fits is taken: the wrong one, as BFCL does"
        ),
        pytest.param(["a.f1"], ["a.f1"], True, id="a name with a dot"),
        pytest.param(["a.f1"], ["a_f1"], False, id="whose dot is no underscore"),
    ],
)
def test_calls_are_those_expected(expected: list[str], calls: list[str], right: bool) -> None:
    """A call is a name and a digit; an expected one may have two digits, either of which is acceptable."""
    functions = {name: Function(name, "", {"x": WHOLE}, ("x",)) for name in ("f", "g", "a.f")}
    wanted = [Expected(text.rstrip("12"), {"x": [int(digit) for digit in text.lstrip("a.fg")]}) for text in expected]
    made = [Call(text[:-1], {"x": int(text[-1])}) for text in calls]
    assert all_match(made, wanted, functions) is right
