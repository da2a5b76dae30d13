"""Other frameworks on the same shapes, server and tool, each with its fast settings and an ideal model's replies.

`compare.compare(runs, say)` measures all that are installed. The packages come with the extra `bench`; each is imported
only when its agent is made. Nothing but the loopback server is contacted: tracing and retries are off.
"""

from collections.abc import Sequence

from llmcompiler.bench.peers import langchain_agent, openai_agent, ours, pydantic_agent
from llmcompiler.bench.peers.peer import Peer

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
