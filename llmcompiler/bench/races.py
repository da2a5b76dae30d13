"""Ourselves beside the peers that are installed: the same shapes, server, tool and answer, in one run."""

import sys
from collections.abc import Sequence

from llmcompiler.bench.peers import ours
from llmcompiler.bench.peers.compare import compare
from llmcompiler.bench.peers.contest import Result
from llmcompiler.bench.row import Row, fewer, spread
from llmcompiler.bench.shapes import SHAPES


def beside_peers(runs: int) -> list[Row]:
    """Return a row for each shape and contender; on shapes with dependent calls ours is held against the fastest peer."""
    results = compare(fewer(runs), _tell)
    dependent = {shape.name for shape in SHAPES if shape.is_dependent}
    rows = []
    for name in dict.fromkeys(result.shape for result in results):
        rows += _rows(name, [result for result in results if result.shape == name], is_race=name in dependent)
    return rows


def _tell(what: str) -> None:
    """Say what is being measured: all of it takes minutes."""
    sys.stderr.write(f"  {what}\n")
    sys.stderr.flush()


def _rows(shape: str, results: Sequence[Result], *, is_race: bool) -> list[Row]:
    [own] = [result for result in results if result.name == ours.PEER.name]
    others = [result for result in results if result is not own]
    least = min((result.median for result in others), default=None)
    first = Row(f"{shape}, beside peers", _what(own), spread(own.walls), "s", limit=least if is_race else None)
    told = [Row(f"  {result.name} {result.version}", _what(result), spread(result.walls), "s") for result in others]
    return [first, *told]


def _what(result: Result) -> str:
    tokens = f"{result.requests} requests, {result.tokens_in:,} tokens read and {result.tokens_out:,} written"
    return f"question to answer, {len(result.walls)} runs; {tokens} ({result.form})"
