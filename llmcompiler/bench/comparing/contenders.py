"""Contenders: what may be compared. A strategy with its options, and how its oracle plays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from llmcompiler.bench.suites.suite import Suite
from llmcompiler.errors import UsageError
from llmcompiler.models.model import Model
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.catalogue import STRATEGIES
from llmcompiler.toolkit.tool import Tool


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of a comparison. `sequential`: it makes one call after another, whatever its plan would allow."""

    name: str
    strategy: str
    what: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sequential: bool = False

    def agent(self, model: Model, tools: Sequence[Tool[..., Any]], suite: Suite) -> Agent:
        """Return the agent for a suite, whose examples are shown to those that take any."""
        options = {**self.options, **suite.options.get(self.strategy, {})}
        if self.strategy == "compiler" and suite.examples is not None:
            options["examples"] = suite.examples
        make: Any = STRATEGIES[self.strategy]
        agent: Agent = make(model, tools, limits=suite.limits, **options)
        return agent


CONTENDERS: Mapping[str, Contender] = MappingProxyType(
    {
        contender.name: contender
        for contender in (
            Contender("compiler", "compiler", "plan streamed as a DAG, joiner"),
            Contender(
                "compiler_batch", "compiler", "the same, but it runs the plan when it is whole", {"stream": False}
            ),
            Contender("react", "react", "thought, action, observation", sequential=True),
            Contender("react_careful", "react_careful", "ReAct told not to repeat or stop early", sequential=True),
            Contender(
                "react_flawed",
                "react",
                "ReAct whose model errs as published: it repeats, stops early, buys what comes first",
                sequential=True,
            ),
            Contender("parallel_calls", "parallel_calls", "native tool calls, started when sealed"),
            Contender(
                "parallel_calls_late", "parallel_calls", "native tool calls, as plain loops do", {"early": False}
            ),
            Contender("rewoo", "rewoo", "one plan, workers, solver"),
            Contender("tree", "tree", "Tree-of-Thoughts, one call after another", {"parallel": False}, sequential=True),
            Contender("tree_parallel", "tree", "Tree-of-Thoughts, each level at once"),
            Contender("tree_search", "react", "a sequential tree search of stated size", sequential=True),
        )
    }
)
BASELINES = ("tree", "react")  # what speed-ups are told over: the first of these that runs; a tree, where there is one


def contenders_of(names: Sequence[str], known: Sequence[str]) -> list[Contender]:
    """Return the contenders of these names, each once. Raises `UsageError` with the nearest names."""
    if not names:
        raise UsageError(f"name whom to compare; known here: {', '.join(known)}")
    for name in names:
        if name == "skeleton":
            why = "it calls no tools, and the suites are about calling them"
            raise UsageError(f"skeleton is not compared: {why}; known here: {', '.join(known)}")
        if name == "asynclm":
            raise UsageError("AsyncLM is compared by a suite of its own: llmcompiler bench asynclm")
        if name not in CONTENDERS:
            raise UsageError(f"there is no strategy {name!r} to compare; {did_you_mean(name, list(CONTENDERS))}")
        if name not in known:
            raise UsageError(f"{name} is not compared in this suite; known here: {', '.join(known)}")
    return [CONTENDERS[name] for name in dict.fromkeys(names)]
