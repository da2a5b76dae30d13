"""Loading tools from the code that a text names, and only from code that is allowed."""

from pathlib import Path
from typing import Any

import pytest

from llmcompiler import UsageError
from llmcompiler.toolkit.loader import Allowed, CodeNotAllowed, Source, load, load_module, read_source
from llmcompiler.toolkit.tool import Tool, as_tool

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


def tool_in(path: Path, name: str) -> Tool[..., Any]:
    return as_tool(load(Source(name, path), Allowed([path])))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my tools.v2.py"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_tool_is_loaded_from_a_file_decorated_or_not(file: Path) -> None:
    loud, soft = tool_in(file, "shout"), tool_in(file, "whisper")
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
        tool_in(file, "shuot")
    with pytest.raises(UsageError, match=r"::LOADED is of type list, which is no tool; name a function"):
        tool_in(file, "LOADED")


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


# --- what a text names


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("tools.py::search", Source("search", Path("/config/tools.py"))),
        ("../opt/my tools.v2.py::search", Source("search", Path("/opt/my tools.v2.py"))),
        ("/opt/tools.py::search", Source("search", Path("/opt/tools.py"))),
        ("package.module:search", Source("search", module="package.module")),
        ("module:search", Source("search", module="module")),
    ],
)
def test_a_source_is_a_file_or_a_module_and_a_name(text: str, source: Source) -> None:
    assert read_source(text, Path("/config")) == source


@pytest.mark.parametrize(
    "text",
    [
        "",
        "search",
        ":search",
        "module:",
        "tools.py",
        "tools.py:search",
        "tools.txt::search",
        "a b:search",
        "a..b:f",
        "os.path:",
        "module:a.b",
        "module:f()",
        "module:_private",
        "tools.py::__import__",
        "tools.py::a.b",
        "::f",
        "a:b:c",
        "http://x/y.py",
    ],
)
def test_what_names_no_function_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=r'names no function: write "file\.py::function" or "package\.module:function"'
    ):
        read_source(text, Path("/config"))


# --- what may be imported


def load_from(folder: Path, name: str, *allowed: str | Path) -> Any:
    return load(read_source(name, folder), Allowed(allowed))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


TRIPWIRE = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\ndef f(): ...\n"


@pytest.mark.parametrize("allowed", ["tools", "tools/", "./tools", "tools/good.py"])
def test_code_in_an_allowed_place_is_imported(allowed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "tools" / "good.py", TRIPWIRE)
    monkeypatch.chdir(tmp_path)
    place = Path(allowed) if allowed == "tools" else allowed
    assert load_from(tmp_path, "tools/good.py::f", place).__name__ == "f"


@pytest.mark.parametrize(
    "named",
    ["bad.py::f", "tools/../bad.py::f", "tools_evil/bad.py::f", "tools/link.py::f", "tools/linked/bad.py::f"],
)
def test_code_elsewhere_is_not_even_run(named: str, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    bad = write(tmp_path / "bad.py", TRIPWIRE)
    write(tmp_path / "tools_evil" / "bad.py", TRIPWIRE)
    tools.mkdir()
    (tools / "link.py").symlink_to(bad)
    (tools / "linked").symlink_to(tmp_path)
    with pytest.raises(CodeNotAllowed, match=r"is not in allowed code; allow it with allow_code=.* \(--allow-code "):
        load_from(tmp_path, named, tools)
    assert not list(tmp_path.rglob("*.ran"))


@pytest.mark.parametrize("allowed", [(), ("my",), ("my.tools.more",), ("mytools",), ("tools",)])
def test_a_module_outside_the_allowed_packages_is_refused(allowed: tuple[str, ...]) -> None:
    with pytest.raises(CodeNotAllowed, match=r"my_package.tools is not allowed code|my_package"):
        load(Source("f", module="my_package.tools"), Allowed(allowed))


def test_modules_of_an_allowed_package_are_imported() -> None:
    assert load(Source("dumps", module="json"), Allowed(["json"])).__name__ == "dumps"
    assert load(Source("JSONDecoder", module="json.decoder"), Allowed(["json"])).__name__ == "JSONDecoder"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("from os import system as f", id="a builtin"),
        pytest.param("from subprocess import run as f", id="a function"),
        pytest.param("from subprocess import Popen as f", id="a class"),
        pytest.param(
            "import functools, subprocess\nf = functools.wraps(print)(subprocess.run)", id="one that is wrapped"
        ),
    ],
)
def test_what_an_allowed_file_has_imported_is_not_its_own(text: str, tmp_path: Path) -> None:
    file = write(tmp_path / "tools.py", text)
    with pytest.raises(CodeNotAllowed, match="which is not allowed code; wrap it in a function of your own"):
        load(Source("f", file), Allowed([tmp_path]))


def test_an_object_of_a_foreign_class_is_not_the_files_own(tmp_path: Path) -> None:
    file = write(tmp_path / "tools.py", "import functools, os\nf = functools.partial(os.system, 'true')")
    with pytest.raises(CodeNotAllowed, match="::f comes from functools, which is not allowed code"):
        load(Source("f", file), Allowed([tmp_path]))


def test_a_folder_that_was_given_as_a_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "tools" / "good.py", TRIPWIRE)
    with pytest.raises(CodeNotAllowed, match=r"not in allowed code; tools allows a package; the folder is tools/$"):
        load_from(tmp_path, "tools/good.py::f", "tools")
    assert not list(tmp_path.rglob("*.ran"))


@pytest.mark.parametrize(
    ("here", "typed"),
    [(".", "tools/deep/"), ("tools", "deep/"), ("tools/deep", "./"), ("other", "{folder}/tools/deep")],
)
def test_the_folder_to_allow_is_told_as_one_would_type_it_and_is_taken_so(
    here: str, typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "tools" / "deep" / "good.py", TRIPWIRE)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / here)
    typed = typed.format(folder=tmp_path)
    with pytest.raises(CodeNotAllowed) as told:
        load(Source("f", file), Allowed([]))
    assert f'allow it with allow_code=["{typed}"] (--allow-code {typed}) if you trust it' in str(told.value)
    assert load(Source("f", file), Allowed([typed])).__name__ == "f"


def test_links_that_lead_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").symlink_to(tmp_path / "b.py")
    (tmp_path / "b.py").symlink_to(tmp_path / "a.py")
    with pytest.raises(UsageError, match=r"is no path|is no Python file"):
        load_from(tmp_path, "a.py::f", tmp_path)


def test_a_tool_that_was_made_of_foreign_code_is_the_files_own(tmp_path: Path) -> None:
    file = write(tmp_path / "tools.py", "import json\nfrom llmcompiler import tool\nf = tool(name='dump')(json.dumps)")
    assert tool_in(file, "f").spec.name == "dump"


def test_a_package_that_is_not_there_is_told_with_a_hint() -> None:
    with pytest.raises(
        UsageError,
        match=r"cannot be imported: ModuleNotFoundError: .*; install it, or name a file: nowhere.py::function",
    ):
        load(Source("f", module="nowhere"), Allowed(["nowhere"]))


@pytest.mark.parametrize(
    ("places", "said"), [(["./nowhere/"], "does not exist"), ([""], "takes folders"), ([3], "takes folders")]
)
def test_a_wrong_permission_is_told(places: list[Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Allowed(places)
