"""Diagnostics: what is wrong with a plan text, where, and what would do.

They are shown to people in errors and to the planner in a repair request, as a compiler would: line, caret, remedy.
"""

import bisect
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Span(NamedTuple):
    """A stretch of the text, in characters from its beginning; `end` is exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. Errors ask for a repair; notes only inform."""

    code: str
    message: str
    span: Span
    remedy: str = ""
    severity: Literal["error", "note"] = "error"
    task_id: int | None = None


_ALIKE = 0.5  # of 1, by difflib's ratio


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` known names that look like `name`, in whatever case, the likeliest first.

    Of names that are equally alike, the one that begins with more of `name` comes first, then alphabetical order decides.
    """
    wanted = name.casefold()
    matcher = difflib.SequenceMatcher(b=wanted)
    ranked = []
    for candidate in set(known):
        folded = candidate.casefold()
        matcher.set_seq1(folded)
        if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE:  # which cost less
            continue
        ranked.append((-matcher.ratio(), -_same_beginning(wanted, folded), candidate))
    return [candidate for likeness, _, candidate in sorted(ranked)[:count] if -likeness >= _ALIKE]


def _same_beginning(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a remedy that names the nearest known names, or all of them if few, or nothing."""
    close = nearest(name, known)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if known and len(known) <= 12:
        return f"known: {', '.join(known)}"
    return ""


class Source:
    """A text that spans point into; finds lines and columns in logarithmic time."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]

    def place(self, offset: int) -> tuple[int, int]:
        """Return (line, column) of an offset, both counted from 1."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return the text of a line, counted from 1, without its end."""
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].rstrip("\r")


_WIDTH = 160


def render(diagnostics: Iterable[Diagnostic], text: str) -> str:
    """Return the diagnostics with the lines they point at, carets below, remedies last."""
    source = Source(text)
    return "\n".join(_render_one(diagnostic, source) for diagnostic in diagnostics)


def _render_one(diagnostic: Diagnostic, source: Source) -> str:
    line, column = source.place(min(diagnostic.span.start, len(source.text)))
    shown = source.line(line)
    width = max(1, min(diagnostic.span.end - diagnostic.span.start, len(shown) - column + 1))
    cut = max(0, column - _WIDTH // 2)
    shown, column = shown[cut : cut + _WIDTH], column - cut
    pad = "".join("\t" if c == "\t" else " " for c in shown[: column - 1])
    gutter = f"{line:>4} | "
    rows = [
        f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message} (line {line})",
        gutter + shown,
        " " * (len(gutter) - 2) + "| " + pad + "^" * min(width, max(1, len(shown) - column + 1)),
    ]
    if diagnostic.remedy:
        rows.append(" " * (len(gutter) - 2) + "= " + diagnostic.remedy)
    return "\n".join(row.rstrip() for row in rows)
