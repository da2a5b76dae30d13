"""A function becomes a tool: its signature gives the schema, its options the policy, and it stays callable as before."""

import asyncio
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field, ValidationError
from tenacity import wait_fixed
from typing_extensions import TypedDict

from llmcompiler import Effect, Policy, Tool, UsageError, tool
from tests.toolkit.late_types import late, unreadable_return


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    city: str
    height: Annotated[float, Field(description="metres above the sea")] = 0.0


@dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict, total=False):
    deep: bool


def search(query: str, limit: int = 5) -> dict[str, Any]:
    """Return the facts about `query`."""
    return {"query": query, "limit": limit}


async def fetch(url: str) -> str:
    """Return a page."""
    return f"page {url}"


class Library:
    """A library of books."""

    topic: Place  # a class annotation that is no argument

    def find(self, title: str) -> str:
        """Return a shelf."""
        return f"shelf of {title}"

    @staticmethod
    def count(kind: str) -> int:
        return len(kind)

    @classmethod
    def made(cls, name: str) -> str:
        return cls.__name__ + name

    def __call__(self, point: Point) -> int:
        return point.x


class AsyncLibrary:
    async def __call__(self, title: str) -> str:
        return title


def properties(made: Tool[..., Any]) -> dict[str, Any]:
    return {name: without_titles(schema) for name, schema in made.spec.properties.items()}


def without_titles(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: without_titles(item) for key, item in schema.items() if key != "title"}
    return [without_titles(item) for item in schema] if isinstance(schema, list) else schema


# --- the decorator


def test_a_bare_decorator_takes_name_description_and_schema_from_the_function() -> None:
    made = tool(search)
    assert (made.spec.name, made.spec.description) == ("search", "Return the facts about `query`.")
    assert properties(made) == {"query": {"type": "string"}, "limit": {"type": "integer", "default": 5}}
    assert made.spec.required == ("query",)
    assert not made.spec.is_open
    assert made.spec.effect is Effect.UNDECLARED
    assert made.spec.policy == Policy(timeout=60.0, retries=0, concurrency=None, isolate=None, expected=None)


def test_options_make_the_policy() -> None:
    wait = wait_fixed(1)
    made = tool(
        name="web.search",
        description="Finds.",
        effect="read",
        timeout=None,
        retries=2,
        wait=wait,
        concurrency=4,
        expected=0.5,
    )(search)
    assert (made.spec.name, made.spec.description, made.wait) == ("web.search", "Finds.", wait)
    assert made.spec.effect is Effect.READ
    assert made.spec.policy == Policy(timeout=None, retries=2, concurrency=4, expected=0.5)


def test_a_tool_is_called_as_the_function_was() -> None:
    made = tool(search)
    assert made("K2", limit=1) == made(query="K2", limit=1) == {"query": "K2", "limit": 1}
    assert asyncio.run(tool(fetch)("a")) == "page a"


def test_a_tool_looks_like_its_function() -> None:
    made = tool(search)
    assert (made.__name__, made.__doc__, made.__module__) == ("search", search.__doc__, __name__)
    assert inspect.signature(made) == inspect.signature(search)
    assert repr(made) == "<Tool search>"


def test_attributes_of_the_function_replace_none_of_the_tool() -> None:
    def spoken(text: str) -> str:
        return text

    spoken.spec = spoken.schema = spoken.tier = "mine"  # type: ignore[attr-defined]
    made = tool(spoken)
    assert made.spec.name == "spoken"
    assert made.tier == "thread"
    assert made.schema.problems({"text": 1})


def test_an_empty_description_is_kept_and_a_long_one_is_unindented() -> None:
    def told(x: int) -> int:
        """Return x.

        In two parts.
        """
        return x

    assert tool(told).spec.description == "Return x.\n\nIn two parts."
    assert tool(description="")(told).spec.description == ""


def test_a_policy_is_changed_in_a_copy() -> None:
    made = tool(search)
    assert made.revised({}, {"retries": 3}).spec.policy.retries == 3
    assert made.spec.policy.retries == 0
    for changes, said in (({"retries": -1}, "retries must be 0 or more; it is -1"), ({"isolate": "loop"}, "coroutine")):
        with pytest.raises(UsageError, match=said):
            made.revised({}, changes)


# --- what can be a tool


def lone(x: int) -> int:
    """Return x."""
    return x


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def later(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return later


@pytest.mark.parametrize(
    ("function", "name", "names", "is_async"),
    [
        pytest.param(lone, "lone", ["x"], False, id="function"),
        pytest.param(fetch, "fetch", ["url"], True, id="coroutine function"),
        pytest.param(Library().find, "find", ["title"], False, id="method"),
        pytest.param(Library.count, "count", ["kind"], False, id="static method"),
        pytest.param(Library.made, "made", ["name"], False, id="class method"),
        pytest.param(Library(), "Library", ["point"], False, id="callable object"),
        pytest.param(AsyncLibrary(), "AsyncLibrary", ["title"], True, id="object with async call"),
        pytest.param(functools.partial(search, limit=3), "search", ["query", "limit"], False, id="partial"),
        pytest.param(functools.partial(fetch), "fetch", ["url"], True, id="partial of a coroutine function"),
        pytest.param(functools.lru_cache(lone), "lone", ["x"], False, id="lru_cache"),
        pytest.param(logged(lone), "lone", ["x"], True, id="async wrapper of a plain function"),
        pytest.param(Point, "Point", ["x", "y"], False, id="dataclass"),
        pytest.param(late, "late", ["place", "when"], False, id="annotations as strings"),
        pytest.param(unreadable_return, "unreadable_return", ["place"], False, id="return type that cannot be read"),
    ],
)
def test_what_can_be_called_by_name_can_be_a_tool(
    function: Callable[..., Any], name: str, names: list[str], is_async: bool
) -> None:
    made = tool(function)
    assert (made.spec.name, list(made.spec.properties), made.is_async) == (name, names, is_async)
    assert made.tier == ("loop" if is_async else "thread")


def test_a_partial_keeps_the_description_of_its_function_and_its_bound_default() -> None:
    made = tool(functools.partial(search, limit=3))
    assert made.spec.description == "Return the facts about `query`."
    assert properties(made)["limit"] == {"type": "integer", "default": 3}
    assert made(query="K2") == {"query": "K2", "limit": 3}


def positional_only(first: int, /, second: int) -> int:
    return first + second


def any_number(first: int, *others: int) -> int:
    return first + sum(others)


class Opaque:
    pass


def opaque(x: int, secret: Opaque) -> int:
    return x


def undefined(x: "Nowhere") -> int:  # type: ignore[name-defined]  # noqa: F821
    return 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        pytest.param(positional_only, "tool positional_only: argument first: int cannot be given by name", id="/"),
        pytest.param(any_number, r"tool any_number: argument \*others: int cannot be given by name", id="*args"),
        pytest.param(
            opaque, "tool opaque: argument 'secret' that JSON schema cannot describe: .*Opaque", id="opaque type"
        ),
        pytest.param(undefined, "tool undefined: .* name 'Nowhere' is not defined; annotate", id="unknown name"),
        pytest.param(max, "tool max: it has no readable signature; wrap it in a function", id="no signature"),
        pytest.param(lambda x: x, "tool '<lambda>': a name is letters, .*; give name=", id="lambda"),
        pytest.param(42, "42 is not callable, so it cannot be a tool", id="no callable"),
        pytest.param(tool(lone), "<Tool lone> is a tool already", id="a tool"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_by_name(function: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as told:
        tool(function)
    assert "\n" not in str(told.value), "no lecture of pydantic's"


# --- schemas


def test_each_kind_of_annotation_has_its_schema() -> None:
    def kinds(
        plain,
        text: str,
        number: float,
        flag: bool,
        numbers: list[float],
        table: dict[str, int],
        unit: Literal["C", "F"],
        colour: Colour,
        day: date,
        maybe: Optional[int] = None,  # noqa: UP045
        either: int | str = 1,
        long: Annotated[str, Field(description="a long text", max_length=9)] = "",
        *,
        only: bool = False,
    ) -> None: ...

    made = tool(kinds)
    assert properties(made) == {
        "plain": {},
        "text": {"type": "string"},
        "number": {"type": "number"},
        "flag": {"type": "boolean"},
        "numbers": {"type": "array", "items": {"type": "number"}},
        "table": {"type": "object", "additionalProperties": {"type": "integer"}},
        "unit": {"type": "string", "enum": ["C", "F"]},
        "colour": {"$ref": "#/$defs/Colour"},
        "day": {"type": "string", "format": "date"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 1},
        "long": {"type": "string", "description": "a long text", "maxLength": 9, "default": ""},
        "only": {"type": "boolean", "default": False},
    }
    assert made.spec.required == ("plain", "text", "number", "flag", "numbers", "table", "unit", "colour", "day")


def test_models_and_dataclasses_are_described_with_their_fields() -> None:
    def go(place: Place, points: list[Point], how: Options | None = None) -> None: ...

    definitions = without_titles(tool(go).spec.parameters["$defs"])
    assert definitions["Place"]["properties"] == {
        "city": {"type": "string"},
        "height": {"type": "number", "default": 0.0, "description": "metres above the sea"},
    }
    assert definitions["Point"]["required"] == ["x"]
    assert definitions["Options"]["properties"] == {"deep": {"type": "boolean"}}


def test_keyword_arguments_of_any_name_leave_the_schema_open() -> None:
    def store(key: str, **values: int) -> None: ...

    made = tool(store)
    assert made.spec.is_open
    assert made.spec.required == ("key",)
    assert not made.schema.problems({"key": "a", "b": 1})


def test_a_function_without_parameters_has_an_empty_schema() -> None:
    def now() -> str:
        return "now"

    made = tool(now)
    assert (properties(made), made.spec.required, made.spec.is_open) == ({}, (), False)


# --- a schema of one's own


GIVEN = {"type": "object", "properties": {"q": {"$ref": "#/$defs/text"}}, "$defs": {"text": {"type": "string"}}}


def test_a_given_schema_stands_in_for_the_signature() -> None:
    def anything(**arguments: Any) -> Any:
        return arguments

    made = tool(parameters=GIVEN)(anything)
    assert made.spec.parameters == GIVEN
    assert made.schema.problems({"q": 1})
    assert not made.schema.problems({"q": "a"})


def test_an_empty_schema_allows_everything() -> None:
    def free(**arguments: Any) -> Any:
        return arguments

    made = tool(parameters={})(free)
    assert made.spec.parameters == {}
    assert not made.schema.problems({"x": 1, "y": [None]})


def test_with_a_schema_even_what_has_no_readable_signature_is_a_tool() -> None:
    made = tool(name="biggest", parameters={"properties": {"default": {"type": "integer"}}})(max)
    assert made.adapt({"default": 1}) == {"default": 1}
    assert made([1, 3, 2]) == 3


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        pytest.param({"type": "array"}, "expected one of type object, found {'type': 'array'}", id="array"),
        pytest.param(["q"], "expected one of type object", id="list"),
        pytest.param(
            {"properties": {"q": {"type": "strnig"}}}, r"\$\.properties\.q\.type: 'strnig' is not valid", id="type"
        ),
        pytest.param({"properties": []}, r"\$\.properties: \[\] is not of type 'object'", id="properties"),
        pytest.param(
            {"properties": {"q": {"$ref": "#/$defs/no"}}}, r"\$ref '#/\$defs/no' leads nowhere", id="dangling $ref"
        ),
        pytest.param(
            {"properties": {"q": {"$ref": "http://127.0.0.1:9/s.json"}}},
            "leads nowhere, and nothing is fetched",
            id="$ref away",
        ),
    ],
)
def test_a_given_schema_that_is_none_is_refused(parameters: Any, said: str) -> None:
    with pytest.raises(UsageError, match="tool lone: parameters are no JSON schema of an object: .*" + said):
        tool(parameters=parameters)(lone)


# --- names, effects, policies


@pytest.mark.parametrize("name", ["web.search", "web-search", "math/add", "größe", "a1", "A", "_a"])
def test_a_name_may_hold_dots_dashes_and_slashes(name: str) -> None:
    assert tool(name=name)(lone).spec.name == name


@pytest.mark.parametrize("name", ["", "1a", "-a", "a b", "a(", ".a", "a\n", "a:b"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"a name is letters, digits, .*, and begins with a letter or '_'; give name="):
        tool(name=name)(lone)


@pytest.mark.parametrize("name", ["join", "Join", "JOIN"])
def test_no_tool_may_be_named_join(name: str) -> None:
    with pytest.raises(UsageError, match="a tool may not be named join: that word ends a plan"):
        tool(name=name)(lone)


@pytest.mark.parametrize(
    ("effect", "is_held"), [("read", False), ("undeclared", False), ("idempotent", True), ("write", True)]
)
def test_only_effects_are_held_back(effect: str, is_held: bool) -> None:
    assert tool(effect=effect)(lone).spec.effect.is_held is is_held


@pytest.mark.parametrize("effect", ["read", "undeclared", "idempotent"])
def test_every_effect_but_write_takes_retries(effect: str) -> None:
    assert tool(effect=effect, retries=2)(lone).spec.policy.retries == 2


def test_a_coroutine_function_may_run_on_the_loop_or_in_a_process_and_in_no_thread() -> None:
    assert tool(isolate="loop")(fetch).tier == "loop"
    assert tool(isolate="process")(fetch).tier == "process"
    with pytest.raises(UsageError, match="tool fetch: isolate='thread' needs a plain function"):
        tool(isolate="thread")(fetch)


def test_a_plain_function_may_run_in_a_thread_or_a_process() -> None:
    assert tool(isolate="thread")(lone).tier == "thread"
    assert tool(isolate="process")(lone).tier == "process"


# --- hand-over to the function


def test_json_data_becomes_what_the_annotations_want() -> None:
    def go(place: Place, point: Point, when: datetime, colour: Colour, tags: set[str], n: int) -> None: ...

    given = {
        "place": {"city": "Rome"},
        "point": {"x": 1},
        "when": "2024-05-06T07:08:09",
        "colour": "red",
        "tags": ["a", "a"],
        "n": 3,
    }
    assert tool(go).adapt(given) == {
        "place": Place(city="Rome"),
        "point": Point(1),
        "when": datetime(2024, 5, 6, 7, 8, 9),
        "colour": Colour.RED,
        "tags": {"a"},
        "n": 3,
    }


def test_plain_annotations_leave_the_arguments_as_they_are() -> None:
    def go(a: int, b: list[str], c: dict[str, Any], d: float | None, e) -> None: ...

    given = {"a": 1, "b": ["x"], "c": {}, "d": None, "e": {"f": 1}}
    assert tool(go).adapt(given) is given


def test_the_call_of_an_object_gets_what_its_annotations_want() -> None:
    assert tool(Library()).adapt({"point": {"x": 4}}) == {"point": Point(4)}


def test_annotations_as_strings_and_partials_are_adapted_as_well() -> None:
    given = {"place": {"city": "Rome"}, "when": "2024-05-06"}
    assert tool(late).adapt(given)["when"] == date(2024, 5, 6)
    assert tool(functools.partial(late)).adapt(given)["place"].city == "Rome"
    assert tool(unreadable_return).adapt({"place": {"city": "Rome"}})["place"].city == "Rome"


def test_a_value_that_a_model_refuses_is_a_validation_error() -> None:
    def go(place: Place) -> None: ...

    with pytest.raises(ValidationError):
        tool(go).adapt({"place": {"height": 1}})
