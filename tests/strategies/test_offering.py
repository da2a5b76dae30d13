"""How tools are offered to providers of native calls: names that all of them take, schemas without titles."""

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmcompiler import ToolSpec
from llmcompiler.strategies.offering import Offering

NAMES = st.lists(st.from_regex(r"[^\W\d][\w./-]{0,80}", fullmatch=True), unique=True, max_size=12)


def spec(name: str, parameters: Mapping[str, Any] | None = None) -> ToolSpec:
    return ToolSpec(name, "", parameters or {"type": "object"})


@given(NAMES)
def test_every_name_is_taken_by_all_providers_told_apart_and_leads_back(names: list[str]) -> None:
    offering = Offering(map(spec, names))
    offered = [one.name for one in offering.specs]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in offered)
    assert len(set(offered)) == len(names)
    assert [offering.tool_of(name) for name in offered] == names


@given(NAMES)
def test_a_name_that_fits_stays_whatever_the_others_are(names: list[str]) -> None:
    fitting = [name for name in names if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)]
    offered = {one.name for one in Offering(map(spec, names)).specs}
    assert offered.issuperset(fitting)


def test_a_name_that_was_not_offered_stays_as_it_is() -> None:
    assert Offering([spec("a.b")]).tool_of("c.d") == "c.d"


def test_titles_go_and_whatever_else_is_named_title_stays() -> None:
    given = {
        "title": "Args",
        "type": "object",
        "properties": {
            "title": {"title": "Title", "type": "string", "enum": ["title"]},
            "tags": {"title": "Tags", "items": {"title": "Tag", "type": "string"}, "default": {"title": "x"}},
        },
        "$defs": {"title": {"title": "T", "anyOf": [{"title": "A", "type": "null"}]}},
        "required": ["title"],
    }
    [offered] = Offering([spec("f", given)]).specs
    assert offered.parameters == {
        "type": "object",
        "properties": {
            "title": {"type": "string", "enum": ["title"]},
            "tags": {"items": {"type": "string"}, "default": {"title": "x"}},
        },
        "$defs": {"title": {"anyOf": [{"type": "null"}]}},
        "required": ["title"],
    }
