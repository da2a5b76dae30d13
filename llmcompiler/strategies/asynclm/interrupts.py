"""Interrupts: what waits to be put into a model's text. Results of ended calls, notices, messages from outside."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Collection, Iterable

from llmcompiler.config.choices import Trap
from llmcompiler.errors import SessionEnded, UsageError
from llmcompiler.joiner import MAX_SHOWN
from llmcompiler.plan.framing import framed, inert
from llmcompiler.plan.outcomes import Cancelled, ErrorRecord, Failed, Outcome, Skipped, Succeeded
from llmcompiler.strategies.asynclm.calls import Calls
from llmcompiler.strategies.asynclm.names import NAME
from llmcompiler.strategies.run import Run

_RUNTIME = "runtime"  # a sender, as "user" is: no call can have an id with the @ before it
_DROPPED = "not run: the text broke off, so nothing with effects may begin"


def quoted(text: str) -> str:
    """Return a message as one line of JSON without control tokens, whole."""
    return inert(json.dumps(text, ensure_ascii=False))


class Inbox:
    """What others send into a session, in the order in which it came. `all` keeps it, with its senders."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.all: list[tuple[str, str]] = []
        self._messages: deque[tuple[str, str]] = deque()
        self._is_closed = False

    def put(self, text: str, sender: str) -> None:
        """Add a message. Raises `SessionEnded` if the session is over, `UsageError` for what says nothing."""
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"an interrupt is a text that says something, not {text!r}"[:200])
        if not isinstance(sender, str) or not NAME.fullmatch(sender):
            raise UsageError(f"the sender {sender!r} is no name: a letter, then letters, digits or _"[:200])
        if sender == _RUNTIME:
            raise UsageError(f"the sender {sender!r} is who tells the model what is wrong; take another name")
        if self._is_closed:
            raise SessionEnded("the session has ended: what came of it is there, `await session.result()`")
        self.all.append((sender, text))
        self._messages.append((sender, text))
        self.arrived.set()

    def take(self) -> list[tuple[str, str]]:
        """Return the messages that have come, with their senders, and forget them."""
        messages = list(self._messages)
        self._messages.clear()
        self.arrived.clear()
        return messages

    def close(self) -> None:
        """Take no more."""
        self._is_closed = True


class Interrupts:
    """The queue of one session. `frame` makes a block of an id and a line of JSON."""

    def __init__(self, run: Run, calls: Calls, inbox: Inbox, frame: Callable[[str, str], str]) -> None:
        self._run, self._calls, self._inbox, self._frame = run, calls, inbox, frame
        self._notices: list[str] = []

    @property
    def are_waiting(self) -> bool:
        """Return whether anything is to be put in."""
        return bool(self._notices) or self._inbox.arrived.is_set() or bool(self._calls.ended)

    @property
    def may_come(self) -> bool:
        """Return whether anything is to be put in, or something is pending that may give it."""
        return self.are_waiting or bool(self._calls.pending)

    def notice(self, text: str) -> None:
        """Tell the model something about what it has written."""
        self._notices.append(text)

    def take(self) -> str:
        """Return everything that waits, a block a line, and forget it. Of a call without an id only failure is told."""
        self._calls.repeats.next_turn()
        lines = [self._frame(f"@{sender}", quoted(text)) for sender, text in self._inbox.take()]
        for id in self._calls.ended:
            outcome = self._run.driver.outcomes[id]
            if self._calls.told(id) or not isinstance(outcome, Succeeded):
                lines.append(self._frame(self._calls.names.of(id), self._shown(outcome)))
        lines += [self._frame(f"@{_RUNTIME}", framed(text, MAX_SHOWN)) for text in self._notices]
        self._notices.clear()
        return "".join(f"{line}\n" for line in lines)

    def result(self, id: int) -> str | None:
        """Return what the model is to see of a call, once: None if it has not ended, or was told before."""
        if id not in self._calls.pending or id not in self._run.driver.outcomes:
            return None
        self._calls.told(id)
        return self._shown(self._run.driver.outcomes[id])

    async def wait(self, trap: Trap) -> None:
        """Wait until a pending call has ended, or all of them, or a message has come."""
        if trap == "all" or not self._calls.ended:
            await self.wait_for(self._calls.pending, trap)

    async def wait_for(self, ids: Iterable[int], trap: Trap = "all") -> None:
        """Wait until these calls have ended, or any of them, or a message has come."""
        wanted = set(ids)
        while not self._inbox.arrived.is_set():
            running = wanted - self._run.driver.outcomes.keys()
            if not running or (trap == "any" and running != wanted):
                return
            await self._first_of(running)

    async def _first_of(self, running: Collection[int]) -> None:
        waits = [
            asyncio.ensure_future(self._run.driver.first_ended(running)),
            asyncio.ensure_future(self._inbox.arrived.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _shown(self, outcome: Outcome) -> str:
        """Return what the model sees of a call."""
        names = self._calls.names
        match outcome:
            case Succeeded(value):
                return framed(value, MAX_SHOWN)
            case Failed(ErrorRecord(kind="dropped")):
                return _DROPPED
            case Failed(ErrorRecord(kind="plan", message=said)):
                return f"not run: {framed(names.in_names(said), MAX_SHOWN)}"
            case Failed(error):
                ours = error.kind in ("arguments", "missing_field")
                return f"failed: {framed(names.in_names(str(error)) if ours else str(error), MAX_SHOWN)}"
            case Skipped(cause):
                return f"skipped: it needs {names.of(cause)}, which gave no value"
            case Cancelled():
                return "cancelled: the run ended first"
