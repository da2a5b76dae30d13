"""Delimiters: what marks calls, interrupts and traps in a model's text, and how other text is kept from holding any."""

import re
from dataclasses import dataclass, fields
from functools import cached_property

from llmcompiler.errors import UsageError

_UNFIT_FIRST = frozenset('"\\{}],:-')  # with these JSON begins or ends something outside of its strings
_IN_LISTS = frozenset('"[]{}-tfn')  # with these, or a digit, an item of a list may begin


@dataclass(frozen=True)
class Delimiters:
    """The texts that mark CML (arXiv 2412.07017, section 3). `think`, `unthink`: around thoughts, which are not read.

    Raises `UsageError` for texts that could not be told apart, or that may stand in JSON outside of its strings: then a
    tool's value could not be kept from holding one.
    """

    call: str = "[CALL]"
    head: str = "[HEAD]"
    end: str = "[END]"
    interrupt: str = "[INTR]"
    trap: str = "[TRAP]"
    think: str = "<think>"
    unthink: str = "</think>"

    def __post_init__(self) -> None:
        texts = self.all
        for field, text in zip(fields(self), texts, strict=True):
            if (why := _unfit(text)) is not None:
                raise UsageError(f"the delimiter {field.name}={text!r} {why}")
        for one in texts:
            for other in texts:
                if one is not other and one in other:
                    raise UsageError(f"the delimiter {one!r} is a part of {other!r}, so the two cannot be told apart")

    @property
    def all(self) -> tuple[str, ...]:
        """Return all of them."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @cached_property
    def _begun(self) -> re.Pattern[str]:
        return re.compile(f"(?=(?:{'|'.join(map(re.escape, self.all))})).", re.DOTALL)

    def escaped(self, text: str) -> str:
        """Return a line of JSON with the first character of each delimiter as its JSON escape: it reads as before."""
        return self._begun.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _unfit(text: object) -> str | None:
    """Return why a text is no delimiter, None if it is one."""
    if not isinstance(text, str) or not 3 <= len(text) <= 32:
        return "must be a text of 3 to 32 characters"
    first, second = text[0], text[1]
    if first.isalnum() or first == "_" or first.isspace() or first in _UNFIT_FIRST or ord(first) > 0xFFFF:
        return "begins with a character that may begin something else in JSON, or a word; take one such as [ or <"
    if first == "[" and (second in _IN_LISTS or second.isdigit() or second.isspace()):
        return "reads like the beginning of a list in JSON"
    if "\\" in text or any(character.isspace() for character in text):
        return "may hold neither a backslash nor white space"
    return None
