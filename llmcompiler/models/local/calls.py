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

_QUESTION = "llmcompiler_question"
_ASKED: ChatMessage = {"role": "user", "content": _QUESTION}
_NAME, _ARGUMENTS = "llmcompiler_name", {"x": "?"}
_ID = "call00000"  # the strictest template wants nine letters and digits
_CALL: ChatMessage = {"id": _ID, "type": "function", "function": {"name": _NAME, "arguments": _ARGUMENTS}}
_GAP = 80  # characters between an opening, a name and its arguments, beside white space
_WRITTEN = re.compile(rf'{_NAME}([^{{}}]{{0,{_GAP}}}?)(\{{\s*"x"\s*:\s*"\?"\s*\}})')
_KEY = re.compile(r'("\w+"\s*:)\s*"$')  # what a name within JSON stands behind
# White space between these is the model's own affair. The id of a call is one of them: a model may leave it out.
_UNITS = re.compile(rf',\s*"\w+"\s*:\s*"{_ID}"|[{{}}\[\]:,]|[^\s{{}}\[\]:,]+')
_ANY_ID = r'(?:,\s*"\w+"\s*:\s*"[^"]*")?'
_LETTERS = re.compile(r"[^\s\"'{}\[\]<>(),]{0,64}")  # of a name, be it a wrong one
_PROSE = re.compile(r" +[^\W\d]|[`'\").,:;!?]|\s*$")  # what stands behind an opening that a text only mentions
_UNREADABLE = "{"  # stands for arguments that the model did not come to: it is told so, where none at all would be run
_THINK, _UNTHINK = "<think>", "</think>"
_A_THINK = r"[<\[]\S{0,9}?think\S{0,9}?[>\]]"
_THOUGHTS = re.compile(f"{_A_THINK}.*?{_A_THINK}", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CallForm:
    """How a model writes calls.

    opening: what stands before the first one; "" if nothing does but the brackets of its JSON. between: what stands behind
    the arguments of one that is followed by another, None if a message holds one alone. end: what stands behind those of the
    last one. key: under which the name stands, "" if it is not within JSON. link: what stands between the name and the
    arguments. is_thinking: a reply begins amid thoughts.
    """

    opening: str
    between: str | None
    end: str
    key: str = '"name":'
    link: str = '", "arguments":'
    is_thinking: bool = False

    @property
    def marks(self) -> str:
        """Return all that stands around calls and thoughts."""
        return " ".join((_THINK, _UNTHINK, self.opening, self.link, self.between or "", self.end))


def call_form(render: Render, ends: Sequence[str]) -> CallForm | None:
    """Return how a template writes calls, None if it writes none, or not so that they could be read again.

    ends: the texts of the tokens that end a reply. Where `render` raises `BadModelRequest` for two calls in a message, it
    holds one alone; for one, it is raised here.
    """
    begun, one = render([_ASKED], True).rpartition(_QUESTION)[2].rstrip(), _around_calls(render, 1)
    is_thinking, begun = begun.endswith(_THINK), begun.removesuffix(_THINK).rstrip()
    if one is None or not one[0].startswith(begun):
        return None
    try:
        two = _around_calls(render, 2)
    except BadModelRequest:
        two = None
    before = _THOUGHTS.sub("", one[0].removeprefix(begun)).strip()
    link, between, end = one[1], two[3] if two else None, one[3]
    if ends:
        end = re.split("|".join(map(re.escape, ends)), end, maxsplit=1)[0]
    opening, key = before, _KEY.search(before)
    if key:
        opening = before.partition("{")[0].rstrip("[ \n")
        between = between.partition("{")[0] if between else between
    between = between.strip() if between is not None else None
    form = CallForm(opening, between, end.strip(), key[1] if key else "", link.strip(), is_thinking)
    return form if before and _reads(form, before, (two or one)[1:]) else None


def _around_calls(render: Render, count: int) -> list[str] | None:
    """Return what stands between the question and calls, and of each its link, its arguments, what is behind.

    None if the calls are not there.
    """
    called = {"role": "assistant", "content": "", "tool_calls": [_CALL] * count}
    parts = _WRITTEN.split(render([_ASKED, called], False).rpartition(_QUESTION)[2])
    return parts if len(parts) == 3 * count + 1 else None


def _reads(form: CallForm, before: str, parts: Sequence[str]) -> bool:
    """Return whether calls are read again as the template writes them."""
    calls = [_NAME + "".join(parts[start : start + 3]) for start in range(0, len(parts), 3)]
    reader = CallText(form)
    said = reader.feed((_UNTHINK if form.is_thinking else "") + before + "".join(calls)).calls + reader.close().calls
    names, arguments = [piece.name for piece in said if piece.name], "".join(piece.arguments for piece in said)
    return names == [_NAME] * len(calls) and arguments == "".join(parts[1::3])


class _Marks:
    """What recognises the parts of a form in what a model writes."""

    def __init__(self, form: CallForm) -> None:
        key = _pattern(form.key + '"') if form.key else ""
        begun = rf"[^}}]{{0,{_GAP}}}?{key}\s*"  # behind a brace that closes would stand another call
        self.opening = re.compile(_pattern(form.opening)) if form.opening else None
        self.key = re.compile(begun if key else r"\s*")
        # A call that nothing marks but its JSON: its name and its arguments, each under its key. It may be fenced.
        bare = rf"(?:`+\w*\s*)?(?:\[\s*)?(?=\{{{begun}[\w.-]+\s*{_pattern(form.link)})"
        self.bare = re.compile(bare) if key else None
        between = rf"\s*{_pattern(form.between)}" if form.between else None
        if between and key:  # some models begin another object where another opening is due
            between += rf"|[\s}}\],;]*(?=\{{{begun})"
        self.between = re.compile(between) if between else None
        self.end = re.compile(_as_far_as_there(form.end))


class CallText:
    """Reads a reply: `feed` returns what a piece of it adds, text and pieces of calls, `close` what was held back.

    White space within the marks may differ from the template's. Text in thoughts is no call. A call that is broken off, or
    whose arguments are no JSON, is a call all the same, so that the model is told. An opening that a text only mentions is
    none. A reply may lack the opening and begin with the JSON of a call.
    """

    def __init__(self, form: CallForm) -> None:
        self.calls = 0
        self._form, self._marks = form, _Marks(form)
        self._longest_end = len(form.marks) + _GAP
        self._read = self._in_thoughts if form.is_thinking else self._at_start
        self._held = self._mark = ""
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
        """A reply may begin with a call that nothing marks but its JSON: its name and its arguments, each under its key."""
        self._held = self._held.lstrip()
        found = self._marks.bare.match(self._held) if self._marks.bare else None
        may_come = self._marks.bare and self._held[:1] in ("", "{", "[", "`") and len(self._held) < 4 * _GAP
        if not found and may_come and not is_over:
            return False
        self._held = self._held[found.end() :] if found else self._held
        self._read = self._in_name if found else self._in_text
        return True

    def _in_text(self, is_over: bool) -> bool:
        opened = self._marks.opening.search(self._held) if self._marks.opening else None
        thought = self._held.find(_THINK)
        if thought >= 0 and (opened is None or thought < opened.start()):
            self._say(thought + len(_THINK))
            self._read = self._in_thoughts
            return True
        if opened is not None:
            self._say(opened.start())
            self._held, self._mark = self._held[len(opened[0]) :], opened[0]
            self._read = self._in_name
            return True
        self._say(len(self._held) if is_over else _held_back(self._held, (self._form.opening, _THINK)))
        return False

    def _in_thoughts(self, is_over: bool) -> bool:
        end = self._held.find(_UNTHINK)
        if end >= 0:
            self._say(end + len(_UNTHINK))
            self._read = self._at_start
            return True
        self._say(len(self._held) if is_over else _held_back(self._held, (_UNTHINK,)))
        return False

    def _in_name(self, is_over: bool) -> bool:
        key = self._marks.key.match(self._held)
        if key is None and len(self._held.strip()) < _GAP and not is_over:
            return False
        if key is None and _PROSE.match(self._held):
            self._text.append(self._mark)
            self._read = self._in_text
            return True
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
        if found is None:
            self._held = "".join(self._held.split())
            if len(self._held) <= _GAP and not is_over:
                return False
            self._pieces.append(CallPiece(self.calls - 1, arguments=_UNREADABLE))
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
        found = self._marks.between and self._marks.between.match(self._held)
        if found:
            self._read, self._mark = self._in_name, ""
        elif len(self._held) <= self._longest_end and not is_over:
            return False
        else:
            found = self._marks.end.match(self._held)
            self._read = self._in_text
        self._held = self._held[found.end() :] if found else self._held
        return True

    def _say(self, count: int) -> None:
        self._text.append(self._held[:count])
        self._held = self._held[count:]


def _pattern(mark: str) -> str:
    """Return what matches a mark as models write it."""
    return r"\s*".join(_ANY_ID if _ID in unit else re.escape(unit) for unit in _UNITS.findall(mark))


def _as_far_as_there(mark: str) -> str:
    """Return what matches as much of a mark as is there, from its beginning."""
    units = [rf"\s*{_pattern(unit)}" for unit in _UNITS.findall(mark)]
    return "".join(f"(?:{unit}" for unit in units) + ")?" * len(units)


def _held_back(text: str, marks: Sequence[str]) -> int:
    """Return where in a text one of these marks may begin that is not whole yet, else its length."""
    whole = ["".join(mark.split()) for mark in marks]
    for start in range(max(0, len(text) - 2 * max(map(len, marks))), len(text)):
        begun = "".join(text[start:].split())
        if begun and any(mark.startswith(begun) for mark in whole):
            return start
    return len(text)
