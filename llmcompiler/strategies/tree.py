"""Tree-of-Thoughts: propose, evaluate, select, breadth first (arXiv 2305.10601).

    question ─▶ propose(state) ─▶ states ─▶ evaluate(state) ─▶ values ─▶ the best `breadth` ─▶ next level ... ─▶ answer

A level is a round of the run, a call of `propose` or `evaluate` a task, a state of the tree a ref to its place in what a
`propose` returned. The original makes one call after another (`parallel=False`). By default all states of a level are
worked on at once, and a state is judged as soon as its own proposal has come; only the selection waits for the whole level.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmcompiler.errors import JoinError, NoProgress, UsageError
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries
from llmcompiler.joiner import Finish
from llmcompiler.journal.events import AnswerText, JoinDecided, PlanClosed
from llmcompiler.models.model import Model
from llmcompiler.models.provider import ModelLike, model_of
from llmcompiler.plan.framing import framed
from llmcompiler.plan.outcomes import Failed, Succeeded
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Json, Ref, text_of
from llmcompiler.prompting import bundled_prompt, fill
from llmcompiler.scheduling import messages
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.run import Run
from llmcompiler.strategies.solving import solve
from llmcompiler.strategies.thoughts import MAX_STATE, ThoughtPrompts, evaluator, proposer
from llmcompiler.toolkit.registry import Registry
from llmcompiler.toolkit.tool import Tool

PROPOSE, EVALUATE = "propose", "evaluate"


class TreeOfThoughts(Agent):
    """Answers questions by a search over states of thought. Options and methods as of `LLMCompiler`.

    tools: `propose(state)`, which returns the list of next states, and `evaluate(state)`, which returns a number, the
    better the higher; each is replaced by a request to the model if it is not given, others are not called. A state is
    any JSON data; the first one is the question. A state that is an object with a field `answer` is an answer already:
    nothing is proposed from it, and if it is the best one in the end, its field is the answer. Otherwise the model is asked
    for the answer to which the best state leads.
    depth: levels of the tree. breadth: states kept of each level; at equal values the one that was proposed earlier.
    parallel: False makes one call after another, as the original does.
    A call that fails loses its branch only. If no branch is left, the best state so far gives a partial answer, and if
    there is none, the run fails by `NoProgress`.
    """

    strategy = "tree"

    def __init__(
        self,
        model: ModelLike,
        tools: Registry | Iterable[object] = (),
        *,
        depth: int = 3,
        breadth: int = 5,
        parallel: bool = True,
        base_url: str | None = None,
        api_key: str | None = None,
        limits: Limits | None = None,
        instructions: str = "",
        deadlines: Deadlines | None = None,
        retries: ModelRetries | None = None,
        threads: int = 64,
        processes: int = 8,
    ) -> None:
        for name, count in (("depth", depth), ("breadth", breadth)):
            if type(count) is not int or count < 1:
                raise UsageError(f"{name}={count!r} must be a whole number of at least 1")
        self.model = model_of(model, base_url=base_url, api_key=api_key)
        super().__init__(
            tools,
            (self.model,),
            limits=limits if parallel else replace(limits or Limits(), parallel_tasks=1),
            deadlines=deadlines,
            retries=retries,
            threads=threads,
            processes=processes,
        )
        for name in (PROPOSE, EVALUATE):
            if name in self.registry:
                _check(self.registry[name])
        self._shape = _Shape(depth, breadth)
        self._prompts = ThoughtPrompts(
            propose=fill(bundled_prompt("tree/propose"), breadth=str(breadth), instructions=instructions),
            evaluate=fill(bundled_prompt("tree/evaluate"), instructions=instructions),
        )
        self._answer_prompt = fill(bundled_prompt("tree/answer"), instructions=instructions)

    def _own_tools(self, run: Run) -> Sequence[Tool[..., Any]]:
        own = (
            proposer(run, self.model, self._prompts.propose, name=PROPOSE, most=self._shape.breadth),
            evaluator(run, self.model, self._prompts.evaluate, name=EVALUATE),
        )
        return tuple(tool for tool in own if tool.spec.name not in self.registry)

    def _start(self, run: Run) -> "_Search":
        return _Search(run, self.model, self._shape, self._answer_prompt)


def _check(tool: Tool[..., Any]) -> None:
    """Raise `UsageError` for a tool that a search cannot call."""
    spec = tool.spec
    if not spec.properties or len(spec.required) > 1:
        raise UsageError(f"tool {spec.name}: a search gives it one argument, a state; it takes {list(spec.properties)}")
    if spec.effect.is_held:
        raise UsageError(f"tool {spec.name}: a search tries what it may not need, so effect {spec.effect} cannot be")


def _parameter(tool: Tool[..., Any]) -> str:
    """Return the name of the parameter that takes the state."""
    return next(iter(tool.spec.required or tool.spec.properties))


@dataclass(frozen=True, slots=True)
class _Shape:
    """How deep and how broad the search is."""

    depth: int
    breadth: int


@dataclass(frozen=True, slots=True)
class _Node:
    """A state that was judged: where it stands, what it is, what it is worth."""

    place: Ref
    state: Json
    value: float

    @property
    def answer(self) -> str | None:
        """Return the answer that the state is already, if it is one."""
        return (
            text_of(self.state["answer"]).strip() if isinstance(self.state, dict) and "answer" in self.state else None
        )


class _Search:
    """One run: a frontier of states that goes down level by level."""

    def __init__(self, run: Run, model: Model, shape: _Shape, system: str) -> None:
        self._run, self._model, self._shape, self._system = run, model, shape, system
        self._frontier: list[_Node] = []  # the best of the last whole level, best first; empty before the first one
        self._proposals: list[int] = []  # of the level under way, in the order of the frontier
        self._evaluations: dict[str, int] = {}  # each state, as text, -> the task that judges it

    async def answer(self) -> str:
        """Return the answer. Raises `NoProgress`, `LimitReached`, `JoinError` or `ModelError`."""
        for _ in range(self._shape.depth):
            if self._frontier and all(node.answer is not None for node in self._frontier):
                break
            await self._level()
        return await self._conclude(self._frontier[0], "")

    async def best_answer(self, why: str) -> str:
        """Return the answer to which the best state leads that was judged so far."""
        nodes = self._judged() or self._frontier
        if not nodes:
            raise JoinError("no state was judged")
        return await self._conclude(nodes[0], f"\n\nThe work was stopped: {why}. Answer as well as these lines allow.")

    async def _level(self) -> None:
        """Propose from each state of the frontier, judge what is proposed, and take the best as the next frontier."""
        run, driver = self._run, self._run.driver
        before = len(driver.tasks)
        if before:
            driver.post(messages.PlanOpened())
            run.journal.round += 1
        is_full = not self._propose()
        waiting = set(self._proposals)
        while waiting:
            for id in await driver.first_ended(waiting):
                waiting.discard(id)
                is_full |= not self._evaluate(id)
        run.journal.emit(PlanClosed, True, len(driver.tasks) - before, (), (), 0, 0, "")
        driver.post(messages.PlanClosed(complete=True))
        driver.post(messages.PlanSealed())
        await driver.round_over()
        run.check_tokens()
        if is_full:
            raise run.reached("tasks")
        best = self._judged()[: self._shape.breadth]
        if not best:
            raise NoProgress(f"no branch of the tree is left at level {run.journal.round}: {self._why_none()}")
        self._frontier, self._proposals = best, []

    def _propose(self) -> bool:
        """Add a proposal for each state of the frontier; return whether there was room for all of them."""
        places: list[str | Ref] = [node.place for node in self._frontier if node.answer is None]
        ids = [self._add(PROPOSE, state) for state in (places if self._frontier else [self._run.question])]
        self._proposals = [id for id in ids if id is not None]
        return len(self._proposals) == len(ids)

    def _evaluate(self, proposal: int) -> bool:
        """Add an evaluation for each state of a proposal that has none; return whether there was room for all of them."""
        for place, state in self._proposed(proposal):
            key = _key(state)
            if key not in self._evaluations:
                id = self._add(EVALUATE, place)
                if id is None:
                    return False
                self._evaluations[key] = id
        return True

    def _add(self, name: str, state: str | Ref) -> int | None:
        """Add a task; return its id, or None if the run may have no more."""
        driver = self._run.driver
        id = len(driver.tasks) + 1
        if id > self._run.limits.tasks:
            return None
        driver.add(Task(id, name, kwargs={_parameter(self._run.workshop.registry[name]): state}))
        return id

    def _proposed(self, proposal: int) -> list[tuple[Ref, Json]]:
        """Return the states of a proposal, each with its place; none if it failed."""
        match self._run.driver.outcomes.get(proposal):
            case Succeeded(list(states)):
                return [(Ref(proposal, (index,)), state) for index, state in enumerate(states)]
        return []

    def _judged(self) -> list[_Node]:
        """Return the answers that were kept and the states of the level that have a value, each once, best first."""
        nodes = {_key(node.state): node for node in self._frontier if node.answer is not None}
        for proposal in self._proposals:
            for place, state in self._proposed(proposal):
                value = self._value(_key(state))
                if value is not None:
                    nodes.setdefault(_key(state), _Node(place, state, value))
        return sorted(nodes.values(), key=lambda node: -node.value)  # stable: at equal values in the order proposed

    def _value(self, key: str) -> float | None:
        match self._run.driver.outcomes.get(self._evaluations.get(key, 0)):
            case Succeeded(int() | float() as value) if not isinstance(value, bool):
                return value
        return None

    def _why_none(self) -> str:
        outcomes = self._run.driver.outcomes
        failures = [outcome for _, outcome in sorted(outcomes.items()) if isinstance(outcome, Failed)]
        if failures:
            return str(failures[-1].error)
        return "propose must return a list of states, and evaluate a number"

    async def _conclude(self, node: _Node, note: str) -> str:
        """Return the answer that a state is, or to which it leads."""
        run = self._run
        if node.answer:
            run.journal.emit(AnswerText, node.answer)
            run.journal.emit(JoinDecided, Finish(node.answer))
            return node.answer
        user = f"Question: {run.question}\n\nLines: {framed(node.state, MAX_STATE)}{note}"
        return await solve(run, self._model, self._system, user)


def _key(state: Json) -> str:
    return json.dumps(state, sort_keys=True)
