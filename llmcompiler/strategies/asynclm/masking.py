"""Masking: which tokens may come next, so that a model's text is CML and holds no interrupt of its own. Pure.

| in | may come | may not come |
|---|---|---|
| text | `[CALL]`, `[TRAP]`, thoughts, the end | `[INTR]`, `[HEAD]`, `[END]` |
| a call, up to its head | `[HEAD]` behind a name, `[END]` | every other delimiter, the end |
| a call behind its head | `[END]` | every other delimiter, the end |
| a trap | `[END]`, with nothing before it and nothing in its last token behind it | everything else |
| thoughts | all that does not count there, the end | `[INTR]` |

A token is judged by its text behind what may be the beginning of a delimiter, so that it does not matter whether the
tokenizer has tokens for delimiters, or splits or fuses them.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import NamedTuple

from llmcompiler.strategies.asynclm.delimiters import Delimiters

# A call up to its head is remembered by what stands for all of its kind: no name yet, a name, one that has ended, no name.
_NOTHING, _NAME, _ENDED_NAME, _NO_NAME = "", "a", "a ", "("


class _Mode(Enum):
    TEXT = auto()
    CALL = auto()  # up to its head, if it has one
    BODY = auto()
    TRAP = auto()
    THOUGHTS = auto()


class Place(NamedTuple):
    """Where a text has come to: what it is in, the beginning of a delimiter that it ends with, what a call begins with."""

    mode: _Mode = _Mode.TEXT
    begun: str = ""
    name: str = _NOTHING


class Grammar:
    """What the delimiters allow. `after` follows a text; everything here depends on the text alone, not on its pieces."""

    def __init__(self, delimiters: Delimiters) -> None:
        d = delimiters
        self.end = d.end
        self.firsts = frozenset(text[0] for text in d.all)
        self.beginnings = frozenset(text[:size] for text in d.all for size in range(1, len(text) + 1))
        self._pattern = re.compile("|".join(map(re.escape, d.all)))
        self._longest = max(map(len, d.all)) - 1  # a whole one is no mere beginning
        self._moves = {
            (_Mode.TEXT, d.call): _Mode.CALL,
            (_Mode.TEXT, d.trap): _Mode.TRAP,
            (_Mode.TEXT, d.think): _Mode.THOUGHTS,
            (_Mode.TEXT, d.unthink): _Mode.TEXT,  # thoughts that the prompt has begun
            (_Mode.CALL, d.head): _Mode.BODY,
            (_Mode.CALL, d.end): _Mode.TEXT,
            (_Mode.BODY, d.end): _Mode.TEXT,
            (_Mode.TRAP, d.end): _Mode.TEXT,
            (_Mode.THOUGHTS, d.unthink): _Mode.TEXT,
            **{(_Mode.THOUGHTS, text): _Mode.THOUGHTS for text in d.all if text not in (d.unthink, d.interrupt)},
        }

    def after(self, place: Place, text: str) -> Place | None:
        """Return where a text leads to, None if it may not come."""
        mode, begun, name = place
        rest, passed = begun + text, 0
        for found in self._pattern.finditer(rest):
            before, passed = rest[passed : found.start()], found.end()
            name = _name_after(name, before) if mode is _Mode.CALL else _NOTHING
            moved = self._moves.get((mode, found[0]))
            if moved is None or (mode is _Mode.TRAP and (before or passed < len(rest))):
                return None
            if moved is _Mode.BODY and name not in (_NAME, _ENDED_NAME):
                return None
            mode, name = moved, _NOTHING
        rest = rest[passed:]
        begun = self._begun(rest)
        said = rest[: len(rest) - len(begun)]
        if mode is _Mode.TRAP and (said or not self.end.startswith(begun)):
            return None
        return Place(mode, begun, _name_after(name, said) if mode is _Mode.CALL else _NOTHING)

    def _begun(self, text: str) -> str:
        """Return the longest end of a text with which a delimiter begins."""
        for size in range(min(len(text), self._longest), 0, -1):
            if text[-size:] in self.beginnings:
                return text[-size:]
        return ""


def _name_after(name: str, text: str) -> str:
    whole = name + text
    if not whole.strip():
        return _NOTHING
    if not whole.strip().isidentifier():
        return _NO_NAME
    return _ENDED_NAME if whole[-1].isspace() else _NAME


class Masks:
    """The masks of one vocabulary, made when they are first needed. They are a few dozen, whatever is written.

    texts: of each token; ends: tokens with which a text ends. A token without text that is no end never may come.
    """

    def __init__(self, texts: Sequence[str], ends: Collection[int], delimiters: Delimiters) -> None:
        self.grammar = Grammar(delimiters)
        self._texts, self._ends = texts, ends
        self._made: dict[Place, bytearray] = {}
        self._empty = [id for id, text in enumerate(texts) if not text]
        self._by_first: defaultdict[str, list[int]] = defaultdict(list)
        self._suspects: list[int] = []  # a delimiter may begin in them
        for id, text in enumerate(texts):
            if not self.grammar.firsts.isdisjoint(text):
                self._suspects.append(id)
            self._by_first[text[:1]].append(id)

    def at(self, place: Place) -> bytearray:
        """Return a byte for each token, 1 for one that may not come next."""
        mask = self._made.get(place)
        if mask is None:
            mask = self._made[place] = self._make(place)
        return mask

    def _make(self, place: Place) -> bytearray:
        mode, begun, _ = place
        mask = bytearray([mode is _Mode.TRAP]) * len(self._texts)
        for id in self._empty:
            mask[id] = 1
        for id in self._judged(begun):
            mask[id] = self.grammar.after(place, self._texts[id]) is None
        for id in self._ends:
            mask[id] = mode not in (_Mode.TEXT, _Mode.THOUGHTS)
        return mask

    def _judged(self, begun: str) -> set[int]:
        """Return the tokens on whose text it depends: in all others no delimiter begins or goes on."""
        ends = [begun[start:] for start in range(len(begun))]
        going_on = [
            first for first in self._by_first if first and any(end + first in self.grammar.beginnings for end in ends)
        ]
        return {*self._suspects, *(id for first in going_on for id in self._by_first[first])}


class Mask:
    """The mask of one generation: follows its sampled text."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._place = Place()

    def banned(self) -> bytearray:
        """Return a byte for each token, 1 for one that may not come next."""
        return self._masks.at(self._place)

    def take(self, text: str) -> None:
        """Take sampled text. Text that the mask did not rule changes nothing where it may not stand."""
        self._place = self._masks.grammar.after(self._place, text) or self._place

    def injected(self) -> None:
        """Take note that something was put in, outside of calls and thoughts."""
        self._place = Place()
