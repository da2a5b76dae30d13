"""Tool: a `ToolSpec` and a callable. `@tool` makes one from a function, whose signature gives the schema."""

import functools
import inspect
import math
import re
import sys
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from pydantic import PydanticUserError, TypeAdapter
from tenacity.wait import wait_base

from llmcompiler.errors import UsageError
from llmcompiler.plan.tools import Cache, Effect, Policy, Rate, Tier, ToolSpec
from llmcompiler.plan.values import Json
from llmcompiler.toolkit.amounts import rate_of, seconds_of
from llmcompiler.toolkit.langchain import adapted, is_base_tool
from llmcompiler.toolkit.results import returned_schema, rule_of
from llmcompiler.toolkit.schema import ArgumentSchema, schema_problem

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[^\W\d][\w./-]*")
_PLAIN = (None, type(None), bool, int, float, str, list, dict, Any, object, inspect.Parameter.empty)


class Tool(Generic[P, R]):
    """A function that the model may call; calling the object calls the function as before."""

    def __init__(self, function: Callable[P, R], spec: ToolSpec, *, wait: wait_base | None = None) -> None:
        self.function = function
        self.spec = spec
        self.wait = wait
        self.schema = ArgumentSchema(spec.parameters)
        self.rule = rule_of(spec)
        self.is_async = _is_async(function)
        # Coroutine functions run on the loop, others in threads, unless the policy says where.
        self.tier: Tier = spec.policy.isolate or ("loop" if self.is_async else "thread")
        self._adapters = _adapters(function)
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
            _given(spec["parameters"], self.function, self.spec.name)
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
    inner = _inner(function)
    named = str(getattr(inner, "__name__", type(inner).__name__)) if name is None else name
    try:
        declared = Effect(effect)
    except ValueError:
        raise UsageError(f"tool {named}: effect {effect!r} is none of {', '.join(Effect)}") from None
    said = inspect.getdoc(inner) if description is None else description
    schema = _schema(function, named) if parameters is None else _given(parameters, function, named)
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
    _check_spec(tool.spec)
    if tool.tier == "loop" and not tool.is_async:
        raise UsageError(
            f"tool {tool.spec.name}: isolate='loop' needs a coroutine function, since a plain one would block the loop"
        )
    if tool.tier == "thread" and tool.is_async:
        raise UsageError(
            f"tool {tool.spec.name}: isolate='thread' needs a plain function; a coroutine function runs on the loop"
        )
    return tool


def _check_spec(spec: ToolSpec) -> None:
    if not _NAME.fullmatch(spec.name):
        rule = "a name is letters, digits, '_', '.', '-' and '/', and begins with a letter or '_'"
        raise UsageError(f"tool {spec.name!r}: {rule}; give name=, as in tool(name=...)(it)")
    if spec.name.lower() == "join":
        raise UsageError("a tool may not be named join: that word ends a plan")
    _check_policy(spec.name, spec.policy)
    if spec.effect is Effect.WRITE and spec.policy.retries:
        raise UsageError(f"tool {spec.name}: effect write refuses retries, since an attempt may have had its effect")
    if spec.policy.cache and spec.effect is not Effect.READ:
        raise UsageError(f"tool {spec.name}: a cache needs effect read; the effect is {spec.effect}")


def _check_policy(name: str, policy: Policy) -> None:
    for what, seconds in (("timeout", policy.timeout), ("expected", policy.expected)):
        if seconds is not None and not (_is_number(seconds) and seconds > 0):
            raise UsageError(f"tool {name}: {what} must be more than 0 seconds, or None; it is {seconds!r}")
    for what, count, least in (("retries", policy.retries, 0), ("concurrency", policy.concurrency, 1)):
        if type(count) is not int and not (count is None and least):
            raise UsageError(f"tool {name}: {what} must be a whole number; it is {count!r}")
        if count is not None and count < least:
            raise UsageError(f"tool {name}: {what} must be {least} or more; it is {count}")
    _check_amounts(name, policy)
    if policy.error_field is not None and not (isinstance(policy.error_field, str) and policy.error_field):
        raise UsageError(f"tool {name}: error_field must be the name of a field; it is {policy.error_field!r}")
    if policy.isolate not in (None, "loop", "thread", "process"):
        raise UsageError(f"tool {name}: isolate {policy.isolate!r} is none of loop, thread, process")


def _check_amounts(name: str, policy: Policy) -> None:
    rate, cache = policy.rate, policy.cache
    if rate is not None and not (
        isinstance(rate, Rate) and type(rate.starts) is int and rate.starts > 0 and _is_time(rate.seconds)
    ):
        raise UsageError(f'tool {name}: rate must be such as "5/s", or Rate(5, 1.0); it is {rate!r}')
    if cache is not None and not (_is_time(cache.ttl) and type(cache.size) is int and cache.size > 0):
        raise UsageError(f"tool {name}: cache needs seconds of more than 0 and a size of 1 or more; it is {cache!r}")


def _is_time(value: object) -> bool:
    return _is_number(value) and 0 < cast("float", value) < math.inf


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _given(parameters: Mapping[str, Any], function: Callable[..., Any], name: str) -> Mapping[str, Any]:
    problem = schema_problem(parameters)
    if problem:
        raise UsageError(f"tool {name}: parameters are no JSON schema of an object: {problem}")
    strange = [key for key in parameters.get("properties", ()) if not _takes(function, key)]
    if strange:
        raise UsageError(f"tool {name}: parameters name {', '.join(strange)}, which the function does not take")
    return parameters


def _takes(function: Callable[..., Any], key: str) -> bool:
    """Return whether a function takes an argument of that name, as far as its signature tells."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return True
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return any(each.kind is each.VAR_KEYWORD or (each.name == key and each.kind in by_name) for each in parameters)


def _schema(function: Callable[..., Any], name: str) -> Mapping[str, Any]:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError) as error:
        raise UsageError(f"tool {name}: it has no readable signature; wrap it in a function") from error
    if next(iter(signature.parameters), "") in ("self", "cls"):
        raise UsageError(
            f"tool {name}: decorate no method inside its class; make a tool of the bound one: tool(it.{name})"
        )
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise UsageError(
                f"tool {name}: argument {parameter} cannot be given by name; make it an ordinary parameter"
            )
    hints: dict[str, Any] = {}
    try:
        hints = _hints(function)
        return _json_schema(_stub(signature, hints))
    except (PydanticUserError, NameError, TypeError) as error:
        culprit = next((f"argument {name!r}" for name, hint in hints.items() if not _has_schema(hint)), "a signature")
        said = str(error).partition(". Set ")[0].partition("\n")[0]
        raise UsageError(
            f"tool {name}: {culprit} that JSON schema cannot describe: {said}; "
            "annotate with types of JSON, dataclasses or pydantic models, or pass parameters="
        ) from error


def _stub(signature: inspect.Signature, hints: dict[str, Any]) -> Callable[..., Any]:
    """Return a function of that signature: pydantic does not read every callable, and stumbles over return types."""

    def stub() -> None: ...

    stub.__signature__ = signature.replace(return_annotation=signature.empty)  # type: ignore[attr-defined]
    stub.__annotations__ = hints
    return stub


def _json_schema(kind: Any) -> Mapping[str, Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return adapter.json_schema()


def _has_schema(hint: Any) -> bool:
    try:
        _json_schema(hint)
    except (PydanticUserError, NameError, TypeError):
        return False
    return True


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of the parameters, by name. Raises `NameError`, `TypeError` or `ValueError`."""
    signature = inspect.signature(function)
    written = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    inner = inspect.unwrap(_inner(function))
    inner = inner if inspect.isroutine(inner) or isinstance(inner, type) else type(inner).__call__
    names = getattr(inspect.unwrap(inner), "__globals__", None) or vars(sys.modules[inner.__module__])
    known = {name: hint for name, hint in written.items() if hint is not signature.empty}
    return typing.get_type_hints(_stub(signature, known), globalns=names, include_extras=True)


def _is_async(function: Any) -> bool:
    call = type(function).__call__  # of an object with an async __call__
    return any(map(inspect.iscoroutinefunction, (function, inspect.unwrap(function), call)))


def _inner(function: Any) -> Any:
    """Return the function that partials stand for, whose name and description are theirs."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _adapters(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """Return an adapter for each parameter whose annotation is more than plain JSON data."""
    try:
        hints = _hints(function)
    except (TypeError, NameError, ValueError):
        return {}
    adapters = {}
    for name, hint in hints.items():
        if not _is_plain(hint):
            with suppress(PydanticUserError):  # what no schema describes, beside a schema that was given: JSON data
                adapters[name] = TypeAdapter(hint)
    return adapters


def _is_plain(hint: Any) -> bool:
    if hint in _PLAIN:
        return True
    if typing.get_origin(hint) in (list, dict, typing.Union, type(int | str)):
        return all(map(_is_plain, typing.get_args(hint)))
    return False
