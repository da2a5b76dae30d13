"""Task: one call of one tool, as frozen data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from llmcompiler.plan.values import Value, refs, same

MAX_ID = 999_999
_NO_INPUTS: frozenset[int] = frozenset()  # shared: most tasks have none, and each empty one would take 216 bytes


@dataclass(frozen=True, slots=True)
class Task:
    """One call of one tool: positional and keyword arguments, and the thought that came before it."""

    id: int
    tool: str
    args: tuple[Value, ...] = ()
    kwargs: Mapping[str, Value] = field(default_factory=dict)
    thought: str = ""

    @property
    def inputs(self) -> frozenset[int]:
        """Return the ids of the tasks that this one refers to."""
        if not self.args and not self.kwargs:
            return _NO_INPUTS
        return frozenset(ref.id for value in self.values() for ref in refs(value))

    def values(self) -> Iterator[Value]:
        """Yield all arguments, positional ones first."""
        yield from self.args
        yield from self.kwargs.values()

    def same_call(self, other: "Task") -> bool:
        """Return whether `other` calls the same tool with the same arguments."""
        return self.tool == other.tool and same(self.args, other.args) and same(self.kwargs, other.kwargs)
