"""ReWOO: plan everything, run it, solve: two requests and no look between them (arXiv 2305.18323). A baseline.

Faithful are the plan's format with its evidence variables, that nothing runs before the plan is whole, that nothing is
planned again, and the solver's request. The original's workers run one after another (`sequential=True`); by default what
does not wait for evidence runs at once, so that a comparison tells of planning and not of a loop. The original's `LLM[...]`
worker is a tool like any other here: there is one if the user gives one.
"""

from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace

from llmcompiler.errors import LimitReached, NotAPlan, StreamCut
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries
from llmcompiler.joiner import describe
from llmcompiler.journal.events import PlanClosed, PlanStarted, PlanText
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.models.provider import ModelLike, model_of
from llmcompiler.passes.reader import PlanReader
from llmcompiler.plan.evidence import EvidenceParser
from llmcompiler.plan.framing import inert
from llmcompiler.plan.printer import print_call
from llmcompiler.prompting import bundled_prompt, describe_tools, fill
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.planning import MAX_PLAN_CHARACTERS, further
from llmcompiler.strategies.rounds import Forwarding
from llmcompiler.strategies.run import Reply, Run
from llmcompiler.strategies.solving import solve
from llmcompiler.toolkit.registry import Registry

_NO_PLAN = "there is no call in the planner's text; a plan is lines like `#E1 = tool[input]`"


class ReWOO(Agent):
    """Answers questions by one plan, its calls, and a solver. Options and methods as of `LLMCompiler`.

    sequential: one call at a time, as the original's workers do. A step that cannot run is not repaired: the solver is told.
    """

    strategy = "rewoo"

    def __init__(
        self,
        model: ModelLike,
        tools: Registry | Iterable[object] = (),
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        limits: Limits | None = None,
        instructions: str = "",
        sequential: bool = False,
        deadlines: Deadlines | None = None,
        retries: ModelRetries | None = None,
        threads: int = 64,
        processes: int = 8,
    ) -> None:
        self.model = model_of(model, base_url=base_url, api_key=api_key)
        super().__init__(
            tools,
            (self.model,),
            limits=replace(limits or Limits(), parallel_tasks=1) if sequential else limits,
            deadlines=deadlines,
            retries=retries,
            threads=threads,
            processes=processes,
        )
        tools_text = describe_tools(self.registry) or "(none)"
        self._prompts = _Prompts(
            planner=fill(bundled_prompt("rewoo/planner"), tools=tools_text, instructions=instructions),
            solver=fill(bundled_prompt("rewoo/solver"), instructions=instructions),
        )

    def _start(self, run: Run) -> "_Work":
        return _Work(run, self.model, self._prompts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prompts:
    """The two system prompts, filled."""

    planner: str
    solver: str


class _Work:
    """One run of ReWOO."""

    def __init__(self, run: Run, model: Model, prompts: _Prompts) -> None:
        self._run, self._model, self._prompts = run, model, prompts

    async def answer(self) -> str:
        """Return the answer. Raises `NotAPlan`, `LimitReached`, `JoinError` or `ModelError`."""
        sink = Forwarding(self._run, whole=True)
        reader = await self._plan(sink)
        sink.closed(complete=reader.is_complete)
        sink.sealed()
        await self._run.driver.round_over()
        if reader.is_full:
            raise self._run.reached("tasks")
        return await self._solve("")

    async def best_answer(self, why: str) -> str:
        """Return the solver's answer from the evidence there is."""
        return await self._solve(f"\nThe work was stopped: {why}. Answer as well as this evidence allows.")

    async def _plan(self, sink: Forwarding) -> PlanReader:
        """Give the sink a whole plan; return its reader. Nothing of a plan that broke off is run."""
        user = Message("user", f"Question: {self._run.question}")
        prompt = Prompt((Message("system", self._prompts.planner), user), "planner")
        reader = await self._read(prompt, sink, is_second=False)
        if reader.is_empty:
            request = f"{_NO_PLAN}. Write the plan, and nothing else."
            reader = await self._read(further(prompt, reader.text, request), sink, is_second=True)
        if reader.is_empty:
            raise NotAPlan(f"{_NO_PLAN}. It said: {reader.text.strip()[:300]}", text=reader.text)
        sink.take(reader.finish())
        return reader

    async def _read(self, prompt: Prompt, sink: Forwarding, *, is_second: bool) -> PlanReader:
        run, reply = self._run, Reply()
        checks = run.workshop.registry.checks()
        reader = PlanReader(checks, limit=run.limits.tasks, parser=EvidenceParser(checks.specs))
        run.journal.emit(PlanStarted, "repair" if is_second else "plan")
        async with aclosing(run.stream(self._model, prompt, reply)) as chunks:
            async for text in chunks:
                run.journal.emit(PlanText, text)
                sink.take(reader.feed(text))
                if reader.is_full:
                    break
                if reader.size > MAX_PLAN_CHARACTERS:
                    raise LimitReached(f"the plan is longer than {MAX_PLAN_CHARACTERS} characters", limit="plan_text")
        if reply.was_cut:
            raise StreamCut("the plan hit the model's own cap on tokens", text=reply.text)
        sink.take(reader.close())
        counts = (reader.skipped, reader.ignored, reader.text)
        run.journal.emit(PlanClosed, reader.is_complete, reader.count, reader.errors, tuple(reader.notes), *counts)
        return reader

    async def _solve(self, note: str) -> str:
        """Return what the solver makes of the evidence."""
        user = f"Question: {self._run.question}\n\n{self._worklog()}{note}"
        return await solve(self._run, self._model, self._prompts.solver, user)

    def _worklog(self) -> str:
        """Return each step: its plan, its call and what came of it."""
        driver = self._run.driver
        lines = []
        for id, task in sorted(driver.tasks.items()):
            lines += [f"Plan: {inert(task.thought)}"] if task.thought else []
            lines += [f"#E{id} = {inert(print_call(task))}", describe(driver.outcomes[id])]
        return "\n".join(lines)
