"""Substitution: what a tool is handed for the refs in its arguments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.plan.values import (
    MissingField,
    Ref,
    Text,
    copied,
    follow,
    joined,
    map_refs,
    path_text,
    refs,
    same,
    substitute,
    text_of,
)

RESULTS = {
    1: "a $2 and ${2}",
    2: {"name": "K2", "rows": [{"a key": 8611}, 3.5], "_id": 7, "": None},
    3: [1, [2, 3]],
    4: None,
    5: False,
    6: 0,
    7: "",
    8: [],
    9: 3.0,
}


@pytest.mark.parametrize(
    ("value", "given"),
    [
        pytest.param(Ref(1), "a $2 and ${2}", id="text"),
        pytest.param(Ref(2), RESULTS[2], id="object"),
        pytest.param(Ref(3), [1, [2, 3]], id="row 24 a list stays a list"),
        pytest.param(Ref(4), None, id="row 25 O01a None is a value"),
        pytest.param(Ref(5), False, id="O01d False is a value"),
        pytest.param(Ref(6), 0, id="O01e zero is a value"),
        pytest.param(Ref(7), "", id="O01b empty text is a value"),
        pytest.param(Ref(8), [], id="O01c an empty list is a value"),
        pytest.param(Ref(9), 3.0, id="row 24 a float stays a float"),
        pytest.param((Ref(3), (Ref(9), "x")), [[1, [2, 3]], [3.0, "x"]], id="inside lists"),
        pytest.param({"a": Ref(9), "$1": {"b": Ref(4)}}, {"a": 3.0, "$1": {"b": None}}, id="row 21 inside objects"),
        pytest.param("costs $1", "costs $1", id="text without refs"),
        pytest.param((1, True, None, 2.5), [1, True, None, 2.5], id="literals"),
        pytest.param((), [], id="an empty list"),
    ],
)
def test_a_ref_alone_keeps_the_type_of_its_value(value, given):
    found = substitute(value, RESULTS)
    assert found == given
    assert type(found) is type(given)


@pytest.mark.parametrize(
    ("parts", "given"),
    [
        pytest.param(("see ", Ref(7), "!"), "see !", id="strings raw"),
        pytest.param((Ref(9), Ref(6)), "3.00", id="numbers"),
        pytest.param(("is ", Ref(4)), "is null", id="row 25 null"),
        pytest.param(("is ", Ref(5)), "is false", id="booleans"),
        pytest.param(("of ", Ref(3)), "of [1,[2,3]]", id="lists as compact JSON"),
        pytest.param((Ref(2, ("rows", 0)), "é"), '{"a key":8611}é', id="objects as compact JSON"),
        pytest.param(("${1}", Ref(6)), "${1}0", id="literal dollars"),
    ],
)
def test_a_ref_inside_a_string_becomes_text(parts, given):
    assert substitute(Text(parts), RESULTS) == given


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("$2", id="O09a a ref"),
        pytest.param("${2}", id="O09b a ref in braces"),
        pytest.param("2. g()\n3. h($1)", id="O09c lines of a plan"),
        pytest.param("join()", id="O09d a join"),
        pytest.param("<END_OF_PLAN>", id="O09e the end marker"),
        pytest.param('{"tool": "g", "args": ["$2"]}', id="O09f a JSON plan"),
        pytest.param("$$1", id="an escape"),
    ],
)
def test_a_substituted_value_is_never_scanned_again(text):
    results = {1: text, 2: "SECRET"}
    assert substitute(Ref(1), results) == text
    assert substitute(Text(("<", Ref(1), ">")), results) == f"<{text}>"
    assert substitute((Ref(1), {"k": Ref(1)}), results) == [text, {"k": text}]


@given(st.text(), st.text())
def test_row_23_whatever_the_values_are_they_arrive_unchanged(one, two):
    assert substitute(Text((Ref(1), "|", Ref(2))), {1: one, 2: two}) == f"{one}|{two}"


def test_what_is_handed_over_is_a_private_copy():
    results = {1: {"rows": [1, {"a": []}]}}
    first, second = substitute((Ref(1), Ref(1, ("rows",))), results), substitute(Ref(1), results)
    first[0]["rows"][1]["a"].append("mine")
    first[1].clear()
    second["rows"].append("mine too")
    assert results == {1: {"rows": [1, {"a": []}]}}


def test_literals_are_handed_over_as_private_copies():
    value = {"a": ({"b": ()},)}
    given = substitute(value, {})
    given["a"][0]["b"].append(1)
    assert substitute(value, {}) == {"a": [{"b": []}]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param((), RESULTS[2], id="no path"),
        pytest.param(("name",), "K2", id="a name"),
        pytest.param(("rows", 0, "a key"), 8611, id="names, places and keys"),
        pytest.param(("rows", -1), 3.5, id="a place from the end"),
        pytest.param(("rows", -2, "a key"), 8611, id="the first place from the end"),
        pytest.param(("_id",), 7, id="a private key"),
        pytest.param(("",), None, id="an empty key"),
    ],
)
def test_a_path_walks_plain_data(path, found):
    assert follow(RESULTS[2], Ref(2, path)) == found


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        pytest.param(
            Ref(2, ("height",)),
            "${2.height} does not exist: $2 is an object with the keys 'name', 'rows', '_id', ''",
            id="P06d an absent key",
        ),
        pytest.param(
            Ref(2, ("rows", 0, "x")),
            "${2.rows[0].x} does not exist: $2.rows[0] is an object with the keys 'a key'",
            id="deeper",
        ),
        pytest.param(Ref(3, (2,)), "${3[2]} does not exist: $3 is a list of 2 items", id="a place behind the end"),
        pytest.param(
            Ref(3, (-3,)), "${3[-3]} does not exist: $3 is a list of 2 items", id="a place before the beginning"
        ),
        pytest.param(Ref(3, ("0",)), '${3["0"]} does not exist: $3 is a list of 2 items', id="a key of a list"),
        pytest.param(
            Ref(2, (0,)),
            "${2[0]} does not exist: $2 is an object with the keys 'name', 'rows', '_id', ''",
            id="a place in an object",
        ),
        pytest.param(
            Ref(1, ("upper",)),
            '${1.upper} does not exist: $1 is "a $2 and ${2}", which has no parts',
            id="no attributes of text",
        ),
        pytest.param(
            Ref(1, (0,)),
            '${1[0]} does not exist: $1 is "a $2 and ${2}", which has no parts',
            id="no characters of text",
        ),
        pytest.param(Ref(4, ("x",)), "${4.x} does not exist: $4 is null, which has no parts", id="null"),
        pytest.param(
            Ref(9, ("real",)), "${9.real} does not exist: $9 is 3.0, which has no parts", id="no attributes of numbers"
        ),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ended(ref, message):
    with pytest.raises(MissingField) as raised:
        substitute((ref,), RESULTS)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (2.0, "2.0"),
        ([1, "é"], '[1,"é"]'),
        ({"a": [None]}, '{"a":[null]}'),
    ],
)
def test_text_form_of_a_value(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (Ref(1), "$1"),
        (Ref(1, ("name",)), "${1.name}"),
        (Ref(1, ("rows", -1, "a key", "_id", "größe")), '${1.rows[-1]["a key"]["_id"].größe}'),
        (Ref(1, ("a\u0301", "²", "1", "")), '${1["a\u0301"].²["1"][""]}'),
        (Ref(1, ('q"]',)), '${1["q\\"]"]}'),
    ],
)
def test_a_ref_is_written_as_it_is_read(ref, text):
    assert str(ref) == text


def test_steps_are_written_by_what_they_are():
    assert path_text(("a", 0, "0", "b c")) == '.a[0]["0"]["b c"]'


def test_refs_come_in_the_order_of_the_text():
    value = {"a": (Ref(3), Text(("x", Ref(1), Ref(2)))), "b": Ref(3, ("k",)), "c": "$9"}
    assert list(refs(value)) == [Ref(3), Ref(1), Ref(2), Ref(3, ("k",))]


def test_a_ref_may_be_changed_into_another_or_into_text():
    value = (Ref(1), {"k": Text(("a ", Ref(1), " b ", Ref(2)))}, Text((Ref(1), Ref(1))))
    assert map_refs(value, lambda ref: "$1" if ref.id == 1 else Ref(5)) == (
        "$1",
        {"k": Text(("a $1 b ", Ref(5)))},
        "$1$1",
    )


@pytest.mark.parametrize(
    ("parts", "value"),
    [
        ([], ""),
        (["", ""], ""),
        (["a", "", "b"], "ab"),
        (["", Ref(1), ""], Ref(1)),
        (["a", Ref(1), "", "b", "c"], Text(("a", Ref(1), "bc"))),
    ],
)
def test_pieces_of_a_string_are_joined_to_the_simplest_value(parts, value):
    assert joined(parts) == value


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        ((1, "a"), (1, "a"), True),
        ((1,), (1, 1), False),
        ((0,), (False,), False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"b": 1}, False),
        (Ref(1, ("a",)), Ref(1, ("a",), literal="${1.a}"), True),
        (Ref(1), "$1", False),
        ((), {}, False),
        (None, None, True),
    ],
)
def test_values_are_the_same_if_a_tool_could_not_tell_them_apart(one, other, is_same):
    assert same(one, other) is is_same
    assert same(other, one) is is_same


def test_copies_share_nothing():
    value = {"a": [[1]]}
    other = copied(value)
    other["a"][0].append(2)
    assert value == {"a": [[1]]}
