"""Futures (AsyncFC, arXiv 2605.15077): native tool calls, each answered at once by a future that later calls may take.

The n-th call has the future `fn`. The unit resolves it in the arguments of other calls, so chains need no model in between.
A result is told once: as the answer to its call if it is there when the message ends, else to the model's next turn, or to
`await_future`. A message without calls, while something is pending, waits as a trap does; after an empty one, with nothing
pending, the model is asked once for the answer. Reads and undeclared tools start when their arguments are closed in the
stream, writes when their message is whole.
"""

import asyncio
import json
import re
from contextlib import aclosing
from dataclasses import replace

from llmcompiler.errors import ModelError, NoProgress, UsageError
from llmcompiler.journal.events import PlanStarted, PlanText, TextInjected
from llmcompiler.models.calls import CallReader
from llmcompiler.models.model import Message, Model, Prompt, ToolCall
from llmcompiler.passes.calls import BadArguments, check_call, read_arguments
from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.framing import inert
from llmcompiler.plan.strings import BadText
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.tools import ToolSpec
from llmcompiler.strategies.asynclm.calls import Calls
from llmcompiler.strategies.asynclm.ending import CUT, Ending
from llmcompiler.strategies.asynclm.interrupts import Inbox, Interrupts
from llmcompiler.strategies.asynclm.names import FUTURE
from llmcompiler.strategies.asynclm.rules import Phase, Rules, Spent
from llmcompiler.strategies.offering import Offering
from llmcompiler.strategies.rounds import MAX_REPLY_CHARACTERS
from llmcompiler.strategies.run import Reply, Run
from llmcompiler.strategies.turns import for_transcript

AWAIT = "await_future"
AWAIT_SPEC = ToolSpec(
    AWAIT,
    "Wait until these calls have ended, and return their results. Use it only if nothing else can be done.",
    {
        "type": "object",
        "properties": {"futures": {"type": "array", "items": {"type": "string"}, "description": 'such as ["f1"]'}},
        "required": ["futures"],
    },
)
EMPTY_AWAITS = 2  # in a row, after which the next one ends the run
_NAMED = re.compile(rf"\b{FUTURE.pattern}\b")
_NO_ANSWER = "your reply was empty: call a tool, or reply with the answer"
_UNFINISHED = "the message broke off before the arguments of this call ended"


class Futures:
    """How AsyncLM answers one question by native calls. `spent` is up to date while it goes on."""

    def __init__(self, run: Run, model: Model, prompt: Prompt, offering: Offering, rules: Rules, inbox: Inbox) -> None:
        self.spent = Spent()
        self._run, self._model, self._offering, self._rules, self._inbox = run, model, offering, rules, inbox
        self._prompt = replace(prompt, tools=(*offering.specs, AWAIT_SPEC))
        self._calls = Calls(run, hold_writes=rules.hold_writes)
        self._interrupts = Interrupts(run, self._calls, inbox, lambda id, line: f"{id}: {line}")
        self._ending = Ending(run, self._calls, inbox)
        self._checks = run.workshop.registry.checks()
        self._phase: Phase = "starting"
        self._empty_awaits = 0
        self._was_asked = False  # for the answer
        self._used: set[str] = set()  # ids of native calls
        self._lines: list[str] = []  # the calls as they were written
        self._size = 0  # of these
        self._plain = 0  # characters of text beside calls
        self._known: int | None = 0  # tokens that the model has read or written in the latest request

    async def answer(self) -> str:
        """Return the answer. Raises `LimitReached`, `NoProgress`, `JoinError` or a `ModelError`."""
        answer, broken, is_cut = "", None, False
        try:
            if self._interrupts.are_waiting:
                self._say(self._interrupts.take())
            while not is_cut:
                reply, calls = await self._ask()
                answer, is_cut = reply.text.strip(), reply.was_cut
                if not is_cut and not await self._go_on(reply, calls):
                    break
        except ModelError as error:
            broken = error
        finally:
            self._inbox.close()
        await self._ending.close("\n".join(self._lines), self._plain, complete=broken is None and not is_cut)
        if self._ending.is_enough(broken, is_cut=is_cut):
            return self._ending.finish(answer)
        return await self.best_answer(str(broken or CUT))

    async def best_answer(self, why: str) -> str:
        """Return the model's answer from the results there are."""
        reply = await self._run.ask(self._model, self._ending.prompt(self._prompt, why))
        return self._ending.finish(reply.text.strip().removeprefix("Answer:").strip())

    # A message of the model

    async def _ask(self) -> tuple[Reply, dict[int | str, ToolCall]]:
        """Return what the model says, and its calls, by the ids of their tasks, or by their own if they only wait."""
        self._run.journal.emit(PlanStarted, "plan")
        reply, reader, calls, came = Reply(), CallReader(), dict[int | str, ToolCall](), 0
        async with aclosing(self._run.chunks(self._model, self._prompt, reply)) as chunks:
            while came <= MAX_REPLY_CHARACTERS:
                with self.spent.timed(self._phase):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                self._phase = "generating"
                for said in (chunk.text, *(piece.name + piece.arguments for piece in chunk.calls)):
                    came += len(said)
                    if said:
                        self._run.journal.emit(PlanText, said)
                for call in filter(None, map(reader.feed, chunk.calls)):
                    self._take(call, calls)
        if came > MAX_REPLY_CHARACTERS:
            reply.finish = "length"
        for call in reader.close():
            self._take(call, calls, is_unfinished=reply.was_cut)
        self._known = self.spent.counts.request(reply.usage, self._known)
        self._plain += len(reply.text)
        return reply, calls

    def _take(self, call: ToolCall, calls: dict[int | str, ToolCall], *, is_unfinished: bool = False) -> None:
        """Take a call: let it run, or say what is wrong with it."""
        number = self._calls.count + 1
        if call.name == AWAIT:
            named = json.dumps({"futures": _NAMED.findall(call.arguments)})  # wherever they stand, whole JSON or not
            kept = for_transcript(call, named, self._used, number)
            calls[kept.id] = kept
            return
        tool = self._offering.tool_of(call.name)
        span = self._place(f"f{number} = {tool}({call.arguments})")
        task, wrong, written = Task(number, tool), list[Diagnostic](), "{}"
        try:
            if is_unfinished:
                raise BadArguments(_UNFINISHED)
            arguments = read_arguments(call.arguments)
            written = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
            linked = {name: self._calls.names.linked(value) for name, value in arguments.items()}
            task, wrong = check_call(number, tool, linked, self._checks, span)
        except BadArguments as error:
            wrong = [Diagnostic("bad_literal", str(error), span, task_id=number)]
        except BadText as error:
            wrong = [Diagnostic(error.code, str(error), span, error.remedy, task_id=number)]
        calls[number] = for_transcript(call, written, self._used, number)
        self._calls.take_checked(f"f{number}", task, wrong)

    def _place(self, line: str) -> Span:
        start, self._size = self._size, self._size + len(line) + 1
        self._lines.append(line)
        return Span(start, start + len(line))

    # What it is told

    async def _go_on(self, reply: Reply, calls: dict[int | str, ToolCall]) -> bool:
        """Answer the calls of a message, or wait if it has none; return whether the model is asked again."""
        self._calls.release()
        await asyncio.sleep(0)  # what cannot run has its outcome by then
        if calls:
            answers = [await self._answer_to(id, call) for id, call in calls.items()]
            told = self._interrupts.take()
            self._say(Message("assistant", inert(reply.text.strip()), tuple(calls.values())), *answers, told)
            return True
        text, told = inert(reply.text.strip()), ""
        with self.spent.timed("waiting"):
            while not told and self._interrupts.may_come:
                await self._interrupts.wait(self._rules.trap)
                told = self._interrupts.take()
        if told:
            self.spent.traps += 1
        elif not text and not self._was_asked:
            self._was_asked = True
            self._interrupts.notice(_NO_ANSWER)
            told = self._interrupts.take()
        if told:
            self._say(Message("assistant", text or "(waiting)"), told)
        return bool(told)

    def _say(self, *said: Message | str) -> None:
        """Add messages to the prompt; a text is one of the runtime."""
        messages = [Message("user", each.strip()) if isinstance(each, str) else each for each in said if each]
        self._prompt = replace(self._prompt, messages=(*self._prompt.messages, *messages))
        self._phase = "injecting"
        told = "\n".join(each.text for each in messages if each.role != "assistant")
        self._run.journal.emit(TextInjected, told, self.spent.inject())

    async def _answer_to(self, id: int | str, call: ToolCall) -> Message:
        if isinstance(id, str):
            return Message("tool", await self._awaited(call), call_id=call.id)
        self._empty_awaits = 0
        result = self._interrupts.result(id)
        return Message("tool", result or f'{{"future": "f{id}", "status": "running"}}', call_id=call.id)

    async def _awaited(self, call: ToolCall) -> str:
        """Wait for the futures that a call names; return their results."""
        named = _NAMED.findall(call.arguments)
        pending = [id for id in self._calls.pending if self._calls.names.of(id) in named]
        self.spent.traps += 1
        if not pending:
            return self._awaits_nothing()
        self._empty_awaits = 0
        with self.spent.timed("waiting"):
            await self._interrupts.wait_for(pending)
        results = ((id, self._interrupts.result(id)) for id in pending)
        told = [f"f{id}: {result}" for id, result in results if result is not None] or ["a message has come first"]
        return "\n".join(
            told + [f"{name}: there is no such call so far" for name in named if name not in self._calls.names]
        )

    def _awaits_nothing(self) -> str:
        self._empty_awaits += 1
        if self._empty_awaits > EMPTY_AWAITS:
            raise NoProgress("the model waits again and again for what is not pending")
        pending = ", ".join(map(self._calls.names.of, self._calls.pending)) or "nothing"
        return f"none of these is pending, {pending} is: results that have come were told; go on, or answer"


def check_names(offering: Offering) -> None:
    """Raise `UsageError` if a tool has the name of the one that is offered beside them."""
    if any(spec.name == AWAIT for spec in offering.specs):
        raise UsageError(
            f"engine='futures' offers a tool {AWAIT!r} of its own; give your tool of that name another one"
        )
