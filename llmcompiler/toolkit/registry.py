"""Registry: an immutable set of tools by name. Importing a module registers nothing; a registry is built and joined."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.plan.tools import Problem, Tools, ToolSpec
from llmcompiler.plan.values import Value
from llmcompiler.toolkit.tool import Tool, as_tool


class Registry(Mapping[str, Tool[..., Any]]):
    """Tools by name, in the order given. Two tools of one name are refused."""

    def __init__(self, tools: Iterable[object] = ()) -> None:
        self._tools: dict[str, Tool[..., Any]] = {}
        for candidate in tools:
            tool = as_tool(candidate)
            if tool.spec.name in self._tools:
                raise UsageError(f"two tools are named {tool.spec.name!r}; give one of them another name=")
            self._tools[tool.spec.name] = tool

    def __getitem__(self, name: str) -> Tool[..., Any]:
        if name not in self._tools:
            raise KeyError(f"there is no tool {name!r}; {did_you_mean(name, list(self._tools))}")
        return self._tools[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __or__(self, other: object) -> "Registry":
        if not isinstance(other, Registry):
            return NotImplemented
        return Registry([*self.values(), *other.values()])

    def __repr__(self) -> str:
        return f"Registry({', '.join(self)})"

    @property
    def specs(self) -> dict[str, ToolSpec]:
        """Return the specs by name."""
        return {name: tool.spec for name, tool in self._tools.items()}

    def checks(self) -> Tools:
        """Return what the passes need to check a plan against these tools."""
        return Tools(self.specs, self._problems)

    def _problems(self, name: str, arguments: Mapping[str, Value]) -> list[Problem]:
        return self._tools[name].schema.problems(arguments)


def registry_of(tools: "Registry | Iterable[object]") -> Registry:
    """Return a registry for whatever names tools: a registry, tools, functions."""
    if isinstance(tools, Registry):
        return tools
    if isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable):
        raise UsageError(f"tools must be a list of functions or a Registry, not {tools!r}")
    return Registry(tools)
