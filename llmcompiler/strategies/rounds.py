"""The compiler's way of answering: plan, execute while planning, join, replan (arXiv 2312.04511, figure 2)."""

import itertools
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from llmcompiler.errors import JoinError, LimitReached, LLMCompilerError, ModelError, NoProgress, NotAPlan, PlanError
from llmcompiler.joiner import AnswerReader, Decision, Finish, observations, read_decision
from llmcompiler.journal.events import AnswerText, JoinDecided, Replanned, TaskRejected
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.passes.reader import Accepted, Pending, Reading, Rejected
from llmcompiler.plan.framing import framed, inert
from llmcompiler.plan.outcomes import ErrorRecord
from llmcompiler.plan.tasks import Task
from llmcompiler.prompting import fill
from llmcompiler.scheduling.messages import PlanClosed, PlanOpened, PlanSealed, RepairStarted, TaskRefused
from llmcompiler.strategies.planning import Planner
from llmcompiler.strategies.progress import Progress
from llmcompiler.strategies.run import Reply, Run

MAX_REPLY_CHARACTERS = 400_000
MAX_REASON = 4_000
END_OF_RESPONSE = "<END_OF_RESPONSE>"
MAY_REPLAN = """If further calls could get what the results lack, reply instead:
Action: Replan(what is missing)"""
LAST_ROUND = "No further plan is possible: answer as well as these results allow, and say what is missing."


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinerPrompts:
    """The joiner's two system prompts, filled, and the template of a replan request."""

    may_replan: str
    last_round: str
    replan: str


class Forwarding:
    """A `PlanSink` that hands each task to the driver as soon as it is read, or, if `whole`, once the plan is whole."""

    def __init__(self, run: Run, *, whole: bool) -> None:
        self.ids: list[int] = []  # of this round
        self.accepted: dict[int, Task] = {}
        self.has_rejected = False
        self._driver, self._journal = run.driver, run.journal
        self._kept: list[Reading] | None = [] if whole else None
        self._complete = True

    def take(self, readings: Sequence[Reading]) -> None:
        """Take what was settled."""
        self.accepted |= {reading.task.id: reading.task for reading in readings if isinstance(reading, Accepted)}
        self.has_rejected |= any(isinstance(reading, Rejected) for reading in readings)
        if self._kept is not None:
            self._kept += readings
            return
        for reading in readings:
            self._forward(reading)

    def closed(self, *, complete: bool) -> None:
        """The text has ended."""
        self._complete = complete
        if self._kept is None:
            self._driver.post(PlanClosed(complete))

    def repairing(self) -> None:
        """The planner is asked for a repair."""
        if self._kept is None:
            self._driver.post(RepairStarted())

    def sealed(self) -> None:
        """Nothing more will come: what was held may go."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            for reading in kept:
                self._forward(reading)
            self._driver.post(PlanClosed(self._complete))
        self._driver.post(PlanSealed())

    def _forward(self, reading: Reading) -> None:
        match reading:
            case Accepted(task):
                self._driver.add(task)
                self._remember(task.id)
            case Pending(id, tool, diagnostics):
                self._driver.announce(Task(id, tool))
                self._remember(id)
                if diagnostics:
                    self._journal.emit(TaskRejected, id, tool, diagnostics, False)
            case Rejected(id, tool, diagnostics):
                self._journal.emit(TaskRejected, id, tool, diagnostics, True)
                said = "; ".join(f"{d.message} ({d.remedy})" if d.remedy else d.message for d in diagnostics)
                self._driver.post(TaskRefused(id, ErrorRecord("plan", "InvalidTask", said)))

    def _remember(self, id: int) -> None:
        if id not in self.ids:
            self.ids.append(id)


class Rounds:
    """One run of the compiler."""

    def __init__(self, run: Run, planner: Planner, joiner: Model, prompts: JoinerPrompts, *, stream: bool) -> None:
        self._run, self._planner, self._joiner, self._prompts = run, planner, joiner, prompts
        self._stream = stream
        self._progress = Progress(run.driver, run.workshop.registry)
        self._broken: LLMCompilerError | None = None  # why the latest plan has no proper end, if it has none

    async def answer(self) -> str:
        """Return the answer. Raises `LimitReached`, `NoProgress`, a `PlanError`, `JoinError` or `ModelError`."""
        user = f"Question: {self._run.question}"
        for number in itertools.count(1):
            await self._round(user)
            is_last = number > self._run.limits.replans
            decision = await self.join(is_last=is_last)
            if isinstance(decision, Finish):
                return decision.answer
            if is_last:
                self._run.stopped_by = self._run.stopped_by or "replans"
                raise _no_answer(decision.reason)
            user = self._next_round(decision.reason)
        raise AssertionError("unreachable")

    async def best_answer(self, why: str) -> str:
        """Return the joiner's best answer from what there is, after the run was stopped."""
        decision = await self.join(is_last=True, note=f"The work was stopped: {why}.")
        if isinstance(decision, Finish):
            return decision.answer
        raise _no_answer(decision.reason)

    async def _round(self, user: str) -> None:
        """Plan and execute. Raises the error of a plan that broke off, unless there are results to join."""
        run, driver = self._run, self._run.driver
        sink = Forwarding(run, whole=not self._stream)
        self._broken = await self._plan(user, sink)
        if self._broken is None and self._progress.is_repeated(sink.accepted, has_rejected=sink.has_rejected):
            raise NoProgress("the planner wrote a plan of which every call was made before")
        sink.sealed()
        await driver.round_over()
        is_new = self._progress.end_round(sink.ids)
        if self._broken is None and not is_new:
            raise NoProgress("the plan repeats calls that were made before and had the same kind of outcome")
        if self._broken is not None:
            if isinstance(self._broken, LimitReached) or not run.has_results:
                raise self._broken
            run.stopped_by = "cut"

    async def _plan(self, user: str, sink: Forwarding) -> LLMCompilerError | None:
        """Feed the sink a plan; return why it has no proper end, if it has none."""
        try:
            reader = await self._planner.plan(user, sink)
        except (ModelError, LimitReached, NotAPlan) as error:
            return error
        if self._planner.cut is None and not reader.is_complete:
            return PlanError("the plan ends without a join", text=reader.text)
        return self._planner.cut

    def _next_round(self, reason: str) -> str:
        journal, driver = self._run.journal, self._run.driver
        journal.emit(Replanned, reason)
        journal.round += 1
        self._run.stopped_by = None  # a plan that was cut kept nothing from its end
        driver.post(PlanOpened())
        first = max(driver.tasks, default=0) + 1
        seen = self._observations()
        return fill(
            self._prompts.replan,
            question=self._run.question,
            observations=seen,
            reason=framed(reason, MAX_REASON),  # written by one who has read results
            first_id=str(first),
        )

    def _observations(self) -> str:
        driver = self._run.driver
        pairs = [(driver.tasks[id], driver.outcomes[id]) for id in sorted(driver.outcomes)]
        return observations(pairs) or "(no tool was called)"

    # The joiner

    async def join(self, *, is_last: bool, note: str = "") -> Decision:
        """Return the joiner's decision; a reply that cannot be read is asked for once more, then raises `JoinError`."""
        if self._broken is not None:
            why = framed(str(self._broken), MAX_REASON)
            told = f"The plan broke off before its end ({why}); what was not started is not here."
            note = f"{note} {told}".strip()
        user = f"Question: {self._run.question}\n\nResults:\n{self._observations()}"
        system = self._prompts.last_round if is_last else self._prompts.may_replan
        prompt = Prompt(
            (Message("system", system), Message("user", f"{user}\n\n{note}" if note else user)),
            "joiner",
            (END_OF_RESPONSE,),
        )
        decision = await self._decide(prompt, is_last=is_last)
        self._run.journal.emit(JoinDecided, decision)
        return decision

    async def _decide(self, prompt: Prompt, *, is_last: bool) -> Decision:
        reply = await self._reply(prompt)
        try:
            decision = read_decision(reply.text, was_cut=reply.was_cut)
            if isinstance(decision, Finish) or not is_last:
                return decision
            self._run.stopped_by = self._run.stopped_by or "replans"
            complaint = f"{LAST_ROUND} Reply with Action: Finish(answer)."
        except JoinError as error:
            complaint = f"{inert(str(error))}. Reply again: a line `Thought: ...`, then `Action: Finish(answer)`"
            complaint += "." if is_last else " or `Action: Replan(reason)`."
        turn = (Message("assistant", inert(reply.text.strip()) or "(nothing)"), Message("user", complaint))
        reply = await self._reply(replace(prompt, messages=prompt.messages + turn))
        return read_decision(reply.text, was_cut=reply.was_cut, lenient=True)

    async def _reply(self, prompt: Prompt) -> Reply:
        reply, answer, size = Reply(), AnswerReader(), 0
        async with aclosing(self._run.stream(self._joiner, prompt, reply)) as chunks:
            async for text in chunks:
                piece = answer.feed(text)
                if piece:
                    self._run.journal.emit(AnswerText, piece)
                size += len(text)
                if size > MAX_REPLY_CHARACTERS:
                    reply.finish = "length"
                    break
        return reply


def _no_answer(reason: str) -> JoinError:
    return JoinError(f"the joiner asks for another plan, but none is possible: {reason}", text=reason)
