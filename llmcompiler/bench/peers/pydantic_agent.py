"""Pydantic AI three times: its plain tool loop, its harness's code mode, and that with all that starts tools early.

Code mode has the model write one script, run by an interpreter, that calls the tools. `eager` runs statements while the
script is being written, `speculate` starts calls whose arguments are literals; a tool named there must be safe to run early.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from llmcompiler.bench.peers import scripts
from llmcompiler.bench.peers.peer import Ask, Peer

_COLD = '''
import sys
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
{imports}
async def look(topic: str) -> str:
    """Return something about a topic."""
    return "found"

client = AsyncOpenAI(base_url=sys.argv[1], api_key="any", max_retries=0)
model = OpenAIChatModel("scripted", provider=OpenAIProvider(openai_client=client))
print(Agent(model, tools=[look], capabilities={capabilities}).run_sync("go").output)
'''


@asynccontextmanager
async def _agent(look: Callable[[str], Any], base_url: str, capabilities: list[Any]) -> AsyncIterator[Ask]:
    from openai import AsyncOpenAI
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async with AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        model = OpenAIChatModel("scripted", provider=OpenAIProvider(openai_client=client))
        agent = Agent(model, tools=[look], capabilities=capabilities)

        async def ask(question: str) -> str:
            return str((await agent.run(question)).output)

        yield ask


def _loop(look: Callable[[str], Any], base_url: str) -> AbstractAsyncContextManager[Ask]:
    return _agent(look, base_url, [])


def _code_mode(look: Callable[[str], Any], base_url: str) -> AbstractAsyncContextManager[Ask]:
    from pydantic_ai_harness import CodeMode

    return _agent(look, base_url, [CodeMode()])


def _early_code_mode(look: Callable[[str], Any], base_url: str) -> AbstractAsyncContextManager[Ask]:
    from pydantic_ai_harness import CodeMode

    return _agent(look, base_url, [CodeMode(eager=True, speculate=["look"])])


def _cold(capabilities: str) -> str:
    imports = "from pydantic_ai_harness import CodeMode\n" if "CodeMode" in capabilities else ""
    return _COLD.format(imports=imports, capabilities=capabilities)


_HARNESS = ("pydantic-ai-harness", "pydantic-monty")

LOOP = Peer("pydantic-ai", ("pydantic-ai-slim",), _loop, scripts.tool_loop, _cold("[]"))
CODE_MODE = Peer("pydantic-ai CodeMode", _HARNESS, _code_mode, scripts.code, _cold("[CodeMode()]"))
EARLY_CODE_MODE = Peer(
    "pydantic-ai CodeMode(eager, speculate)",
    _HARNESS,
    _early_code_mode,
    scripts.code,
    _cold('[CodeMode(eager=True, speculate=["look"])]'),
)
