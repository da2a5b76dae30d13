"""LangChain's `create_agent`: a graph of model and tools; all calls of a message run at once when it is complete."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from llmcompiler.bench.peers import scripts
from llmcompiler.bench.peers.peer import Ask, Peer

_COLD = '''
import asyncio, sys
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

async def look(topic: str) -> str:
    """Return something about a topic."""
    return "found"

model = ChatOpenAI(model="scripted", base_url=sys.argv[1], api_key="any", max_retries=0)
asked = create_agent(model, [look]).ainvoke({"messages": [("user", "go")]})
print(asyncio.run(asked)["messages"][-1].content)
'''


@asynccontextmanager
async def _agent(look: Callable[[str], Any], base_url: str) -> AsyncIterator[Ask]:
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI
    from langsmith import tracing_context
    from openai import DefaultAsyncHttpxClient

    async with DefaultAsyncHttpxClient() as client:  # its own one is kept for all agents and never closed
        model = ChatOpenAI(model="scripted", base_url=base_url, api_key="any", max_retries=0, http_async_client=client)
        agent = create_agent(model, [look])

        async def ask(question: str) -> str:
            with tracing_context(enabled=False):
                state = await agent.ainvoke({"messages": [("user", question)]})
            return str(state["messages"][-1].content)

        yield ask


PEER = Peer("langchain create_agent", ("langchain", "langchain-openai"), _agent, scripts.tool_loop, _COLD)
