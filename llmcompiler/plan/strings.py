"""String literals of a plan, the refs inside them, and paths on refs."""

import re
from dataclasses import dataclass

from llmcompiler.plan.tasks import MAX_ID
from llmcompiler.plan.values import Ref, Step, Text, joined

DOUBLE, SINGLE = '"“”„‟', "'‘’‚‛"
QUOTES = frozenset(DOUBLE + SINGLE)
BLANK = r"[\s\u200b-\u200d\u2060\ufeff]"

# What ends a string, by the character that began it. Typographic quotes pair with each other, straight ones with themselves.
CLOSERS = {quote: quote for quote in "\"'"} | {q: "“”‟" for q in "“”„‟"} | {q: "‘’‛" for q in "‘’‚‛"}

_QUOTED = r"""(?s:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
PATH = rf"(?:\.[^\W\d]\w*+|\[\s*(?:-?\d{{1,9}}|{_QUOTED})\s*\])*+"
BRACED = rf"\$\{{(\d+)({PATH})\}}"
BRACED_REF = re.compile(BRACED)
BARE_REF = re.compile(rf"\$(\d+)({PATH})")
_IN_TEXT = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<bare>\d+)|\{{(?P<id>\d+)(?P<path>{PATH})\}})")
_STEP = re.compile(rf"\.(\w+)|\[\s*(-?\d+)\s*\]|\[\s*({_QUOTED})\s*\]")
_ESCAPE = re.compile(
    r"\\(?:(\n|\r\n)|([\\'\"/abfnrtv])|([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|N\{([^}]{1,99})\})"
)
_SIMPLE = dict(zip("\\'\"/abfnrtv", "\\'\"/\a\b\f\n\r\t\v", strict=True))
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class BadText(ValueError):
    """A string or a path cannot be read; `code` is the diagnostic's."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code, self.remedy = code, remedy


@dataclass(frozen=True, slots=True)
class Remark:
    """A lint note about a dollar sign in a string, `at` characters into its value."""

    code: str
    message: str
    at: int


def unescape(body: str) -> str:
    """Return the value of a string's body by Python's rules, JSON's escaped slash and surrogate pairs included."""
    if "\\" in body:
        body = _ESCAPE.sub(_character, body)
        body = _SURROGATE_PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), body)
    if _SURROGATE.search(body):
        raise BadText("bad_literal", "a lone surrogate is no character", "write the whole character")
    return body


def _character(escape: re.Match[str]) -> str:
    newline, simple, octal, *codes, name = escape.groups()
    if newline is not None:
        return ""
    if simple is not None:
        return _SIMPLE[simple]
    if name is not None:
        import unicodedata  # rarely needed

        try:
            return unicodedata.lookup(name)
        except KeyError:
            raise BadText("bad_literal", f"there is no character named {name!r}") from None
    number = int(octal, 8) if octal is not None else int(next(code for code in codes if code is not None), 16)
    if number > 0x10FFFF:
        raise BadText("bad_literal", f"there is no character U+{number:X}")
    return chr(number)


def scan_refs(text: str) -> tuple[str | Ref | Text, list[Remark]]:
    """Return the value of a string's text with its refs read, and lint notes about its dollar signs."""
    if "$" not in text:
        return text, []
    parts: list[str | Ref] = []
    remarks: list[Remark] = []
    done = 0
    for found in _IN_TEXT.finditer(text):
        parts.append(text[done : found.start()])
        done = found.end()
        piece = "$" if found["dollar"] else _ref_in_text(found)
        parts.append(piece)
        if isinstance(piece, str) and not found["dollar"]:
            remarks.append(Remark("literal_dollar", f"{piece!r} is literal text", found.start()))
    parts.append(text[done:])
    stray = _STRAY.search(_IN_TEXT.sub(lambda found: " " * len(found[0]), text))
    if stray:
        remarks.append(Remark("literal_dollar", f"{stray[0]!r} is literal text, not a ref", stray.start()))
    return joined(parts), remarks


_STRAY = re.compile(r"\$(?:\{[^}]{0,20}\}?|-\d+| \d+)")


def _ref_in_text(found: re.Match[str]) -> str | Ref:
    digits = found["bare"] or found["id"]
    if len(digits) > len(str(MAX_ID)) + 3 or not 0 < int(digits) <= MAX_ID:
        return found[0]
    return Ref(int(digits), read_path(found["path"] or ""), literal=found[0])


def read_path(text: str) -> tuple[Step, ...]:
    """Return the steps of a path. Raises `BadText` for private and dunder names."""
    return tuple(_step(found) for found in _STEP.finditer(text)) if text else ()


def _step(found: re.Match[str]) -> Step:
    name, index, key = found.groups()
    if index is not None:
        return int(index)
    step = name if name is not None else unescape(key[1:-1])
    if step.startswith("__") or (name is not None and name.startswith("_")):
        remedy = "" if step.startswith("__") else f'write ["{step}"] if the data really has that key'
        raise BadText("private_path", f"{step!r} is a private name; paths walk plain data only", remedy)
    return str(step)
