"""The wheel: all of the package, the bundled folders inside it, and nothing beside; it works wherever it is installed."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout with the wheel installed by pip; what it depends on is that of this environment."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True, timeout=120)
    return folder


def run_installed(installed: Path, cwd: Path, *args: str) -> str:
    """Return what a command prints that is run in another folder, with the installed package and no key."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    env["PYTHONPATH"] = str(installed)
    ran = subprocess.run(
        [sys.executable, *args], cwd=cwd, env=env, capture_output=True, text=True, check=True, timeout=60
    )
    return ran.stdout


def files(folder: str, *suffixes: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and (not suffixes or path.suffix in suffixes)
    }


def test_the_wheel_is_named_after_the_distribution(wheel: Path) -> None:
    assert wheel.name.startswith("llmcompiler_engine-")
    assert wheel.name.endswith("-py3-none-any.whl")


@pytest.mark.parametrize("folder", ["prompts", "tools", "configs"])
def test_the_bundled_folders_are_inside_the_package(names: set[str], folder: str) -> None:
    inside = {
        name.removeprefix("llmcompiler/_bundled/")
        for name in names
        if name.startswith(f"llmcompiler/_bundled/{folder}/")
    }
    assert inside == files(folder)


def test_every_module_is_in_and_so_is_the_mark_of_types(names: set[str]) -> None:
    assert files("llmcompiler", ".py") <= names
    assert "llmcompiler/py.typed" in names


def test_the_reference_plans_are_in(names: set[str]) -> None:
    assert "llmcompiler/bench/suites/data/parallelqa.plans" in names


def test_nothing_else_is_installed(names: set[str]) -> None:
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"llmcompiler", "llmcompiler_engine"}
    assert not [name for name in names if name.endswith(".pyc") or "tests" in name]


def test_the_command_is_installed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        [entries] = [name for name in opened.namelist() if name.endswith("entry_points.txt")]
        assert "llmcompiler = llmcompiler.cli:main" in opened.read(entries).decode()


def test_an_installed_wheel_finds_its_folders_inside_itself(installed: Path, tmp_path: Path) -> None:
    code = "from llmcompiler._resources import bundled; print(bundled('prompts'), bundled('tools'), bundled('configs'))"
    inside = installed / "llmcompiler" / "_bundled"
    found = run_installed(installed, tmp_path, "-c", code)
    assert found.split() == [str(inside / kind) for kind in ("prompts", "tools", "configs")]


def test_an_installed_wheel_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    told = json.loads(run_installed(installed, tmp_path, str(installed / "bin" / "llmcompiler"), "demo", "1", "--json"))
    assert [result["status"] for result in told.values()] == ["complete", "complete"]
    compiled, sequential = told.values()
    assert compiled["answer"] == sequential["answer"]
    assert [task["outcome"]["kind"] for task in compiled["tasks"]] == ["succeeded"] * 3


@pytest.mark.parametrize("name", ["demo", "parallelqa", "hotpotqa", "movie", "every_key"])
def test_an_installed_wheel_brings_the_configurations_with_their_tools(
    installed: Path, tmp_path: Path, name: str
) -> None:
    told = json.loads(
        run_installed(installed, tmp_path, "-m", "llmcompiler", "check", f"configs/{name}.yaml", "--json")
    )
    assert told["file"] == str(installed / "llmcompiler" / "_bundled" / "configs" / f"{name}.yaml")
    assert told["problems"] == []
    assert all("signature" in tool for tool in told["tools"])
