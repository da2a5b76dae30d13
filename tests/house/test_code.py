"""The rules of the house, where a linter does not hold them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "llmcompiler"
MODULES = sorted(PACKAGE.rglob("*.py"))
PURE = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in ("plan", "passes", "scheduling", "joiner.py")]
LONGEST_MODULE, LONGEST_FUNCTION = 500, 60

# A tool call's own arguments, a copy with changes, and the slots of a template.
MAY_TAKE_ANY_KEYWORD = {
    "bench/suites/bfcl/functions.py: made_up",
    "bench/comparing/slowing.py: slow",
    "demo/agents.py: slow",
    "execution/worker.py: _to_its_end",
    "prompting.py: fill",
    "toolkit/langchain.py: __call__",
    "toolkit/tool.py: __call__",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
each_module = pytest.mark.parametrize(
    "path", [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in MODULES]
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def test_the_package_is_found() -> None:
    assert len(MODULES) > 50
    assert len(PURE) > 15


@each_module
def test_no_module_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@each_module
def test_no_function_is_too_long(path: Path) -> None:
    lengths = {function.name: (function.end_lineno or 0) - function.lineno + 1 for function in functions(path)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_only_the_functions_that_are_meant_to_take_any_keyword() -> None:
    taking = {
        f"{path.relative_to(PACKAGE).as_posix()}: {function.name}"
        for path in MODULES
        for function in functions(path)
        if function.args.kwarg is not None
    }
    assert taking == MAY_TAKE_ANY_KEYWORD


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in PURE])
def test_the_core_neither_prints_nor_reads_nor_waits(path: Path) -> None:
    names = {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
    assert names & {"print", "open", "input", "breakpoint", "exec", "eval", "compile"} == set()
    waiting = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
    assert [node.lineno for node in ast.walk(tree(path)) if isinstance(node, waiting)] == []


@each_module
def test_everything_public_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree(path)), "the module"
    assert [node.name for node in _public(tree(path)) if not ast.get_docstring(node)] == []


def _public(scope: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    """Yield what is public in a module: functions, classes, their methods; not the overloads of a function."""
    for node in scope.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _public(node)


def test_nothing_asks_for_mercy_in_a_test() -> None:
    tests = PACKAGE.parent / "tests"
    marks = [
        "".join(parts) for parts in (("mock", ".patch"), ("pytest.", "skip"), ("mark.", "skip"), ("mark.", "xfail"))
    ]
    guilty = [
        f"{path.relative_to(tests)}: {mark}"
        for path in tests.rglob("*.py")
        for mark in marks
        if mark in path.read_text(encoding="utf-8")
    ]
    assert guilty == []
