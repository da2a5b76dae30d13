"""The protocol machine of CML: a model's sampled text in, calls, traps and plain text out. Pure.

    [CALL] id [HEAD] tool(arguments) [END]      its result comes back as an interrupt, under this id
    [CALL] tool(arguments) [END]                only its failure comes back
    [TRAP][END]                                 the model can do nothing without a result
    [INTR] id [HEAD] value [END]                written by the runtime alone

It is fed sampled text only, never what was injected: so nothing that a tool says can become a call, a trap or an
interrupt. What a model may write against the grammar:

| met | what becomes of it |
|---|---|
| `[CALL]`, `[INTR]` or `[TRAP]` inside an open call | the open call is broken, the new block is read |
| the end of the text inside a call | the call is broken |
| a call of more than `MAX_CALL` characters | it is broken, and skipped up to its `[END]` |
| `[INTR]` | refused where it stands; what follows it, up to its `[END]`, is nothing |
| `[TRAP]` without its `[END]` | a trap |
| `[END]` or `[HEAD]` outside of a call, a thought that ends without having begun | skipped |
| a second `[HEAD]`, thought marks in a call | part of the call's text |
| `[END]` in a string of a call | ends the call: in a string it is written `\\u005bEND]` |
| anything in a thought | nothing; text is not put into thoughts either |

Invariants: what comes out does not depend on how the text is cut into chunks, but for the borders between `TextRead`s;
time is linear; what may be the beginning of a delimiter is held back until it is one or is not.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from llmcompiler.plan.parser import MAX_CALL
from llmcompiler.strategies.asynclm.delimiters import Delimiters

UNTERMINATED = "the call was not closed before the next block or the end of the text"
_NEAR = 64  # characters of white space that may stand between the two parts of a trap
_STEP = 1_024  # characters read at once: what is left of them is copied at each delimiter
TOO_LONG = f"a call of over {MAX_CALL:,} characters"


@dataclass(frozen=True, slots=True)
class TextRead:
    """Plain text, outside of blocks and thoughts."""

    text: str


@dataclass(frozen=True, slots=True)
class CallRead:
    """A whole call; `id` is None without a head. `start`, `end`: its place in the sampled text, in characters."""

    id: str | None
    body: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CallBroken:
    """A call that has no end, or is too long."""

    id: str | None
    why: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TrapRead:
    """The model can do nothing before it gets a result. `end`: where the trap ends."""

    end: int


@dataclass(frozen=True, slots=True)
class InterruptRefused:
    """The model began to write an interrupt, at `start`."""

    start: int


Item: TypeAlias = TextRead | CallRead | CallBroken | TrapRead | InterruptRefused


class _Mode(Enum):
    TEXT = auto()
    CALL = auto()
    TRAP = auto()  # behind [TRAP]
    SKIP = auto()  # in a block that is refused
    THOUGHT = auto()


class CMLReader:
    """Reads the sampled text of one session. `size` counts its characters."""

    def __init__(self, delimiters: Delimiters | None = None) -> None:
        self.size = 0
        self._marks = delimiters or Delimiters()
        self._blocks = {self._marks.call: _Mode.CALL, self._marks.trap: _Mode.TRAP, self._marks.interrupt: _Mode.SKIP}
        self._patterns = _patterns(self._marks)
        self._mode = _Mode.TEXT
        self._rest = ""  # not settled yet
        self._body: list[str] = []  # of the open call, before `_rest`
        self._body_size = 0
        self._id: str | None = None
        self._start = 0  # of the open block
        self._is_at_border = True
        self._items: list[Item] = []

    @property
    def is_critical(self) -> bool:
        """Return whether nothing may be put in here: inside a block, a thought, or what may be a delimiter."""
        return self._mode is not _Mode.TEXT or bool(self._rest)

    @property
    def is_at_border(self) -> bool:
        """Return whether what was read last is a whole line or a whole block, or nothing."""
        return not self.is_critical and self._is_at_border

    def feed(self, chunk: str) -> list[Item]:
        """Return what this chunk completes."""
        for start in range(0, len(chunk), _STEP):
            self._feed(chunk[start : start + _STEP])
        return self._given()

    def close(self) -> list[Item]:
        """Return what the end of the text completes. The text may go on afterwards, as after an interrupt."""
        rest, self._rest = self._rest, ""
        if self._mode is _Mode.TRAP:
            self._trap(self.size - len(rest))
        else:
            self._take(rest)
        if self._mode is _Mode.CALL:
            self._break(UNTERMINATED, self.size)
        self._mode, self._is_at_border = _Mode.TEXT, True
        return self._given()

    def take_back(self, count: int) -> None:
        """Forget the last `count` characters, and whatever block was open: the text goes on without them."""
        self.size -= count
        self._rest, self._mode, self._is_at_border = "", _Mode.TEXT, True
        self._body, self._body_size, self._id = [], 0, None

    def _feed(self, chunk: str) -> None:
        self.size += len(chunk)
        self._rest += chunk
        self._read()
        held = self._held()
        if held < len(self._rest):
            settled = self._rest[: len(self._rest) - held]
            self._rest = self._rest[len(settled) :]
            self._take(settled)

    def _read(self) -> None:
        """Settle everything up to the last whole delimiter."""
        while True:
            if self._mode is _Mode.TRAP and not self._end_of_trap():
                return
            found = self._patterns[self._mode][0].search(self._rest)
            if found is None:
                return
            before, self._rest = self._rest[: found.start()], self._rest[found.end() :]
            self._take(before)
            self._pass(found[0])

    def _end_of_trap(self) -> bool:
        """Read what follows a trap; return whether it was its end, or showed that it has none."""
        rest = self._rest.lstrip()
        is_near = len(self._rest) - len(rest) <= _NEAR
        if is_near and rest.startswith(self._marks.end):
            self._rest = rest[len(self._marks.end) :]
        elif is_near and self._marks.end.startswith(rest):
            return False
        self._trap(self.size - len(self._rest))
        return True

    def _trap(self, end: int) -> None:
        self._items.append(TrapRead(end))
        self._mode, self._is_at_border = _Mode.TEXT, True

    def _take(self, text: str) -> None:
        """Take text without a delimiter."""
        if not text:
            return
        if self._mode is _Mode.TEXT:
            self._items.append(TextRead(text))
            self._is_at_border = text.endswith("\n") or (self._is_at_border and text.isspace())
        elif self._mode is _Mode.CALL:
            self._body.append(text)
            self._body_size += len(text)
            if self._body_size > MAX_CALL:
                self._break(TOO_LONG, self._start + MAX_CALL)
                self._mode = _Mode.SKIP

    def _pass(self, mark: str) -> None:
        """Go past a delimiter that means something in this mode."""
        end = self.size - len(self._rest)
        if mark in self._blocks:
            if self._mode is _Mode.CALL:
                self._break(UNTERMINATED, end - len(mark))
            self._begin(mark, end - len(mark))
        elif mark == self._marks.head and self._mode is _Mode.CALL:
            self._head(mark)
        elif mark == self._marks.think:
            self._mode = _Mode.THOUGHT
        elif mark != self._marks.head and self._mode is not _Mode.TEXT:
            if self._mode is _Mode.CALL:
                self._items.append(CallRead(self._id, "".join(self._body).strip(), self._start, end))
            self._mode, self._is_at_border = _Mode.TEXT, True

    def _begin(self, mark: str, start: int) -> None:
        self._mode, self._start = self._blocks[mark], start
        self._body, self._body_size, self._id = [], 0, None
        if mark == self._marks.interrupt:
            self._items.append(InterruptRefused(start))

    def _head(self, mark: str) -> None:
        if self._id is None:
            self._id, self._body = "".join(self._body).strip(), []
        else:
            self._body.append(mark)
            self._body_size += len(mark)

    def _break(self, why: str, end: int) -> None:
        self._items.append(CallBroken(self._id, why, self._start, end))
        self._body, self._body_size = [], 0

    def _held(self) -> int:
        """Return how many characters at the end may begin a delimiter."""
        if self._mode is _Mode.TRAP:
            return len(self._rest)
        _, partial, longest = self._patterns[self._mode]
        found = partial.search(self._rest, max(0, len(self._rest) - longest + 1))
        return 0 if found is None else len(found[0])

    def _given(self) -> list[Item]:
        items, self._items = self._items, []
        return items


_Pattern: TypeAlias = tuple[re.Pattern[str], re.Pattern[str], int]


def _patterns(marks: Delimiters) -> dict[_Mode, _Pattern]:
    """Return, by mode, what finds its delimiters, what finds the beginning of one at the end, and the longest's length."""
    blocks = (marks.call, marks.trap, marks.interrupt)
    by_mode = {
        _Mode.TEXT: (*blocks, marks.head, marks.end, marks.think, marks.unthink),
        _Mode.CALL: (*blocks, marks.head, marks.end),
        _Mode.TRAP: (marks.end,),
        _Mode.SKIP: (*blocks, marks.end),
        _Mode.THOUGHT: (marks.unthink,),
    }
    return {
        mode: (_any(found), _any(_beginnings(found), r"\Z"), max(map(len, found))) for mode, found in by_mode.items()
    }


def _any(texts: Iterable[str], end: str = "") -> re.Pattern[str]:
    return re.compile(f"(?:{'|'.join(map(re.escape, texts))}){end}")


def _beginnings(texts: Iterable[str]) -> set[str]:
    return {text[:count] for text in texts for count in range(1, len(text))}


def interrupt(marks: Delimiters, id: str, line: str) -> str:
    """Return the block that tells the model a value; `line` is one line of JSON, in which delimiters are escaped."""
    return f"{marks.interrupt} {id} {marks.head} {marks.escaped(line)} {marks.end}"
