"""Tool: a `ToolSpec` and a callable. `@tool` makes one from a function, whose signature gives the schema."""

import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from pydantic import PydanticUserError, TypeAdapter
from tenacity.wait import wait_base

from llmcompiler.errors import UsageError
from llmcompiler.plan.tools import Effect, Policy, Tier, ToolSpec
from llmcompiler.plan.values import Json
from llmcompiler.toolkit.schema import ArgumentSchema

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
        self.is_async = _is_async(function)
        # Coroutine functions run on the loop, others in threads, unless the policy says where.
        self.tier: Tier = spec.policy.isolate or ("loop" if self.is_async else "thread")
        self._adapters = _adapters(function)
        functools.update_wrapper(cast("Callable[..., Any]", self), function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
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

    def with_policy(self, **changes: Any) -> "Tool[P, R]":
        """Return the same tool with some fields of its policy changed."""
        spec = replace(self.spec, policy=replace(self.spec.policy, **changes))
        _check_spec(spec)
        return Tool(self.function, spec, wait=self.wait)


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


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
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[P, R] | None = None,
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
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a function a tool. Without options use it bare: `@tool`.

    name, description: the function's own unless given. parameters: a JSON schema in place of the signature's.
    effect: `read`, `idempotent`, `write` or undeclared. timeout: seconds per attempt, None for no limit. retries: extra
    attempts, with `wait` (a tenacity wait strategy; jittered exponential by default) between them. concurrency: calls at
    once. isolate: `loop`, `thread` or `process`. expected: seconds that a call usually takes.
    Raises `UsageError` for a definition that cannot work.
    """
    policy = Policy(timeout=timeout, retries=retries, concurrency=concurrency, isolate=isolate, expected=expected)

    def make(function: Callable[P, R]) -> Tool[P, R]:
        return _make(
            function, policy, name=name, description=description, parameters=parameters, effect=effect, wait=wait
        )

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
    if not callable(function):
        raise UsageError(f"{function!r} is not callable, so it cannot be a tool")
    named = name or str(getattr(function, "__name__", type(function).__name__))
    try:
        declared = Effect(effect)
    except ValueError:
        raise UsageError(f"tool {named}: effect {effect!r} is none of {', '.join(Effect)}") from None
    said = inspect.getdoc(function) if description is None else description
    spec = ToolSpec(named, said or "", parameters or _schema(function, named), declared, policy)
    _check_spec(spec)
    made = Tool(function, spec, wait=wait)
    if made.tier == "loop" and not made.is_async:
        raise UsageError(f"tool {named}: isolate='loop' needs a coroutine function, since a plain one would block the loop")
    if made.tier == "thread" and made.is_async:
        raise UsageError(f"tool {named}: isolate='thread' needs a plain function; a coroutine function runs on the loop")
    return made


def as_tool(candidate: object) -> Tool[..., Any]:
    """Return a tool for a tool or a plain function. Raises `UsageError` for anything else."""
    if isinstance(candidate, Tool):
        return candidate
    if callable(candidate):
        return tool(candidate)
    raise UsageError(f"{candidate!r} is no tool: give a function, or one decorated with @tool")


def _check_spec(spec: ToolSpec) -> None:
    policy = spec.policy
    if not _NAME.fullmatch(spec.name):
        raise UsageError(
            f"tool {spec.name!r}: a name is letters, digits, '_', '.', '-' and '/', and begins with a letter"
        )
    if spec.name.lower() == "join":
        raise UsageError("a tool may not be named join: that word ends a plan")
    if spec.effect is Effect.WRITE and policy.retries:
        raise UsageError(f"tool {spec.name}: effect write refuses retries, since an attempt may have had its effect")
    if policy.timeout is not None and not policy.timeout > 0:
        raise UsageError(f"tool {spec.name}: timeout must be more than 0 seconds, or None")
    if policy.retries < 0 or (policy.concurrency is not None and policy.concurrency < 1):
        raise UsageError(f"tool {spec.name}: retries must be 0 or more, concurrency 1 or more")
    if policy.isolate not in (None, "loop", "thread", "process"):
        raise UsageError(f"tool {spec.name}: isolate {policy.isolate!r} is none of loop, thread, process")


def _schema(function: Callable[..., Any], name: str) -> Mapping[str, Any]:
    for parameter in _signature(function, name).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise UsageError(
                f"tool {name}: argument {parameter} cannot be given by name; make it an ordinary parameter"
            )
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", function))
        return adapter.json_schema()
    except (PydanticUserError, NameError, TypeError) as error:
        raise UsageError(f"tool {name}: no schema can be made of its signature: {error}") from error


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError) as error:
        raise UsageError(f"tool {name}: it has no readable signature; wrap it in a function") from error


def _is_async(function: Callable[..., Any]) -> bool:
    call = getattr(type(function), "__call__", None)  # of an object with an async __call__
    return inspect.iscoroutinefunction(inspect.unwrap(function)) or inspect.iscoroutinefunction(call)


def _adapters(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """Return an adapter for each parameter whose annotation is more than plain JSON data."""
    try:
        hints = typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    except (TypeError, NameError):
        return {}
    hints.pop("return", None)
    return {name: TypeAdapter(hint) for name, hint in hints.items() if not _is_plain(hint)}


def _is_plain(hint: Any) -> bool:
    if hint in _PLAIN:
        return True
    if typing.get_origin(hint) in (list, dict, typing.Union, type(int | str)):
        return all(map(_is_plain, typing.get_args(hint)))
    return False
