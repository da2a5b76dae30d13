"""From sampled tokens to text. Pure."""

from collections.abc import Callable, Sequence

_UNREADABLE = "\ufffd"
_LONGEST_CHARACTER = 8  # tokens; a byte each at worst, and some tokenizers begin with a token of their own


class Detokenizer:
    """Turns tokens into text as they are sampled; what is not a whole character yet is held back.

    A token is decoded together with those before it, since what it reads like may depend on them (a leading space).
    behind: the tokens after which the text begins.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], behind: Sequence[int] = ()) -> None:
        self._decode = decode
        self._tokens = list(behind[-1:])
        self._given = len(self._tokens)  # of these, from the first: text that went out with the last piece

    def feed(self, token: int) -> str:
        """Return the text that this token completes."""
        self._tokens.append(token)
        if self._text().endswith(_UNREADABLE) and len(self._tokens) - self._given < _LONGEST_CHARACTER:
            return ""
        return self.close()

    def close(self) -> str:
        """Return the text of what was held back, readable or not."""
        given = self._decode(self._tokens[: self._given])
        text = self._text()[len(given) :]
        self._tokens = self._tokens[self._given :]
        self._given = len(self._tokens)
        return text

    def _text(self) -> str:
        return self._decode(self._tokens)
