"""Where the benchmarks' data are looked for, and what is said when they are not there."""

from pathlib import Path

import pytest

from llmcompiler import UsageError
from llmcompiler.bench.data_folder import fetch_folder, read_data
from llmcompiler.bench.sources import SOURCES

FILE = "game24.csv"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home folder of a user who has nothing yet."""
    monkeypatch.delenv("LLMCOMPILER_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    return tmp_path / "home"


def put(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder


def test_the_folder_named_is_before_the_variable_and_that_before_the_fetched_one(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = put(tmp_path / "named", "named")
    put(home / ".cache" / "llmcompiler" / "data", "fetched")
    assert read_data(FILE, str) == "fetched"
    monkeypatch.setenv("LLMCOMPILER_DATA", str(put(tmp_path / "variable", "variable")))
    assert read_data(FILE, str) == "variable"
    assert read_data(FILE, str, named) == "named"
    assert read_data(FILE, str, str(named)) == "named"


def test_data_are_fetched_to_where_they_are_looked_for(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch_folder() == home / ".cache" / "llmcompiler" / "data"
    monkeypatch.setenv("LLMCOMPILER_DATA", str(tmp_path))
    assert fetch_folder() == tmp_path
    assert fetch_folder("elsewhere") == Path("elsewhere")


@pytest.mark.parametrize("value", [None, ""], ids=["not set", "empty"])
def test_without_any_folder_the_error_names_all_three_ways(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv("LLMCOMPILER_DATA", value)
    with pytest.raises(UsageError) as caught:
        read_data(FILE, str)
    assert str(caught.value) == (
        "there is no folder with game24.csv: get the data by `llmcompiler bench fetch`, or name their folder with --data "
        "or LLMCOMPILER_DATA; the file is src/tot/data/24/24.csv of the public repository "
        "princeton-nlp/tree-of-thought-llm"
    )


def test_a_file_missing_from_a_folder_is_told_with_its_path_and_its_home(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_data(FILE, str, tmp_path)
    assert f"{tmp_path / FILE} cannot be read (No such file or directory); get it from" in str(caught.value)
    assert "tree-of-thought-llm, or by `llmcompiler bench fetch`" in str(caught.value)


@pytest.mark.parametrize("error", [ValueError("x"), TypeError("x"), KeyError("x"), AttributeError("x")], ids=repr)
def test_what_cannot_be_read_is_not_the_dataset(error: Exception, tmp_path: Path) -> None:
    def read(text: str) -> None:
        raise error

    with pytest.raises(UsageError, match=r"game24\.csv is not the dataset") as caught:
        read_data(FILE, read, put(tmp_path / "data", "text"))
    assert caught.value.__cause__ is error


def test_every_source_is_a_file_of_a_public_repository() -> None:
    assert len(SOURCES) == 26
    assert all(source.repository.count("/") == 1 for source in SOURCES.values())
    assert len({(source.repository, source.path) for source in SOURCES.values()}) == len(SOURCES)
    assert all(source.name == name and len(source.sha256) == 64 for name, source in SOURCES.items())
