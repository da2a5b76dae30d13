"""Transcript: the text of one session, sampled and injected, and the answer in it."""

import re

_ANSWER = re.compile(r"^[ \t*_>#]*Answer[ \t*_]*:[ \t*_]*", re.IGNORECASE | re.MULTILINE)


class Transcript:
    """What the model has before it. `injected` counts the characters that the runtime has put in.

    The answer is what follows the last `Answer:` that begins a line, up to the next call, trap or end; without one it is
    the last stretch of text between such.
    """

    def __init__(self) -> None:
        self.injected = 0
        self._pieces: list[str] = []
        self._stretches: list[list[str]] = [[]]
        self._told = 0  # the stretch in which the runtime has put in something last

    @property
    def text(self) -> str:
        """Return the whole text."""
        return "".join(self._pieces)

    @property
    def ends_line(self) -> bool:
        """Return whether a line begins here."""
        return not self._pieces or self._pieces[-1].endswith("\n")

    @property
    def plain(self) -> int:
        """Return how many characters of it are plain text of the model."""
        return sum(len(piece) for stretch in self._stretches for piece in stretch)

    @property
    def answer(self) -> str:
        """Return the answer, an empty text if there is none."""
        return self._found[1]

    @property
    def is_overtaken(self) -> bool:
        """Return whether the model was told more behind its marked answer, and has said more since."""
        at, _ = self._found
        return at < self._told and any(
            "".join(stretch).strip() for stretch in self._stretches[max(self._told, at + 1) :]
        )

    @property
    def _found(self) -> tuple[int, str]:
        """Return the answer, and in which stretch it is."""
        last = len(self._stretches), ""
        for at in reversed(range(len(self._stretches))):
            text = "".join(self._stretches[at])
            marks = list(_ANSWER.finditer(text))
            if marks:
                return at, text[marks[-1].end() :].strip(" \t\r\n*_")
            if not last[1]:
                last = at, text.strip()
        return last

    def sampled(self, piece: str) -> None:
        """Add what the model wrote."""
        self._pieces.append(piece)

    def take_back(self, count: int) -> None:
        """Take back the last characters, which are sampled ones."""
        while count > 0:
            last = self._pieces.pop()
            if len(last) > count:
                self._pieces.append(last[:-count])
            count -= len(last)

    def inject(self, text: str) -> None:
        """Add what the runtime puts in."""
        self._pieces.append(text)
        self.injected += len(text)
        self._told = len(self._stretches) - 1

    def say(self, text: str) -> None:
        """Note plain text of the model."""
        self._stretches[-1].append(text)

    def border(self) -> None:
        """Note a call, a trap or the end of the text."""
        if self._stretches[-1]:
            self._stretches.append([])
