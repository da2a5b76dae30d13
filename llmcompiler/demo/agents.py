"""The demo: a question by the compiler, and beside it by a sequential tool loop, with the same model and tools.

Without a key or a server the model is a recording, served over loopback with the timing of a hosted model; with one, the
same questions go to the real model. The knowledge base is real either way; only its 0.4 s are added, as a search on the
web would take.
"""

import functools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from llmcompiler.demo.recording import DemoQuestion, recording
from llmcompiler.models.model import Model
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.compiler import LLMCompiler
from llmcompiler.strategies.react import ReAct
from llmcompiler.toolkit.registry import Registry
from llmcompiler.toolkit.tool import Tool

SEARCH_SECONDS = 0.4


def slowed(tools: Registry, seconds: float = SEARCH_SECONDS) -> Registry:
    """Return the example tools, with `seconds` added to each search, as one on the web would take."""
    return Registry([_slowed(tool, seconds) if name == "search" else tool for name, tool in tools.items()])


def is_slowed(tools: Registry) -> bool:
    """Return whether searches wait."""
    return "search" in tools and hasattr(tools["search"].function, "__wrapped__")


def _slowed(tool: Tool[..., Any], seconds: float) -> Tool[..., Any]:
    @functools.wraps(tool.function)
    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)
        return tool.function(*args, **kwargs)

    return Tool(slow, tool.spec)


@contextmanager
def demo_agents(question: DemoQuestion, tools: Registry, model: Model | None) -> Iterator[dict[str, Agent]]:
    """Yield the two agents by title, on a real model, or on the recording if there is none."""
    import_module("openai")  # so that its import counts for neither agent
    with ExitStack() as stack:
        asked = model or OpenAIModel(
            "recorded", base_url=stack.enter_context(recording(question)).base_url, api_key="none"
        )
        agents: dict[str, Agent] = {
            "llmcompiler": LLMCompiler(asked, tools),
            "sequential tool loop (ReAct)": ReAct(asked, tools),
        }
        for agent in agents.values():
            stack.callback(agent.close)
        yield agents
