"""The parser of the plan language: a pure object, `feed(chunk) -> items`, `close() -> items`.

Grammar and recovery table: ARCHITECTURE.md. Invariants:
* The items do not depend on chunking: every decision is made on characters, and one that needs more of them waits.
* Time is linear: chunks are only collected until one holds a ")", and each character is scanned once.
* Nothing is dropped uncounted: every character is part of an item, skipped, or ignored after the join.
"""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, TypeAlias

from llmcompiler.plan.arguments import Arguments, read_arguments
from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.strings import BLANK, CLOSERS
from llmcompiler.plan.tasks import MAX_ID, Task

MAX_CALL = 200_000
_MAX_HEAD = 200

_SP = r"[ \t\r\f\v\u00a0\u200b-\u200d\u2060\ufeff\u3000]"
_BULLET = rf"(?:>{_SP}*+)?(?:[-*+•]{_SP}++)?(?:\*\*|__)?"
_HEAD = re.compile(
    rf"[ \t;,]*+{_SP}*+(?:{_BULLET}(?:(?P<number>-?\d+(?:\.\d+)*)[.)]|\$\{{?(?P<ref>\d+)\}}?{_SP}*+=)"
    rf"(?:\*\*|__)?{_SP}*+(?P<name>[^\W\d][\w./-]*)|(?P<join>[jJ][oO][iI][nN]))\("
)
_PARTIAL = re.compile(
    rf"[ \t;,]*+{_SP}*+(?:>{_SP}*+)?(?:[-*+•]{_SP}*+)?[*_]{{0,2}}"
    rf"(?:-?(?:\d+(?:\.\d+)*(?:[.)][*_]{{0,2}})?)?|\$\{{?\d*\}}?{_SP}*+=?[*_]{{0,2}}){_SP}*+(?:[^\W\d][\w./-]*)?\Z"
)
_THOUGHT = re.compile(
    rf"{_SP}*(?:[-*+•>]{_SP}+)?[*_]{{0,2}}Thought(?:{_SP}\d+)?[*_]{{0,2}}{_SP}*:[*_]{{0,2}}(.*)", re.I | re.S
)
_BLANKS = "".join(filter(re.compile(BLANK).match, map(chr, range(0x10000))))
_NUMBERED = re.compile(rf"{_SP}*(?:[-*+•]{_SP}+)?(?:\*\*)?\d+[.)]")
_IN_CODE = re.compile(r"[()\n#\"'“”„‟‘’‚‛]")
_IN_STRING = {quote: re.compile(rf"[\\\n{closers}]") for quote, closers in CLOSERS.items()}
_IN_TRIPLE = {quote: re.compile(rf"\\|{quote * 3}") for quote in "\"'"}


@dataclass(frozen=True, slots=True)
class TaskRead:
    """A task was read. `arg_spans` and `kwarg_spans` say where each argument stands."""

    task: Task
    span: Span
    arg_spans: tuple[Span, ...] = ()
    kwarg_spans: tuple[tuple[str, Span], ...] = ()


@dataclass(frozen=True, slots=True)
class CallRefused:
    """Something like a task could not be read. `id` is None where no usable id was given."""

    id: int | None
    tool: str
    span: Span
    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True)
class JoinRead:
    """The first join: the plan ends here."""

    span: Span
    thought: str = ""


@dataclass(frozen=True, slots=True)
class NoteRead:
    """A lint note."""

    diagnostic: Diagnostic


Item: TypeAlias = TaskRead | CallRefused | JoinRead | NoteRead


class _Mode(Enum):
    LINE = auto()  # a task may begin here
    SKIP = auto()  # up to the end of this line
    CODE = auto()  # inside a call
    COMMENT = auto()  # inside a call, up to the end of this line
    STRING = auto()
    TRIPLE = auto()
    DONE = auto()


class PlanParser:
    """Reads one plan text. `skipped` and `ignored` count characters outside tasks and after the join."""

    def __init__(self) -> None:
        self.skipped = 0
        self.ignored = 0
        self._chunks: list[str] = []
        self._waits = False  # whether a ")" stands in what is not read yet
        self._text = ""  # what is being scanned
        self._base = 0  # the place of `_text` in the plan
        self._pos = 0  # the next unread character of `_text`
        self._mode = _Mode.LINE
        self._closed = False
        self._line_start = True  # whether the line being skipped was skipped from its beginning
        self._skipped_line: list[str] = []
        self._thoughts: list[str] = []
        self._thought_size = 0  # the characters of their lines
        self._head: re.Match[str] | None = None
        self._head_span = Span(0, 0)
        self._call: list[str] = []  # the text of the open call, up to `_text[_pos]`
        self._call_base = 0
        self._call_size = 0
        self._depth = 0
        self._quote = ""
        self._items: list[Item] = []

    def feed(self, chunk: str) -> list[Item]:
        """Return what this chunk completes."""
        if self._mode is _Mode.DONE:
            self.ignored += len(chunk)
            return []
        self._chunks.append(chunk)
        return self._scan() if self._waits or ")" in chunk else []

    def close(self) -> list[Item]:
        """Return what the end of the text completes. Nothing may be fed afterwards."""
        self._closed = True
        return self._scan()

    def _scan(self) -> list[Item]:
        rest = self._text[self._pos :]
        self._base += self._pos
        self._text, self._pos = rest + "".join(self._chunks), 0
        self._chunks.clear()
        while self._mode is not _Mode.DONE and self._STEPS[self._mode](self):
            pass
        if self._mode is _Mode.DONE:
            self.ignored += len(self._text) - self._pos
            self._text, self._pos = "", 0
        elif self._closed:
            self._end()
        self._waits = ")" in self._text[self._pos :]
        items, self._items = self._items, []
        return items

    # Each step moves `_pos` forward and returns whether there is more to do with the text at hand.

    def _step_line(self) -> bool:
        head = _HEAD.match(self._text, self._pos, self._pos + _MAX_HEAD)
        if head is not None:
            self._open(head)
            return True
        if self._may_be_head(self._pos):
            return False
        self._mode, self._skipped_line = _Mode.SKIP, []
        return self._pos < len(self._text)

    def _step_skip(self) -> bool:
        end = self._text.find("\n", self._pos)
        stop = len(self._text) if end < 0 else end + 1
        self._skipped_line.append(self._text[self._pos : stop])
        self._pos = stop
        if end < 0:
            return False
        self._end_line()
        return True

    def _step_code(self) -> bool:
        found = _IN_CODE.search(self._text, self._pos)
        if found is None:
            return self._take(len(self._text))
        at, character = found.start(), found[0]
        if character == "\n":
            return self._newline(at)
        if character == "(":
            self._depth += 1
        elif character == ")":
            self._depth -= 1
            if self._depth == 0:
                self._take(at + 1)
                self._complete()
                return True
        elif character == "#":
            self._mode = _Mode.COMMENT
        else:
            return self._open_string(at, character)
        return self._take(at + 1)

    def _open_string(self, at: int, quote: str) -> bool:
        self._quote = quote
        if quote in "\"'":
            if self._text.startswith(quote * 3, at):
                self._mode = _Mode.TRIPLE
                return self._take(at + 3)
            if not self._closed and self._text[at:] in (quote, quote * 2):
                self._take(at)  # it may become three of them
                return False
        self._mode = _Mode.STRING
        return self._take(at + 1)

    def _step_string(self) -> bool:
        found = _IN_STRING[self._quote].search(self._text, self._pos)
        if found is None:
            return self._take(len(self._text))
        if found[0] == "\n":
            return self._newline(found.start())
        if found[0] == "\\":
            return self._escape(found.start())
        self._mode = _Mode.CODE
        return self._take(found.end())

    def _step_triple(self) -> bool:
        found = _IN_TRIPLE[self._quote].search(self._text, self._pos)
        if found is None:
            keep = 0 if self._closed else len(self._text) - len(self._text.rstrip(self._quote))
            self._take(max(self._pos, len(self._text) - min(keep, 2)))
            return False
        if found[0] == "\\":
            return self._escape(found.start())
        self._mode = _Mode.CODE
        return self._take(found.end())

    def _step_comment(self) -> bool:
        end = self._text.find("\n", self._pos)
        self._mode = _Mode.CODE if end >= 0 else _Mode.COMMENT
        return self._take(end if end >= 0 else len(self._text))

    _STEPS: ClassVar[Mapping[_Mode, Callable[["PlanParser"], bool]]] = {
        _Mode.LINE: _step_line,
        _Mode.SKIP: _step_skip,
        _Mode.CODE: _step_code,
        _Mode.COMMENT: _step_comment,
        _Mode.STRING: _step_string,
        _Mode.TRIPLE: _step_triple,
    }

    def _take(self, end: int) -> bool:
        """Add the text up to `end` to the open call; return whether there is more text."""
        if end > self._pos:
            self._call.append(self._text[self._pos : end])
            self._call_size += end - self._pos
            self._pos = end
        return end < len(self._text)

    def _escape(self, at: int) -> bool:
        if at + 2 > len(self._text):
            self._take(len(self._text) if self._closed else at)
            return False
        if self._mode is _Mode.STRING and self._text[at + 1] == "\n":
            return self._take(at + 1)  # the next line may begin a task
        return self._take(at + 2)

    def _newline(self, at: int) -> bool:
        """Inside a call, at a newline: the next line ends the call if it starts like a task."""
        if _HEAD.match(self._text, at + 1, at + 1 + _MAX_HEAD):
            self._take(at)
            self._abandon("the next line begins a task before this call is closed")
            self._pos = at + 1
            self.skipped += 1
            return True
        if self._may_be_head(at + 1):
            self._take(at)
            return False
        return self._take(at + 1)

    def _may_be_head(self, start: int) -> bool:
        if self._closed or len(self._text) - start >= _MAX_HEAD:
            return False
        return _PARTIAL.match(self._text, start) is not None

    def _open(self, head: re.Match[str]) -> None:
        self._head = head
        self.skipped += _indent(head)
        self._head_span = Span(self._base + head.start() + _indent(head), self._base + head.end())
        self._pos = head.end()
        self._call, self._call_base, self._call_size = [], self._base + head.end(), 0
        self._depth, self._mode = 1, _Mode.CODE

    def _complete(self) -> None:
        """The open call has its closing parenthesis."""
        head, text = self._taken()
        end = self._call_base + len(text)
        span = Span(self._head_span.start, end)
        if _is_join(head):
            if text.strip(")").strip():
                self._note("join_arguments", "join takes no arguments; these are ignored", self._call_base, end)
            self._items.append(JoinRead(span, self._thought()))
            self._mode = _Mode.DONE
        elif self._call_size > MAX_CALL:
            self._refuse(head, span, "too_long", f"a call of {self._call_size} characters; {MAX_CALL} are allowed")
        else:
            self._read(head, read_arguments(text, self._call_base), span)
        self._line_start = False

    def _abandon(self, why: str) -> None:
        """The open call ends without its parenthesis; quotes that do not pair may have hidden it."""
        head, text = self._taken()
        self._line_start = True
        span = Span(self._head_span.start, self._call_base + len(text.rstrip()))
        self.skipped += len(text) - len(text.rstrip())
        said = f"{_name(head)}(...) is not closed: {why}"
        if _is_join(head):
            self.skipped += span.end - span.start
            self._note("unterminated", said, *self._head_span)
        elif self._call_size > MAX_CALL:
            self._refuse(head, span, "too_long", f"a call of over {MAX_CALL} characters, and {said}")
        elif (read := read_arguments(text, self._call_base)).error is None:
            self._read(head, read, span)
        else:
            self._refuse(head, span, "unterminated", said, "close it with ')'")

    def _taken(self) -> tuple[re.Match[str], str]:
        head, text = self._head, "".join(self._call)
        assert head is not None
        self._call, self._head, self._mode = [], None, _Mode.LINE
        return head, text

    def _read(self, head: re.Match[str], found: Arguments, span: Span) -> None:
        id, wrong = _id(head)
        if wrong:
            self._refuse(head, span, "bad_id", wrong, "ids are whole numbers from 1 on")
        elif found.error is not None:
            self._items.append(CallRefused(id, _name(head), span, found.error))
            self._drop_thoughts()
        else:
            task = Task(id, _name(head), tuple(found.args), found.kwargs, self._thought())
            self._items.append(TaskRead(task, span, tuple(found.arg_spans), tuple(found.kwarg_spans.items())))
            self._items += [NoteRead(note) for note in found.notes]

    def _refuse(self, head: re.Match[str], span: Span, code: str, message: str, remedy: str = "") -> None:
        id, wrong = _id(head)
        diagnostic = Diagnostic(code, message, self._head_span, remedy)
        self._items.append(CallRefused(None if wrong else id, _name(head), span, diagnostic))
        self._drop_thoughts()

    def _thought(self) -> str:
        thought = "\n".join(self._thoughts)
        self._thoughts, self._thought_size = [], 0
        return thought

    def _drop_thoughts(self) -> None:
        """No task takes the thoughts read so far: they are skipped text."""
        self.skipped += self._thought_size
        self._thoughts, self._thought_size = [], 0

    def _note(self, code: str, message: str, start: int, end: int) -> None:
        self._items.append(NoteRead(Diagnostic(code, message, Span(start, end), severity="note")))

    def _end_line(self) -> None:
        """A line outside calls has ended: keep it if it is a thought, else count it."""
        line = "".join(self._skipped_line)
        found = _THOUGHT.match(line) if self._line_start else None
        thought = found[1].strip(_BLANKS) if found else ""
        if thought:
            self._thoughts.append(thought)
            self._thought_size += len(line)
        else:
            self.skipped += len(line)
            if self._line_start and _NUMBERED.match(line):
                start = self._base + self._pos - len(line)
                said = "a numbered line that calls no tool is skipped"
                self._note("numbered_prose", said, start, start + len(line.rstrip()))
        self._mode, self._line_start, self._skipped_line = _Mode.LINE, True, []

    def _end(self) -> None:
        """The text has ended; whatever is open ends with it."""
        if self._head is not None:
            self._take(len(self._text))
            self._abandon("the text ends")
            self._drop_thoughts()
            return
        if self._mode is _Mode.LINE:
            self._skipped_line = []
        self._skipped_line.append(self._text[self._pos :])
        self._pos = len(self._text)
        self._end_line()
        self._drop_thoughts()


def _is_join(head: re.Match[str]) -> bool:
    return _name(head).lower() == "join"


def _name(head: re.Match[str]) -> str:
    """Return the name of a tool: one object for all its calls, which are then quicker to look up."""
    return sys.intern(head["name"] or head["join"])


def _indent(head: re.Match[str]) -> int:
    return len(head[0]) - len(head[0].lstrip(" \t\r\f\v\u00a0\u200b\u200c\u200d\u2060\ufeff\u3000;,"))


def _id(head: re.Match[str]) -> tuple[int, str]:
    """Return the id of a head and what is wrong with it."""
    text = str(head["number"] or head["ref"] or "0")
    if "." in text or "-" in text:
        return 0, f"{text} is no id"
    if len(text) > 30 or not 0 < int(text) <= MAX_ID:
        return 0, f"{text[:30]} is no id; ids go from 1 to {MAX_ID}"
    return int(text), ""
