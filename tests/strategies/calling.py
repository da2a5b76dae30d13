"""What the tests of parallel calls share: tools, scripted calls, and a run on virtual time."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llmcompiler import ParallelCalls, RunFailed, RunResult, ToolCall, tool
from llmcompiler.models.model import Message, Prompt
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.scripted import ScriptedReply

HEIGHTS = {"Everest": 8849, "K2": 8611}
QUESTION = "How much taller is Everest than K2?"


@tool(effect="read", timeout=20)
async def height(mountain: str, after: float = 1.0) -> int:
    """Return the height of a mountain, in metres."""
    await asyncio.sleep(after)
    return HEIGHTS[mountain]


@tool
async def echo(text: str) -> str:
    """Return the text."""
    return text


@tool(effect="write")
async def note(text: str) -> str:
    """Write a note."""
    return f"noted {text}"


@tool(effect="idempotent")
async def put(text: str) -> str:
    """Put a text where it belongs."""
    return f"put {text}"


@tool
async def clock() -> int:
    """Return the hour."""
    return 12


TOOLS = [height, echo, note, put, clock]


def call(name: str, /, id: str = "", **arguments: Any) -> ToolCall:
    """Return a call whose arguments come in pieces of 4 characters, without white space."""
    return ToolCall(id or name, name, json.dumps(arguments, separators=(",", ":")))


def calling(*calls: Any, text: str = "", **options: Any) -> Scripted:
    return Scripted(text=text, calls=calls, **options)


@dataclass(frozen=True)
class Ran:
    result: RunResult
    failure: BaseException | None
    prompts: list[Prompt]

    def told(self, request: int) -> list[Message]:
        """Return the messages of a request, counted from 1, without the system's."""
        return list(self.prompts[request - 1].messages[1:])

    def results(self, request: int) -> list[str]:
        """Return the results of calls that a request showed."""
        return [message.text for message in self.told(request) if message.role == "tool"]

    def kept(self, kind: type) -> list[Any]:
        return [event for event in self.result.events if isinstance(event, kind)]

    def began(self, id: int) -> float | None:
        return self.result.tasks[id].started


def called(*replies: ScriptedReply, tools: Iterable[object] = TOOLS, **options: Any) -> Ran:
    """Return what came of a run, every reply having been asked for."""

    async def work() -> Ran:
        with ScriptedModel(replies) as model:
            agent = ParallelCalls(model, tools, **options)
            try:
                result, failure = await agent.arun(QUESTION), None
            except RunFailed as error:
                result, failure = error.result, error.__cause__
            finally:
                agent.close()
        return Ran(result, failure, model.prompts)

    return run_virtual(work())
