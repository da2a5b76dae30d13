"""Each measure, in a small form, gives the rows that it should; what they say depends on the machine and is not asserted."""

from collections.abc import Sequence
from functools import partial

import pytest

from llmcompiler.bench import cold, dispatch, hung, memory, priorities, reading, walls
from llmcompiler.bench.peers import installed, ours
from llmcompiler.bench.row import Measure
from llmcompiler.bench.shapes import Shape
from llmcompiler.testing.server import Timing

QUICK = walls.Pace(Timing(first_token=0.01, per_token=0.001), tool=0.02, stall=0.1)
CHAIN = Shape("chain of 2", ((), (1,)))
MEASURES: dict[str, tuple[Measure, Sequence[str]]] = {
    "wall": (partial(walls.wall, CHAIN, pace=QUICK), ["chain of 2"]),
    "stalled planner": (
        partial(walls.stalled_planner, pace=QUICK),
        ["dependant while the planner stalls", "  original"],
    ),
    "questions": (
        partial(walls.questions_at_once, pace=QUICK, count=3),
        ["3 questions at once", "  openai's client alone"],
    ),
    "chained": (partial(dispatch.chained, length=5), ["5 chained no-ops", "  original"]),
    "independent": (
        partial(dispatch.independent, count=300, few=100),
        [
            "300 no-ops, a task",
            "  in a bare asyncio.TaskGroup",
            "300 no-ops, a task, over 100",
            "300 no-ops, longest stall",
        ],
    ),
    "sync tools": (partial(dispatch.sync_tools, seconds=0.01), ["24 sync tools", "  best peer"]),
    "cancelling": (partial(dispatch.cancelling, count=20), ["cancel 20 running tasks"]),
    "hung": (
        partial(hung.hung, count=4, timeout=0.2),
        [
            f"4 hung {tier}, {what}"
            for tier in ("threads", "processes")
            for what in ("good ones late", "past deadline", "exit")
        ],
    ),
    "slots short": (
        partial(priorities.slots_short, dags=4, agents=2),
        [
            "slots short, durations learnt",
            "  first come",
            "  all tools alike",
            "  true durations",
        ],
    ),
    "memory": (partial(memory.memory, count=50), ["memory a task, finished", "memory a task, all in flight"]),
    "reading": (
        partial(reading.reading, sizes=(1_000, 2_000, 4_000)),
        ["parser, 0.002 MB", "parser, 0.004 MB slower than 0.001 MB"],
    ),
    "reading CML": (
        partial(reading.reading_cml, count=100, sizes=(1_000, 2_000)),
        ["protocol machine, a token", "  0.002 MB slower than 0.001 MB"],
    ),
    "cold start": (
        partial(cold.cold_start, warm_ups=0),
        [
            "cold start",
            "  openai's client alone",
            *(f"  {peer.name} {peer.version}" for peer in installed() if peer is not ours.PEER),
            "heavy packages the import loads",
        ],
    ),
}


@pytest.mark.parametrize(("take", "names"), MEASURES.values(), ids=MEASURES)
def test_a_measure_gives_its_rows(take: Measure, names: Sequence[str]) -> None:
    rows = take(1)
    assert [row.name for row in rows] == names
    for row in rows:
        assert row.what
        assert row.figures
        assert all(figure >= 0 or row.unit in ("s", "ms") for figure in row.figures.values()), row
        assert row.source == "measured" or row.limit is None, "what was not measured here is not judged"
