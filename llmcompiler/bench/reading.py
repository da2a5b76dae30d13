"""How fast the parser reads a plan that comes in small pieces, whether its time is linear, and what reading CML costs."""

import gc
import statistics
import time
from collections.abc import Sequence

from llmcompiler.bench.row import Row, costs, fewer
from llmcompiler.plan.parser import PlanParser
from llmcompiler.strategies.asynclm.cml import CMLReader
from llmcompiler.testing.server import tokenize

CHUNK = 4
_TASK = '{id}. search(query="market cap of company {id}", limit=3, fields=["name", "value"])\n'
_CML = """While these run: the museums are for the rain.
[CALL] a{id} [HEAD] search(query="market cap of company {id}", limit=3) [END]
[CALL] note(text="company {id}") [END]
[TRAP][END]
"""
_TRAPS = "[TRAP][END]"


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


def reading_cml(runs: int, count: int = 100_000, sizes: tuple[int, int] = (125_000, 1_000_000)) -> list[Row]:
    """Return microseconds a token for AsyncLM's protocol machine, and how much slower a long text in one piece is read."""
    tokens: list[str] = []
    while len(tokens) < count:
        tokens += tokenize(_CML.format(id=len(tokens)))
    what = f"{len(tokens):,} tokens, each fed alone, as they are sampled: prose, two calls, a trap in turn"
    taken = [_seconds_of_cml(tokens) / len(tokens) * 1e6 for _ in range(fewer(runs) + 1)]
    small, large = (
        min(_seconds_of_cml([_TRAPS * (size // len(_TRAPS))]) for _ in range(fewer(runs) + 1)) for size in sizes
    )
    in_mb = [f"{size / 1e6:g} MB" for size in sizes]
    slower = {"least": large / small * sizes[0] / sizes[1]}
    return [
        Row("protocol machine, a token", what, costs(taken[1:]), "us", limit=20.0),
        Row(f"  {in_mb[1]} slower than {in_mb[0]}", "traps alone, in one piece, a character", slower, "x", limit=1.5),
    ]


def _seconds_of_cml(pieces: Sequence[str]) -> float:
    gc.collect()
    reader, start = CMLReader(), time.perf_counter()
    for piece in pieces:
        reader.feed(piece)
    reader.close()
    return time.perf_counter() - start
