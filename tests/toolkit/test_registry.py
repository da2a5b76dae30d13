"""A registry is a value: tools by name, built, joined, never changed. Tools are loaded from files that the caller names."""

from pathlib import Path
from typing import Any

import pytest

from llmcompiler import Registry, UsageError, tool
from llmcompiler.plan.tools import Problem
from llmcompiler.plan.values import Ref
from llmcompiler.toolkit.loader import load_module, load_tool
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


# --- files


FILE = '''
"""Tools of a user."""

from llmcompiler import tool

LOADED = []
LOADED.append(1)


@tool(effect="read")
def shout(text: str) -> str:
    """Return the text, loud."""
    return text.upper()


def whisper(text: str) -> str:
    return text.lower()
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my tools.v2.py"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_tool_is_loaded_from_a_file_decorated_or_not(file: Path) -> None:
    loud, soft = load_tool(file, "shout"), load_tool(file, "whisper")
    assert (loud("a"), loud.spec.effect, soft("B"), soft.spec.name) == ("A", "read", "b", "whisper")


def test_a_file_is_run_once(file: Path) -> None:
    assert load_module(file) is load_module(file.parent / "." / file.name)
    assert load_module(file).LOADED == [1]


def test_two_files_of_one_name_are_two_modules(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / file.name
    other.parent.mkdir()
    other.write_text("def only(): ...", encoding="utf-8")
    assert hasattr(load_module(other), "only")
    assert not hasattr(load_module(file), "only")


def test_a_missing_tool_is_told_with_the_nearest_name(file: Path) -> None:
    with pytest.raises(UsageError, match=r"my tools\.v2\.py has no 'shuot'; did you mean shout\?"):
        load_tool(file, "shuot")
    with pytest.raises(UsageError, match=r"\[1\] is no tool"):
        load_tool(file, "LOADED")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("1 / 0", "ZeroDivisionError: division by zero", id="raises"),
        pytest.param("def broken(:", "SyntaxError", id="no Python"),
        pytest.param("raise SystemExit(3)", "SystemExit: 3", id="exits"),
        pytest.param("import nowhere_at_all", "No module named 'nowhere_at_all'", id="import"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told_each_time(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"bad\.py cannot be loaded: ") as told:
            load_module(path)
        assert said in str(told.value)


def test_an_interrupt_while_a_file_is_loaded_is_no_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "slow.py"
    path.write_text("raise KeyboardInterrupt", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        load_module(path)


@pytest.mark.parametrize("name", ["missing.py", "folder", "notes.txt"])
def test_what_is_no_python_file_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("x = 1", encoding="utf-8")
    with pytest.raises(UsageError, match="is no Python file"):
        load_module(tmp_path / name)
