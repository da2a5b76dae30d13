"""The joiner's side of a round: what it is shown, and how its reply is read. Pure.

Reply protocol, from the paper's joiner (arXiv 2312.04511, section 3.4 and its code), read with tolerance:

    Thought: any text
    Action: Finish(answer, any characters, also over several lines)
    Action: Replan(what is missing)

An action begins a line, with or without `Action:`, in any case, bold or not. It ends at the first `)` after which the rest
has balanced parentheses, so that `Finish(f(x) = 2)` and `Finish(a :) b)` both keep their text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from llmcompiler.errors import JoinError
from llmcompiler.plan.framing import framed, inert
from llmcompiler.plan.outcomes import Cancelled, Failed, Outcome, Skipped, Succeeded
from llmcompiler.plan.printer import print_call
from llmcompiler.plan.tasks import Task


@dataclass(frozen=True, slots=True)
class Finish:
    """The joiner answers."""

    answer: str


@dataclass(frozen=True, slots=True)
class Replan:
    """The joiner asks for another plan, and says why."""

    reason: str


Decision: TypeAlias = Finish | Replan

_MARK = r"[ \t>*_`-]*"
_ACTION = re.compile(
    rf"^{_MARK}(?:Action{_MARK}:{_MARK})?(?P<name>Finish|Replan){_MARK}\(", re.IGNORECASE | re.MULTILINE
)
_OTHER = re.compile(rf"^{_MARK}Action{_MARK}:{_MARK}(?P<name>[^\n(]*)", re.IGNORECASE | re.MULTILINE)
_END = re.compile(r"<END_OF_RESPONSE>")
_MAX_HEAD = 200
_LINE_END = re.compile(rf"{_MARK}(?:\n|\Z)")


def read_decision(text: str, *, was_cut: bool = False, lenient: bool = False) -> Decision:
    """Return the decision in a joiner's reply; `was_cut` says that the model hit its token cap.

    `lenient`, for a reply that was asked for again, takes unbalanced parentheses as meant: `Finish((0, 1])`.
    Raises `JoinError` if there is no action, an unknown one, two that differ, an empty or an unfinished one.
    """
    end = _END.search(text)
    body = text[: end.start()] if end else text
    decisions: list[Decision] = []
    found = _ACTION.search(body)
    while found is not None:
        close = _closing(body, found.end(), was_cut=was_cut, lenient=lenient)
        if close is None:
            raise JoinError(f"{found['name']}(...) is not closed, so the reply may be cut", text=text)
        content = body[found.end() : close].strip()
        if not content:
            raise JoinError(f"{found['name']}() is empty", text=text)
        decisions.append(Finish(content) if found["name"].lower() == "finish" else Replan(content))
        found = _ACTION.search(body, close)
    if not decisions:
        raise JoinError(_why_none(body), text=text)
    if any(decision != decisions[0] for decision in decisions):
        raise JoinError("the reply holds several actions that differ; one is asked for", text=text)
    return decisions[0]


def _closing(text: str, start: int, *, was_cut: bool, lenient: bool) -> int | None:
    """Return the place of the `)` that ends an action, or None if its end has not come."""
    depth, first = 1, None
    for found in re.finditer(r"[()]", text[start:]):
        depth += 1 if found[0] == "(" else -1
        if depth == 0:
            first = start + found.start()
            break
    if first is None:
        last = text.rfind(")", start)
        is_end = last >= 0 and not text[last + 1 :].strip(" \t\n*_`")
        return last if lenient and is_end and not was_cut else None
    following = _ACTION.search(text, first)
    stop = following.start() if following else len(text)
    rest = text[first + 1 : stop]
    if was_cut:  # an answer that goes on behind this parenthesis lacks its end
        return first if _LINE_END.match(rest) else None
    if _is_balanced(rest):
        return first
    return text.rfind(")", first, stop)


def _is_balanced(text: str) -> bool:
    depth = 0
    for found in re.finditer(r"[()]", text):
        depth += 1 if found[0] == "(" else -1
        if depth < 0:
            return False
    return True


def _why_none(text: str) -> str:
    if not text.strip():
        return "the reply is empty"
    other = _OTHER.search(text)
    if other:
        return f"the action {other['name'].strip()[:40]!r} is neither Finish(answer) nor Replan(reason)"
    return "the reply holds no action: Finish(answer) or Replan(reason)"


class AnswerReader:
    """Finds the answer in a reply while it is being streamed: `feed` returns the text of the answer so far unseen.

    What begins with a `)` that may be the action's own is held back; parentheses within the answer are not.
    """

    def __init__(self) -> None:
        self._text = ""  # not given yet: of the last line, then of the answer
        self._is_answer: bool | None = None  # not known before the first action has begun
        self._depth = 1  # open parentheses of what was given, the action's own included

    def feed(self, chunk: str) -> str:
        """Return what this chunk adds to the answer."""
        self._text += chunk
        if self._is_answer is None:
            self._find()
        if not self._is_answer:
            return ""
        end, self._depth = self._own_end()
        piece, self._text = self._text[:end], self._text[end:]
        return piece

    def _own_end(self) -> tuple[int, int]:
        """Return where the text to hold back begins, and the depth there."""
        end, depth = None, self._depth
        for found in re.finditer(r"[()]", self._text):
            if found[0] == ")" and depth == 1:
                end = found.start()  # a later one shows that an earlier one was part of the answer
            else:
                depth += 1 if found[0] == "(" else -1
        return (len(self._text), depth) if end is None else (end, 1)

    def _find(self) -> None:
        found = _ACTION.search(self._text)
        if found is not None:
            self._is_answer = found["name"].lower() == "finish"
            self._text = self._text[found.end() :]
            return
        line = self._text[self._text.rfind("\n") + 1 :]
        self._text = line if len(line) <= _MAX_HEAD else "(prose)"  # no action begins this far into a line


MAX_SHOWN = 4_000


def observations(tasks: Iterable[tuple[Task, Outcome]]) -> str:
    """Return what the joiner and a replanner see of tasks: each call, as planned, with its outcome below."""
    return "\n".join(f"{task.id}. {inert(print_call(task))}\n{describe(outcome)}" for task, outcome in tasks)


def describe(outcome: Outcome) -> str:
    """Return an outcome as one indented line; long values are cut and their size is said."""
    match outcome:
        case Succeeded(value):
            return f"   -> {framed(value, MAX_SHOWN)}"
        case Failed(error):
            return f"   -> failed: {framed(str(error), MAX_SHOWN)}"
        case Skipped(cause):
            return f"   -> skipped: it needs task {cause}, which gave no value"
        case Cancelled():
            return "   -> cancelled: the run ended first"
