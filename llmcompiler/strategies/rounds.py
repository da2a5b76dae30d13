"""The compiler's way of answering: plan, execute while planning, join, replan (arXiv 2312.04511, figure 2)."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from llmcompiler.errors import JoinError, LimitReached, NoProgress
from llmcompiler.execution.driver import Driver
from llmcompiler.joiner import AnswerReader, Decision, Finish, observations, read_decision
from llmcompiler.journal.events import AnswerText, JoinDecided, Replanned, TaskRejected
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.passes.reader import Accepted, Pending, Reading, Rejected
from llmcompiler.plan.outcomes import ErrorRecord
from llmcompiler.plan.printer import print_call
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref, map_refs
from llmcompiler.scheduling.messages import PlanClosed, PlanOpened, PlanSealed, RepairStarted, TaskRefused
from llmcompiler.strategies.planning import Planner
from llmcompiler.strategies.prompting import fill
from llmcompiler.strategies.run import Reply, Run

END_OF_RESPONSE = "<END_OF_RESPONSE>"
MAY_REPLAN = """If the results are not enough, and another plan could get what is missing, reply instead:
Thought: what is missing
Action: Replan(what is missing, for the one who plans)"""
LAST_ROUND = "No further plan is possible: answer as well as these results allow, and say what is missing."


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinerPrompts:
    """The joiner's template, with its slot `replan_rule` open, and the template of a replan request."""

    system: str
    replan: str


class Forwarding:
    """A `PlanSink` that hands each task to the driver as soon as it is read, or, if `whole`, once the plan is whole."""

    def __init__(self, run: Run, *, whole: bool) -> None:
        self.ids: list[int] = []  # of this round
        self._driver, self._journal = run.driver, run.journal
        self._kept: list[Reading] | None = [] if whole else None
        self._complete = True

    def take(self, readings: Sequence[Reading]) -> None:
        """Take what was settled."""
        if self._kept is not None:
            self._kept += readings
            return
        for reading in readings:
            self._forward(reading)

    def closed(self, *, complete: bool) -> None:
        """The text has ended."""
        self._complete = complete
        self._driver.post(PlanClosed(complete)) if self._kept is None else None

    def repairing(self) -> None:
        """The planner is asked for a repair."""
        self._driver.post(RepairStarted()) if self._kept is None else None

    def sealed(self) -> None:
        """Nothing more will come: what was held may go."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self.take(kept)
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
        self._calls_seen: set[tuple[str, str]] = set()
        self._plans_seen: set[tuple[str, ...]] = set()

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
                raise LimitReached(f"the run may replan {self._run.limits.replans} times", limit="replans")
            user = self._next_round(decision.reason)
        raise AssertionError("unreachable")

    async def best_answer(self, why: str) -> str:
        """Return the joiner's best answer from what there is, after the run was stopped."""
        decision = await self.join(is_last=True, note=f"The work was stopped: {why}.")
        if isinstance(decision, Finish):
            return decision.answer
        raise JoinError("the joiner asks for another plan, but none is possible", text=decision.reason)

    async def _round(self, user: str) -> None:
        run, driver = self._run, self._run.driver
        sink = Forwarding(run, whole=not self._stream)
        await self._planner.plan(user, sink)
        self._refuse_same_plan([driver.tasks[id] for id in sink.ids])
        sink.sealed()
        await driver.round_over()
        cut = self._planner.cut
        if cut is not None:
            if isinstance(cut, LimitReached) or not run.has_results:
                raise cut
            run.stopped_by = "cut"
        self._refuse_same_calls(driver, sink.ids)

    def _refuse_same_plan(self, tasks: Sequence[Task]) -> None:
        """A plan that was executed already would repeat its effects: stop before what is held begins."""
        shape = _shape(tasks)
        if shape in self._plans_seen:
            raise NoProgress("the planner wrote the same plan again")
        self._plans_seen.add(shape)

    def _refuse_same_calls(self, driver: Driver, ids: Iterable[int]) -> None:
        calls = {
            (driver.calls.get(id) or print_call(driver.tasks[id]), type(driver.outcomes[id]).__name__) for id in ids
        }
        if self._calls_seen and calls <= self._calls_seen:
            raise NoProgress("the plan repeats calls that were made before and had the same kind of outcome")
        self._calls_seen |= calls

    def _next_round(self, reason: str) -> str:
        journal, driver = self._run.journal, self._run.driver
        journal.emit(Replanned, reason)
        journal.round += 1
        driver.post(PlanOpened())
        first = max(driver.tasks, default=0) + 1
        seen = self._observations()
        return fill(
            self._prompts.replan, question=self._run.question, observations=seen, reason=reason, first_id=str(first)
        )

    def _observations(self) -> str:
        driver = self._run.driver
        pairs = [(driver.tasks[id], driver.outcomes[id]) for id in sorted(driver.outcomes)]
        return observations(pairs) or "(no tool was called)"

    # The joiner

    async def join(self, *, is_last: bool, note: str = "") -> Decision:
        """Return the joiner's decision; a reply that cannot be read is asked for once more, then raises `JoinError`."""
        cut = self._planner.cut
        if cut is not None:
            note = f"{note} The plan broke off before its end ({cut}); what was not started is not here.".strip()
        user = f"Question: {self._run.question}\n\nResults:\n{self._observations()}"
        system = fill(self._prompts.system, replan_rule=LAST_ROUND if is_last else MAY_REPLAN)
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
            complaint = f"{error}. Reply again: a line `Thought: ...`, then `Action: Finish(answer)`"
            complaint += "." if is_last else " or `Action: Replan(reason)`."
        turn = (Message("assistant", reply.text.strip() or "(nothing)"), Message("user", complaint))
        reply = await self._reply(replace(prompt, messages=prompt.messages + turn))
        return read_decision(reply.text, was_cut=reply.was_cut)

    async def _reply(self, prompt: Prompt) -> Reply:
        reply, answer = Reply(), AnswerReader()
        async for text in self._run.stream(self._joiner, prompt, reply):
            piece = answer.feed(text)
            if piece:
                self._run.journal.emit(AnswerText, piece)
        return reply


def _shape(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Return the plan with its own ids renumbered from 1, so that equal plans of different rounds are equal."""
    place = {task.id: number for number, task in enumerate(tasks, 1)}

    def renumber(ref: Ref) -> Ref:
        return replace(ref, id=-place[ref.id] if ref.id in place else ref.id)

    return tuple(
        print_call(replace(task, kwargs={name: map_refs(value, renumber) for name, value in task.kwargs.items()}))
        for task in tasks
    )
