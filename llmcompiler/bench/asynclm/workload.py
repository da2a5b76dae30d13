"""Workload: what is asked, the calls that are right, and which must have ended before which. Pure.

BFCL does not say which call of a chain needs which; that they are made in their order is the paper's assumption. A model
that sees results keeps to it by waiting. For one that does not, each function of a chain takes one more argument, `after`:
the result of the call before. It is dropped before calls are judged.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmcompiler.bench.asynclm import latency
from llmcompiler.bench.suites.bfcl.checker import Call, all_match, matches
from llmcompiler.bench.suites.bfcl.functions import tools_of
from llmcompiler.bench.suites.bfcl.reference import reference_tasks
from llmcompiler.bench.suites.bfcl.rows import Row
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref
from llmcompiler.toolkit.tool import Tool

AFTER = "after"
_AFTER: Mapping[str, Any] = {
    "type": "dict",
    "description": "The result of the call that must have ended before this one. Leave it out if you have seen that.",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One question, which comes so many seconds after the first, and the calls that are right.

    The calls of a chain must be made in their order; each names the one before by `after`.
    """

    row: Row
    tasks: tuple[Task, ...]
    is_chain: bool
    arrives: float

    def is_right(self, calls: Sequence[Call]) -> bool:
        """Return whether these calls are those of this part: in order if it is a chain, else as BFCL judges them."""
        row = self.row
        if not self.is_chain:
            return all_match(calls, row.expected, row.functions)
        return len(calls) == len(row.expected) and all(
            matches(_plain(call), wanted, row.functions[wanted.function])
            for call, wanted in zip(calls, row.expected, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Workload:
    """Questions that share no function, asked at once or one after another. Tasks are numbered through all parts."""

    id: str
    parts: tuple[Part, ...]

    @property
    def question(self) -> str:
        """Return what is asked at the beginning. A part that arrives later is asked by `part.row.question`."""
        asked = [part.row.question for part in self.parts if part.arrives == 0]
        if len(asked) == 1:
            return asked[0]
        return "\n".join(["Do each of these:", *(f"{number}. {text}" for number, text in enumerate(asked, 1))])

    @property
    def is_interrupted(self) -> bool:
        """Return whether a part comes later."""
        return any(part.arrives for part in self.parts)

    @property
    def tasks(self) -> list[Task]:
        """Return the right calls. A model that waits for results writes them `without_after`."""
        return [task for part in self.parts for task in part.tasks]

    @property
    def tools(self) -> list[Tool[..., Any]]:
        """Return all functions as tools with made-up results. They return at once; `seconds_of` says what they take."""
        return [each for part in self.parts for each in tools_of(part.row)]

    def score(self, calls: Sequence[Call]) -> float:
        """Return 1.0 if these calls, in the order in which they were made, are all that is right, else 0.0.

        How calls of several parts are interleaved is of no account. (The order of independent calls is of none either, but
        in `parallel_178`, where BFCL's greedy checker wants calls of one function in the order of the answer.)
        """
        made = [[call for call in calls if call.function in part.row.functions] for part in self.parts]
        is_all = sum(map(len, made)) == len(calls)
        return float(is_all and all(part.is_right(of) for part, of in zip(self.parts, made, strict=True)))

    def from_part(self, first: int) -> "Workload":
        """Return what is left when a session begins with part `first`, counted from 0; times count from then on."""
        begins = self.parts[first].arrives
        left = [replace(part, arrives=max(0.0, part.arrives - begins)) for part in self.parts[first:]]
        return Workload(f"{self.id}/{first + 1}-", tuple(left))

    def apart(self) -> list[tuple[float, "Workload"]]:
        """Return each part as a workload of its own, with the seconds at which it comes."""
        return [
            (part.arrives, Workload(f"{self.id}/{number}", (replace(part, arrives=0.0),)))
            for number, part in enumerate(self.parts, 1)
        ]


def workload_of(id: str, rows: Sequence[Row], *, chains: bool, arrivals: Sequence[float] = ()) -> Workload:
    """Return the workload of some rows. arrivals: when their questions come, in seconds; all at once unless given."""
    parts: list[Part] = []
    for row, arrives in zip(rows, arrivals or [0.0] * len(rows), strict=True):
        first = 1 + sum(len(part.tasks) for part in parts)
        tasks = [replace(task, id=first + place) for place, task in enumerate(reference_tasks(row))]
        if chains:
            row = _with_after(row)
            tasks = [task if task.id == first else _put_after(task) for task in tasks]
        parts.append(Part(row, tuple(tasks), chains, arrives))
    return Workload(id, tuple(parts))


def without_after(task: Task) -> Task:
    """Return the task as a model writes it that has seen the results it needs."""
    return replace(task, kwargs={name: value for name, value in task.kwargs.items() if name != AFTER})


def seconds_of(function: str) -> float:
    """Return how long a function runs, by a hash of its name: 0.03 to 0.5 s, over many names 0.11 s in the mean."""
    place = (int.from_bytes(hashlib.sha256(function.encode()).digest()[:8], "big") + 0.5) / 2**64
    return min(0.5, 0.03 - 0.08 * math.log(place))


def calls_of(workload: Workload, tokens: Callable[[Task], int], result_tokens: int = 0) -> list[latency.Call]:
    """Return the tasks for the latency model. tokens: what one takes to write; result_tokens: to read what it gave.

    Tasks of a part that comes later need its message, see `arrivals_of`.
    """
    return [
        latency.Call(
            task.id,
            tokens(task),
            seconds_of(task.tool),
            task.inputs | ({-number} if part.arrives else set()),
            result_tokens,
        )
        for number, part in enumerate(workload.parts, 1)
        for task in part.tasks
    ]


def arrivals_of(workload: Workload, tokens: Callable[[str], int]) -> tuple[latency.Arrival, ...]:
    """Return the questions that come later, for the latency model. tokens: what one takes to read."""
    return tuple(
        latency.Arrival(-number, part.arrives, tokens(part.row.question))
        for number, part in enumerate(workload.parts, 1)
        if part.arrives
    )


def _with_after(row: Row) -> Row:
    functions = {
        name: replace(function, properties={**function.properties, AFTER: _AFTER})
        for name, function in row.functions.items()
    }
    return replace(row, functions=functions)


def _put_after(task: Task) -> Task:
    return replace(task, kwargs={**task.kwargs, AFTER: Ref(task.id - 1)})


def _plain(call: Call) -> Call:
    return replace(call, arguments={name: value for name, value in call.arguments.items() if name != AFTER})
