"""All contenders through all shapes in one process, shape by shape, so that what disturbs one disturbs all."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from llmcompiler.bench.peers import PEERS, installed
from llmcompiler.bench.peers.contest import Result, contender
from llmcompiler.bench.peers.peer import EXTRA, Peer
from llmcompiler.bench.shapes import SHAPES, Shape
from llmcompiler.testing.server import Timing

BLOCKING = Shape("24 sync tools", ((),) * 24)
AT_ONCE = Timing()


def compare(
    runs: int, say: Callable[[str], None], *, peers: Sequence[Peer] = PEERS, shapes: Sequence[Shape] = SHAPES
) -> list[Result]:
    """Return a result for each shape and each of `peers` that is installed; `say` is told what is being measured."""
    return asyncio.run(_compare(runs, say, installed(peers), shapes))


def missing(peers: Sequence[Peer] = PEERS) -> dict[str, str]:
    """Return what brings the peers that are not installed, by name."""
    return {peer.name: f'not installed: pip install "{EXTRA}"' for peer in peers if peer.version is None}


async def _compare(
    runs: int, say: Callable[[str], None], peers: Sequence[Peer], shapes: Sequence[Shape]
) -> list[Result]:
    results = []
    async with AsyncExitStack() as stack:
        contenders = [await stack.enter_async_context(contender(peer)) for peer in peers]
        for shape in shapes:
            for one in contenders:
                say(f"{shape.name}: {one.peer.name}")
                results.append(await one.take(shape, runs))
    for peer in peers:
        say(f"{BLOCKING.name}: {peer.name}")
        async with contender(peer, timing=AT_ONCE, blocking=True) as one:
            results.append(await one.take(BLOCKING, runs))
    return results
