"""YAML documents, read strictly: plain data, and where each part of it stands in the file.

What YAML allows and nobody means is refused: duplicate keys, anchors and aliases, tags, several documents, nesting without
end, files without end. Scalars are those of YAML 1.2's core schema without its odd numbers: `NO`, `on`, `12:30:45`, `010`
and `0x1F` are text, so a field that wants something else says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from llmcompiler.plan.values import Json

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 50

KeyPath: TypeAlias = tuple[str | int, ...]  # the way to a part of the data: keys and positions

_INT = re.compile(r"[+-]?(?:0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_MAX_DIGITS = 300


class Place(NamedTuple):
    """A place in a file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at a place of a file. `path` leads to the part of the data that it is about.

    kind: `not_allowed` for code that the caller did not allow to be imported, else `mistake`.
    """

    place: Place
    message: str
    path: KeyPath = ()
    kind: str = "mistake"


@dataclass(slots=True)
class Document:
    """Plain data, the places of its values and of the keys of its mappings, and what is wrong with its form."""

    file: Path
    data: Json = None
    values: dict[KeyPath, Place] = field(default_factory=dict)
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """Return where a part stands: its key if it has one; of a part that is not there, where the whole begins."""
        while path and path not in self.values:
            path = path[:-1]
        return self.keys.get(path) or self.values.get(path) or Place(1, 1)

    def complain(self, path: KeyPath, message: str, kind: str = "mistake") -> None:
        """Note a problem with a part."""
        self.problems.append(Problem(self.place(path), message, path, kind))


def read_document(file: Path) -> Document:
    """Return the document in a file; what is wrong with its form is in `problems`, never raised."""
    document = Document(file)
    text = _text(file, document)
    if text is not None:
        read_text(text, document)
    return document


def read_text(text: str, document: Document) -> None:
    """Read a text into a document."""
    import yaml

    try:
        _Reader(document).read(yaml.parse(text, Loader=yaml.SafeLoader))
    except _Stop:
        return
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
        said = " ".join(part for part in (error.problem, error.context) if part)
        document.problems.append(Problem(place, f"this is no YAML: {said}{_tab_hint(text, place)}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.problems.append(
            Problem(Place(line, 1), f"this is no YAML: it holds the character {error.character!r}")
        )


def _text(file: Path, document: Document) -> str | None:
    """Return the text of a file, or note why there is none."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        document.problems.append(Problem(Place(1, 1), f"the file cannot be read: {error.strerror or error}"))
        return None
    if len(data) > MAX_BYTES:
        document.problems.append(Problem(Place(1, 1), f"the file is larger than {MAX_BYTES:,} bytes"))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        document.problems.append(Problem(Place(line, 1), "the file is not UTF-8 text"))
        return None


def _tab_hint(text: str, place: Place) -> str:
    lines = text.split("\n")
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    return "; indent with spaces, not tabs" if "\t" in line[: len(line) - len(line.lstrip())] else ""


class _Stop(Exception):
    """Nothing more can be read."""


class _Reader:
    """Builds data from YAML's events, which come without recursion; so nesting is counted before it costs anything."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def read(self, events: "Iterator[yaml.Event]") -> None:
        import yaml

        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._complain(event, (), "a second document begins here (`---`); one is read")
                    return
            elif isinstance(event, yaml.NodeEvent):
                self._document.data = self._value(event, events, ())

    def _value(self, event: "yaml.Event", events: "Iterator[yaml.Event]", path: KeyPath) -> Json:
        import yaml

        self._document.values[path] = _place(event)
        if len(path) > MAX_DEPTH:
            self._complain(event, path, f"this is nested deeper than {MAX_DEPTH} levels")
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            self._complain(event, path, f"aliases (*{event.anchor}) are not read; write the part out")
            return None
        self._check_node(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._mapping(events, path)

    def _check_node(self, event: Any, path: KeyPath) -> None:
        if event.anchor is not None:
            self._complain(
                event, path, f"anchors (&{event.anchor}) are not read; write the part out where it is needed"
            )
        if event.tag is not None:
            self._complain(event, path, f"tags ({event.tag}) are not read; write plain data")

    def _sequence(self, events: "Iterator[yaml.Event]", path: KeyPath) -> Json:
        import yaml

        items: list[Json] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: "Iterator[yaml.Event]", path: KeyPath) -> Json:
        import yaml

        members: dict[str, Json] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, events, path)
            here = (*path, key)
            if key in members:
                first = self._document.keys[here].line
                self._complain(event, here, f"the key {key!r} is given twice, first in line {first}")
            else:
                self._document.keys[here] = _place(event)
            value = self._value(next(events), events, here)
            members.setdefault(key, value)
        return members

    def _key(self, event: "yaml.Event", events: "Iterator[yaml.Event]", path: KeyPath) -> str:
        import yaml

        if isinstance(event, yaml.ScalarEvent):
            self._check_node(event, path)
            if event.value == "<<" and event.style is None:
                self._complain(event, path, "merge keys (<<) are not read; write the part out")
            return str(event.value)
        self._complain(event, path, "a key must be text")
        raise _Stop

    def _complain(self, event: Any, path: KeyPath, message: str) -> None:
        self._document.problems.append(Problem(_place(event), message, path))


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _scalar(event: Any) -> Json:
    """Return what a scalar stands for; one in quotes or in a block is text."""
    text: str = event.value
    if event.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _MAX_DIGITS:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and abs(float(text)) != float("inf"):
            return float(text)
    return text
