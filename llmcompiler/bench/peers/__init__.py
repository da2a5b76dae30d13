"""Other frameworks on the same shapes, server and tool, each with its fast settings and an ideal model's replies.

`compare.compare(runs, say)` measures all that are installed. The packages come with the extra `bench`; each is imported
only when its agent is made. Nothing but the loopback server is contacted: tracing and retries are off.
"""

from collections.abc import Sequence

from llmcompiler.bench.peers import langchain_agent, openai_agent, ours, pydantic_agent
from llmcompiler.bench.peers.contest import contender
from llmcompiler.bench.peers.peer import Peer
from llmcompiler.bench.shapes import Shape
from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean

PEERS = (
    ours.PEER,
    langchain_agent.PEER,
    openai_agent.PEER,
    pydantic_agent.LOOP,
    pydantic_agent.CODE_MODE,
    pydantic_agent.EARLY_CODE_MODE,
)


def installed(peers: Sequence[Peer] = PEERS) -> list[Peer]:
    """Return those of `peers` whose packages are there, ourselves among them."""
    return [peer for peer in peers if peer.version is not None]


async def walls(peer: Peer, shape: Shape, runs: int) -> list[float]:
    """Return the seconds that `peer` takes for `shape`, `runs` times, after a question that is not counted."""
    async with contender(peer) as one:
        return list((await one.take(shape, runs)).walls)


def cold_script(name: str) -> str:
    """Return Python for `python -c`, which makes a minimal agent of peer `name` and asks the server at `sys.argv[1]`.

    Its first request is any model's first: a server that answers "done" (to ourselves: a plan) lets it end.
    """
    scripts = {peer.name: peer.cold for peer in PEERS}
    if name not in scripts:
        raise UsageError(f"no peer {name!r}; {did_you_mean(name, list(scripts))}")
    return scripts[name]
