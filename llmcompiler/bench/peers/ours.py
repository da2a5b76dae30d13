"""Ourselves, asked as the peers are."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from llmcompiler.bench.peers import scripts
from llmcompiler.bench.peers.peer import Ask, Peer
from llmcompiler.strategies.compiler import LLMCompiler
from llmcompiler.toolkit.tool import tool

_COLD = '''
import sys
from llmcompiler import LLMCompiler, tool

@tool
async def look(topic: str) -> str:
    """Return something about a topic."""
    return "found"

print(LLMCompiler("openai:scripted", [look], base_url=sys.argv[1], api_key="any").run("go").answer)
'''


@asynccontextmanager
async def _agent(look: Callable[[str], Any], base_url: str) -> AsyncIterator[Ask]:
    agent = LLMCompiler("openai:scripted", [tool(look)], base_url=base_url, api_key="any")

    async def ask(question: str) -> str:
        return (await agent.arun(question)).answer or ""

    yield ask


PEER = Peer("llmcompiler", ("llmcompiler-engine",), _agent, scripts.plan, _COLD)
