"""What a tool returns becomes plain JSON data, or is refused with the path to the culprit."""

import json
import math
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, computed_field, field_serializer

from llmcompiler.toolkit.convert import MAX_DEPTH, MAX_DIGITS, NotJson, NotPlain, snapshot, to_json


class Colour(Enum):
    RED = "red"
    RGB = (255, 0, 0)
    ONE = 1
    ODD = frozenset({1})


class Size(IntEnum):
    SMALL = 1


class Name(StrEnum):
    K2 = "k2"


class Loud(str):
    def __str__(self) -> str:
        return self.upper()


class Offset(int):
    def __int__(self) -> int:
        return 99


class Ratio(float):
    pass


class Point(NamedTuple):
    x: int
    y: float


@dataclass(frozen=True, slots=True)
class Peak:
    name: str
    climbed: date
    heights: tuple[int, ...] = ()


class Mountain(BaseModel):
    name: str
    peaks: list[Peak] = Field(default_factory=list)
    password: str = Field(default="hidden", exclude=True)
    seen: timedelta = timedelta(minutes=1)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def initial(self) -> str:
        return self.name[0]

    @field_serializer("name")
    def shout(self, name: str) -> str:
        return name.upper()


ABC = namedtuple("ABC", "a b")

ROWS: list[tuple[str, object, object]] = [
    ("none", None, None),
    ("true", True, True),
    ("false", False, False),
    ("zero", 0, 0),
    ("empty text", "", ""),
    ("empty list", [], []),
    ("empty dict", {}, {}),
    ("NUL in a text", "a\0b", "a\0b"),
    ("text beyond the first plane", "snow 🏔", "snow 🏔"),
    ("int beyond 64 bits", 2**200, 2**200),
    ("the largest int", 10**MAX_DIGITS - 1, 10**MAX_DIGITS - 1),
    ("the smallest float", 5e-324, 5e-324),
    ("tuple", (1, (2, 3)), [1, [2, 3]]),
    ("str subclass", Loud("quiet"), "quiet"),
    ("int subclass", Offset(3), 3),
    ("float subclass", Ratio(0.5), 0.5),
    ("IntEnum", Size.SMALL, 1),
    ("StrEnum", Name.K2, "k2"),
    ("enum", [Colour.RED, Colour.RGB], ["red", [255, 0, 0]]),
    ("named tuple", Point(1, 2.5), {"x": 1, "y": 2.5}),
    ("collections.namedtuple", [ABC(1, [ABC(2, 3)])], [{"a": 1, "b": [{"a": 2, "b": 3}]}]),
    ("dataclass", Peak("K2", date(1954, 7, 31), (8611,)), {"name": "K2", "climbed": "1954-07-31", "heights": [8611]}),
    ("ordered dict", OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    ("default dict", defaultdict(int, a=1), {"a": 1}),
    ("read-only view of a dict", MappingProxyType({"a": (1,)}), {"a": [1]}),
    ("aware datetime", datetime(2024, 2, 29, 12, 30, tzinfo=UTC), "2024-02-29T12:30:00+00:00"),
    (
        "datetime with an offset",
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3))),
        "2024-01-01T00:00:00-03:00",
    ),
    ("time", time(7, 5, 1), "07:05:01"),
    ("timedelta", timedelta(days=1, milliseconds=5), 86400.005),
    ("whole decimal", Decimal("8848.00"), 8848),
    ("decimal with a JSON number", Decimal("19.99"), 19.99),
    ("decimal beyond floats", Decimal("0.1000000000000000055511151231257827"), "0.1000000000000000055511151231257827"),
    ("decimal with a huge exponent", Decimal("1E+999999"), "1E+999999"),
    ("decimal with a tiny exponent", Decimal("1.5E-400"), "1.5E-400"),
    ("uuid", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ("path", PurePosixPath("/a") / "b", "/a/b"),
    (
        "keys that are no text",
        {1: "a", True and 2: "b", None: "c", Colour.RED: "d"},
        {"1": "a", "2": "b", "null": "c", "red": "d"},
    ),
    ("keys that are bools", {True: 1, False: 0}, {"true": 1, "false": 0}),
    ("keys of subclasses", {Size.SMALL: 1, Loud("b"): 2, Name.K2: 3}, {"1": 1, "b": 2, "k2": 3}),
]


@pytest.mark.parametrize(("value", "plain"), [pytest.param(value, plain, id=id) for id, value, plain in ROWS])
def test_a_value_becomes_plain_data_of_exactly_the_json_types(value, plain):
    converted = to_json(value)
    assert converted == plain
    assert kinds(converted) == kinds(plain)
    assert json.loads(json.dumps(converted, allow_nan=False)) == plain


def kinds(value: object) -> object:
    """Return the shape of plain data with its types, so that True is not 1 and a subclass is not its base."""
    if type(value) is list:
        return [kinds(item) for item in value]
    if type(value) is dict:
        return {(type(key), key): kinds(item) for key, item in value.items()}
    return type(value)


def test_a_pydantic_model_is_dumped_by_its_own_rules_and_then_by_our_table():
    mountain = Mountain(name="k2", peaks=[Peak("K2", date(1954, 7, 31))])
    assert to_json([mountain]) == [
        {
            "name": "K2",
            "peaks": [{"name": "K2", "climbed": "1954-07-31", "heights": []}],
            "seen": 60.0,
            "initial": "k",
        }
    ]


def test_a_pydantic_root_model_is_its_root():
    assert to_json(RootModel[list[int]]([1, 2])) == [1, 2]


def test_pydantic_is_not_imported_to_recognise_its_models():
    code = """
import sys
from llmcompiler.toolkit.convert import NotJson, to_json
try:
    to_json({"a": [1, object()]})
except NotJson:
    print("pydantic" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "False\n"


def test_the_copy_is_private_at_every_level():
    inner = {"list": [1]}
    value = {"a": inner, "b": inner}
    copy = to_json(value)
    inner["list"].append(2)
    assert copy == {"a": {"list": [1]}, "b": {"list": [1]}}
    assert copy["a"] is not copy["b"]


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_the_deepest_nesting_is_taken():
    assert to_json(nested(MAX_DEPTH)) == nested(MAX_DEPTH)


def test_dataclasses_count_as_one_level_each():
    @dataclass
    class Link:
        next: Any = None

    link = Link()
    for _ in range(MAX_DEPTH - 1):
        link = Link(link)
    assert to_json(link)
    with pytest.raises(NotJson, match=f"nested deeper than {MAX_DEPTH} levels"):
        to_json(Link(link))


async def answer_later() -> int:
    return 1


async def numbers_later():
    yield 1


class Client:
    """A class of the user's own."""


class Array:
    def tolist(self) -> list[int]:
        return [1]


class Frame:
    def to_dict(self) -> dict[str, int]:
        return {}


@dataclass
class Broken:
    @property
    def gone(self) -> int:
        raise KeyError("gone")

    size: int = field(init=False)


class Loop(BaseModel):
    inner: Any = None


REFUSED: list[tuple[str, Callable[[], object], str]] = [
    (
        "the path",
        lambda: {"items": [0, 1, 2, {"when": {1}}]},
        "$.items[3].when is of type set, which is not JSON data; return sorted(...) of it, a list",
    ),
    ("a key that is no name", lambda: {"a b": {"_c": {1}}}, '$["a b"]["_c"] is of type set'),
    (
        "inside a dataclass",
        lambda: [Peak("K2", date.today(), (b"x",))],
        "$[0].heights[0] is of type bytes, which is not JSON data; return text: .decode(), or base64",
    ),
    ("inside a model", lambda: {"m": Loop(inner={"x": Client()})}, "$.m.inner.x is of type"),
    ("generator", lambda: (n for n in [1]), "$ is of type generator, which is not JSON data; return list(...) of it"),
    (
        "endless iterator",
        lambda: iter(int, 1),
        "$ is of type callable_iterator, which is not JSON data; return list(...) of it",
    ),
    ("range", lambda: range(3), "return list(...) of it"),
    ("async generator", numbers_later, "$ is of type async_generator, which is not JSON data; collect it first"),
    ("class instance", Client, "Client, which is not JSON data; return a dict, a dataclass or a pydantic model"),
    (
        "class",
        lambda: Peak,
        "$ is of type type, which is not JSON data; return an instance turned into a dict, or the name",
    ),
    (
        "function",
        lambda: {"f": len},
        "$.f is of type builtin_function_or_method, which is not JSON data; return what it gives when called",
    ),
    ("exception", lambda: [ValueError("x")], "$[0] is of type ValueError, which is not JSON data; raise it instead"),
    ("array", Array, "which is not JSON data; return its .tolist()"),
    ("table", Frame, "which is not JSON data; return its .to_dict()"),
    ("bytes", lambda: bytearray(b"x"), "$ is of type bytearray"),
    ("frozen set in an enum", lambda: Colour.ODD, "$ is of type frozenset"),
    ("complex", lambda: 1j, "$ is of type complex"),
    ("NaN", lambda: [math.nan], "$[0] is nan, which JSON has no number for; return None or text"),
    ("infinity", lambda: {"a": -math.inf}, "$.a is -inf"),
    ("NaN of a subclass", lambda: Ratio("nan"), "$ is nan"),
    ("NaN of decimals", lambda: Decimal("sNaN"), "$ is Decimal sNaN"),
    ("infinity of decimals", lambda: Decimal("-Infinity"), "$ is Decimal -Infinity"),
    ("lone surrogate", lambda: {"a": "x\ud800"}, "$.a holds a lone surrogate at position 1"),
    ("lone surrogate in a key", lambda: {"\udc80": 1}, "$ holds a lone surrogate at position 0"),
    ("too many digits", lambda: [10**MAX_DIGITS], "$[0] is an int of about 4,001 digits, and 4,000 is the limit"),
    ("too many digits, negative", lambda: -(10**5000), "$ is an int of about 5,001 digits"),
    ("too many digits in a key", lambda: {10**MAX_DIGITS: 1}, "$ is an int of about 4,001 digits"),
    ("keys 1 and '1'", lambda: {"a": {1: "x", "1": "y"}}, "$.a has two keys that are both '1' in JSON"),
    ("keys True and 'true'", lambda: {"true": 1, True: 2}, "$ has two keys that are both 'true' in JSON"),
    ("a tuple as a key", lambda: {(1, 2): 3}, "$ has a key of type tuple; keys are text in JSON"),
    ("a float as a key", lambda: {1.5: 3}, "$ has a key of type float"),
    ("a date as a key", lambda: {date.today(): 3}, "$ has a key of type datetime.date"),
    ("too deep", lambda: {"a": nested(MAX_DEPTH)}, "is nested deeper than 200 levels; return flatter data"),
    ("10,000 levels", lambda: nested(10_000), "is nested deeper than 200 levels"),
    ("a field that is missing", Broken, "Broken and could not be read: AttributeError"),
]


@pytest.mark.parametrize(("make", "says"), [pytest.param(make, says, id=id) for id, make, says in REFUSED])
def test_what_is_no_json_data_is_refused_with_its_path_its_type_and_a_hint(make, says):
    with pytest.raises(NotJson) as caught:
        to_json(make())
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500


def test_an_open_file_is_refused(tmp_path: Path):
    with (
        (tmp_path / "a").open("w") as file,
        pytest.raises(NotJson, match=r"TextIOWrapper, .*; return what it holds, or its path"),
    ):
        to_json(file)


def test_a_coroutine_is_refused():
    coroutine = answer_later()
    with pytest.raises(NotJson, match="of type coroutine, which is not JSON data; await it before returning"):
        to_json([coroutine])
    coroutine.close()


def cyclic_list() -> object:
    value: list[Any] = [1]
    value.append({"again": value})
    return {"start": value}


def cyclic_dataclass() -> object:
    @dataclass
    class Node:
        parent: Any = None

    node = Node()
    node.parent = [node]
    return node


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(
            cyclic_list, "$.start[1].again leads back to $.start; return data without cycles", id="containers"
        ),
        pytest.param(cyclic_dataclass, "$.parent[0] leads back to $; return data without cycles", id="dataclass"),
    ],
)
def test_a_cycle_is_named_where_it_closes(make, says):
    with pytest.raises(NotJson) as caught:
        to_json(make())
    assert str(caught.value) == says


def test_a_cycle_of_models_is_refused():
    loop = Loop()
    loop.inner = loop
    with pytest.raises(NotJson, match="leads back to"):
        to_json(loop)


def test_not_json_is_a_type_error():
    assert issubclass(NotJson, TypeError)


plain_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(plain_data)
def test_plain_data_is_copied_as_it_is(value):
    copy = to_json(value)
    assert copy == value
    assert repr(copy) == repr(value)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_its_exact_value(value):
    number = to_json(value)
    assert Decimal(number if isinstance(number, str) else repr(number)) == value


def test_a_snapshot_shares_nothing_and_converts_to_the_same():
    value = {"a": [1, ["x", {"b": (1.5, None)}]], "c": {}, "d": [True], 1: [[]]}
    copy = snapshot(value)
    before = to_json(value)
    value["a"][1][1]["b"] = 2
    value["a"][1].clear()
    value["d"].append([])
    value["c"]["new"] = 1
    assert to_json(copy) == before


@pytest.mark.parametrize("value", [[Decimal(1)], {"a": [object()]}, [[{1}]], Counter("a"), IntEnum("E", "a")(1)])
def test_what_is_more_than_plain_data_has_no_snapshot(value):
    with pytest.raises(NotPlain):
        snapshot(value)


def test_what_leads_back_to_itself_has_no_snapshot():
    value = []
    value += [value, value]
    with pytest.raises(NotPlain):
        snapshot(value)
