"""Showing: one line of JSON, cut to a width, at the cost of the width."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.plan.showing import shown

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


class Counted(list):
    """A list that counts how many of its items were looked at."""

    def __init__(self, items):
        super().__init__(items)
        self.seen = 0

    def __iter__(self):
        for item in super().__iter__():
            self.seen += 1
            yield item


@given(VALUES, st.integers(0, 60))
def test_what_fits_is_json_and_what_does_not_is_its_beginning(value, width):
    whole = json.dumps(value, ensure_ascii=False)
    said = shown(value, width)
    if len(whole) <= width or not isinstance(value, (str, list, dict)):
        assert said == whole
    else:
        assert said.startswith(f"{whole[:width]}… (")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("x" * 5_000, '"xxxxxxxxx… (5,000 characters)'),
        ([7] * 1_000_000, "[7, 7, 7, … (1,000,000 items)"),
        ({str(key): 1 for key in range(1_000)}, '{"0": 1, "… (1,000 keys)'),
        ({"a": "x" * 50}, '{"a": "xxx… (1 key, cut in a text of 50 characters)'),
        ({"rows": [1] * 70}, '{"rows": [… (1 key, cut in a list of 70 items)'),
        ([{"a": 1, "b": 2}] * 30, '[{"a": 1, … (30 items)'),
        ({"a": {str(key): 1 for key in range(9)}}, '{"a": {"0"… (1 key, cut in an object of 9 keys)'),
        ([1, "é"], '[1, "é"]'),
        (((1, 2),), "[[1, 2]]"),
    ],
)
def test_what_is_cut_says_how_big_it_is(value, says):
    assert shown(value, 10) == says


def test_only_what_is_shown_is_looked_at():
    value = Counted([1] * 1_000_000)
    assert shown({"a": value}, 40).endswith("… (1 key, cut in a list of 1,000,000 items)")
    assert value.seen < 20


def test_a_number_is_never_cut_in_two():
    assert shown(10**50, 10) == str(10**50)
