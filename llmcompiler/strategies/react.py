"""ReAct: thought, action, observation, one tool call at a time (arXiv 2210.03629). The baseline of every comparison.

It speaks the plan language's argument syntax and runs its calls through the same driver, so that only the order of work
differs from the compiler's.
"""

import re
from collections.abc import Iterable

from llmcompiler.errors import JoinError, LimitReached
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries
from llmcompiler.joiner import AnswerReader, Finish, describe, read_decision
from llmcompiler.journal.events import AnswerText, JoinDecided, PlanClosed, PlanStarted, PlanText, TaskRejected
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.models.provider import ModelLike, model_of
from llmcompiler.passes.reader import Accepted, Pending, PlanReader
from llmcompiler.plan.diagnostics import render
from llmcompiler.plan.framing import inert
from llmcompiler.plan.tasks import Task
from llmcompiler.prompting import bundled_prompt, describe_tools, fill
from llmcompiler.scheduling import messages
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.run import Reply, Run
from llmcompiler.toolkit.registry import Registry

_ACTION = re.compile(r"^[\s*_>-]*Action[\s*_]*:[\s*_]*(.+)\Z", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_FINAL = re.compile(r"[\s*_`]*(?:Finish|Replan)\b", re.IGNORECASE)
_STOP = "\nObservation:"


class ReAct(Agent):
    """Answers questions by one tool call after another. Options and methods as of `LLMCompiler`."""

    strategy = "react"

    def __init__(
        self,
        model: ModelLike,
        tools: Registry | Iterable[object] = (),
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        limits: Limits | None = None,
        instructions: str = "",
        deadlines: Deadlines | None = None,
        retries: ModelRetries | None = None,
        threads: int = 64,
        processes: int = 8,
    ) -> None:
        self.model = model_of(model, base_url=base_url, api_key=api_key)
        super().__init__(
            tools,
            (self.model,),
            limits=limits,
            deadlines=deadlines,
            retries=retries,
            threads=threads,
            processes=processes,
        )
        template, rules = bundled_prompt("react/agent"), "\n".join(filter(None, (self._rules(), instructions)))
        self._system = fill(template, tools=describe_tools(self.registry) or "(none)", instructions=rules)

    def _rules(self) -> str:
        """Return what this variant is told before the user's own instructions."""
        return ""

    def _start(self, run: Run) -> "_Loop":
        return _Loop(run, self.model, self._system)


class CarefulReAct(ReAct):
    """ReAct prompted against repeated calls and early stops: the ReAct-dagger of the LLMCompiler paper's tables.

    Only its prompt differs. (An identical read is served from the first one by every strategy.)
    """

    strategy = "react_careful"

    def _rules(self) -> str:
        return bundled_prompt("react/careful").strip()


class _Loop:
    """One run of ReAct: the transcript grows by thought, action and observation."""

    def __init__(self, run: Run, model: Model, system: str) -> None:
        self._run, self._model, self._system = run, model, system
        self._transcript = ""
        self._refusals = 0  # actions that could not be read

    async def answer(self) -> str:
        """Return the answer. Raises `LimitReached` or `ModelError`."""
        while True:
            self._run.journal.emit(PlanStarted, "plan")
            text = await self._reply("")
            done = await self._act(text)
            if isinstance(done, Finish):
                self._run.journal.emit(JoinDecided, done)
                return done.answer
            self._transcript += f"{inert(text)}\nObservation: {inert(done)}\n"

    async def best_answer(self, why: str) -> str:
        """Return the model's answer from what it has seen."""
        note = f"The work was stopped: {why}. No further action is possible: reply with Action: Finish(answer)."
        decision = read_decision(await self._reply(note))
        self._run.journal.emit(JoinDecided, decision)
        if isinstance(decision, Finish):
            return decision.answer
        raise JoinError("no answer", text=decision.reason)

    async def _reply(self, note: str) -> str:
        user = f"Question: {self._run.question}\n{self._transcript}{note}"
        prompt = Prompt((Message("system", self._system), Message("user", user)), "agent", (_STOP,))
        reply, answer = Reply(), AnswerReader()
        async for text in self._run.stream(self._model, prompt, reply):
            self._run.journal.emit(PlanText, text)
            piece = answer.feed(text)
            if piece:
                self._run.journal.emit(AnswerText, piece)
        return reply.text.strip()

    async def _act(self, text: str) -> Finish | str:
        """Return the answer in a reply, or what the model is to see of its first action."""
        first = _ACTION.search(text)
        if first is None or _FINAL.match(first[1]):
            try:
                decision = read_decision(text)
            except JoinError as error:
                if first is not None:
                    return self._refused(str(error))
            else:
                if isinstance(decision, Finish):
                    return decision
                return self._refused("there is no Replan here: call a tool, or Finish(answer)")
        return await self._call(first[1].strip() if first else text)

    def _refused(self, complaint: str) -> str:
        self._refusals += 1
        if self._refusals > self._run.limits.tasks:
            raise LimitReached("too many actions that could not be read", limit="tasks")
        return complaint

    async def _call(self, action: str) -> str:
        """Run the call in an action; return what the model is to see of it."""
        driver, journal = self._run.driver, self._run.journal
        id = max(driver.tasks, default=0) + 1
        reader = PlanReader(self._run.workshop.registry.checks(), known=driver.outcomes)
        readings = [*reader.feed(f"{id}. {action}\n{id + 1}. join()"), *reader.close()]
        tasks = [reading.task for reading in readings if isinstance(reading, Accepted)]
        if len(tasks) == 1:
            return await self._execute(tasks[0], reader)
        for reading in readings:
            if isinstance(reading, Pending) and reading.diagnostics:
                journal.emit(TaskRejected, reading.id, reading.tool, reading.diagnostics, False)
        self._close(reader, complete=False)
        complaint = render(reader.errors, reader.text) or "no action could be read; write Action: tool(arguments)"
        return self._refused(complaint)

    async def _execute(self, task: Task, reader: PlanReader) -> str:
        driver = self._run.driver
        if len(driver.tasks) >= self._run.limits.tasks:
            raise self._run.reached("tasks")
        if driver.outcomes:
            driver.post(messages.PlanOpened())
        driver.add(task)
        self._close(reader, complete=True)
        driver.post(messages.PlanClosed(complete=True))
        driver.post(messages.PlanSealed())
        await driver.round_over()
        self._run.journal.round += 1
        return describe(driver.outcomes[task.id]).removeprefix("   -> ")

    def _close(self, reader: PlanReader, *, complete: bool) -> None:
        counts = (reader.skipped, reader.ignored, reader.text)
        self._run.journal.emit(PlanClosed, complete, reader.count, reader.errors, tuple(reader.notes), *counts)
