"""Asking the planner for one plan: the stream, the end, one repair. What comes of it goes to a `PlanSink` as it is read."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from llmcompiler.errors import LimitReached, ModelError, NotAPlan, StreamCut
from llmcompiler.journal.events import PlanClosed, PlanStarted, PlanText
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.passes.echo import echo_notes
from llmcompiler.passes.parse import not_a_plan
from llmcompiler.passes.reader import PlanReader, Reading
from llmcompiler.plan.diagnostics import render
from llmcompiler.plan.framing import inert
from llmcompiler.prompting import fill
from llmcompiler.strategies.run import Reply, Run

MAX_PLAN_CHARACTERS = 400_000
END_OF_PLAN = "<END_OF_PLAN>"


class PlanSink(Protocol):
    """Takes a plan while it is being read."""

    def take(self, readings: Sequence[Reading]) -> None:
        """Take what was settled."""
        ...

    def closed(self, *, complete: bool) -> None:
        """The text has ended, `complete` if in a join."""
        ...

    def repairing(self) -> None:
        """The planner is asked to repair what is pending."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerPrompts:
    """The planner's template, filled, with the examples that are in it, and those of its follow-up requests."""

    system: str
    repair: str
    replan: str
    examples: tuple[tuple[str, str], ...] = ()


class Planner:
    """Makes the plans of one run. `cut` is why the latest plan broke off, if something outside its text was the reason."""

    def __init__(self, run: Run, model: Model, prompts: PlannerPrompts) -> None:
        self.cut: ModelError | LimitReached | None = None
        self._run, self._model, self._prompts = run, model, prompts

    async def plan(self, user: str, sink: PlanSink) -> PlanReader:
        """Ask for a plan and feed it to `sink`; return the reader, all of whose tasks are settled.

        Raises `NotAPlan` if nothing is readable even in a second text, and the `ModelError` or `LimitReached` that
        broke off a plan of which nothing had come.
        """
        prompt = Prompt((Message("system", self._prompts.system), Message("user", user)), "planner", (END_OF_PLAN,))
        reader = self._new_reader()
        await self._read(reader, prompt, sink)
        may_repair = not reader.is_empty  # there is one repair a plan, and a second try is one
        if reader.is_empty and self.cut is None:
            reader = await self._second_try(reader, prompt, sink)
        if reader.is_empty and self.cut is not None:
            raise self.cut
        sink.closed(complete=reader.is_complete and self.cut is None)
        if reader.repairable and may_repair and self.cut is None:
            sink.repairing()
            await self._repair(reader, prompt, sink)
        sink.take(reader.finish())
        return reader

    def _new_reader(self) -> PlanReader:
        driver = self._run.driver
        room = self._run.limits.tasks - len(driver.tasks)
        return PlanReader(self._run.workshop.registry.checks(), known=driver.outcomes, limit=room)

    async def _read(
        self, reader: PlanReader, prompt: Prompt, sink: PlanSink, purpose: Literal["plan", "repair"] = "plan"
    ) -> None:
        """Read a plan up to its join or its end. What the model says after the join is only counted, beside the run."""
        self.cut = None
        journal, reply = self._run.journal, Reply()
        journal.emit(PlanStarted, purpose)
        chunks = self._run.stream(self._model, prompt, reply)
        try:
            async for text in chunks:
                journal.emit(PlanText, text)
                sink.take(reader.feed(text))
                if reader.is_complete or reader.is_full:
                    break
                if reader.size > MAX_PLAN_CHARACTERS:
                    raise LimitReached(f"the plan is longer than {MAX_PLAN_CHARACTERS} characters", limit="plan_text")
        except (ModelError, LimitReached) as error:
            self.cut = error
        finally:
            if reader.is_complete and self.cut is None:
                self._run.in_background(_drain(chunks))
            else:
                await chunks.aclose()
        self._close(reader, sink)
        if reader.is_full:
            self.cut = self._run.reached("tasks")
        elif reply.was_cut and not reader.is_complete:
            self.cut = StreamCut("the plan hit the model's own cap on tokens", text=reply.text)

    async def _second_try(self, empty: PlanReader, prompt: Prompt, sink: PlanSink) -> PlanReader:
        complaint = f"{not_a_plan(empty.text)}\n\nWrite the plan, and nothing else."
        reader = self._new_reader()
        await self._read(reader, further(prompt, empty.text, complaint), sink, "repair")
        if reader.is_empty and self.cut is None:
            text = reader.text if reader.text.strip() else empty.text
            raise NotAPlan(not_a_plan(text), text=text)
        return reader

    async def _repair(self, reader: PlanReader, prompt: Prompt, sink: PlanSink) -> None:
        ids = sorted(reader.repairable)
        named = f"task{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))}"
        request = fill(self._prompts.repair, diagnostics=render(reader.errors, reader.text), ids=named)
        try:
            sink.take(reader.repair(await self._again(further(prompt, reader.text, request))))
        except ModelError:
            return  # what is still broken fails, and the joiner sees it
        except LimitReached as error:
            self.cut = error

    async def _again(self, prompt: Prompt) -> str:
        journal, reply = self._run.journal, Reply()
        journal.emit(PlanStarted, "repair")
        size = 0
        async with aclosing(self._run.stream(self._model, prompt, reply)) as chunks:
            async for text in chunks:
                journal.emit(PlanText, text)
                size += len(text)
                if size > MAX_PLAN_CHARACTERS:
                    break
        return reply.text

    def _close(self, reader: PlanReader, sink: PlanSink) -> None:
        sink.take(reader.close())
        reader.notes += echo_notes(reader.text, self._run.question, self._prompts.examples)
        self._run.journal.emit(
            PlanClosed,
            reader.is_complete,
            reader.count,
            reader.errors,
            tuple(reader.notes),
            reader.skipped,
            reader.ignored,
            reader.text,
        )


def further(prompt: Prompt, said: str, request: str) -> Prompt:
    """Return the prompt with the model's reply to it and a further request, which may repeat parts of the reply."""
    turn = (Message("assistant", inert(said.strip()) or "(nothing)"), Message("user", inert(request)))
    return replace(prompt, messages=prompt.messages + turn)


async def _drain(chunks: AsyncGenerator[str, None]) -> None:
    """Read on to the end of the reply, for its usage; stop it if the model does not."""
    ignored = 0
    async with aclosing(chunks):
        async for text in chunks:
            ignored += len(text)
            if ignored > MAX_PLAN_CHARACTERS:
                return
