"""OpenAI's agents SDK over chat completions: all calls of a message run at once when it is complete."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from llmcompiler.bench.peers import scripts
from llmcompiler.bench.peers.peer import Ask, Peer

_COLD = '''
import asyncio, sys
from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
from openai import AsyncOpenAI

@function_tool
async def look(topic: str) -> str:
    """Return something about a topic."""
    return "found"

client = AsyncOpenAI(base_url=sys.argv[1], api_key="any", max_retries=0)
agent = Agent(name="cold", tools=[look], model=OpenAIChatCompletionsModel("scripted", client))
print(asyncio.run(Runner.run(agent, "go", run_config=RunConfig(tracing_disabled=True))).final_output)
'''
_TURNS = 100  # the default of 10 is fewer than a deep shape takes


@asynccontextmanager
async def _agent(look: Callable[[str], Any], base_url: str) -> AsyncIterator[Ask]:
    from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        model = OpenAIChatCompletionsModel("scripted", client)
        agent = Agent(name="bench", tools=[function_tool(look)], model=model)
        untraced = RunConfig(tracing_disabled=True)

        async def ask(question: str) -> str:
            result = await Runner.run(agent, question, run_config=untraced, max_turns=_TURNS)
            return str(result.final_output)

        yield ask


PEER = Peer("openai-agents", ("openai-agents",), _agent, scripts.tool_loop, _COLD)
