"""YAML documents: any text at all, files that are none, and what plain data reads as."""

import copy
import json
import os
import time
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmcompiler import ConfigError, UsageError, load_tools
from llmcompiler._resources import bundled
from llmcompiler.config.documents import Document, Place, read_document, read_text
from llmcompiler.config.loading import Inspection, inspect_config, load_config

SECONDS = 10.0  # for any file, on a busy machine


def read(text: str) -> Document:
    document = Document(Path("a.yaml"))
    read_text(text, document)
    return document


def refusal(file: Path) -> str:
    """Return what is said of a file, once it is clear that it was said soon."""
    began = time.monotonic()
    with pytest.raises(ConfigError) as told:
        load_config(file)
    assert time.monotonic() - began < SECONDS
    assert told.value.problems
    return str(told.value)


# --- any text

ATOMS = st.sampled_from(
    [
        *(
            "model",
            "limits",
            "tools",
            "use",
            "tasks",
            "good/tools.py::search",
            "- ",
            ": ",
            "? ",
            "\n",
            "  ",
            "{",
            "}",
            "[",
        ),
        *(
            "]",
            ",",
            "&a ",
            "*a",
            "<<: ",
            "!!python/name:os.system ",
            "---\n",
            "...\n",
            "|\n",
            ">-\n",
            '"',
            "'",
            "\t",
            "#",
        ),
        *(
            "%YAML 1.1\n",
            "~",
            "no",
            "010",
            "1e999",
            "\\ud800",
            "\x00",
            "\ufeff",
            "\u2028",
            "@",
            "`",
            "0x1F",
            "null",
            "{{x}}",
        ),
    ]
)


def inspected(data: bytes, folder: Path) -> Inspection:
    """Return what a file of these bytes comes to: values, or at least one mistake."""
    file = folder / "any.yaml"
    file.write_bytes(data)
    found = inspect_config(file, allow_code=[folder / "good"])
    assert (found.config is None) == bool(found.problems)
    assert all(problem.message.isprintable() for problem in found.problems)
    return found


@given(text=st.one_of(st.text(), st.lists(ATOMS).map("".join)))
@example(text="tools:\n- use:\n  - a")
@example(text="&a : *a")
@example(text="? - a\n: b")
@settings(max_examples=500)
def test_any_text_is_a_configuration_or_a_list_of_mistakes_with_their_places(text: str, folder: Path) -> None:
    found = inspected(text.encode("utf-8", "surrogatepass"), folder)
    assert all(1 <= problem.place.line <= len(text.splitlines()) + 2 for problem in found.problems)


@given(data=st.binary())
def test_any_bytes_are_a_configuration_or_a_list_of_mistakes(data: bytes, folder: Path) -> None:
    inspected(data, folder)


# --- plain data

KEYS = st.text(max_size=30)  # YAML reads a key of up to 1024 characters, and an escape is six
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


@given(st.dictionaries(KEYS, PLAIN), st.booleans(), st.sampled_from([None, 2]))
def test_json_reads_as_what_it_is(data: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(data, ensure_ascii=ascii_only, indent=indent)
    if not text.isprintable() and not ascii_only:
        text = json.dumps(data, indent=indent)  # YAML refuses control characters that JSON lets stand
    document = read(text)
    assert [problem.message for problem in document.problems] == []
    assert document.data == data
    assert repr(document.data) == repr(data), "1 and 1.0 and true are three values"


WORDS = st.sampled_from(
    ["a", "model", "two words", "path/to.py", "snake_case", "No thanks", "x-y", "Äpfel", "1st", "v1.2"]
)
UNAMBIGUOUS = st.recursive(
    st.booleans() | st.none() | st.integers(-(10**9), 10**9) | WORDS | st.sampled_from([0.5, 12.25, 1e-7, 1e30]),
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(WORDS, inner, min_size=1),
    max_leaves=20,
)


@given(st.dictionaries(WORDS, UNAMBIGUOUS, min_size=1), st.sampled_from([True, False, None]))
def test_plain_data_reads_as_any_reader_of_yaml_reads_it(data: dict[str, Any], flow: bool | None) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, sort_keys=False)
    document = read(text)
    assert document.problems == []
    assert document.data == yaml.safe_load(text) == data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("y", "y"),
        ("12:30:45", "12:30:45"),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1.20", 1.2),
        ('"1.20"', "1.20"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        (".inf", ".inf"),
        (".NaN", ".NaN"),
        ("1.", 1.0),
        (".5", 0.5),
        ("+1e3", 1000.0),
        ("1e", "1e"),
        (".", "."),
        ("-", None),
        ("- ", None),
        ("0", 0),
        ("-0", 0),
        ("00", "00"),
        ("~", None),
        ("nUll", "nUll"),
        ("True", True),
        ("tRue", "tRue"),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b", "a b"),
        ("'it''s'", "it's"),
        ('"\\x41\\u00e9\\U0001F600"', "Aé😀"),
    ],
)
def test_a_scalar_is_text_unless_it_can_be_nothing_else(text: str, value: object) -> None:
    document = read(f"a: {text}")
    if text.strip() == "-":
        assert document.problems  # a list on the line of its key
    else:
        assert document.data == {"a": value}
        assert type(document.data["a"]) is type(value)


def test_each_part_knows_its_place() -> None:
    document = read("a:\n  - x\n  - {b: 1}\n")
    places = [document.place(path) for path in [(), ("a",), ("a", 0), ("a", 1, "b"), ("a", 1, "missing"), ("a", 7)]]
    assert places == [Place(1, 1), Place(1, 1), Place(2, 5), Place(3, 6), Place(3, 5), Place(1, 1)]


# --- files that are none


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    names = {
        "utf16.yaml": "threads: 1\n".encode("utf-16"),
        "latin.yaml": "a: 1\nmodel: caf\xe9\n".encode("latin-1"),
        "binary.yaml": bytes(range(256)),
    }
    for name, data in names.items():
        (tmp_path / name).write_bytes(data)
    assert refusal(tmp_path / "utf16.yaml").endswith("utf16.yaml:1:1: the file is not UTF-8 text")
    assert refusal(tmp_path / "latin.yaml").endswith("latin.yaml:2:1: the file is not UTF-8 text")
    assert "is not UTF-8 text" in refusal(tmp_path / "binary.yaml")
    document = read_document(tmp_path / "gone.yaml")
    assert [problem.message for problem in document.problems] == ["the file cannot be read: No such file or directory"]


@pytest.mark.parametrize("path", ["nowhere.yaml", "a\0b.yaml", "x" * 5000, "nowhere/demo.yaml"])
def test_without_a_file_there_is_nothing_to_check(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"there is no file|is no path"):
        load_tools(path)


@pytest.mark.parametrize("path", [".", "", "configs", "configs/", "configs/more.yaml"])
def test_a_folder_is_told_with_the_files_in_it(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "more.yaml").mkdir(parents=True)
    with pytest.raises(UsageError, match=r" is a folder, and a file is needed; it holds no YAML file$"):
        load_tools(path)
    for name in ("b.yml", "a.yaml", "d.yaml", "c.yaml", "no.txt"):
        (tmp_path / path / name).touch()
    with pytest.raises(UsageError) as told:
        load_tools(path)
    holds = ", ".join(str(Path(path) / name) for name in ("a.yaml", "b.yml", "c.yaml"))
    assert str(told.value) == f"{Path(path)} is a folder, and a file is needed; it holds {holds}"


def test_the_nearest_bundled_file_is_named_and_one_is_found_without_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"there is no file demos\.yaml; did you mean /.*/configs/demo\.yaml\?"):
        load_tools("demos.yaml")
    assert (
        list(load_tools("configs/demo.yaml"))
        == list(load_tools("demo.yaml"))
        == ["search", "calculate", "send_message"]
    )


def test_a_pipe_is_read_as_a_file_is() -> None:
    theirs, ours = os.pipe()
    os.write(ours, b"threads: 3\n")
    os.close(ours)
    assert load_config(f"/dev/fd/{theirs}").threads == 3
    os.close(theirs)


# --- files that are made to take long

LIMIT = "more than 20,000 values"
HUGE = {
    "bytes": ("# " + "x" * 1_000_000, "the file is larger than 1,000,000 bytes"),
    "brackets": ("[" * 5_000, "nested deeper than 50 levels"),
    "braces": ("{a: " * 5_000, "nested deeper than 50 levels"),
    "dashes": ("- " * 5_000, "nested deeper than 50 levels"),
    "question marks": ("? " * 5_000, "a key must be text"),
    "blocks": ("\n".join(" " * depth + "a:" for depth in range(1_000)), "nested deeper than 50 levels"),
    "items": ("tools: [" + "1," * 490_000 + "]", LIMIT),
    "lines": ("- a\n" * 249_000, LIMIT),
    "keys": ("".join(f"k{number}: 1\n" for number in range(60_000)), LIMIT),
    "one key": ("a: 1\n" * 150_000, "a: this key is given twice, first in line 1"),
    "anchors": ("- &a x\n" * 100_000, "anchors (&a) are not read"),
    "wrong tools": ("tools:\n" + "- {use: x}\n" * 9_000, "and 8950 more"),
    "unknown keys": ("limits: {" + ",".join(f"tasx{number}: 1" for number in range(9_000)) + "}", "and 8950 more"),
    "a long key": ("? " + "k" * 900_000 + "\n: 1", "unknown key"),
    "a long text": (
        "strategy: " + "k" * 900_000,
        "expected one of compiler, react, react_careful, parallel_calls, rewoo, skeleton, tree, asynclm",
    ),
    "a long name": ("tools: [" + "k" * 900_000 + ".py::f]", "is no path"),
    "blanks": (" " * 990_000, "expected a mapping"),
    "digits": ("threads: " + "9" * 990_000, "expected a whole number"),
    "exponents": ("threads: 1e" + "9" * 290, "expected a whole number"),
    "duration": ("limits: {seconds: " + "9" * 900_000 + "s}", "expected seconds"),
    "bomb": (
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)),
        "aliases (*a0) are not read",
    ),
}


@pytest.mark.parametrize(("text", "said"), HUGE.values(), ids=HUGE)
def test_a_file_that_is_made_to_take_long_is_refused_soon(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    file.write_text(text, encoding="utf-8")
    told = refusal(file)
    assert said in told
    assert len(told) < 60_000


# --- one wrong part

EVERY_KEY = yaml.safe_load((bundled("configs") / "every_key.yaml").read_text(encoding="utf-8"))


def paths_in(data: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of each part of the data."""
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(found for step, part in parts for found in paths_in(part, (*path, step)))]


@given(path=st.sampled_from(paths_in(EVERY_KEY)[1:]), part=PLAIN, extra=st.booleans())
def test_anything_in_the_place_of_any_value_is_taken_or_told_at_its_place(
    path: tuple[str | int, ...], part: Any, extra: bool, folder: Path
) -> None:
    data = copy.deepcopy(EVERY_KEY)
    owner = reduce(lambda here, step: here[step], path[:-1], data)
    key = f"{path[-1]}x" if extra and isinstance(owner, dict) else path[-1]
    owner[key] = part
    found = inspected(json.dumps(data, indent=1).encode(), folder)
    lines = json.dumps(data, indent=1).splitlines()
    if isinstance(key, str) and extra and path[0] != "tools":
        said = [problem for problem in found.problems if "unknown key" in problem.message]
        assert said or "options" in path
        assert all(key in lines[problem.place.line - 1] for problem in said)
