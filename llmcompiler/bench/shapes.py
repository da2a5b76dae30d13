"""Shapes: the DAGs of tool calls that every contender of a benchmark has to get through, and how fast all else is."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from llmcompiler.testing.server import Timing

FOUND = "found"  # what the tool returns, whatever the topic
ANSWER = "done"
JOINER = (
    f"Action: Finish({ANSWER})"  # an ideal joiner's reply: the answer stands in the results, so there is no thought
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the model and the tools are; `stall` is for how long a planner hangs, in seconds like the tools' time."""

    timing: Timing = field(default_factory=lambda: Timing(first_token=0.3, per_token=0.01))
    tool: float = 0.3
    stall: float = 2.0


PACE = Pace()


def plan_text(calls: Iterable[str]) -> str:
    """Return calls in the plan language: numbered from 1, and a join after them."""
    return "\n".join(f"{id}. {call}" for id, call in enumerate([*calls, "join()"], 1))


@dataclass(frozen=True, slots=True)
class Shape:
    """Calls of one tool, `look(topic)`, numbered from 1; `inputs[i]` are the calls whose results call `i + 1` needs."""

    name: str
    inputs: tuple[tuple[int, ...], ...]

    @property
    def is_dependent(self) -> bool:
        """Return whether any call needs the result of another."""
        return any(self.inputs)

    @property
    def levels(self) -> list[list[int]]:
        """Return the calls by depth: those of a level need only results of earlier levels."""
        depths: list[int] = []
        for needed in self.inputs:
            depths.append(1 + max((depths[id - 1] for id in needed), default=-1))
        return [[id for id, depth in enumerate(depths, 1) if depth == level] for level in range(max(depths) + 1)]

    def topic(self, id: int, refs: tuple[str, ...]) -> str:
        """Return the argument of call `id`, in which `refs` stand for the results that it needs."""
        return f"topic {id}" if not refs else f"topic {id} after {' and '.join(refs)}"

    def plan(self, order: Sequence[int] | None = None) -> str:
        """Return the shape in the plan language, up to its join; its calls stand in `order`, else as they are numbered."""
        numbers = {id: number for number, id in enumerate(order or range(1, len(self.inputs) + 1), 1)}
        refs = {id: tuple(f"${{{numbers[one]}}}" for one in self.inputs[id - 1]) for id in numbers}
        return plan_text(f'look("{self.topic(id, of)}")' for id, of in refs.items())


def _random_dag(size: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Return a DAG in which each call needs up to two of the four before it."""
    chance = random.Random(seed)
    inputs = []
    for id in range(1, size + 1):
        earlier = range(max(1, id - 4), id)
        inputs.append(tuple(sorted(chance.sample(earlier, min(len(earlier), chance.choice((0, 1, 2, 2)))))))
    return tuple(inputs)


SHAPES = (
    Shape("8 independent", ((),) * 8),
    Shape("chain of 4", ((), (1,), (2,), (3,))),
    Shape("map-reduce 6+1", ((),) * 6 + ((1, 2, 3, 4, 5, 6),)),
    Shape("two-level diamond", ((), (1,), (1,), (2, 3), (4,), (4,), (5, 6))),
    Shape("random DAG of 20", _random_dag(20, seed=7)),
    Shape("three two-deep chains", ((), (1,), (), (3,), (), (5,))),
)
