"""Worker: the process on the other side of a `ProcessExecutor`. It runs one call at a time until its parent goes.

    parent ──▶ frame {target, kwargs, path?} ──▶ descriptor that was 0 ──▶ main thread: import, run, convert
    parent ◀── frame {value} or {error}      ◀── descriptor that was 1 ◀──┘

A frame is its length in 8 bytes and JSON in ASCII. Descriptors 0 and 1 are moved before any code of a tool runs, so
that what a tool prints goes to stderr and what it reads is empty. Programs that a tool starts do not get the frames'.
"""

import inspect
import json
import os
import select
import signal
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from llmcompiler.execution.border import Ended, describe, outcome_of
from llmcompiler.execution.targets import Target, load
from llmcompiler.plan.outcomes import ErrorRecord, Failed, Succeeded
from llmcompiler.plan.tools import ToolSpec

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 20
_WATCH_MILLISECONDS = 1_000
_PLAIN = (None, bool, int, float, str, list, dict, object, Any)


def write_frame(fd: int, frame: bytes) -> None:
    """Write `frame` whole. Raises `OSError` when the other end is closed."""
    rest = memoryview(_LENGTH.pack(len(frame)) + frame)
    while rest:
        rest = rest[os.write(fd, rest) :]


def read_frame(fd: int, is_alive: Callable[[], bool] = lambda: True) -> bytes | None:
    """Return the next frame, None when the other end is closed. `is_alive` is asked before each read, and may wait."""
    head = _read(fd, _LENGTH.size, is_alive)
    return None if head is None else _read(fd, _LENGTH.unpack(head)[0], is_alive)


def _read(fd: int, count: int, is_alive: Callable[[], bool]) -> bytes | None:
    parts = []
    while count:
        part = os.read(fd, min(count, _CHUNK)) if is_alive() else b""
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def encoded(outcome: Ended) -> bytes:
    """Return the frame that says `outcome`."""
    match outcome:
        case Succeeded(value):
            return json.dumps({"value": value}).encode()
        case Failed(error):
            return json.dumps({"error": [error.kind, error.type, error.message]}).encode()


def decoded(frame: bytes) -> Ended:
    """Return the outcome that `frame` says. Raises `ValueError`, `LookupError` or `TypeError` for any other bytes."""
    reply = json.loads(frame)
    return Failed(ErrorRecord(*reply["error"])) if "error" in reply else Succeeded(reply["value"])


def answer(frame: bytes) -> bytes:
    """Run the call that `frame` asks for and return the frame that says how it ended."""
    request = json.loads(frame)
    sys.path[:] = request.get("path", sys.path)
    target = Target(*request["target"])
    try:
        function, adapt = _prepared(load(target))
    except BaseException as error:  # noqa: BLE001 - a module of the user's may raise anything, or exit
        record = describe(error)
        text = f"{target.path or target.module} could not be loaded in a worker process: {record.message}"
        return encoded(Failed(ErrorRecord("tool", record.type, text)))
    try:
        arguments = adapt(request["kwargs"])
    except Exception as error:  # noqa: BLE001 - validators of the user's classes run here
        return encoded(Failed(describe(error, "arguments")))
    outcome = outcome_of(partial(_to_its_end, function), arguments)
    try:
        return encoded(outcome)
    except Exception as error:  # noqa: BLE001 - such as MemoryError
        return encoded(Failed(describe(error, "value")))


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
    with suppress(OSError, KeyboardInterrupt):  # the parent has gone in the middle of a frame; or a signal meant for us
        while (frame := read_frame(requests)) is not None:
            write_frame(replies, answer(frame))
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
