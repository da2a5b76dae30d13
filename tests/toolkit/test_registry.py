"""A registry is a value: tools by name, built, joined, never changed."""

from typing import Any

import pytest

from llmcompiler import Registry, UsageError, tool
from llmcompiler.plan.tools import Problem
from llmcompiler.plan.values import Ref
from llmcompiler.toolkit.registry import registry_of


def search(query: str, limit: int = 5) -> str:
    """Find."""
    return query * limit


@tool(effect="read")
async def calculate(expression: str) -> float:
    """Compute."""
    return float(expression)


BOTH = Registry([search, calculate])


def test_a_registry_holds_tools_by_name_in_the_order_given() -> None:
    assert list(BOTH) == ["search", "calculate"]
    assert list(Registry([calculate, search])) == ["calculate", "search"]
    assert (len(BOTH), "search" in BOTH, "find" in BOTH, repr(BOTH)) == (2, True, False, "Registry(search, calculate)")
    assert BOTH["calculate"] is calculate
    assert BOTH["search"].function is search
    assert {name: spec.description for name, spec in BOTH.specs.items()} == {"search": "Find.", "calculate": "Compute."}


def test_an_unknown_name_is_a_key_error_with_the_nearest_one() -> None:
    with pytest.raises(KeyError, match=r"there is no tool 'serch'; did you mean search\?"):
        BOTH["serch"]
    assert BOTH.get("serch") is None


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two tools are named 'search'; give one of them another name="):
        Registry([search, tool(search)])
    with pytest.raises(UsageError, match="two tools are named 'search'"):
        BOTH | Registry([search])


def test_joining_makes_a_third_registry_and_changes_neither() -> None:
    one, other = Registry([search]), Registry([calculate])
    assert list(one | other) == ["search", "calculate"]
    assert (list(one), list(other)) == (["search"], ["calculate"])
    with pytest.raises(TypeError, match="unsupported operand"):
        one | [calculate]  # type: ignore[operator]


def test_a_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        BOTH["more"] = search  # type: ignore[index]
    with pytest.raises(TypeError, match="does not support item deletion"):
        del BOTH["search"]  # type: ignore[attr-defined]
    BOTH.specs.clear()
    assert len(BOTH.specs) == 2


def test_a_registry_does_not_follow_the_list_it_was_made_of() -> None:
    tools: list[Any] = [search]
    made = Registry(tools)
    tools.append(calculate)
    assert list(made) == ["search"]


def test_a_registry_stands_for_itself_and_a_list_for_a_new_one() -> None:
    assert registry_of(BOTH) is BOTH
    assert list(registry_of([search])) == ["search"]
    assert list(registry_of(each for each in (search, calculate))) == ["search", "calculate"]
    assert list(registry_of(())) == []


@pytest.mark.parametrize("tools", [search, tool(search), "search", {"search": search}, 3, None], ids=repr)
def test_what_is_no_list_of_tools_is_told(tools: Any) -> None:
    with pytest.raises(UsageError, match="tools must be a list of functions or a Registry, not "):
        registry_of(tools)


@pytest.mark.parametrize("candidate", ["search", 3, None, object()], ids=["text", "number", "None", "object"])
def test_what_is_no_tool_is_told(candidate: Any) -> None:
    with pytest.raises(UsageError, match="is no tool: give a function, or one decorated with @tool"):
        Registry([candidate])


def test_the_checks_of_a_registry_know_its_specs_and_schemas() -> None:
    checks = BOTH.checks()
    assert checks.specs == BOTH.specs
    assert checks.check("search", {"query": 1, "limit": Ref(1)}) == [
        Problem("query", "expected string, found integer 1"),
    ]
