"""Native tool calls of a model in this process: how its chat template writes them, and how they are read. Pure.

Each family of models writes calls in its own way. Its template says in which, since it also writes the calls of earlier
messages: `call_form` lets it write two, and takes what stands around their names and their arguments.

    Qwen, Hermes   <tool_call>{"name": "search", "arguments": {"q": "K2"}}</tool_call>
    Mistral        [TOOL_CALLS] [{"name": "search", "arguments": {"q": "K2"}}]
    Llama          {"name": "search", "parameters": {"q": "K2"}}
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from llmcompiler.errors import BadModelRequest
from llmcompiler.models.calls import Bracketed
from llmcompiler.models.model import CallPiece, Chunk

ChatMessage: TypeAlias = dict[str, Any]
# Takes messages, and whether a reply is to begin behind them; returns the text of the conversation.
Render: TypeAlias = Callable[[Sequence[ChatMessage], bool], str]

_ASKED: ChatMessage = {"role": "user", "content": "?"}
_NAME, _ARGUMENTS = "llmcompiler_name", {"x": "?"}
_ID = "call00000"  # the strictest template wants nine letters and digits
_CALL: ChatMessage = {"id": _ID, "type": "function", "function": {"name": _NAME, "arguments": _ARGUMENTS}}
_LONGEST_GAP = (
    80  # characters between a name and its arguments, beside white space; and of what may still become a mark
)
_WRITTEN = re.compile(rf'{_NAME}[^{{}}]{{0,{_LONGEST_GAP}}}?\{{\s*"x"\s*:\s*"\?"\s*\}}')
# White space between these is the model's own affair. The id of a call is one of them: a model may leave it out.
_UNITS = re.compile(rf',\s*"\w+"\s*:\s*"{_ID}"|[{{}}\[\]:,]|[^\s{{}}\[\]:,]+')
_ANY_ID = r'(?:,\s*"\w+"\s*:\s*"[^"]*")?'
_LETTERS = re.compile(r"[^\s\"'{}\[\]<>(),]{0,64}")  # of a name, be it a wrong one
_THINK, _UNTHINK = "<think>", "</think>"
_THOUGHTS = re.compile(f"{_THINK}.*?{_UNTHINK}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CallForm:
    """How a model writes calls.

    opening: what stands before the first one; "" if nothing does but the brace of its JSON. between: what stands behind the
    arguments of one that is followed by another, None if a message holds one alone. end: what stands behind those of the
    last one. key: under which the name stands, "" if it is not within JSON. is_thinking: a reply begins amid thoughts.
    """

    opening: str
    between: str | None
    end: str
    key: str = '"name":'
    is_thinking: bool = False

    @property
    def marks(self) -> str:
        """Return all that stands around calls."""
        return f"{self.opening} {self.between or ''} {self.end}"


def call_form(render: Render, ends: Sequence[str]) -> CallForm | None:
    """Return how a template writes calls, None if it writes none, or writes their arguments otherwise than as JSON.

    ends: the texts of the tokens that end a reply. Where `render` raises `BadModelRequest` for two calls in a message, it
    holds one alone; for one, it is raised here.
    """
    prompt, one = render([_ASKED], True).rstrip(), _around_calls(render, 1)
    if one is None:
        return None
    before, end = one
    is_thinking = prompt.endswith(_THINK)
    before = _THOUGHTS.sub("", before.removeprefix(prompt.removesuffix(_THINK).rstrip())).strip()
    opening, brace, key = before.rpartition("{")
    if not brace:
        opening, key = key, ""
    if not before:
        return None
    try:
        two = _around_calls(render, 2)
    except BadModelRequest:
        two = None
    between = two[1].removesuffix(brace + key).strip() if two else None
    end = re.split("|".join(map(re.escape, ends)), end, maxsplit=1)[0] if ends else end
    return CallForm(opening.strip(), between, end.strip(), key.rstrip(' "'), is_thinking)


def _around_calls(render: Render, count: int) -> list[str] | None:
    """Return what stands before, between and behind so many calls; None if they are not there."""
    called = {"role": "assistant", "content": "", "tool_calls": [_CALL] * count}
    parts = _WRITTEN.split(render([_ASKED, called], False))
    return parts if len(parts) == count + 1 else None


class CallText:
    """Reads a reply: `feed` returns what a piece of it adds, text and pieces of calls, `close` what was held back.

    White space within the marks may differ from the template's. Text in thoughts is no call. A call that is broken off, or
    whose arguments are no JSON, is a call all the same, so that the model is told.
    """

    def __init__(self, form: CallForm) -> None:
        self.calls = 0
        self._form = form
        self._opening, self._key = _pattern(form.opening), _pattern(form.key + '"' if form.key else "")
        self._between = _pattern(form.between) if form.between else None
        self._end = _pattern(form.end, may_lack_end=True)
        self._longest_end = len(form.marks) + _LONGEST_GAP
        self._read = self._in_thoughts if form.is_thinking else self._at_start
        self._held = ""
        self._arguments = Bracketed()
        self._text: list[str] = []
        self._pieces: list[CallPiece] = []

    def feed(self, text: str) -> Chunk:
        """Return what this adds."""
        return self._take(text, is_over=False)

    def close(self) -> Chunk:
        """Return what was held back; the reply is over."""
        return self._take("", is_over=True)

    def _take(self, text: str, *, is_over: bool) -> Chunk:
        self._held += text
        while self._read(is_over):
            pass
        said = Chunk("".join(self._text), calls=tuple(self._pieces))
        self._text, self._pieces = [], []
        return said

    # Each of these reads on in `_held`, and returns whether another has to take over, or it once more.

    def _at_start(self, is_over: bool) -> bool:
        """Where a brace is all that marks a call, a call begins its reply; elsewhere a brace belongs to the text."""
        if self._form.opening:
            self._read = self._in_text
            return True
        begun, found = self._held.lstrip()[:_LONGEST_GAP], self._key.search(self._held, 0, _LONGEST_GAP)
        if not (found or is_over) and begun[:1] in ("", "{") and len(begun) < _LONGEST_GAP:
            return False
        self._read = self._in_name if found and begun.startswith("{") else self._in_plain_text
        return True

    def _in_plain_text(self, is_over: bool) -> bool:
        self._say(len(self._held))
        return False

    def _in_text(self, is_over: bool) -> bool:
        opened, thought = self._opening.search(self._held), self._held.find(_THINK)
        if thought >= 0 and (opened is None or thought < opened.start()):
            self._say(thought + len(_THINK))
            self._read = self._in_thoughts
            return True
        if opened is not None:
            self._say(opened.start())
            self._held = self._held[opened.end() - opened.start() :]
            self._read = self._in_name
            return True
        self._say(len(self._held) if is_over else _held_back(self._held, (self._form.opening, _THINK)))
        return False

    def _in_thoughts(self, is_over: bool) -> bool:
        end = self._held.find(_UNTHINK)
        if end >= 0:
            self._say(end + len(_UNTHINK))
            self._read = self._in_text
            return True
        self._say(len(self._held) if is_over else _held_back(self._held, (_UNTHINK,)))
        return False

    def _in_name(self, is_over: bool) -> bool:
        key = self._key.search(self._held, 0, _LONGEST_GAP)
        if key is None and len(self._held) < _LONGEST_GAP and not is_over:
            return False
        name = _LETTERS.match(self._held, key.end() if key else len(self._held))
        assert name is not None
        if name.end() == len(self._held) and key and not is_over:
            return False
        self._pieces.append(CallPiece(self.calls, name=name[0]))
        self.calls += 1
        self._held = self._held[name.end() if key else 0 :]
        self._read = self._before_arguments
        return True

    def _before_arguments(self, is_over: bool) -> bool:
        found = re.search("[{}]", self._held)
        if found is None and len("".join(self._held.split())) <= _LONGEST_GAP and not is_over:
            return False
        self._held = self._held[found.start() :] if found else self._held
        self._arguments = Bracketed()
        self._read = self._in_arguments if found and found[0] == "{" else self._behind_call
        return True

    def _in_arguments(self, is_over: bool) -> bool:
        end = self._arguments.end(self._held)
        if written := self._held[:end]:
            self._pieces.append(CallPiece(self.calls - 1, arguments=written))
        self._held = "" if end is None else self._held[end:]
        self._read = self._in_arguments if end is None else self._behind_call
        return end is not None

    def _behind_call(self, is_over: bool) -> bool:
        """A further call, or the end of them: what might still become either is held back, which delays no call."""
        found = self._between and self._between.match(self._held)
        if found:
            self._read = self._in_name
        elif len(self._held) <= self._longest_end and not is_over:
            return False
        else:
            found = self._end.match(self._held)
            self._read = self._in_text if self._form.opening else self._in_plain_text
        self._held = self._held[found.end() :] if found else self._held
        return True

    def _say(self, count: int) -> None:
        self._text.append(self._held[:count])
        self._held = self._held[count:]


def _pattern(mark: str, *, may_lack_end: bool = False) -> re.Pattern[str]:
    """Return what matches a mark as models write it; one that may lack its end matches as far as it is there."""
    units = [r"\s*" + (_ANY_ID if _ID in unit else re.escape(unit)) for unit in _UNITS.findall(mark)]
    if may_lack_end:
        return re.compile("".join(f"(?:{unit}" for unit in units) + ")?" * len(units))
    return re.compile("".join(units) or r"\s*")


def _held_back(text: str, marks: Sequence[str]) -> int:
    """Return where in a text one of these marks may begin that is not whole yet, else its length."""
    whole = ["".join(mark.split()) for mark in marks]
    for start in range(max(0, len(text) - 2 * max(map(len, marks))), len(text)):
        begun = "".join(text[start:].split())
        if any(mark.startswith(begun) for mark in whole):
            return start
    return len(text)
