"""How fast the parser reads a plan that comes in small pieces, and whether its time is linear."""

import gc
import statistics
import time

from llmcompiler.bench.row import Row, fewer
from llmcompiler.plan.parser import PlanParser

CHUNK = 4
_TASK = '{id}. search(query="market cap of company {id}", limit=3, fields=["name", "value"])\n'


def reading(runs: int, sizes: tuple[int, int, int] = (250_000, 1_000_000, 4_000_000)) -> list[Row]:
    """Return megabytes a second for a middle size, and how much slower the largest one is read than the smallest."""
    texts = [_text(size) for size in sizes]
    _speed(texts[0])  # warms up
    small, middle, large = zip(*([_speed(text) for text in texts] for _ in range(fewer(runs))), strict=True)
    in_mb = [f"{size / 1e6:g} MB" for size in sizes]
    what = f"plans of {', '.join(in_mb)} in chunks of {CHUNK} characters, in turn"
    speed, slower = {"best": max(middle), "median": statistics.median(middle)}, {"best": max(small) / max(large)}
    return [
        Row(f"parser, {in_mb[1]}", what, speed, "MB/s", limit=2.0, at_least=True),
        Row(f"parser, {in_mb[2]} slower than {in_mb[0]}", what, slower, "x", limit=1.25),
    ]


def _text(size: int) -> str:
    lines, length, id = [], 0, 0
    while length < size:
        id += 1
        lines.append(_TASK.format(id=id))
        length += len(lines[-1])
    return "".join([*lines, f"{id + 1}. join()"])


def _speed(text: str) -> float:
    chunks = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    gc.collect()
    parser, start = PlanParser(), time.perf_counter()
    for chunk in chunks:
        parser.feed(chunk)
    parser.close()
    return len(text) / 1e6 / (time.perf_counter() - start)
