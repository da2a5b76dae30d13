"""Reading what stands between the parentheses of a call. Literals and refs only; nothing is ever computed.

The reader gets the whole text of a call, since the parser has already found where it ends; so it may look ahead freely.
"""

import math
import re
import sys
from dataclasses import dataclass, field

from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.strings import (
    BARE_REF,
    BLANK,
    BRACED,
    BRACED_REF,
    CLOSERS,
    DOUBLE,
    QUOTES,
    SINGLE,
    BadText,
    read_path,
    scan_refs,
    unescape,
)
from llmcompiler.plan.tasks import MAX_ID
from llmcompiler.plan.values import Ref, Text, Value

MAX_DEPTH = 32

_SPACE = re.compile(rf"(?:{BLANK}++|#[^\n]*+)*+")
_DIGITS = r"\d++(?:_\d++)*+"
_NUMBER = re.compile(
    rf"[+-]?(?:0[xX](?:_?[0-9a-fA-F])++|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?)(?![\w.])",
    re.ASCII,
)
_NAME = re.compile(r"[^\W\d]\w*")
_KEYWORD = re.compile(rf"([^\W\d]\w*){BLANK}*+=(?!=)")
_PREFIXED = re.compile(r"(?:[rR][bBfF]?|[bBfF][rR]?|[uU])(?=[\"'])")
_CONSTANTS: dict[str, Value] = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_OPERATOR = re.compile(r"[-+*/%@|&^<>=!~.\[]|(?:if|for|and|or|not|in|is|else)\b")


@dataclass(slots=True)
class Arguments:
    """The arguments of one call with their places; `error` is set if they could not be read to the end."""

    args: list[Value] = field(default_factory=list)
    arg_spans: list[Span] = field(default_factory=list)
    kwargs: dict[str, Value] = field(default_factory=dict)
    kwarg_spans: dict[str, Span] = field(default_factory=dict)
    notes: list[Diagnostic] = field(default_factory=list)
    error: Diagnostic | None = None


class _Unreadable(Exception):
    def __init__(self, code: str, message: str, start: int, end: int, remedy: str = "") -> None:
        super().__init__(message)
        self.code, self.start, self.end, self.remedy = code, start, end, remedy


def read_arguments(text: str, base: int = 0) -> Arguments:
    """Return the arguments in `text`, which ends with the call's `)` and begins after its `(`.

    `base` is the place of `text` in the plan. If it cannot be read as written it is read again with tolerant quotes.
    """
    strict = _Reader(text, base, tolerant=False).read()
    if strict.error is None or not _may_be_quoting(strict.error, text, base):
        return strict
    tolerant = _Reader(text, base, tolerant=True).read()
    if tolerant.error is not None:
        return strict
    message = "the quotes do not pair; read as if inner ones were escaped"
    tolerant.notes.append(Diagnostic("quotes_repaired", message, strict.error.span, severity="note"))
    return tolerant


def _may_be_quoting(error: Diagnostic, text: str, base: int) -> bool:
    """Return whether inner quotes may be the cause: a word follows a string, not an operator or another string."""
    at = error.span.start - base
    return error.code == "unterminated" or (error.code == "expected" and text[at : at + 1] not in QUOTES)


class _Reader:
    """Recursive descent over one call; `pos` is always at the next unread character."""

    def __init__(self, text: str, base: int, *, tolerant: bool) -> None:
        self.text, self.base, self.tolerant = text, base, tolerant
        self.pos = 0
        self.found = Arguments()

    def read(self) -> Arguments:
        try:
            self._arguments()
        except _Unreadable as error:
            span = Span(self.base + error.start, self.base + max(error.end, error.start + 1))
            self.found.error = Diagnostic(error.code, str(error), span, error.remedy)
        return self.found

    def _arguments(self) -> None:
        while self._next() != ")":
            self._argument()
            self._separator(")")
        self.pos += 1
        if _SPACE.match(self.text, self.pos).end() != len(self.text):  # type: ignore[union-attr]  # it matches anything
            raise self._expected("the end of the call")

    def _argument(self) -> None:
        start, found = self.pos, self.found
        keyword = _KEYWORD.match(self.text, self.pos)
        if keyword is None:
            value = self._value(0)
            if found.kwargs:
                remedy = "give it by keyword, or move it to the front"
                said = "a positional argument after a keyword argument"
                raise _Unreadable("positional_after_keyword", said, start, self.pos, remedy)
            found.args.append(value)
            found.arg_spans.append(self._span(start))
            return
        name = sys.intern(keyword[1])
        if name in found.kwargs:
            raise _Unreadable("repeated_argument", f"argument {name!r} is given twice", start, start + len(name))
        self.pos = keyword.end()
        self._next()
        value_start = self.pos
        found.kwargs[name] = self._value(0)
        found.kwarg_spans[name] = self._span(value_start)

    def _value(self, depth: int) -> Value:
        first, start = self._next(), self.pos
        if depth > MAX_DEPTH:
            raise _Unreadable("too_deep", f"nested deeper than {MAX_DEPTH} levels", start, start + 1)
        if first in QUOTES or _PREFIXED.match(self.text, self.pos):
            return self._string()
        if first == "$":
            return self._ref()
        if first == "[":
            return self._list(depth, "]")[0]
        if first == "(":
            return self._tuple(depth)
        if first == "{":
            return self._dict(depth)
        number = _NUMBER.match(self.text, self.pos)
        return self._number(number) if number else self._word()

    def _list(self, depth: int, closer: str) -> tuple[tuple[Value, ...], bool]:
        """Return the items and whether a comma follows the last one."""
        self.pos += 1
        items: list[Value] = []
        comma = False
        while self._next() != closer:
            items.append(self._value(depth + 1))
            comma = self._separator(closer)
        self.pos += 1
        return tuple(items), comma

    def _tuple(self, depth: int) -> Value:
        start = self.pos
        items, comma = self._list(depth, ")")
        if len(items) == 1 and not comma:
            raise _Unreadable(
                "computation", "parentheses around a value compute nothing", start, self.pos, "remove them"
            )
        return items

    def _dict(self, depth: int) -> dict[str, Value]:
        self.pos += 1
        items: dict[str, Value] = {}
        while (first := self._next()) != "}":
            start = self.pos
            if first not in QUOTES and not _PREFIXED.match(self.text, start):
                raise self._expected("a quoted key")
            key = self._string()
            if not isinstance(key, str):
                raise _Unreadable("expected", "a key may not hold a ref", start, self.pos, "write $$ for a dollar sign")
            if key in items:
                raise _Unreadable("repeated_key", f"the key {key!r} is given twice", start, self.pos)
            if self._next() != ":":
                raise self._expected("':' after the key")
            self.pos += 1
            items[key] = self._value(depth + 1)
            self._separator("}")
        self.pos += 1
        return items

    def _string(self) -> str | Ref | Text:
        start = self.pos
        prefix = _PREFIXED.match(self.text, start)
        kind = prefix[0].lower() if prefix else ""
        if "f" in kind:
            raise _Unreadable("f_string", "an f-string computes", start, start + 2, 'write "... ${1} ..." instead')
        if kind not in ("", "r", "u"):
            raise _Unreadable("bad_literal", f"{kind}-strings are no JSON data", start, start + len(kind))
        self.pos += len(kind)
        body, opened = self._body()
        try:
            text = body if kind == "r" else unescape(body)
            value, remarks = scan_refs(text)
        except BadText as error:
            raise _Unreadable(error.code, str(error), start, self.pos, error.remedy) from None
        for remark in remarks:
            at = self.base + (opened + remark.at if text == body else start)
            said = Diagnostic(remark.code, remark.message, Span(at, at + 1), severity="note")
            self.found.notes.append(said)
        return value

    def _body(self) -> tuple[str, int]:
        """Return the raw text of the string that begins here and its place; go past its end."""
        quote = self.text[self.pos]
        triple = quote * 3
        if quote in "\"'" and self.text.startswith(triple, self.pos):
            pattern, opened = re.compile(rf"(?:[^\\]|\\.)*?{triple}", re.DOTALL), self.pos + 3
            closing = 3
        else:
            pattern, opened = _TOLERANT[quote] if self.tolerant else _STRICT[quote], self.pos + 1
            closing = 1
        found = pattern.match(self.text, opened)
        if found is None:
            raise _Unreadable("unterminated", "a string without its closing quote", self.pos, self.pos + 1)
        self.pos = found.end()
        return self.text[opened : self.pos - closing], opened

    def _ref(self) -> Ref:
        start = self.pos
        found = BRACED_REF.match(self.text, start) or BARE_REF.match(self.text, start)
        if found is None:
            remedy = "a ref is $1, ${1} or ${1.field}"
            raise _Unreadable("bad_literal", "this dollar sign begins no ref", start, start + 1, remedy)
        if len(found[1]) > len(str(MAX_ID)) + 3 or not 0 < int(found[1]) <= MAX_ID:
            raise _Unreadable("unknown_reference", f"there is no task {found[1][:12]}", start, found.end())
        self.pos = found.end()
        try:
            return Ref(int(found[1]), read_path(found[2]))
        except BadText as error:
            raise _Unreadable(error.code, str(error), start, self.pos, error.remedy) from None

    def _number(self, found: re.Match[str]) -> Value:
        digits = found[0].replace("_", "")
        self.pos = found.end()
        if len(digits) > 400:
            raise _Unreadable("bad_literal", f"a number of {len(digits)} digits", found.start(), found.end())
        if digits.lower().lstrip("+-").startswith("0x"):
            return int(digits, 16)
        if digits.lstrip("+-").isdigit():
            return int(digits)
        number = float(digits)
        if not math.isfinite(number):
            raise _Unreadable("bad_literal", f"{digits} is too large for a number", found.start(), found.end())
        return number

    def _word(self) -> Value:
        start = self.pos
        found = _NAME.match(self.text, start)
        if found is None:
            raise self._expected("a value")
        word, self.pos = found[0], found.end()
        if self._next() == "(":
            remedy = "make it a task of its own and refer to it as $id"
            raise _Unreadable("computation", f"{word}(...) is a call inside an argument", start, self.pos, remedy)
        self.pos = found.end()
        if word in _CONSTANTS:
            return _CONSTANTS[word]
        raise _Unreadable(
            "bare_word", f"{word!r} is neither a literal nor a ref", start, found.end(), f'quote it: "{word}"'
        )

    def _separator(self, closer: str) -> bool:
        """Go past a comma, if there is one; return whether there was."""
        after = self._next()
        if after == ",":
            self.pos += 1
        elif after != closer:
            raise self._expected(f"',' or '{closer}'")
        return after == ","

    def _expected(self, what: str) -> _Unreadable:
        start = self.pos
        operator = _OPERATOR.match(self.text, start)
        if operator:
            said = f"{operator[0]!r} would be a computation; arguments are literals and refs"
            return _Unreadable("computation", said, start, operator.end(), "give it to a tool that calculates")
        rest = self.text[start : start + 1]
        found = repr(rest) if rest else "the end"
        return _Unreadable("expected", f"expected {what}, found {found}", start, start + 1)

    def _next(self) -> str:
        """Skip spaces and comments; return the next character, or an empty string at the end."""
        space = _SPACE.match(self.text, self.pos)
        assert space is not None
        self.pos = space.end()
        return self.text[self.pos : self.pos + 1]

    def _span(self, start: int) -> Span:
        return Span(self.base + start, self.base + self.pos)


def _strict(closers: str) -> re.Pattern[str]:
    return re.compile(rf"[^\\{closers}]*+(?:\\.[^\\{closers}]*+)*+[{closers}]", re.DOTALL)


def _tolerant(closers: str) -> re.Pattern[str]:
    # Quotes in the path of a ref close nothing; nothing is guessed about a string of several lines.
    inside = rf"(?:{BRACED}|(?!{BRACED})[^\\\n]|\\.)*?"
    return re.compile(rf"{inside}[{closers}](?={BLANK}*(?:[,)\]}}:]|\Z))", re.DOTALL)


_STRICT = {quote: _strict(closers) for quote, closers in CLOSERS.items()}
_TOLERANT = {quote: _tolerant(DOUBLE if quote in DOUBLE else SINGLE) for quote in QUOTES}
