"""Worker: the process on the other side of a `ProcessExecutor`. It runs one call at a time until its parent goes.

    parent ──▶ {call, target, kwargs, path?} ──▶ descriptor that was 0 ──▶ main thread: import, run, convert
    parent ◀── {call, value or error}        ◀── descriptor that was 1 ◀──┘

`call` is a number: what comes for another call than the one that is waited for is discarded.

wire.py says how these are written. Descriptors 0 and 1 are moved before any code of a tool runs, so
that what a tool prints goes to stderr and what it reads is empty. Programs that a tool starts do not get the frames'.
"""

import inspect
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from llmcompiler.execution.border import Ended, describe, outcome_of
from llmcompiler.execution.targets import Target, load
from llmcompiler.execution.wire import frames_of, read_value, write_value
from llmcompiler.plan.outcomes import ErrorRecord, Failed, Succeeded
from llmcompiler.plan.tools import ToolSpec
from llmcompiler.plan.values import Json

_WATCH_MILLISECONDS = 1_000
_PLAIN = (None, bool, int, float, str, list, dict, object, Any)


def told(outcome: Ended) -> dict[str, Json]:
    """Return JSON data that says `outcome`."""
    match outcome:
        case Succeeded(value):
            return {"value": value}
        case Failed(error):
            return {"error": [error.kind, error.type, error.message]}


def outcome_from(data: Any) -> Ended:
    """Return the outcome that `data` says. Raises `LookupError` or `TypeError` for any other data."""
    return Failed(ErrorRecord(*data["error"])) if "error" in data else Succeeded(data["value"])


def answer(request: Any) -> list[bytes]:
    """Run the call that a request asks for and return the frames that say how it ended."""
    number = {"call": request["call"]}
    try:
        return list(frames_of(number | told(_answer(request))))
    except Exception as error:  # noqa: BLE001 - such as MemoryError
        return list(frames_of(number | told(Failed(describe(error, "value")))))


def _answer(request: Any) -> Ended:
    sys.path[:] = request.get("path", sys.path)
    target = Target(*request["target"])
    try:
        function, adapt = _prepared(load(target))
    except BaseException as error:  # noqa: BLE001 - a module of the user's may raise anything, or exit
        record = describe(error)
        text = f"{target.path or target.module} could not be loaded in a worker process: {record.message}"
        return Failed(ErrorRecord("tool", record.type, text))
    try:
        arguments = adapt(request["kwargs"])
    except Exception as error:  # noqa: BLE001 - validators of the user's classes run here
        return Failed(describe(error, "arguments"))
    return outcome_of(partial(_to_its_end, function), arguments)


@lru_cache(maxsize=1024)
def _prepared(found: Any) -> tuple[Callable[..., object], Callable[[dict[str, Any]], dict[str, Any]]]:
    """Return what to call for `found`, and what makes of JSON data the models and dates that it wants."""
    tool = None if inspect.isroutine(found) else found
    adapt = getattr(tool, "adapt", None)
    if adapt is None and any(hint not in _PLAIN for hint in getattr(found, "__annotations__", {}).values()):
        from llmcompiler.toolkit.tool import Tool  # pydantic: only where it is needed

        adapt = Tool(found, ToolSpec("", "", {})).adapt
    return getattr(tool, "function", found), adapt or (lambda kwargs: kwargs)


def _to_its_end(function: Callable[..., object], /, **kwargs: Any) -> object:
    value = function(**kwargs)
    if not inspect.iscoroutine(value):
        return value
    import asyncio  # a third of a cold start, so only for tools that need it

    return asyncio.run(value)


def main(parent: int) -> None:
    """Serve the process `parent` until it goes. Does not return."""
    requests, replies = _private_ends()
    threading.Thread(target=_watch, args=(requests, parent), name="llmcompiler-watch", daemon=True).start()
    with suppress(OSError, EOFError, KeyboardInterrupt):  # the parent has gone; or a signal was meant for us
        while True:
            write_value(replies, answer(read_value(requests)))
    _end()


def _private_ends() -> tuple[int, int]:
    requests, replies = os.dup(0), os.dup(1)  # closed in programs that a tool starts
    empty = os.open(os.devnull, os.O_RDWR)
    os.dup2(empty, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # the parent has no stderr
        os.dup2(empty, 1)
    os.close(empty)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a killed process flushes nothing
    return requests, replies


def _watch(requests: int, parent: int) -> None:
    """End this process when the parent's end closes, even while a tool hangs in the main thread."""
    poll = select.poll()
    poll.register(requests, 0)  # nothing but the hang-up
    while not poll.poll(_WATCH_MILLISECONDS):
        if os.getppid() != parent:  # a forked sibling still holds the pipe
            break
    _end()


def _end() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # together with what tools have started
    os._exit(0)
