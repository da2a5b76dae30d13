"""A turn: one message of a model that calls tools natively. Its calls become tasks as they are sealed in the stream."""

import json
from itertools import count

from llmcompiler.errors import LimitReached, ModelError
from llmcompiler.joiner import describe
from llmcompiler.journal.events import PlanClosed, PlanText
from llmcompiler.models.calls import CallReader
from llmcompiler.models.model import Chunk, Message, ToolCall
from llmcompiler.passes.calls import BadArguments, check_call, read_arguments
from llmcompiler.passes.reader import Accepted, Pending, Rejected
from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.framing import inert
from llmcompiler.plan.outcomes import Cancelled, ErrorRecord, Failed, Outcome
from llmcompiler.scheduling.messages import PlanOpened
from llmcompiler.strategies.offering import Offering, fit_name
from llmcompiler.strategies.rounds import MAX_REPLY_CHARACTERS, Forwarding
from llmcompiler.strategies.run import Reply, Run

_UNFINISHED = "the message broke off before the arguments of this call ended"
_DROPPED = "not run: the message broke off before its end, so nothing with effects may begin"


class Turn:
    """Reads one message and hands its calls to the run's driver: at once if `early`, else when the message is whole.

    `calls` are as the transcript holds them, by the ids of their tasks; `used` are the ids of all calls of the run.
    `broken` is why the message broke off, if something outside of it was the reason.
    """

    def __init__(self, run: Run, offering: Offering, used: set[str], *, early: bool) -> None:
        self.reply = Reply()
        self.broken: ModelError | LimitReached | None = None
        self.calls: dict[int, ToolCall] = {}
        self._run, self._offering, self._used = run, offering, used
        self._reader, self._checks = CallReader(), run.workshop.registry.checks()
        self._sink = Forwarding(run, whole=not early)
        self._first = max(run.driver.tasks, default=0) + 1
        self._errors: list[Diagnostic] = []
        self._lines: list[str] = []  # the calls as they were written
        self._size = 0  # of these lines, and of everything that came
        self._came = 0

    @property
    def text(self) -> str:
        """Return the text of the message."""
        return self.reply.text.strip()

    @property
    def is_cut(self) -> bool:
        """Return whether the message broke off before its end."""
        return self.broken is not None or self.reply.was_cut

    @property
    def is_full(self) -> bool:
        """Return whether nothing more may be read of it."""
        return self.broken is not None or self._came > MAX_REPLY_CHARACTERS

    @property
    def has_tasks(self) -> bool:
        """Return whether any of its calls may run."""
        return bool(self._sink.accepted)

    def take(self, chunk: Chunk) -> None:
        """Take what has come."""
        for said in (chunk.text, *(piece.name + piece.arguments for piece in chunk.calls)):
            self._came += len(said)
            if said:
                self._run.journal.emit(PlanText, said)
        for piece in chunk.calls:
            call = self._reader.feed(piece)
            if call is not None:
                self._read(call)

    def close(self) -> None:
        """End the message. What has effects may begin now, unless the message broke off."""
        if self._came > MAX_REPLY_CHARACTERS:
            self.reply.finish = "length"
        is_cut = self.is_cut
        for call in self._reader.close():
            self._read(call, is_unfinished=is_cut)
        if not self.calls:
            return
        self._sink.closed(complete=not self.is_cut)
        counts = (len(self.reply.text), self._reader.ignored, "\n".join(self._lines))
        self._run.journal.emit(PlanClosed, not self.is_cut, len(self.calls), tuple(self._errors), (), *counts)
        self._sink.sealed()

    def messages(self) -> list[Message]:
        """Return the turn as it stands in the transcript: the message, and a result for each call."""
        outcomes = self._run.driver.outcomes
        results = [
            Message("tool", _shown(outcomes.get(id, Cancelled())), call_id=call.id) for id, call in self.calls.items()
        ]
        return [Message("assistant", inert(self.text), tuple(self.calls.values())), *results]

    def _read(self, call: ToolCall, *, is_unfinished: bool = False) -> None:
        """Take a call: run it, or say what is wrong with it."""
        id = self._first + len(self.calls)
        if isinstance(self.broken, LimitReached):
            return
        if id > self._run.limits.tasks:
            self.broken = self._run.reached("tasks")
            return
        if id == self._first and id > 1:
            self._run.driver.post(PlanOpened())
        tool = self._offering.tool_of(call.name)
        span = self._place(f"{id}. {tool}({call.arguments})")
        try:
            if is_unfinished:
                raise BadArguments(_UNFINISHED)
            arguments = read_arguments(call.arguments)
        except BadArguments as error:
            self._keep(id, call, "{}")  # some servers read arguments back, and would refuse a transcript with these
            self._reject(id, tool, [Diagnostic("bad_literal", str(error), span, task_id=id)])
            return
        self._keep(id, call, json.dumps(arguments, ensure_ascii=False, separators=(",", ":")))
        task, errors = check_call(id, tool, arguments, self._checks, span)
        if errors:
            self._reject(id, tool, errors)
        else:
            self._sink.take([Accepted(task)])

    def _place(self, line: str) -> Span:
        """Write down a call; return where it stands in the text of the plan."""
        start, self._size = self._size, self._size + len(line) + 1
        self._lines.append(line)
        return Span(start, start + len(line))

    def _keep(self, id: int, call: ToolCall, arguments: str) -> None:
        """Keep a call for the transcript."""
        self.calls[id] = for_transcript(call, arguments, self._used, id)

    def _reject(self, id: int, tool: str, errors: list[Diagnostic]) -> None:
        self._errors += errors
        self._sink.take([Pending(id, tool), Rejected(id, tool, tuple(errors))])


def for_transcript(call: ToolCall, arguments: str, used: set[str], number: int) -> ToolCall:
    """Return a call as the transcript may hold it: with an id of its own, which goes to `used`, and a name that is legal.

    number: where to begin to count, if the call has no id, or one that is used.
    """
    named = (
        f"call{number:05d}" for number in count(number)
    )  # nine letters and digits: what the strictest server takes
    call_id = call.id if call.id and call.id not in used else next(name for name in named if name not in used)
    used.add(call_id)
    return ToolCall(call_id, fit_name(call.name), inert(arguments))


def _shown(outcome: Outcome) -> str:
    """Return what the model sees of a call."""
    match outcome:
        case Failed(ErrorRecord(kind="dropped")):
            return _DROPPED
        case Failed(ErrorRecord(kind="plan", message=said)):
            return f"not run: {inert(said)}"
    return describe(outcome).removeprefix("   -> ")
