"""AsyncLM's face: options, methods, and the choice of an engine."""

from collections.abc import Iterable
from functools import partial
from typing import Any, get_args

from llmcompiler.config.choices import EngineName, HoldWrites, Trap
from llmcompiler.errors import UsageError
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries
from llmcompiler.models.langchain import LangChainModel
from llmcompiler.models.local.model import LocalModel
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.models.provider import ModelLike, model_of
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.prompting import bundled_prompt, describe_tools, fill
from llmcompiler.strategies import runner
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.asynclm.chat import ChatEngine
from llmcompiler.strategies.asynclm.completions import CompletionsEngine
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.engine import Engine
from llmcompiler.strategies.asynclm.futures import Futures, check_names
from llmcompiler.strategies.asynclm.interrupts import Inbox
from llmcompiler.strategies.asynclm.local import LocalEngine
from llmcompiler.strategies.asynclm.monitor import Monitor
from llmcompiler.strategies.asynclm.rules import Rules
from llmcompiler.strategies.asynclm.session import Session
from llmcompiler.strategies.offering import Offering
from llmcompiler.strategies.run import Run
from llmcompiler.toolkit.registry import Registry


class AsyncLM(Agent):
    """Answers questions while its calls run: results come back into the text as interrupts (arXiv 2412.07017).

    model: what a `Model` may be, or an `Engine`. engine: how results come back, an `Engine` or a name. `chat`: any chat
    endpoint, asked again with the text so far. `completions`: the same by raw `/v1/completions`. `futures`: native tool
    calls, answered by futures, for models that were not trained to write calls into their text. `local`: a model in this
    process, whose text a mask holds to the format. `auto`: the model itself if it is an engine, `local` if it is in this
    process, `futures` if it can be offered tools, else `chat`. trap: a model that waits goes on with the next result
    (`any`) or with all of them (`all`). hold_writes: calls with effects begin when the model next waits or ends (`trap`),
    or at once (`no`). delimiters: what marks calls and interrupts, a `Delimiters`; not for `futures`. The other options are
    as of `LLMCompiler`, the methods as of every `Agent`; `session` is a run that can be interrupted. Raises `UsageError` for
    an engine that the model does not fit.
    """

    strategy = "asynclm"

    def __init__(
        self,
        model: "ModelLike | Engine",
        tools: Registry | Iterable[object] = (),
        *,
        engine: EngineName | Engine = "auto",
        trap: Trap = "any",
        hold_writes: HoldWrites = "trap",
        delimiters: Delimiters | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        limits: Limits | None = None,
        instructions: str = "",
        deadlines: Deadlines | None = None,
        retries: ModelRetries | None = None,
        threads: int = 64,
        processes: int = 8,
    ) -> None:
        _check_option("trap", trap, Trap)
        _check_option("hold_writes", hold_writes, HoldWrites)
        if delimiters is not None and not isinstance(delimiters, Delimiters):
            raise UsageError(
                f"delimiters={delimiters!r} must be a Delimiters(call=..., ...), of {Delimiters.__module__}"
            )
        self.model = model if isinstance(model, Engine) else model_of(model, base_url=base_url, api_key=api_key)
        super().__init__(
            tools,
            (self.model,) if isinstance(self.model, Model) else (),
            limits=limits,
            deadlines=deadlines,
            retries=retries,
            threads=threads,
            processes=processes,
        )
        self._engine = _engine_of(engine, self.model)
        self._offering = Offering(self.registry.specs.values())
        if self._engine is None:
            check_names(self._offering)
        self._rules = Rules(trap=trap, hold_writes=hold_writes, delimiters=delimiters or Delimiters())
        self._instructions = instructions
        self._system({})  # raises now what would else fail each run

    def session(self, question: str) -> Session:
        """Return a session for a question, not begun; it begins with `async with`.

        async with agent.session("What do flight and hotel cost?") as session:
            await session.interrupt("Make it three nights.")
            result = await session.result()
        """
        return Session(partial(runner.arun, question, self.strategy, self._means), self._play)

    def _start(self, run: Run) -> Monitor | Futures:
        return self._play(run, Inbox())

    def _play(self, run: Run, inbox: Inbox) -> Monitor | Futures:
        durations = run.workshop.durations
        known = {name: durations.known(name, spec.policy.expected) for name, spec in self.registry.specs.items()}
        expected = {name: seconds for name, seconds in known.items() if seconds is not None}
        messages = (Message("system", self._system(expected)), Message("user", run.question))
        prompt = Prompt(messages, "agent")
        if self._engine is not None:
            return Monitor(run, self._engine, prompt, self._rules, inbox)
        assert isinstance(self.model, Model)
        return Futures(run, self.model, prompt, self._offering, self._rules, inbox)

    def _system(self, expected: dict[str, float]) -> str:
        marks = self._rules.delimiters
        times = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in expected.items())
        told = {"expected": f" Expected times: {times}." if times else "", "instructions": self._instructions}
        if self._engine is None:
            return fill(bundled_prompt("asynclm/futures"), **told)
        return fill(
            bundled_prompt("asynclm/agent"),
            **told,
            tools=describe_tools(self.registry) or "(none)",
            **{name: getattr(marks, name) for name in ("call", "head", "end", "interrupt", "trap")},
        )


def _check_option(name: str, value: Any, kind: Any) -> None:
    if value not in get_args(kind):
        raise UsageError(f"{name}={value!r} must be one of {', '.join(map(repr, get_args(kind)))}")


def _engine_of(engine: EngineName | Engine, model: "Model | Engine") -> Engine | None:
    """Return the engine, None for futures, which take no text into a reply. Raises `UsageError`."""
    if isinstance(engine, Engine):
        return engine
    if engine not in get_args(EngineName):
        raise UsageError(f"engine={engine!r} is no engine; {did_you_mean(str(engine), get_args(EngineName))}")
    if engine == "auto" and isinstance(model, Engine):
        return model
    if engine in ("auto", "local") and isinstance(model, LocalModel):
        return LocalEngine(model)
    if engine == "local":
        raise UsageError(f'engine="local" takes a model in this process, "local:NAME", not {model!r}'[:300])
    if not isinstance(model, Model):
        raise UsageError(f"engine={engine!r} takes a model with a method stream(prompt), not {model!r}"[:300])
    can_call = isinstance(model, OpenAIModel) or (isinstance(model, LangChainModel) and model.can_call)
    if engine == "futures" or (engine == "auto" and can_call):
        return None
    return CompletionsEngine(model) if engine == "completions" else ChatEngine(model)
