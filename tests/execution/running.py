"""What the tests of the driver share: plans as text, tools by tier, agents with scripted models."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmcompiler import LLMCompiler, Outcome, execute, parse_plan, tool
from llmcompiler.plan.tools import Tier
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.toolkit.tool import Tool

FINISH = "Thought: enough.\nAction: Finish(done)"
PATIENCE = 10.0  # real seconds that a busy machine may need
TIERS: tuple[Tier, ...] = ("loop", "thread", "process")


def in_tier(function: Callable[..., Any], tier: Tier, **options: Any) -> Tool[..., Any]:
    """Return a tool that runs `function` in a tier; on the loop inside a coroutine."""
    named = {"name": function.__name__, **options}
    if tier != "loop":
        return tool(isolate=tier, **named)(function)
    schema = tool(function).spec.parameters

    async def call(**arguments: Any) -> Any:
        return function(**arguments)

    return tool(parameters=schema, **named)(call)


async def outcomes_of(text: str, tools: list[Any], **options: Any) -> dict[int, Outcome]:
    """Return the outcomes of a plan given as text."""
    return await execute(parse_plan(text, tools=tools), tools=tools, **options)


def virtual(text: str, tools: list[Any], **options: Any) -> dict[int, Outcome]:
    """Return the outcomes of a plan on virtual time."""
    return run_virtual(outcomes_of(text, tools, **options))


def scripted(
    *plans: str | Scripted, answers: tuple[str | Scripted, ...] = (FINISH,), tools: list[Any], **options: Any
) -> LLMCompiler:
    """Return an agent whose planner and joiner say what is given here; they stay at hand as its models."""
    return LLMCompiler(
        tools=tools,
        planner_model=ScriptedModel(plans),
        joiner_model=ScriptedModel(answers),
        examples=(),
        **options,
    )


def process_of(folder: Path) -> int | None:
    """Return the number of the process that has signed in `folder`, None if none has."""
    signed = [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]
    return signed[0] if signed else None


def is_running(pid: int) -> bool:
    """Return whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def seconds_until(is_so: Callable[[], object]) -> float:
    """Return how long it takes until something is so; fail if it never is."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < PATIENCE, "it never came to be"
        time.sleep(0.001)
    return time.monotonic() - begun
