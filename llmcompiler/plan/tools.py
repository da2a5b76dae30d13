"""ToolSpec: what the planner and the checks may know about a tool. Pure data, no callable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

from llmcompiler.plan.values import Value

Tier: TypeAlias = Literal["loop", "thread", "process"]


class Effect(StrEnum):
    """What calling the tool does to the world; decides early start, sharing and retries."""

    READ = "read"
    IDEMPOTENT = "idempotent"
    WRITE = "write"
    UNDECLARED = "undeclared"

    @property
    def is_held(self) -> bool:
        """Return whether a task waits until the plan has been read to its join and repaired."""
        return self in (Effect.IDEMPOTENT, Effect.WRITE)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `starts` calls begin within any `seconds`."""

    starts: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.starts}/{'' if self.seconds == 1 else f'{self.seconds:g}'}s"


@dataclass(frozen=True, slots=True)
class Cache:
    """Values of identical calls are kept for `ttl` seconds, at most `size` of them, those used longest ago go first."""

    ttl: float
    size: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a tool may be used. Seconds throughout; None means no limit (for `isolate`: chosen by the function)."""

    timeout: float | None = 60.0
    retries: int = 0
    concurrency: int | None = None
    isolate: Tier | None = None
    expected: float | None = None
    rate: Rate | None = None
    cache: Cache | None = None
    error_field: str | None = None  # a result in which this field says something is a failure


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """Name, description and JSON schema of a tool, its effect and its policy."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    effect: Effect = Effect.UNDECLARED
    policy: Policy = field(default_factory=Policy)
    returns: Mapping[str, Any] | None = None  # the JSON schema of its results, if it is declared

    @property
    def properties(self) -> Mapping[str, Any]:
        """Return the parameters by name, in the order in which positional arguments bind."""
        found: Mapping[str, Any] = self.parameters.get("properties", {})
        return found

    @property
    def required(self) -> tuple[str, ...]:
        """Return the names of the parameters without a default."""
        return tuple(self.parameters.get("required", ()))

    @property
    def is_open(self) -> bool:
        """Return whether arguments beyond the named ones are allowed."""
        return self.parameters.get("additionalProperties", True) is not False


class Problem(NamedTuple):
    """What a schema has against an argument; `parameter` is None where it is about all of them together."""

    parameter: str | None
    message: str


SchemaCheck: TypeAlias = Callable[[str, Mapping[str, Value]], list[Problem]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What the checks know of the tools: specs by name and the schema check that `toolkit/` hands down."""

    specs: Mapping[str, ToolSpec]
    check: SchemaCheck
