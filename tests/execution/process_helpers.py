"""Shared by the tests of processes."""

from pathlib import Path

from llmcompiler.execution.processes import ProcessExecutor, Target
from tests.execution import process_tools
from tests.execution.tiers import Collected, ended

TOOLS = str(Path(process_tools.__file__).resolve())
WAIT_FOR_PROCESS = 30


def tool(name: str) -> Target:
    return Target("process_tools", name, TOOLS)


def result(executor: ProcessExecutor, name: str, **kwargs):
    return ended(lambda done: executor.start(tool(name), kwargs, done))


def begin(executor: ProcessExecutor, name: str, ready: Path):
    """Start a tool that hangs; return its call, its `done` and its process id once it runs."""
    done = Collected()
    call = executor.start(tool(name), {"ready": str(ready)}, done)
    return call, done, int(ready.read_text())
