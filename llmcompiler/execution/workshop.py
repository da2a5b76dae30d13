"""Workshop: what the runs of one agent share. Tools, executors, concurrency gates, rates, caches, learnt durations."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from llmcompiler.execution.cache import ResultCache
from llmcompiler.execution.executors import Executors
from llmcompiler.execution.gates import Durations, Gate
from llmcompiler.execution.processes import target_of
from llmcompiler.execution.rates import RateGate
from llmcompiler.plan.tools import Tier
from llmcompiler.toolkit.registry import Registry
from llmcompiler.toolkit.tool import Tool


@dataclass(slots=True)
class Workshop:
    """Lives with the agent, across its runs and the event loops they use."""

    registry: Registry
    executors: Executors = field(default_factory=Executors)
    durations: Durations = field(default_factory=Durations)
    gates: dict[str, tuple[Gate, ...]] = field(default_factory=dict)
    rates: dict[str, RateGate] = field(default_factory=dict)
    caches: dict[str, ResultCache] = field(default_factory=dict)
    pools: dict[Tier, tuple[Gate, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes: dict[Tier, int] = {"thread": self.executors.threads.size, "process": self.executors.processes.size}
        self.pools = self.pools or {tier: (Gate(size),) for tier, size in sizes.items()}
        for name, tool in self.registry.items():
            if name not in self.gates:
                self._equip(tool)

    def with_tools(self, tools: Iterable[Tool[..., Any]]) -> "Workshop":
        """Return a workshop with further tools, such as one run alone has; what is here they share.

        Raises `UsageError` for a tool whose name is taken.
        """
        gates, rates, caches = dict(self.gates), dict(self.rates), dict(self.caches)
        return replace(self, registry=self.registry | Registry(tools), gates=gates, rates=rates, caches=caches)

    def _equip(self, tool: Tool[..., Any]) -> None:
        """Make what a tool needs over all runs."""
        if tool.tier == "process":
            target_of(tool.function)  # raises now what would else fail each call
        name, policy = tool.spec.name, tool.spec.policy
        own = (Gate(policy.concurrency),) if policy.concurrency else ()
        self.gates[name] = own + self.pools.get(tool.tier, ())
        if policy.rate:
            self.rates[name] = RateGate(policy.rate)
        if policy.cache:
            self.caches[name] = ResultCache(policy.cache)
