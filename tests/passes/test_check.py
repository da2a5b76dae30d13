"""Signatures, as remedies and the planner prompt show them."""

import pytest

from llmcompiler.passes.check import signature, type_text
from llmcompiler.plan.tools import ToolSpec


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param({"type": "string"}, "string", id="a type"),
        pytest.param({"type": ["string", "null"]}, "string or null", id="several types"),
        pytest.param({"type": "array", "items": {"type": "number"}}, "list of number", id="a list"),
        pytest.param({"type": "array"}, "list", id="a list of anything"),
        pytest.param({"enum": ["C", "F", 1, None, True]}, '"C" or "F" or 1 or null or true', id="an enum"),
        pytest.param({"const": "a"}, '"a"', id="a constant"),
        pytest.param(
            {"anyOf": [{"type": "integer"}, {"type": "null"}, {"type": "integer"}]}, "integer or null", id="a union"
        ),
        pytest.param(
            {"oneOf": [{"type": "array", "items": {}}, {"type": "string"}]}, "list of any or string", id="another union"
        ),
        pytest.param({"$ref": "#/$defs/Place"}, "Place", id="a definition"),
        pytest.param({}, "any", id="no type"),
        pytest.param(True, "any", id="no schema"),
    ],
)
def test_a_type_is_named_briefly(schema, text):
    assert type_text(schema) == text


@pytest.mark.parametrize(
    ("default", "text"),
    [
        (1, "1"),
        (0, "0"),
        (True, "true"),
        (None, "null"),
        (2.5, "2.5"),
        ('say "hi"', r'"say \"hi\""'),
        ([1, "é"], '[1, "é"]'),
        ({}, "{}"),
    ],
)
def test_defaults_are_written_as_literals(default, text):
    spec = ToolSpec("f", "", {"properties": {"a": {"type": "string"}, "b": {"default": default}}, "required": ["a"]})
    assert signature(spec) == f"f(a: string, b: any = {text})"
