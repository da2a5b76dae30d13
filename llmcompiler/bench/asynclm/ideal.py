"""The ideal model: given what it has read, it writes the next calls that it can write, else it waits, else it answers. Pure.

It knows the right calls and their order, as if they stood in its prompt (the paper's cheat sheet), and plays no other part:
what it has made, and which results and messages have come, it takes from the request alone. One format each:

| format | whose | a call | waits by |
|---|---|---|---|
| `CmlIdeal` | Sync, Sync-Parallel, Async-Naive, Async | `[CALL] a [HEAD] tool(x=1) [END]` | a trap, or the end of its text |
| `FuturesIdeal` | futures | a native call; the result of an earlier one is `"$f1"` | `await_future` |
| `PlanIdeal` | the compiler | a line of a plan | the end of the plan, `join()` |

Of CML each delimiter is one token, as for a model that was trained on it; all else is cut as the loopback server cuts text.
It is plain data: in a server's process it answers requests, and in this one it goes on with a text.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.futures import AWAIT
from llmcompiler.strategies.planning import END_OF_PLAN
from llmcompiler.testing.server import ChatRequest, ToolCall, count_tokens, tokenize
from llmcompiler.testing.server.tokens import PATTERN

ANY_FUTURE = "$f0"
USER = "@user"  # the sender of messages that come later
MARKS = Delimiters()
_MARK = f" ?(?:{'|'.join(map(re.escape, MARKS.all))})"
PIECES = f"{_MARK}|{PATTERN}"  # what tokens of CML look like
_SPECIAL = re.compile(f"({_MARK})")
_CALLED = re.compile(f"{re.escape(MARKS.call)} (\\w+) {re.escape(MARKS.head)}")
_TOLD = re.compile(f"{re.escape(MARKS.interrupt)} (\\S+) {re.escape(MARKS.head)}")
_CALL_ID = "call_"
_FUTURE = re.compile(r"^f(\d+): ", re.MULTILINE)
_MESSAGE = re.compile(f"^{USER}: ", re.MULTILINE)


def cml_tokens(text: str) -> list[str]:
    """Return a text in tokens, each delimiter one of its own."""
    parts = _SPECIAL.split(text)
    return [token for place, part in enumerate(parts) for token in ([part] if place % 2 else tokenize(part))]


TRAP_TOKENS = tuple(cml_tokens(f" {MARKS.trap}{MARKS.end}"))


@dataclass(frozen=True, slots=True)
class Step:
    """A call to be made. `inputs`: the calls, and the messages (-2 the first), that the model must have read of before.

    name: under which its result is told. tokens: how it is written; of a native call, its arguments.
    """

    id: int
    tool: str
    name: str
    inputs: frozenset[int]
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says to a request: text, or native calls. `unread`: tokens of the request that are new to it."""

    tokens: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    unread: int = 0


def writable(steps: Iterable[Step], made: Collection[int], known: Collection[int]) -> list[Step]:
    """Return the steps, in their order, that are not made and whose inputs are known."""
    return [step for step in steps if step.id not in made and step.inputs <= set(known)]


def messages_read(count: int) -> set[int]:
    """Return what a model knows by that many messages of the user: the question is part 1, the first of them is part 2."""
    return {-1 - number for number in range(1, count + 1)}


@dataclass(frozen=True, slots=True)
class CmlIdeal:
    """Writes CML. one_call: it waits after each call. traps: by a trap, else by ending its text.

    refs: a call may name one that is written before it, whose result has not come.
    """

    steps: tuple[Step, ...]
    answer: str
    one_call: bool = False
    traps: bool = True
    refs: bool = False

    def goes_on(self, text: str) -> list[str]:
        """Return the tokens that follow a text, of the model and of the runtime, up to where the model waits or ends."""
        names = {step.name: step.id for step in self.steps}
        made = {names[name] for name in _CALLED.findall(text) if name in names}
        told = _TOLD.findall(text)
        known = {names[name] for name in told if name in names} | messages_read(told.count(USER))
        following = self._following(made, known)
        if following or made - known:
            return [*(token for step in following for token in step.tokens), *(TRAP_TOKENS if self.traps else ())]
        return tokenize(self.answer if not text or text.endswith("\n") else f"\n{self.answer}")

    def say(self, request: ChatRequest) -> Said:
        """Return what it says to a request, chat or raw."""
        text = request.text if request.prompt is not None else f"{request.text}\n"
        return Said(tuple(self.goes_on(text)), unread=len(cml_tokens(_interrupts_at_end(text))))

    def _following(self, made: set[int], known: set[int]) -> list[Step]:
        found: list[Step] = []
        while following := writable(
            self.steps,
            written := {*made, *(step.id for step in found)},
            known | written if self.refs else known,
        ):
            found.append(following[0])
            if self.one_call:
                break
        return found


def _interrupts_at_end(text: str) -> str:
    """Return the interrupts that the model has not gone on behind."""
    lines = text.rstrip("\n").split("\n")
    old = next((place for place, line in enumerate(reversed(lines)) if not line.startswith(MARKS.interrupt)), 0)
    return "\n".join(lines[len(lines) - old :])


@dataclass(frozen=True, slots=True)
class FuturesIdeal:
    """Makes native calls. A call may name calls of earlier messages; in the message of the last ones it waits for all.

    The tokens of a step are its arguments; `ANY_FUTURE` in them stands for the future of the one call that it needs.
    """

    steps: tuple[Step, ...]
    answer: str

    def say(self, request: ChatRequest) -> Said:
        """Return what it says to a request."""
        messages = request.messages[2:]
        made = [id for message in messages for id in _made_in(message)]
        known = {*made, *messages_read(sum(_read_in(message) for message in messages))}
        following = writable(self.steps, made, known)
        futures = {id: f"$f{number}" for number, id in enumerate(made, 1)}
        calls = [ToolCall(step.tool, _named(step, futures), f"{_CALL_ID}{step.id}") for step in following]
        told = _told_in(messages, made)
        made += [step.id for step in following]
        pending = [number for number, id in enumerate(made, 1) if id not in told]
        if pending and not writable(self.steps, made, known | set(made)):
            calls.append(ToolCall(AWAIT, await_arguments(pending), f"wait_{len(messages)}"))
        text = () if calls else tuple(tokenize(self.answer))
        return Said(text, tuple(calls), unread=sum(map(_tokens_of, _unanswered(messages))))


def await_arguments(numbers: Sequence[int]) -> str:
    """Return the arguments with which these futures are waited for."""
    return json.dumps({"futures": [f"f{number}" for number in numbers]})


_ChatMessage: TypeAlias = Mapping[str, Any]


def _made_in(message: _ChatMessage) -> list[int]:
    ids = [str(call["id"]) for call in message.get("tool_calls") or ()]
    return [int(id.removeprefix(_CALL_ID)) for id in ids if id.startswith(_CALL_ID)]


def _read_in(message: _ChatMessage) -> int:
    """Return how many messages of the user a message tells of."""
    return len(_MESSAGE.findall(str(message["content"]))) if message["role"] == "user" else 0


def _told_in(messages: Sequence[_ChatMessage], made: Sequence[int]) -> set[int]:
    """Return the calls whose results stand in the messages: as the answer to the call, or later under their futures."""
    told = set[int]()
    for message in messages:
        if message["role"] != "assistant":
            told |= {made[int(number) - 1] for number in _FUTURE.findall(str(message["content"]))}
        if message["role"] == "tool" and message["tool_call_id"].startswith(_CALL_ID) and not _is_running(message):
            told.add(int(message["tool_call_id"].removeprefix(_CALL_ID)))
    return told


def _is_running(message: _ChatMessage) -> bool:
    return '"status": "running"' in str(message["content"])


def _named(step: Step, futures: Mapping[int, str]) -> str:
    text = "".join(step.tokens)
    [needed] = [futures[id] for id in step.inputs if id > 0] or [ANY_FUTURE]
    return needed.join(text.rsplit(ANY_FUTURE, 1))


def _unanswered(messages: Sequence[_ChatMessage]) -> list[_ChatMessage]:
    """Return the messages behind the model's last one."""
    behind = 1 + max((place for place, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
    return list(messages[behind:]) if behind else []


def _tokens_of(message: _ChatMessage) -> int:
    return count_tokens(str(message["content"] or ""))


@dataclass(frozen=True, slots=True)
class PlanIdeal:
    """Writes one plan, and answers as its joiner."""

    steps: tuple[Step, ...]
    answer: str

    def say(self, request: ChatRequest) -> Said:
        """Return what it says to a request."""
        if END_OF_PLAN in request.stop:
            return Said(
                (*(token for step in self.steps for token in step.tokens), *tokenize(join_line(len(self.steps))))
            )
        return Said(tuple(tokenize(self.answer)))


def join_line(count: int) -> str:
    """Return the end of a plan of so many tasks."""
    return f"\n{count + 1}. join()"


Ideal: TypeAlias = CmlIdeal | FuturesIdeal | PlanIdeal
