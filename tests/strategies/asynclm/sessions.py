"""What the tests of AsyncLM share: tools, scripted texts, and a run on virtual time."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llmcompiler import AsyncLM, RunFailed, RunResult, tool
from llmcompiler.testing import run_virtual
from llmcompiler.testing.engines import ScriptedEngine, ScriptedGeneration

QUESTION = "Whom shall I call?"
TRAP = "[TRAP][END]"


@tool(effect="read")
async def find(name: str, seconds: float = 0.95) -> dict[str, Any]:
    """Return what is known of a shop."""
    await asyncio.sleep(seconds)
    return {"name": name, "phone": f"555-{len(name)}"}


@tool(effect="read", expected=2.5)
async def slow(seconds: float = 2.5) -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    return "slept"


@tool
async def echo(text: str) -> str:
    """Return the text."""
    return text


@tool(effect="write")
async def note(text: str) -> str:
    """Write a note."""
    return f"noted {text}"


@tool(effect="read")
async def fail(text: str = "broken") -> str:
    """Raise an error."""
    raise ValueError(text)


TOOLS = [find, slow, echo, note, fail]


@dataclass(frozen=True)
class Held:
    """What came of a session."""

    result: RunResult
    failure: BaseException | None
    engine: ScriptedEngine

    @property
    def generation(self) -> ScriptedGeneration:
        return self.engine.generations[0]

    @property
    def injected(self) -> list[str]:
        """Return what was put in, without the ends of its last lines."""
        return [text.strip("\n") for text in self.generation.injected]

    def kept(self, kind: type) -> list[Any]:
        return [event for event in self.result.events if isinstance(event, kind)]

    def outcome(self, id: int) -> Any:
        return self.result.tasks[id].outcome


def held(*texts: str | Sequence[str], per_token: float = 0.1, tools: Iterable[object] = TOOLS, **options: Any) -> Held:
    """Return what came of a session whose model writes these texts, each to its end."""

    async def work() -> Held:
        engine = ScriptedEngine(texts, per_token=per_token)
        agent = AsyncLM(engine, tools, **options)
        try:
            result, failure = await agent.arun(QUESTION), None
        except RunFailed as error:
            result, failure = error.result, error.__cause__
        finally:
            agent.close()
        return Held(result, failure, engine)

    return run_virtual(work())
