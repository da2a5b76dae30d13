"""The wheel: all of the package, the bundled folders inside it, and nothing beside; it works unpacked anywhere."""

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
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder)
    return folder


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


def test_nothing_else_is_installed(names: set[str]) -> None:
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"llmcompiler", "llmcompiler_engine"}
    assert not [name for name in names if name.endswith(".pyc") or "tests" in name]


def test_the_command_is_installed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        [entries] = [name for name in opened.namelist() if name.endswith("entry_points.txt")]
        assert "llmcompiler = llmcompiler.cli:main" in opened.read(entries).decode()


def test_an_unpacked_wheel_works_outside_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(unpacked)}
    code = "from llmcompiler._resources import bundled; print(bundled('prompts'), bundled('tools'), bundled('configs'))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=30
    )
    inside = unpacked / "llmcompiler" / "_bundled"
    assert found.stdout.split() == [str(inside / kind) for kind in ("prompts", "tools", "configs")]
    listed = subprocess.run(
        [sys.executable, "-m", "llmcompiler", "demo", "--list"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert len(listed.stdout.splitlines()) > 8
