"""The workloads that AsyncLM is measured on, from BFCL's data.

| name | questions | calls of one |
|---|---|---|
| `parallel` | BFCL parallel | independent |
| `parallel_multiple` | BFCL parallel_multiple | independent |
| `multi_step` | the first turns of BFCL multi_turn_base | one chain |
| `multi_step_parallel` | three of these first turns at once | three chains |
| `interrupts` | the same threes; the questions come at 0, 200 and 400 ms | three chains |

`multi_step_parallel` is a rebuild of a set of arXiv 2412.07017 that was never published: first turns of up to 5 calls, in
threes that share no class of functions, drawn with a fixed seed. All rows are drawn from, so a model that was trained on
multi_turn_base must not be measured on it.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from llmcompiler.bench.asynclm.workload import Workload, workload_of
from llmcompiler.bench.suites.bfcl.first_turns import FirstTurn, read_first_turns
from llmcompiler.bench.suites.bfcl.rows import read_rows
from llmcompiler.bench.suites.sampling import spread_out
from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean

ARRIVALS = (0.0, 0.2, 0.4)  # seconds, as in the paper's figure 8
_COMPOSED = 200  # as many as the paper has
_LONGEST = 5  # calls of a chain, as in the paper: 2 of the 200 rows have more
_SEED = 5

_Read: TypeAlias = Callable[[Path | None], list[Workload]]


def read_workloads(name: str, folder: Path | None = None, count: int | None = None) -> list[Workload]:
    """Return the workloads of a name; `count` of them, spread over all numbers of calls, if it is given.

    Raises `UsageError` for an unknown name, with the nearest ones, and where the data are missing.
    """
    if name not in WORKLOADS:
        raise UsageError(f"there is no workload {name!r}; {did_you_mean(name, list(WORKLOADS))}")
    workloads = WORKLOADS[name](folder)
    return workloads if count is None else spread_out(workloads, count, lambda workload: len(workload.tasks))


def _parallel(folder: Path | None) -> list[Workload]:
    return [workload_of(row.id, [row], chains=False) for row in read_rows("parallel", folder)]


def _parallel_multiple(folder: Path | None) -> list[Workload]:
    return [workload_of(row.id, [row], chains=False) for row in read_rows("parallel_multiple", folder)]


def _multi_step(folder: Path | None) -> list[Workload]:
    return [workload_of(turn.row.id, [turn.row], chains=True) for turn in read_first_turns(folder)]


def _multi_step_parallel(folder: Path | None) -> list[Workload]:
    return _composed("multi_step_parallel", folder)


def _interrupts(folder: Path | None) -> list[Workload]:
    return _composed("interrupts", folder, ARRIVALS)


def _composed(name: str, folder: Path | None, arrivals: Sequence[float] = ()) -> list[Workload]:
    threes = _threes([turn for turn in read_first_turns(folder) if len(turn.row.expected) <= _LONGEST])
    return [
        workload_of(f"{name}_{number}", [turn.row for turn in three], chains=True, arrivals=arrivals)
        for number, three in enumerate(threes)
    ]


def _threes(turns: Sequence[FirstTurn]) -> list[list[FirstTurn]]:
    """Return random threes without a class in common: two with one would share its state."""
    chance, threes = random.Random(_SEED), list[list[FirstTurn]]()
    while len(threes) < _COMPOSED:
        three = chance.sample(turns, 3)
        if sum(len(turn.classes) for turn in three) == len(frozenset().union(*(turn.classes for turn in three))):
            threes.append(three)
    return threes


WORKLOADS: Mapping[str, _Read] = MappingProxyType(
    {
        "parallel": _parallel,
        "parallel_multiple": _parallel_multiple,
        "multi_step": _multi_step,
        "multi_step_parallel": _multi_step_parallel,
        "interrupts": _interrupts,
    }
)
