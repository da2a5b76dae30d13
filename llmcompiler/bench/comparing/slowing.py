"""Tools as slow as they would be on a network, each call by the same time wherever it is made."""

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llmcompiler.bench.comparing.settings import tool_seconds
from llmcompiler.strategies.result import TaskRecord
from llmcompiler.toolkit.tool import Tool

ANY = "*"  # in a suite's seconds: every tool that is not named


class Slowness:
    """How long each call takes: `seconds` by tool in the mean, times `factor`."""

    def __init__(self, seconds: Mapping[str, float], factor: float = 1.0) -> None:
        self._seconds = {name: mean * factor for name, mean in seconds.items()}

    def of(self, tool: str, arguments: Mapping[str, Any]) -> float | None:
        """Return the seconds of one call; None for a tool that takes what it takes."""
        mean = self._seconds.get(tool, self._seconds.get(ANY))
        if mean is None:
            return None
        return tool_seconds(mean, f"{tool} {json.dumps(arguments, sort_keys=True, default=str)}")

    def of_task(self, record: TaskRecord) -> float:
        """Return how long a task of a run had to take: the seconds of its call, or what was measured of a real one."""
        if record.reused_from is not None or record.started is None or record.ended is None:
            return 0.0
        nominal = self.of(record.task.tool, record.arguments or {})
        return record.ended - record.started if nominal is None else nominal

    def slowed(self, tools: Sequence[Tool[..., Any]]) -> list[Tool[..., Any]]:
        """Return the tools, those slowed down that have a time."""
        return [self._slowed(tool) if {tool.spec.name, ANY} & set(self._seconds) else tool for tool in tools]

    def _slowed(self, tool: Tool[..., Any]) -> Tool[..., Any]:
        return slowed(tool, lambda arguments: self.of(tool.spec.name, arguments) or 0.0)


def slowed(tool: Tool[..., Any], seconds: Callable[[Mapping[str, Any]], float]) -> Tool[..., Any]:
    """Return a tool that takes, on the loop, as long as `seconds` says of its arguments."""

    async def slow(**arguments: Any) -> Any:  # the framework hands all of them over by name
        now = asyncio.get_running_loop().time
        ends = now() + seconds(arguments)
        value = tool.function(**arguments)
        value = await value if inspect.isawaitable(value) else value
        await asyncio.sleep(ends - now())
        return value

    return Tool(slow, replace(tool.spec, policy=replace(tool.spec.policy, isolate="loop")), wait=tool.wait)
