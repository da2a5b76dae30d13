"""LangChain's `BaseTool`s as tools. langchain_core is imported only once there is such a tool, so it is loaded already.

A tool goes through its own `invoke` or `ainvoke`, so that its callbacks, its config and its injected arguments work as in
LangChain. What comes back is data: values keep their type, since no tool call id is given (a call with one gives a
`ToolMessage`, whose content is text), and an artifact stays behind. What the tool reports as an error is raised.
"""

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from llmcompiler.errors import UsageError
from llmcompiler.plan.tools import Tier

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool, ToolException


class Adapted(NamedTuple):
    """A `BaseTool` as the parts of a tool of ours."""

    function: Callable[..., Any]
    name: str
    description: str
    parameters: Mapping[str, Any]


def is_base_tool(candidate: object) -> "TypeGuard[BaseTool | type[BaseTool]]":
    """Return whether something is a `BaseTool`, or a class of them, which `adapted` refuses.

    Through sys.modules: where langchain_core is not loaded nothing is.
    """
    kind = getattr(sys.modules.get("langchain_core.tools.base"), "BaseTool", None)
    if kind is None:
        return False
    return isinstance(candidate, kind) or (isinstance(candidate, type) and issubclass(candidate, kind))


def adapted(base: "BaseTool | type[BaseTool]", isolate: Tier | None) -> Adapted:
    """Return the parts of a tool. Of one with two bodies the coroutine is taken unless `isolate` is `thread`.

    Raises `UsageError` for what cannot work here: a class, a process, an argument that only LangGraph injects.
    """
    if isinstance(base, type):
        raise UsageError(f"{base.__name__} is a class of LangChain tools; give one of them: {base.__name__}(...)")
    if isolate == "process":
        raise UsageError(
            f"tool {base.name}: a LangChain tool is an object and cannot run in a process; wrap it in a function of a module"
        )
    wants_id = _wants_call_id(base)
    on_loop = _has_coroutine(base) and (isolate != "thread" or not _has_sync_body(base))
    function = _LoopTool(base, wants_id=wants_id) if on_loop else _ThreadTool(base, wants_id=wants_id)
    return Adapted(function, base.name, base.description, _parameters(base))


class _LangChainTool:
    """A callable around a `BaseTool`."""

    def __init__(self, base: "BaseTool", *, wants_id: bool) -> None:
        self._base = base
        self._wants_id = wants_id
        # A tool with an error handler returns the text of an error as if it were its result. A shallow copy without them
        # raises, so that the task fails, in LangChain's traces as well; the handler's words are put into the error below.
        # (The `status` of a ToolMessage would tell too, but a ToolMessage turns every value into text.)
        handles = base.handle_tool_error or base.handle_validation_error
        self._bare = base.model_copy(update=_NO_HANDLERS) if handles else base

    def __repr__(self) -> str:
        return f"<LangChain tool {self._base.name}>"

    def _request(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if not self._wants_id:
            return arguments
        return {"type": "tool_call", "id": f"call_{uuid.uuid4().hex}", "name": self._base.name, "args": arguments}

    @contextmanager
    def _in_its_words(self) -> Iterator[None]:
        """Raise the errors that the tool has a handler for with the handler's text."""
        from langchain_core.tools import ToolException
        from pydantic import ValidationError

        try:
            yield
        except (ToolException, ValidationError) as error:
            is_tools = isinstance(error, ToolException)
            handler: Any = self._base.handle_tool_error if is_tools else self._base.handle_validation_error
            if isinstance(handler, str) or callable(handler):
                raise _told(handler, error) from error
            raise


_NO_HANDLERS = {"handle_tool_error": False, "handle_validation_error": False}


class _LoopTool(_LangChainTool):
    async def __call__(self, /, **arguments: Any) -> Any:
        with self._in_its_words():
            try:
                output = await self._bare.ainvoke(self._request(arguments))
            except NotImplementedError as error:  # many tools have an _arun that says no more than this
                if _has_sync_body(self._base):
                    error.add_note("if its sync body works, use that: tool(isolate='thread')(it)")
                raise
        return _value(output)


class _ThreadTool(_LangChainTool):
    def __call__(self, /, **arguments: Any) -> Any:
        with self._in_its_words():
            output = self._bare.invoke(self._request(arguments))
        return _value(output)


def _told(handler: Any, error: Exception) -> "ToolException":
    """Return the error that a handler, a text or a function of the error, makes of another one."""
    from langchain_core.tools import ToolException

    return ToolException(handler(error) if callable(handler) else handler)


def _value(output: Any) -> Any:
    """Return what a tool gave; a message of its own that reports an error is raised as one."""
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import ToolException

    if not isinstance(output, ToolMessage):
        return output
    if output.status == "error":
        raise ToolException(str(output.text))
    return output.content


def _has_coroutine(base: "BaseTool") -> bool:
    """Return whether the tool has an async body of its own; `ainvoke` runs others in asyncio's threads, not in ours."""
    from langchain_core.tools import BaseTool

    if hasattr(base, "coroutine"):  # StructuredTool and Tool, whose _arun may find nothing to run
        return base.coroutine is not None
    return type(base)._arun is not BaseTool._arun


def _has_sync_body(base: "BaseTool") -> bool:
    return getattr(base, "func", base) is not None


def _wants_call_id(base: "BaseTool") -> bool:
    """Return whether the tool wants the id of its call. Raises `UsageError` if it wants more that a model does not give."""
    from langchain_core.tools import InjectedToolCallId

    if isinstance(base.args_schema, dict):
        return False
    wants_id, shown = False, _fields(base.tool_call_schema)
    for name, field in _fields(base.get_input_schema()).items():
        if name in shown:
            continue
        if any(mark is InjectedToolCallId or isinstance(mark, InjectedToolCallId) for mark in field.metadata):
            wants_id = True
        elif field.is_required():
            raise UsageError(
                f"tool {base.name}: nobody injects its argument {name!r} here; give it a default, "
                "or make a tool of a function that hands it over"
            )
    return wants_id


def _fields(schema: Any) -> Mapping[str, Any]:
    """Return the fields of a pydantic model; none of one of pydantic's first version."""
    fields: Mapping[str, Any] = getattr(schema, "model_fields", {})
    return fields


def _parameters(base: "BaseTool") -> Mapping[str, Any]:
    """Return the JSON schema of what a model is to give. Raises `UsageError` for types that have none."""
    from langchain_core.tools import Tool
    from pydantic import PydanticUserError

    if isinstance(base, Tool) and base.args_schema is None:
        return {"type": "object", "properties": {"tool_input": {"type": "string"}}, "required": ["tool_input"]}
    schema: Any = base.tool_call_schema
    if isinstance(schema, dict):
        return schema
    try:
        found: Mapping[str, Any] = (
            schema.model_json_schema() if hasattr(schema, "model_json_schema") else schema.schema()
        )
    except PydanticUserError as error:
        said = str(error).partition("\n")[0]
        raise UsageError(
            f"tool {base.name}: JSON schema cannot describe its arguments: {said}; give it an args_schema"
        ) from error
    is_open = getattr(base.args_schema, "model_config", {}).get("extra") == "allow"
    # A model drops what it does not know; here a misspelt argument is diagnosed.
    return found if is_open else {"additionalProperties": False, **found}
