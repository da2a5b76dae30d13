"""Reading native tool calls from pieces, with the tolerance that servers ask for. Pure.

What servers send in place of OpenAI's form: no index; no id; one index for all calls; one id for all; whole calls in one
piece; the name once more in every piece; a name in parts; something after the closing brace. A call is *sealed* when the
object or list of its arguments is closed: nothing that may follow changes it, so it may start.
"""

from collections.abc import Sequence

from llmcompiler.models.model import CallPiece, ToolCall


class CallReader:
    """Reads the calls of one message: `feed` returns the call that a piece seals, `close` those that nothing sealed.

    Both give the arguments as they were written. `ignored` counts characters that came after a call's end.
    """

    def __init__(self) -> None:
        self.ignored = 0
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def feed(self, piece: CallPiece) -> ToolCall | None:
        """Return the call that this piece completes, None if there is none."""
        call = self._of(piece)
        call.take_head(piece)
        if call.is_sealed:
            self.ignored += len(piece.arguments.strip())
            return None
        self.ignored += call.take_arguments(piece.arguments)
        return call.read() if call.is_sealed else None

    def close(self) -> Sequence[ToolCall]:
        """Return, in their order, the calls whose arguments were not closed: none at all, or broken ones."""
        return [call.read() for call in self._calls if not call.is_sealed]

    def _of(self, piece: CallPiece) -> "_Call":
        """Return the call that a piece belongs to."""
        latest = self._calls[-1] if self._calls else None
        call = latest if piece.index is None else self._by_index.get(piece.index)
        if call is None or call.is_followed_by(piece):
            call = _Call()
            self._calls.append(call)
        if piece.index is not None:
            self._by_index[piece.index] = call
        return call


class Bracketed:
    """Follows the text of one JSON object or list to its end, however it is cut."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_quoted = self._is_escaped = False

    def end(self, text: str) -> int | None:
        """Take what follows; return where in it the outermost bracket closes, None if it does not."""
        for place, char in enumerate(text):
            if self._is_escaped:
                self._is_escaped = False
            elif self._is_quoted:
                self._is_escaped = char == "\\"
                self._is_quoted = char != '"'
            elif char == '"':
                self._is_quoted = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return place + 1
        return None


class _Call:
    """One call as far as it has come."""

    def __init__(self) -> None:
        self.is_sealed = False
        self._id, self._name = "", ""
        self._parts: list[str] = []
        self._arguments = Bracketed()

    def read(self) -> ToolCall:
        return ToolCall(self._id, self._name, "".join(self._parts).strip())

    def is_followed_by(self, piece: CallPiece) -> bool:
        """Return whether a piece that might belong here begins a call of its own. Every call begins with its name."""
        if not piece.name:
            return False
        is_same_id = bool(piece.id) and piece.id == self._id
        if piece.id and self._id and not is_same_id:
            return True
        if piece.index is None and not is_same_id:
            return bool(self._name)
        return self.is_sealed and bool(piece.arguments.strip())

    def take_head(self, piece: CallPiece) -> None:
        self._id = self._id or piece.id
        if piece.name != self._name and not self._parts:
            self._name += piece.name

    def take_arguments(self, text: str) -> int:
        """Take what belongs to the arguments; return how many characters follow their end."""
        end = self._arguments.end(text)
        rest = "" if end is None else text[end:].strip()
        if text:
            self._parts.append(text[:end])
        self.is_sealed = end is not None
        return len(rest)
