"""Parallel calls: native tool calls in a loop, as most agents work today, but each starts while the model still writes.

A call starts when its arguments are closed in the stream, unless it has effects: then when the message is whole. With
`early=False` all calls start when the message is whole, which is the loop that people have.
"""

from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Literal

from llmcompiler.errors import JoinError, LimitReached, ModelError
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries
from llmcompiler.joiner import Finish
from llmcompiler.journal.events import AnswerText, JoinDecided, PlanStarted
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.models.provider import ModelLike, model_of
from llmcompiler.prompting import bundled_prompt, fill
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.offering import Offering
from llmcompiler.strategies.planning import further
from llmcompiler.strategies.run import Reply, Run
from llmcompiler.strategies.turns import Turn
from llmcompiler.toolkit.registry import Registry

_EMPTY = "Your reply was empty. Call a tool, or answer the question."


class ParallelCalls(Agent):
    """Answers questions by native tool calls, several at once. Options and methods as of `LLMCompiler`.

    early: False starts no call before the message is whole. The model must be able to call tools natively; one that is not
    answers from what it knows.
    """

    strategy = "parallel_calls"

    def __init__(
        self,
        model: ModelLike,
        tools: Registry | Iterable[object] = (),
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        limits: Limits | None = None,
        instructions: str = "",
        early: bool = True,
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
        self._early = early
        self._offering = Offering(self.registry.specs.values())
        self._system = fill(bundled_prompt("parallel_calls/agent"), instructions=instructions)

    def _start(self, run: Run) -> "_Loop":
        messages = (Message("system", self._system), Message("user", run.question))
        prompt = Prompt(messages, "agent", tools=self._offering.specs)
        return _Loop(run, self.model, prompt, self._offering, early=self._early)


class _Loop:
    """One run: the prompt grows by a message of the model and the results of its calls."""

    def __init__(self, run: Run, model: Model, prompt: Prompt, offering: Offering, *, early: bool) -> None:
        self._run, self._model, self._prompt = run, model, prompt
        self._offering, self._early = offering, early
        self._used: set[str] = set()  # ids of calls
        self._turn: Turn | None = None  # the one that is under way

    async def answer(self) -> str:
        """Return the answer. Raises `LimitReached`, `JoinError` or `ModelError`."""
        has_broken = False
        while True:
            turn = await self._ask(self._prompt, "plan")
            if not turn.calls and not turn.text:
                turn = await self._ask(further(self._prompt, "", _EMPTY), "repair")
            if not turn.calls:
                return self._finish(turn.reply)
            await self._run.driver.round_over()
            self._take_over()
            if turn.broken is not None and (has_broken or isinstance(turn.broken, LimitReached)):
                raise turn.broken
            has_broken = (
                turn.broken is not None
            )  # one stream may break off: its calls have run, so it is not asked again
            self._run.journal.round += 1

    async def best_answer(self, why: str) -> str:
        """Return the model's answer from the results there are."""
        self._take_over()
        note = f"The work was stopped: {why}. No further call is possible: answer as well as these results allow."
        prompt = replace(self._prompt, messages=(*self._prompt.messages, Message("user", note)))
        return self._finish(await self._run.ask(self._model, prompt))

    async def _ask(self, prompt: Prompt, purpose: Literal["plan", "repair"]) -> Turn:
        """Return what the model said, its calls handed over. Raises what broke off a message without a good call."""
        self._run.journal.emit(PlanStarted, purpose)
        turn = self._turn = Turn(self._run, self._offering, self._used, early=self._early)
        try:
            async with aclosing(self._run.chunks(self._model, prompt, turn.reply)) as chunks:
                async for chunk in chunks:
                    turn.take(chunk)
                    if turn.is_full:
                        break
        except (ModelError, LimitReached) as error:
            turn.broken = error
        turn.close()
        if turn.broken is not None and not turn.has_tasks:
            raise turn.broken
        return turn

    def _take_over(self) -> None:
        """Take the turn under way into the transcript, with the results there are."""
        if self._turn is not None and self._turn.calls:
            self._prompt = replace(self._prompt, messages=(*self._prompt.messages, *self._turn.messages()))
        self._turn = None

    def _finish(self, reply: Reply) -> str:
        """Return the answer in a reply; one that the model cut off makes the run a partial one."""
        answer = reply.text.strip()
        if not answer:
            raise JoinError("the model answered nothing", text=reply.text)
        if reply.was_cut:
            self._run.stopped_by = self._run.stopped_by or "cut"
        self._run.journal.emit(AnswerText, answer)
        self._run.journal.emit(JoinDecided, Finish(answer))
        return answer
