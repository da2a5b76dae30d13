"""Arguments against JSON schemas: literals strictly, refs as holes, and at hand-over conversions that lose nothing."""

import copy
import json
import socket
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators

from llmcompiler.plan.values import Ref, Text
from llmcompiler.toolkit.schema import ArgumentSchema, ArgumentsRefused, schema_problem

# The oracle: jsonschema as it is, but that 3.0 is no integer.
Strict = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)
REF, TEXT = Ref(1), Text(("see ", Ref(1)))


def schema_of(**properties: Any) -> ArgumentSchema:
    return ArgumentSchema({"type": "object", "properties": properties, "required": list(properties)})


def said(schema: ArgumentSchema, **arguments: Any) -> list[tuple[str | None, str]]:
    return [tuple(problem) for problem in schema.problems(arguments)]


# --- literals


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        pytest.param({"type": "string"}, 1, "expected string, found integer 1", id="integer for string"),
        pytest.param({"type": "integer"}, "1", 'expected integer, found string "1"', id="numeral for integer"),
        pytest.param({"type": "integer"}, 3.0, "expected integer, found number 3.0", id="whole float for integer"),
        pytest.param({"type": "integer"}, True, "expected integer, found boolean true", id="boolean for integer"),
        pytest.param({"type": "number"}, None, "expected number, found null null", id="null for number"),
        pytest.param(
            {"type": ["number", "null"]}, "x", 'expected number or null, found string "x"', id="several types"
        ),
        pytest.param({"enum": ["C", "F"]}, "K", 'expected one of "C", "F", found "K"', id="enum"),
        pytest.param(
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "x",
            'expected integer or null, found string "x"',
            id="anyOf",
        ),
        pytest.param(
            {"anyOf": [{"enum": [2]}, {"type": "null"}]},
            1,
            "expected another form or null, found integer 1",
            id="odd anyOf",
        ),
        pytest.param(
            {"type": "array", "items": {"type": "number"}},
            (1, "a"),
            'at [1]: expected number, found string "a"',
            id="item",
        ),
        pytest.param(
            {"type": "object", "properties": {"k": {"type": "boolean"}}},
            {"k": 1},
            "at ['k']: expected boolean, found integer 1",
            id="field",
        ),
        pytest.param({"type": "object", "required": ["k"]}, {}, "'k' is a required property", id="missing field"),
        pytest.param(
            {"type": "object", "additionalProperties": False},
            {"k": 1},
            "Additional properties are not allowed",
            id="extra field",
        ),
        pytest.param({"type": "integer", "minimum": 1}, 0, "0 is less than the minimum of 1", id="minimum"),
        pytest.param({"type": "string", "minLength": 1}, "", "'' should be non-empty", id="minLength"),
        pytest.param({"type": "array", "minItems": 2}, (REF,), "[a ref] is too short", id="minItems with a ref"),
        pytest.param(True, "anything", None, id="true"),
        pytest.param({}, (1, {"a": None}), None, id="empty schema"),
        pytest.param({"type": "string", "pattern": r"\p{L}+"}, "a", None, id="a pattern that Python cannot read"),
    ],
)
def test_what_is_wrong_with_a_literal_is_said(schema: Any, value: Any, problem: str | None) -> None:
    found = said(schema_of(x=schema), x=value)
    assert [name for name, _ in found] == ([] if problem is None else ["x"])
    assert all(problem in message for _, message in found)


def test_one_problem_is_told_for_each_argument() -> None:
    schema = schema_of(a={"type": "integer", "minimum": 3}, b={"type": "string"}, c={"type": "string"})
    assert [name for name, _ in said(schema, a="x", b=1, c="right")] == ["a", "b"]


def test_what_concerns_no_single_argument_names_none() -> None:
    schema = ArgumentSchema({"type": "object", "properties": {"a": {}}, "additionalProperties": False})
    assert said(schema, b=1) == [(None, "Additional properties are not allowed ('b' was unexpected)")]


def test_a_schema_that_leads_back_to_itself_is_told_and_ends() -> None:
    schema = schema_of(x={"$ref": "#/properties/x"})
    assert said(schema, x=1) == [(None, "the schema of this tool refers to itself without end")]
    with pytest.raises(ArgumentsRefused, match="refers to itself without end"):
        schema.hand_over({"x": 1})


def test_a_ref_to_another_place_is_told_and_nothing_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        schema = schema_of(x={"$ref": f"http://127.0.0.1:{listening.getsockname()[1]}/schema.json"})
        [(name, problem)] = said(schema, x=1)
        assert name is None
        assert problem.startswith("the schema of this tool has a $ref that leads nowhere: ")
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_definitions_are_followed() -> None:
    schema = ArgumentSchema(
        {
            "type": "object",
            "properties": {"p": {"$ref": "#/$defs/P"}},
            "$defs": {"P": {"type": "object", "properties": {"x": {"type": "integer"}}}},
        }
    )
    assert not schema.problems({"p": {"x": 1}})
    assert said(schema, p={"x": "a"}) == [("p", "at ['x']: expected integer, found string \"a\"")]


# --- refs


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"},
        {"enum": [1, 2]},
        {"const": 1},
        {"type": "string", "pattern": "^a", "maxLength": 2},
        {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        {"oneOf": [{"type": "integer"}, {"type": "number"}]},
        {"not": {}},
    ],
    ids=str,
)
def test_a_ref_fits_everywhere(schema: Any) -> None:
    assert not schema_of(x=schema).problems({"x": REF})
    assert not schema_of(x={"type": "array", "items": schema}).problems({"x": (REF, REF)})


def test_text_with_a_ref_is_text_of_unknown_content() -> None:
    assert not schema_of(x={"type": "string", "pattern": "^a", "maxLength": 2}).problems({"x": TEXT})
    assert not schema_of(x={"enum": ["a", "b"]}).problems({"x": TEXT})
    assert said(schema_of(x={"type": "integer"}), x=TEXT) == [("x", "expected integer, found string text with a ref")]
    assert said(schema_of(x={"type": "integer"}), x=(REF,)) == [
        ("x", "expected integer, found array a value with refs")
    ]


@pytest.mark.parametrize(
    ("schema", "literal", "with_ref", "wrong"),
    [
        pytest.param({"enum": [[1, 2]]}, (1, 2), (1, REF), (1, 1), id="enum"),
        pytest.param({"const": {"a": "b"}}, {"a": "b"}, {"a": TEXT}, {"a": "c"}, id="const"),
        pytest.param({"uniqueItems": True}, (1, 2), (REF, REF), (1, 1), id="uniqueItems"),
        pytest.param({"contains": {"const": 1}, "maxContains": 1}, (1, 2), (1, REF), (1, 1), id="contains"),
        pytest.param({"not": {"items": {"type": "string"}}}, (1,), (REF,), ("a",), id="not"),
        pytest.param(
            {"oneOf": [{"items": {"type": "string"}}, {"items": {"type": "integer"}}]},
            ("a",),
            (REF,),
            (None,),
            id="oneOf",
        ),
        pytest.param({"if": {"items": {"const": 1}}, "then": False}, (2,), (REF,), (1,), id="if"),
        pytest.param(
            {
                "if": {"properties": {"a": {"const": 1}}},
                "then": {"properties": {"b": True}},
                "unevaluatedProperties": False,
            },
            {"a": 1, "b": 2},
            {"a": REF, "c": 2},
            {"a": 1, "c": 2},
            id="unevaluatedProperties",
        ),
    ],
)
def test_what_depends_on_all_of_a_value_waits_until_the_value_is_there(
    schema: Any, literal: Any, with_ref: Any, wrong: Any
) -> None:
    assert not schema_of(x=schema).problems({"x": literal})
    assert not schema_of(x=schema).problems({"x": with_ref})
    assert schema_of(x=schema).problems({"x": wrong})


# Schemas and values that meet often


def json_values(leaves: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Any]:
    plain = st.sampled_from([None, True, False, 0, 1, 2, -1, 0.5, 2.0, "", "a", "ab", "b", "1", "2.0", "true"])
    return st.recursive(
        plain if leaves is None else leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=5,
    )


TYPES = ["string", "integer", "number", "boolean", "null", "array", "object"]
LEAVES = st.one_of(
    st.sampled_from(TYPES).map(lambda kind: {"type": kind}),
    st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True).map(lambda kinds: {"type": kinds}),
    st.lists(json_values(), min_size=1, max_size=3).map(lambda values: {"enum": values}),
    json_values().map(lambda value: {"const": value}),
    st.sampled_from(
        [
            True,
            False,
            {},
            {"type": "string", "minLength": 1, "description": "text"},
            {"type": "string", "pattern": "^a"},
            {"type": "integer", "minimum": 1},
            {"type": "number", "exclusiveMaximum": 2},
            {"multipleOf": 2},
            {"$ref": "#/$defs/d"},
        ]
    ),
)


def _deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    by_name = st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    arrays = st.fixed_dictionaries(
        {"type": st.just("array")},
        optional={
            "items": inner,
            "prefixItems": several,
            "contains": inner,
            "minItems": st.just(1),
            "maxItems": st.just(2),
            "uniqueItems": st.just(True),
            "unevaluatedItems": inner,
        },
    )
    objects = st.fixed_dictionaries(
        {"type": st.just("object")},
        optional={
            "properties": by_name,
            "required": st.just(["a"]),
            "additionalProperties": inner,
            "patternProperties": st.fixed_dictionaries({"a|b": inner}),
            "propertyNames": st.just({"pattern": "a|b"}),
            "minProperties": st.just(1),
            "dependentRequired": st.just({"a": ["b"]}),
            "dependentSchemas": st.fixed_dictionaries({"a": inner}),
            "unevaluatedProperties": inner,
        },
    )
    choices = st.sampled_from(["anyOf", "oneOf", "allOf"]).flatmap(lambda word: st.fixed_dictionaries({word: several}))
    logic = inner.map(lambda schema: {"not": schema}) | st.fixed_dictionaries(
        {"if": inner, "then": inner, "else": inner}
    )
    both = st.tuples(choices | logic, arrays | objects).map(lambda parts: parts[0] | parts[1])
    return arrays | objects | choices | logic | both


SCHEMAS = st.recursive(LEAVES, _deeper, max_leaves=5)


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Any]:
    """Return schemas of arguments a and b."""
    made: dict[str, Any] = {"type": "object", "properties": {"a": draw(SCHEMAS), "b": draw(SCHEMAS)}}
    made |= draw(
        st.fixed_dictionaries({}, optional={"required": st.just(["a"]), "additionalProperties": st.just(False)})
    )
    return made | {"$defs": {"d": draw(LEAVES.filter(lambda schema: schema != {"$ref": "#/$defs/d"}))}}


ARGUMENTS = st.fixed_dictionaries({}, optional={"a": json_values(), "b": json_values(), "c": json_values()})


def as_planned(value: Any) -> Any:
    """Return JSON data as the parser reads it."""
    if isinstance(value, list):
        return tuple(map(as_planned, value))
    return {key: as_planned(item) for key, item in value.items()} if isinstance(value, dict) else value


def with_refs(value: Any, draw: Any) -> Any:
    """Return the value with some parts replaced by refs, some texts by texts with refs."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from([REF, TEXT])) if isinstance(value, str) else REF
    if isinstance(value, tuple):
        return tuple(with_refs(item, draw) for item in value)
    return {key: with_refs(item, draw) for key, item in value.items()} if isinstance(value, Mapping) else value


@given(parameters(), ARGUMENTS)
def test_literals_have_a_problem_just_where_the_schema_has_one(
    schema: dict[str, Any], arguments: dict[str, Any]
) -> None:
    assert schema_problem(schema) == ""
    is_wrong = not Strict(schema).is_valid(arguments)
    assert bool(ArgumentSchema(schema).problems(as_planned(arguments))) is is_wrong


@given(parameters(), ARGUMENTS, st.data())
def test_a_ref_in_place_of_a_literal_never_makes_a_problem(
    schema: dict[str, Any], arguments: dict[str, Any], data: st.DataObject
) -> None:
    checked, planned = ArgumentSchema(schema), as_planned(arguments)
    replaced = {name: with_refs(value, data.draw) for name, value in planned.items()}
    before = {problem.parameter for problem in checked.problems(planned)}
    assert {problem.parameter for problem in checked.problems(replaced)} <= before


# --- hand-over


@pytest.mark.parametrize(
    ("schema", "value", "handed"),
    [
        pytest.param({"type": "number"}, "8848", 8848, id="numeral to number"),
        pytest.param({"type": "number"}, " 8848.86\n", 8848.86, id="decimal numeral"),
        pytest.param({"type": "number"}, "-1.5e3", -1500.0, id="exponent"),
        pytest.param({"type": "integer"}, "+7", 7, id="numeral to integer"),
        pytest.param({"type": "integer"}, "9" * 300, int("9" * 300), id="long numeral"),
        pytest.param({"type": "integer"}, 3.0, 3, id="whole float to integer"),
        pytest.param({"type": "boolean"}, "true", True, id="true"),
        pytest.param({"type": "boolean"}, "false", False, id="false"),
        pytest.param({"type": "string"}, 1969, "1969", id="number to text"),
        pytest.param({"type": "string"}, 0.1, "0.1", id="float to text"),
        pytest.param({"type": "string"}, True, "true", id="boolean to text"),
        pytest.param({"type": "string"}, {"a": [1, "é"]}, '{"a":[1,"é"]}', id="object to text"),
        pytest.param({"type": "array", "items": {"type": "number"}}, ["1", 2, "3.5"], [1, 2, 3.5], id="items"),
        pytest.param({"type": "array", "items": {"type": "integer"}}, [1.0, "2"], [1, 2], id="integers in a list"),
        pytest.param({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "5", 5, id="optional integer"),
        pytest.param({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 5.0, 5, id="optional integer from a float"),
        pytest.param({"enum": [1, 2], "type": "integer"}, "2", 2, id="literal of numbers"),
        pytest.param({"type": ["boolean", "number"]}, "true", True, id="several types"),
        pytest.param(
            {"type": "object", "properties": {"n": {"type": "integer"}}},
            {"n": "1", "s": "2"},
            {"n": 1, "s": "2"},
            id="field",
        ),
    ],
)
def test_a_value_of_another_type_is_converted_where_that_is_exact(schema: Any, value: Any, handed: Any) -> None:
    found = schema_of(x=schema).hand_over({"x": copy.deepcopy(value)})
    assert json.dumps(found["x"]) == json.dumps(handed)


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        pytest.param({"type": "number"}, "8,848", 'expected number, found string "8,848"', id="separator"),
        pytest.param({"type": "number"}, "8848 m", "expected number, found string", id="unit"),
        pytest.param({"type": "number"}, "1e400", "expected number, found string", id="beyond a float"),
        pytest.param({"type": "number"}, "1e-400", "expected number, found string", id="below a float"),
        pytest.param({"type": "number"}, "0.1000000000000000055", "expected number", id="more digits than a float has"),
        pytest.param({"type": "number"}, "nan", "expected number", id="nan"),
        pytest.param({"type": "number"}, "٣", "expected number", id="other digits"),
        pytest.param({"type": "number"}, True, "expected number, found boolean true", id="boolean"),
        pytest.param({"type": "number"}, None, "expected number, found null", id="null"),
        pytest.param({"type": "number"}, [1], "expected number, found array [1]", id="list"),
        pytest.param({"type": "integer"}, "3.0", "expected integer", id="decimal numeral for integer"),
        pytest.param({"type": "integer"}, 3.5, "expected integer, found number 3.5", id="fraction"),
        pytest.param({"type": "boolean"}, "True", 'expected boolean, found string "True"', id="True as text"),
        pytest.param({"type": "boolean"}, 1, "expected boolean, found integer 1", id="1 for true"),
        pytest.param({"type": "string"}, None, "expected string, found null", id="null for text"),
        pytest.param({"type": "array"}, "[1]", "expected array", id="text of a list"),
        pytest.param(
            {"type": "integer", "minimum": 5}, "3", "3 is less than the minimum of 5", id="converted, yet wrong"
        ),
        pytest.param({"enum": ["C", "F"]}, "K", 'expected one of "C", "F", found "K"', id="enum"),
        pytest.param(
            {"allOf": [{"type": "integer"}, {"type": "string"}]}, 1, "no reading of the schema", id="contradiction"
        ),
    ],
)
def test_nothing_else_is_converted(schema: Any, value: Any, problem: str) -> None:
    with pytest.raises(ArgumentsRefused) as told:
        schema_of(x=schema).hand_over({"x": value})
    assert problem in str(told.value)


def test_the_argument_that_is_refused_is_named() -> None:
    with pytest.raises(ArgumentsRefused, match=r"^argument 'b': expected integer, found string \"x\"$"):
        schema_of(a={"type": "integer"}, b={"type": "integer"}).hand_over({"a": "1", "b": "x"})


def test_a_long_list_is_converted_whole() -> None:
    numbers = [str(number) for number in range(1000)]
    schema = schema_of(x={"type": "array", "items": {"type": "integer"}})
    assert schema.hand_over({"x": numbers}) == {"x": list(range(1000))}


@given(parameters(), ARGUMENTS)
def test_what_is_handed_over_fits_or_is_refused(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    given_before = copy.deepcopy(arguments)
    try:
        handed = ArgumentSchema(schema).hand_over(arguments)
    except ArgumentsRefused:
        assert not Strict(schema).is_valid(given_before)
        return
    assert Strict(schema).is_valid(handed)
    assert is_same_text(given_before, handed)
    if Strict(schema).is_valid(given_before):
        assert json.dumps(handed) == json.dumps(given_before), "what fits is left alone"


NUMERALS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.from_regex(r"[+-]?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.text("0123456789.+-eE_, \n", max_size=8),
)


@given(NUMERALS, st.sampled_from(["integer", "number"]))
def test_a_numeral_becomes_exactly_its_number_or_is_refused(numeral: str, kind: str) -> None:
    try:
        handed = schema_of(x={"type": kind}).hand_over({"x": numeral})["x"]
    except ArgumentsRefused:
        return
    assert type(handed) is int or (kind == "number" and type(handed) is float)
    assert Decimal(json.dumps(handed)) == Decimal(numeral.strip())


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives_the_way_to_its_text_and_back(number: float) -> None:
    text = schema_of(x={"type": "string"}).hand_over({"x": number})["x"]
    assert text == json.dumps(number)
    assume(len(str(text)) < 400)
    assert json.dumps(schema_of(x={"type": "number"}).hand_over({"x": text})["x"]) == text


def is_same_text(before: Any, after: Any) -> bool:
    """Return whether `after` is `before`, but for parts that say the same in another type."""
    if isinstance(after, dict) and isinstance(before, dict):
        return before.keys() == after.keys() and all(is_same_text(before[key], after[key]) for key in before)
    if isinstance(after, list) and isinstance(before, list):
        return len(before) == len(after) and all(map(is_same_text, before, after))
    if type(before) is type(after):
        return bool(before == after)
    if isinstance(after, str):
        return bool(json.loads(after) == before)
    if isinstance(after, bool):
        return json.dumps(after) == before
    return Decimal(json.dumps(after)) == Decimal(before if isinstance(before, str) else json.dumps(before))


# --- whether a schema can be one


def test_a_schema_that_is_none_is_told_by_its_place() -> None:
    assert schema_problem({"properties": {"x": {"enum": 1}}}) == "$.properties.x.enum: 1 is not of type 'array'"
    assert schema_problem({"properties": {"x": {"items": [{"$ref": "#/no"}]}}}).startswith("$.properties.x.items")
    assert schema_problem({"anyOf": [{"$ref": "#/no"}]}) == "$ref '#/no' leads nowhere, and nothing is fetched"
    assert schema_problem({"properties": {"$ref": {"type": "string"}}}) == ""
    assert schema_problem({"properties": {"x": {"pattern": r"\p{L}"}}}) == ""
