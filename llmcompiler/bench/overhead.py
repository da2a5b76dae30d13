"""The suite `overhead`: what the framework itself costs, against the least possible, asyncio alone, or a promise."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from llmcompiler.bench.cold import cold_start
from llmcompiler.bench.dispatch import cancelling, chained, independent, sync_tools
from llmcompiler.bench.fresh import fresh
from llmcompiler.bench.hung import hung
from llmcompiler.bench.memory import memory
from llmcompiler.bench.priorities import slots_short
from llmcompiler.bench.races import beside_peers
from llmcompiler.bench.reading import reading, reading_cml
from llmcompiler.bench.row import Measure, Row
from llmcompiler.bench.shapes import SHAPES
from llmcompiler.bench.walls import published, questions_at_once, stalled_planner, wall
from llmcompiler.errors import UsageError

_MEASURES: Mapping[str, Measure] = {
    **{shape.name: partial(wall, shape) for shape in SHAPES},
    "published walls": published,
    "peers": beside_peers,
    "50 questions at once": questions_at_once,
    "stalled planner": stalled_planner,
    "chained no-ops": chained,
    "100,000 no-ops": independent,
    "sync tools": sync_tools,
    "cancel": cancelling,
    "hung tools": hung,
    "slots short": slots_short,
    "memory": memory,
    "parser": reading,
    "protocol machine": reading_cml,
    "cold start": cold_start,
}
MEASURES = MappingProxyType({name: fresh(take) for name, take in _MEASURES.items()})


def measure(
    runs: int, say: Callable[[str], None], only: Sequence[str] = (), measures: Mapping[str, Measure] = MEASURES
) -> list[Row]:
    """Return the rows of the measures whose name holds one of the texts in `only`, or of all.

    runs: counted runs of each; slow measures take a third of them. say: is told what is being measured. The model is
    scripted, over real HTTP on loopback where there is one. Raises `UsageError` if no name holds such a text.
    """
    chosen = {name: take for name, take in measures.items() if _is_wanted(name, only)}
    if not chosen:
        raise UsageError(f"no measure is named like {' or '.join(only)}; known: {', '.join(measures)}")
    rows = []
    for name, take in chosen.items():
        say(name)
        rows += take(runs)
    return rows


def _is_wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(text.casefold() in name.casefold() for text in only)
