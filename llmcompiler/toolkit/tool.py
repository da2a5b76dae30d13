"""Tool: a `ToolSpec` and a callable. `@tool` makes one from a function, whose signature gives the schema."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from tenacity.wait import wait_base

from llmcompiler.errors import UsageError
from llmcompiler.plan.tools import Cache, Effect, Policy, Rate, Tier, ToolSpec
from llmcompiler.plan.values import Json
from llmcompiler.toolkit.amounts import rate_of, seconds_of
from llmcompiler.toolkit.langchain import adapted, is_base_tool
from llmcompiler.toolkit.policy import check_spec
from llmcompiler.toolkit.results import returned_schema, rule_of
from llmcompiler.toolkit.schema import ArgumentSchema
from llmcompiler.toolkit.signatures import adapters_of, given_schema, inner_function, is_async, schema_of

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

P = ParamSpec("P")
R = TypeVar("R")


class Tool(Generic[P, R]):
    """A function that the model may call; calling the object calls the function as before."""

    def __init__(self, function: Callable[P, R], spec: ToolSpec, *, wait: wait_base | None = None) -> None:
        self.function = function
        self.spec = spec
        self.wait = wait
        self.schema = ArgumentSchema(spec.parameters)
        self.rule = rule_of(spec)
        self.is_async = is_async(function)
        # Coroutine functions run on the loop, others in threads, unless the policy says where.
        self.tier: Tier = spec.policy.isolate or ("loop" if self.is_async else "thread")
        self._adapters = adapters_of(function)
        # Without `updated`: an attribute of the function, such as `spec`, would replace one of ours.
        functools.update_wrapper(cast("Callable[..., Any]", self), function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.spec.name}>"

    def adapt(self, arguments: dict[str, Json]) -> dict[str, Any]:
        """Return the arguments as the function's annotations want them: models, dates, enums built from JSON data."""
        if not self._adapters:
            return arguments
        return {
            name: self._adapters[name].validate_python(value) if name in self._adapters else value
            for name, value in arguments.items()
        }

    def revised(self, spec: Mapping[str, Any], policy: Mapping[str, Any]) -> "Tool[P, R]":
        """Return the same tool with these fields of its spec and of its policy. Raises `UsageError` as `tool` does."""
        if "parameters" in spec:
            given_schema(spec["parameters"], self.function, self.spec.name)
        if "returns" in spec:
            spec = {**spec, "returns": returned_schema(spec["returns"], self.spec.name)}
        changed = replace(self.spec, **spec, policy=replace(self.spec.policy, **policy))
        return _checked(Tool(self.function, changed, wait=self.wait))


class ToolMaker(Protocol):
    """What `tool` with options returns."""

    @overload
    def __call__(self, function: Callable[P, R], /) -> Tool[P, R]: ...

    @overload
    def __call__(self, function: "BaseTool", /) -> Tool[..., Any]: ...


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(function: "BaseTool", /) -> Tool[..., Any]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    effect: str = "undeclared",
    timeout: float | None = 60.0,
    retries: int = 0,
    wait: wait_base | None = None,
    concurrency: int | None = None,
    isolate: Tier | None = None,
    expected: float | None = None,
    rate: str | Rate | None = None,
    cache: float | Cache | None = None,
    returns: Any = None,
    error_field: str | None = None,
) -> ToolMaker: ...


def tool(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    effect: str = "undeclared",
    timeout: float | None = 60.0,
    retries: int = 0,
    wait: wait_base | None = None,
    concurrency: int | None = None,
    isolate: Tier | None = None,
    expected: float | None = None,
    rate: str | Rate | None = None,
    cache: float | Cache | None = None,
    returns: Any = None,
    error_field: str | None = None,
) -> Any:
    """Make a function, or a LangChain `BaseTool`, a tool. Without options use it bare: `@tool`.

    name, description: the function's own unless given. parameters: a JSON schema in place of the signature's.
    effect: `read`, `idempotent`, `write` or undeclared. timeout: seconds per attempt, None for no limit. retries: extra
    attempts, with `wait` (a tenacity wait strategy; jittered exponential by default) between them. concurrency: calls at
    once. isolate: `loop`, `thread` or `process`. expected: seconds that a call usually takes. rate: how many calls may
    begin within a time, such as `"5/s"` or `"100/min"`. cache: seconds for which the value of a call serves identical
    ones, also in later runs of the agent; for `effect="read"` only. returns: what it gives, as a JSON schema or a type;
    any other result is a failure. error_field: a field in which a result reports an error.
    Raises `UsageError` for a definition that cannot work.
    """
    policy = Policy(
        timeout=timeout,
        retries=retries,
        concurrency=concurrency,
        isolate=isolate,
        expected=expected,
        rate=rate_of(rate) if isinstance(rate, str) else rate,
        cache=cache if isinstance(cache, Cache | None) else Cache(seconds_of(cache)),
        error_field=error_field,
    )

    def make(function: Any) -> Tool[..., Any]:
        made = _make(
            function, policy, name=name, description=description, parameters=parameters, effect=effect, wait=wait
        )
        return made if returns is None else made.revised({"returns": returns}, {})

    return make if function is None else make(function)


def _make(
    function: Callable[P, R],
    policy: Policy,
    *,
    name: str | None,
    description: str | None,
    parameters: Mapping[str, Any] | None,
    effect: str,
    wait: wait_base | None,
) -> Tool[P, R]:
    if isinstance(function, Tool):
        raise UsageError(f"{function!r} is a tool already")
    if is_base_tool(function):
        base = adapted(function, policy.isolate)
        function, name = base.function, base.name if name is None else name
        description = base.description if description is None else description
        parameters = base.parameters if parameters is None else parameters
    if not callable(function):
        raise UsageError(f"{function!r} is not callable, so it cannot be a tool")
    inner = inner_function(function)
    named = str(getattr(inner, "__name__", type(inner).__name__)) if name is None else name
    try:
        declared = Effect(effect)
    except ValueError:
        raise UsageError(f"tool {named}: effect {effect!r} is none of {', '.join(Effect)}") from None
    said = inspect.getdoc(inner) if description is None else description
    schema = schema_of(function, named) if parameters is None else given_schema(parameters, function, named)
    spec = ToolSpec(named, said or "", schema, declared, policy)
    return _checked(Tool(function, spec, wait=wait))


def as_tool(candidate: object) -> Tool[..., Any]:
    """Return a tool for a tool, a plain function or a LangChain `BaseTool`. Raises `UsageError` for anything else."""
    if isinstance(candidate, Tool):
        return candidate
    if callable(candidate):
        return tool(candidate)
    if is_base_tool(candidate):
        return from_langchain(candidate)
    raise UsageError(f"{candidate!r} is no tool: give a function, or one decorated with @tool")


def from_langchain(base: Any) -> Tool[..., Any]:
    """Return a tool for a LangChain `BaseTool`, with the policy of an undeclared one; `tool(...)(base)` says another.

    Raises `UsageError` for anything else.
    """
    if not is_base_tool(base):
        raise UsageError(f"{base!r} is no BaseTool of LangChain")
    return tool(base)


def _checked(tool: Tool[P, R]) -> Tool[P, R]:
    """Return the tool. Raises `UsageError` for one that cannot work."""
    check_spec(tool.spec)
    if tool.tier == "loop" and not tool.is_async:
        raise UsageError(
            f"tool {tool.spec.name}: isolate='loop' needs a coroutine function, since a plain one would block the loop"
        )
    if tool.tier == "thread" and tool.is_async:
        raise UsageError(
            f"tool {tool.spec.name}: isolate='thread' needs a plain function; a coroutine function runs on the loop"
        )
    return tool
