"""The fast check says yes only where the full schema does, and knows what it cannot tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmcompiler.toolkit.shapes import shape_check

TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
SIMPLE = st.just({}) | st.just(True) | TYPES.map(lambda kind: {"type": kind, "title": "T"})
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: (
        inner.map(lambda items: {"type": "array", "items": items})
        | st.builds(
            lambda fields, required, more: {"type": "object", "properties": fields, "required": required, **more},
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            st.sampled_from([{}, {"additionalProperties": False}, {"additionalProperties": True}])
            | inner.map(lambda other: {"additionalProperties": other}),
        )
    ),
    max_leaves=5,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
def test_for_the_schemas_that_it_can_tell_it_says_what_the_full_one_says(schema, value):
    check = shape_check(schema)
    assert check is not None
    assert check(value) == Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"enum": [1]},
        {"type": ["string", "null"]},
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"enum": [1]}},
        {"type": "array", "prefixItems": []},
        {"type": "object", "properties": {"a": {"const": 1}}},
        {"type": "object", "additionalProperties": {"$ref": "#"}},
        {"items": {"type": "string"}},
    ],
)
def test_others_are_left_to_the_full_schema(schema):
    assert shape_check(schema) is None
