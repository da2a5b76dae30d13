"""LLMCompiler: the face of the compiler strategy, and `execute` for a plan that exists already."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from llmcompiler.errors import PlanError
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries
from llmcompiler.models.provider import ModelLike, model_of
from llmcompiler.passes.parse import plan_of
from llmcompiler.passes.reader import Reading, Rejected
from llmcompiler.plan.diagnostics import render
from llmcompiler.plan.plan import Plan
from llmcompiler.prompting import (
    Examples,
    bundled_prompt,
    joiner_system,
    load_examples,
    planner_system,
    usable_examples,
)
from llmcompiler.strategies import runner
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.planning import Planner, PlannerPrompts
from llmcompiler.strategies.rounds import LAST_ROUND, MAY_REPLAN, JoinerPrompts, Rounds
from llmcompiler.strategies.run import Run
from llmcompiler.toolkit.registry import Registry

if TYPE_CHECKING:
    from llmcompiler.config.config import Config


class LLMCompiler(Agent):
    """Answers questions by planning tool calls as a DAG and running each as soon as its inputs exist.

    model: a name such as `"openai:gpt-4.1-mini"`, a LangChain chat model or an object with `stream(prompt)`; planner_model
    and joiner_model may differ. tools: functions, `@tool`s, LangChain tools or a `Registry`. base_url, api_key: for a model
    given by name. limits: see `Limits`.
    examples: (question, plan) pairs or the name of a bundled set; examples=None is the bundled `general` set as far as it
    fits the tools. instructions: added to both prompts. planner_prompt, joiner_prompt: templates in place of the bundled
    ones. stream: False plans first and runs afterwards. deadlines, retries: of model requests. threads, processes: sizes
    of the pools for tools that are not coroutines.
    Raises `UsageError` for what cannot work.
    """

    strategy = "compiler"

    def __init__(
        self,
        model: "ModelLike | None" = None,
        tools: Registry | Iterable[object] = (),
        *,
        planner_model: "ModelLike | None" = None,
        joiner_model: "ModelLike | None" = None,
        base_url: str | None = None,
        api_key: str | None = None,
        limits: Limits | None = None,
        examples: Examples = None,
        instructions: str = "",
        planner_prompt: str | None = None,
        joiner_prompt: str | None = None,
        stream: bool = True,
        deadlines: Deadlines | None = None,
        retries: ModelRetries | None = None,
        threads: int = 64,
        processes: int = 8,
    ) -> None:
        self.planner_model = model_of(planner_model or model, base_url=base_url, api_key=api_key)
        self.joiner_model = model_of(joiner_model or model, base_url=base_url, api_key=api_key)
        super().__init__(
            tools,
            (self.planner_model, self.joiner_model),
            limits=limits,
            deadlines=deadlines,
            retries=retries,
            threads=threads,
            processes=processes,
        )
        self._stream = stream
        self._planner_prompts = self._fill_planner(planner_prompt, examples, instructions)
        self._joiner_prompts = JoinerPrompts(
            may_replan=joiner_system(joiner_prompt, MAY_REPLAN, instructions),
            last_round=joiner_system(joiner_prompt, LAST_ROUND, instructions),
            replan=bundled_prompt("compiler/replan"),
        )

    @classmethod
    def _configured(cls, said: "Config", given: dict[str, str | None]) -> Self:
        models = {
            "planner_model": said.make_model("planner_model", **given),
            "joiner_model": said.make_model("joiner_model", **given),
        }
        return cls(tools=said.registry, **said.common, **said.own | models)

    async def plan(self, question: str) -> Plan:
        """Return the plan for a question without running anything. Raises `PlanError` if a repair did not mend it."""
        run = runner.new_run(question, self._means)
        planner, sink = self._planner(run), _Collecting()
        try:
            reader = await planner.plan(f"Question: {question}", sink)
        finally:
            await run.end_background()
        if planner.cut is not None:
            raise planner.cut
        broken = [error for reading in sink.readings if isinstance(reading, Rejected) for error in reading.diagnostics]
        if broken:
            raise PlanError(f"the plan has errors\n{render(broken, reader.text)}", diagnostics=broken, text=reader.text)
        return plan_of(sink.readings, reader)

    def _planner(self, run: Run) -> Planner:
        return Planner(run, self.planner_model, self._planner_prompts)

    def _start(self, run: Run) -> Rounds:
        return Rounds(run, self._planner(run), self.joiner_model, self._joiner_prompts, stream=self._stream)

    def _fill_planner(self, template: str | None, examples: Examples, instructions: str) -> PlannerPrompts:
        pairs = load_examples("general" if examples is None else examples)
        usable = usable_examples(pairs, self.registry, warn=examples is not None)
        return PlannerPrompts(
            system=planner_system(template, self.registry, usable, instructions),
            repair=bundled_prompt("compiler/repair"),
            replan=bundled_prompt("compiler/replan"),
            examples=tuple(usable),
        )


class _Collecting:
    """A `PlanSink` that runs nothing."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []

    def take(self, readings: Sequence[Reading]) -> None:
        self.readings += readings

    def closed(self, *, complete: bool) -> None:
        pass

    def repairing(self) -> None:
        pass
