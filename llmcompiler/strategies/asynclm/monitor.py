"""Monitor: one run of AsyncLM. It reads what the model writes, and decides when something is put in.

What the paper leaves open (arXiv 2412.07017), and what is done here:

| case | here |
|---|---|
| a trap | ends with the next interrupt (`any`), or when nothing is pending any more (`all`); a message ends it always |
| a trap with nothing pending | the model is told so; the third with mere text in between ends it (`NoProgress`) |
| a call refused for the same reason again, or a read whose result was told | told; the third in a row ends it |
| how long a trap may take | as long as its calls, each of which has its timeout, and the run (`Limits.seconds`) |
| the end of the text with calls pending | as a trap: what comes is put in, and the model goes on |
| the end of the text without any answer | the model is asked for one once, then `JoinError` |
| a marked answer, then results and text without one | the model is asked once; without another, the marked one holds |
| an interrupt that comes after the end | refused to its sender (`SessionEnded`); results cannot come after it |
| an id that is taken, or no name | the same call again is nothing; another one is told, not made, and counts as a task |
| an id whose call was refused | may be used again, for the correction |
| an id that no call has, in a ref | an error of the call, with the nearest names |
| a call without an id | its success is silent, its failure is an interrupt; the run waits for it |
| a call that is wrong, fails, is too late or is skipped | the reason is its value |
| a long value | cut, with its size, as the joiner sees it; refs hand on the whole |
| writes | begin at the next trap or end of the text, or at once (`hold_writes`); dropped if the text breaks off |
| a message from outside | whole, and told again where a best answer is asked for, whatever stopped the run |
| several interrupts | go in together, in the order in which calls ended; messages first, notices last |
| where they go in | outside of calls and thoughts; where each costs a request, after a line or a call only |
| an interrupt that the model makes up | taken back, counted, and the model is told; the ninth ends the run (`NoProgress`) |
| who else may interrupt | whoever holds the session; `@sender` is an id that no call can have |
| cancelling a call | not in the grammar; the run's end cancels everything |
| the text breaks off (the server, the model's token cap) | what runs may end, then the best answer is asked for |
"""

import asyncio
from functools import partial

from llmcompiler.errors import ModelError, NoProgress
from llmcompiler.journal.events import PlanStarted, PlanText, TextInjected
from llmcompiler.models.model import Prompt
from llmcompiler.plan.diagnostics import Span
from llmcompiler.strategies.asynclm.calls import Calls
from llmcompiler.strategies.asynclm.cml import (
    CallBroken,
    CallRead,
    CMLReader,
    InterruptRefused,
    Item,
    TextRead,
    TrapRead,
    interrupt,
)
from llmcompiler.strategies.asynclm.ending import CUT, Ending
from llmcompiler.strategies.asynclm.engine import Engine, Generation
from llmcompiler.strategies.asynclm.interrupts import Inbox, Interrupts
from llmcompiler.strategies.asynclm.rules import Phase, Rules, Spent
from llmcompiler.strategies.asynclm.transcript import Transcript
from llmcompiler.strategies.rounds import MAX_REPLY_CHARACTERS
from llmcompiler.strategies.run import Run

EMPTY_TRAPS = 2  # with nothing but text in between, after which the next one ends the run
MADE_UP = 8  # interrupts, after which the next one does: what is taken back counts for no other limit
_NOTHING_PENDING = "nothing is pending: go on, or end with a line that begins with `Answer:`"
_ALL_ENDED = "the calls without an id have ended well"
_MADE_UP = "interrupts are written for you, never by you; what you wrote was taken back"
_NO_ANSWER = "the answer is missing: end with a line that begins with `Answer:`"


class Monitor:
    """How AsyncLM answers one question. `spent` is up to date while it goes on."""

    def __init__(self, run: Run, engine: Engine, prompt: Prompt, rules: Rules, inbox: Inbox) -> None:
        self.spent = Spent()
        self._run, self._engine, self._prompt, self._rules, self._inbox = run, engine, prompt, rules, inbox
        self._reader = CMLReader(rules.delimiters)
        self._transcript = Transcript()
        marks = rules.delimiters
        self._calls = Calls(run, hold_writes=rules.hold_writes, end=(marks.end, marks.escaped(marks.end)))
        self._interrupts = Interrupts(run, self._calls, inbox, partial(interrupt, marks))
        self._ending = Ending(run, self._calls, inbox)
        self._generation: Generation
        self._phase: Phase = "starting"  # what the next read is counted as
        self._empty_traps = 0
        self._was_asked = False  # for the answer
        self._is_cut = False

    async def answer(self) -> str:
        """Return the answer. Raises `LimitReached`, `NoProgress`, `JoinError` or a `ModelError`."""
        self._run.journal.emit(PlanStarted, "plan")
        self._generation = self._engine.begin(self._prompt, self._run, self._rules.delimiters)
        self.spent.counts = self._generation.counts
        broken: ModelError | None = None
        try:
            if self._interrupts.are_waiting:
                self._inject(self._interrupts.take())
            while await self._step():
                pass
        except ModelError as error:
            broken = error
        finally:
            self._inbox.close()
            await self._generation.stop()
        is_whole = broken is None and not self._is_cut
        await self._ending.close(self._transcript.text, self._transcript.plain, complete=is_whole)
        if self._ending.is_enough(broken, is_cut=self._is_cut):
            return self._ending.finish(self._transcript.answer)
        return await self.best_answer(str(broken or CUT))

    async def best_answer(self, why: str) -> str:
        """Return the model's answer from the results there are."""
        prompt = self._ending.prompt(self._prompt, why)
        reader, transcript = CMLReader(self._rules.delimiters), Transcript()
        generation = self._engine.begin(prompt, self._run, self._rules.delimiters)
        try:
            while (piece := await generation.read()) is not None and reader.size <= MAX_REPLY_CHARACTERS:
                _note(transcript, reader.feed(piece))
            _note(transcript, reader.close())
        finally:
            await generation.stop()
        return self._ending.finish(transcript.answer)

    # Reading

    async def _step(self) -> bool:
        """Read a piece, and do what it asks for; return whether the text goes on."""
        with self.spent.timed(self._phase):
            piece = await self._generation.read()
        if piece is None:
            return await self._end_of_text()
        self._phase = "generating"
        self._run.journal.emit(PlanText, piece)
        self._transcript.sampled(piece)
        await self._take(piece)
        self._is_cut = self._is_cut or self._reader.size > MAX_REPLY_CHARACTERS
        return not self._is_cut

    async def _take(self, piece: str) -> None:
        for item in self._reader.feed(piece):
            match item:
                case TextRead(text):
                    self._transcript.say(text)
                case CallRead() | CallBroken():
                    self._call(item)
                    await asyncio.sleep(0)  # an engine may have its text at once, and calls are to begin meanwhile
                case TrapRead(end):
                    return await self._trapped(self._reader.size - end)
                case InterruptRefused(start):
                    self._made_up()
                    self._interrupts.notice(_MADE_UP)
                    return self._inject(self._interrupts.take(), drop=self._reader.size - start)
        if self._interrupts.are_waiting and self._is_safe:
            self._inject(self._interrupts.take())
        return None

    def _made_up(self) -> None:
        self.spent.refused += 1
        if self.spent.refused > MADE_UP:
            raise NoProgress("the model makes up interrupts again and again, though it was told not to")

    @property
    def _is_safe(self) -> bool:
        if self._engine.safe_points == "line":
            return self._reader.is_at_border
        return not self._reader.is_critical

    def _call(self, item: CallRead | CallBroken) -> None:
        self._transcript.border()
        before, shift = self._calls.count, self._transcript.injected
        span = Span(item.start + shift, item.end + shift)
        if isinstance(item, CallRead):
            complaint = self._calls.take(item.id, item.body, span)
        else:
            complaint = self._calls.refuse(item.id, item.why, span)
        if self._calls.count > before:
            self._empty_traps = 0
        if complaint is not None:
            self._interrupts.notice(complaint)

    # Waiting, and putting in

    async def _trapped(self, drop: int) -> None:
        """Put in what the model waits for; `drop` characters came in one piece with its trap."""
        self.spent.traps += 1
        self._transcript.border()
        self._calls.release()
        if self._interrupts.may_come:
            self._empty_traps = 0
        else:
            self._empty_traps += 1
            if self._empty_traps > EMPTY_TRAPS:
                raise NoProgress("the model waits again and again, though nothing is pending")
            self._interrupts.notice(_NOTHING_PENDING)
        blocks = await self._wait()
        if not blocks:
            self._interrupts.notice(_ALL_ENDED)
            blocks = self._interrupts.take()
        self._inject(blocks, drop=drop)

    async def _end_of_text(self) -> bool:
        """Put in what is pending at the end of the text; return whether the text goes on."""
        for item in self._reader.close():
            if isinstance(item, TextRead):
                self._transcript.say(item.text)
            elif isinstance(item, CallBroken) and self._generation.finish != "length":
                self._call(item)
        self._transcript.border()
        if self._generation.finish == "length":
            self._is_cut = True
            return False
        self._calls.release()
        blocks = await self._wait() if self._interrupts.may_come else ""
        is_missing = not self._transcript.answer or self._transcript.is_overtaken
        if not blocks and is_missing and not self._was_asked:
            self._was_asked = True
            self._interrupts.notice(_NO_ANSWER)
            blocks = self._interrupts.take()
        if not blocks:
            self._inbox.close()
            return False
        self._inject(blocks)
        return True

    async def _wait(self) -> str:
        """Return what is to be put in, once there is something, or an empty text once nothing can come."""
        blocks = ""
        with self.spent.timed("waiting"):
            await self._generation.pause(self._calls.expected(last=self._rules.trap == "all"))
            while not blocks and self._interrupts.may_come:
                await self._interrupts.wait(self._rules.trap)
                blocks = self._interrupts.take()
        return blocks

    def _inject(self, blocks: str, *, drop: int = 0) -> None:
        if not blocks:
            return  # only calls without an id have ended
        if drop:
            self._reader.take_back(drop)
            self._transcript.take_back(drop)
        text = blocks if self._transcript.ends_line else f"\n{blocks}"
        self._transcript.inject(text)
        self._generation.inject(text, drop=drop)
        self._phase = "injecting"
        self._run.journal.emit(TextInjected, text, self.spent.inject())


def _note(transcript: Transcript, items: list[Item]) -> None:
    """Note the plain text among the items; what stands for anything else parts it."""
    for item in items:
        if isinstance(item, TextRead):
            transcript.say(item.text)
        else:
            transcript.border()
