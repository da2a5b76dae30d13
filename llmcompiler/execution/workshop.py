"""Workshop: what the runs of one agent share. Tools, executors, concurrency gates, rates, caches, learnt durations."""

from dataclasses import dataclass, field

from llmcompiler.execution.cache import ResultCache
from llmcompiler.execution.executors import Executors
from llmcompiler.execution.gates import Durations, Gate
from llmcompiler.execution.processes import target_of
from llmcompiler.execution.rates import RateGate
from llmcompiler.toolkit.registry import Registry


@dataclass(slots=True)
class Workshop:
    """Lives with the agent, across its runs and the event loops they use."""

    registry: Registry
    executors: Executors = field(default_factory=Executors)
    durations: Durations = field(default_factory=Durations)
    gates: dict[str, tuple[Gate, ...]] = field(init=False)
    rates: dict[str, RateGate] = field(init=False)
    caches: dict[str, ResultCache] = field(init=False)

    def __post_init__(self) -> None:
        for tool in self.registry.values():
            if tool.tier == "process":
                target_of(tool.function)  # raises now what would else fail each call
        pools = {"thread": (Gate(self.executors.threads.size),), "process": (Gate(self.executors.processes.size),)}
        policies = {name: tool.spec.policy for name, tool in self.registry.items()}
        own = {name: (Gate(policy.concurrency),) for name, policy in policies.items() if policy.concurrency}
        self.gates = {name: own.get(name, ()) + pools.get(tool.tier, ()) for name, tool in self.registry.items()}
        self.rates = {name: RateGate(policy.rate) for name, policy in policies.items() if policy.rate}
        self.caches = {name: ResultCache(policy.cache) for name, policy in policies.items() if policy.cache}
