"""YAML documents, read strictly: plain data, and where each part of it stands in the file.

What YAML allows and nobody means is refused: duplicate keys, anchors and aliases, tags, several documents, nesting without
end, files without end. Scalars are those of YAML 1.2's core schema without its odd numbers: `NO`, `on`, `12:30:45`, `010`
and `0x1F` are text, so a field that wants something else says so.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from llmcompiler.execution.border import Redactor, secrets_in
from llmcompiler.plan.values import Json

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_PARTS = 20_000  # a megabyte of `1,1,1` takes a quarter of a minute to read

KeyPath: TypeAlias = tuple[str | int, ...]  # the way to a part of the data: keys and positions

_INT = re.compile(r"[+-]?(?:0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_KEY = re.compile(r"\s+[\w-]+")  # the first of its line
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_MAX_DIGITS = 300
_MAX_MESSAGE = 500


class Place(NamedTuple):
    """A place in a file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at a place of a file. `path` leads to the part of the data that it is about.

    kind: `not_allowed` for code that the caller did not allow to be imported, `note` for what does no harm, else `mistake`.
    """

    place: Place
    message: str
    path: KeyPath = field(default=(), repr=False)  # a key of the file may be a secret in the wrong place
    kind: str = "mistake"


@dataclass(slots=True)
class Document:
    """Plain data, the places of its values and of the keys of its mappings, and what is wrong with its form."""

    file: Path
    data: Json = None
    values: dict[KeyPath, Place] = field(default_factory=dict)
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _redactor: Redactor = field(default_factory=lambda: Redactor(secrets_in(os.environ)), repr=False)

    def place(self, path: KeyPath) -> Place:
        """Return where a part stands: its key if it has one; of a part that is not there, where the whole begins."""
        while path and path not in self.values:
            path = path[:-1]
        return self.keys.get(path) or self.values.get(path) or Place(1, 1)

    def complain(self, path: KeyPath, message: str, kind: str = "mistake") -> None:
        """Note a problem with a part."""
        self.complain_at(self.place(path), message, path, kind)

    def complain_at(self, place: Place, message: str, path: KeyPath = (), kind: str = "mistake") -> None:
        """Note a problem at a place. What code says that a file names may hold secrets, and so may the file."""
        self.problems.append(Problem(place, _one_line(self._redactor.redact(message)), path, kind))


def key_text(path: KeyPath) -> str:
    """Return a path as it is read: `tools[0].retries`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _one_line(message: str) -> str:
    """Return a message as one line of a sensible length: keys and values of a file may hold anything, also escapes."""
    if len(message) > _MAX_MESSAGE:
        message = f"{message[: _MAX_MESSAGE // 2]}…{message[-_MAX_MESSAGE // 2 :]}"
    text = " ".join(message.splitlines())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
        document.complain_at(place, f"this is no YAML: {said}{_hint(text, place, error.problem or '')}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        document.complain_at(Place(line, column), f"this is no YAML: it holds the character U+{error.character:04X}")


def _text(file: Path, document: Document) -> str | None:
    """Return the text of a file, or note why there is none."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        document.complain((), f"the file cannot be read: {error.strerror or error}")
        return None
    if len(data) > MAX_BYTES:
        document.complain((), f"the file is larger than {MAX_BYTES:,} bytes")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        document.complain_at(Place(line, 1), "the file is not UTF-8 text")
        return None


def _hint(text: str, place: Place, problem: str) -> str:
    """Return what would do, as far as it can be told from where YAML could not go on."""
    [line] = text.splitlines()[place.line - 1 : place.line] or [""]
    before, rest = line[: place.column - 1], line[place.column - 1 :]
    if rest.startswith("\t"):
        return "; use spaces, not tabs"
    if problem.startswith("sequence entries") and before.strip():
        return "; a list begins in a line of its own"
    is_key = problem.startswith("mapping values") and _KEY.fullmatch(before)
    if is_key or problem.startswith(("expected <block end>", "expected '<document start>'")):
        return "; the items of one list begin in one column, and so do the keys of one mapping"
    return ""


class _Stop(Exception):
    """Nothing more can be read."""


class _Reader:
    """Builds data from YAML's events, which come without recursion; so nesting is counted before it costs anything."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._parts = 0

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
        self._parts += 1
        if len(path) > MAX_DEPTH or self._parts > MAX_PARTS:
            too_deep = f"this is nested deeper than {MAX_DEPTH} levels"
            self._complain(event, path, too_deep if len(path) > MAX_DEPTH else f"more than {MAX_PARTS:,} values")
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            self._complain(event, path, f"aliases (*{event.anchor}) are not read; write the part out")
            return None
        self._check_node(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
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

    def _scalar(self, event: "yaml.ScalarEvent", path: KeyPath) -> Json:
        text = self._text(event, path)
        if event.style is not None:  # in quotes or in a block
            return text
        if not text and path and event.tag is None:
            self._complain(event, path, f"{key_text(path)}: no value stands here; give one, or remove this")
        return _plain(text)

    def _text(self, event: "yaml.ScalarEvent", path: KeyPath) -> str:
        """Return the text of a scalar. JSON writes a character beyond U+FFFF as the two halves of a surrogate pair."""
        text: str = event.value
        if text.isascii():
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._complain(event, path, "this holds half a surrogate pair, which is no character")
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

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
                self._complain(event, (), f"{key_text(here)}: this key is given twice, first in line {first}")
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
                self._complain(event, (*path, "<<"), "merge keys (<<) are not read; write the part out")
            return self._text(event, path)
        self._complain(event, path, "a key must be text; quote a text that begins with { or [")
        raise _Stop

    def _complain(self, event: Any, path: KeyPath, message: str) -> None:
        self._document.complain_at(_place(event), message, path)


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _plain(text: str) -> Json:
    """Return what a scalar without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _MAX_DIGITS:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and abs(float(text)) != float("inf"):
            return float(text)
    return text
