"""Tools for the tests of the executors. Both tiers run them: threads call them, processes find them by this file."""

import asyncio
import contextlib
import contextvars
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

IMPORTED_WITH = os.environ.get("LLMCOMPILER_WORKER")
LABEL = contextvars.ContextVar("LABEL", default="unset")


def add(a: float, b: float) -> float:
    return a + b


def echo(value: Any) -> Any:
    return value


def names_of_ours(function: str, kwargs: int, self: str, done: bool, work: None) -> list[Any]:
    return [function, kwargs, self, done, work]


def none() -> None:
    return None


def empty_text() -> str:
    return ""


def empty_list() -> list[int]:
    return []


def false() -> bool:
    return False


def zero() -> int:
    return 0


def raises() -> None:
    raise ValueError("no such mountain")


def raises_group() -> None:
    raise ExceptionGroup("two things", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])])


class StrFails(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raises_without_text() -> None:
    raise StrFails


class NotPickled(Exception):
    def __init__(self, one: object, two: object) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


def raises_unpicklable() -> None:
    raise NotPickled(1, 2)


def raises_secret() -> None:
    raise PermissionError("key sk-1234567890 refused")


def cancels_itself() -> None:
    raise asyncio.CancelledError


def exits() -> None:
    sys.exit(3)


def exits_with_text() -> None:
    raise SystemExit("good bye")


def generator_exit() -> None:
    raise GeneratorExit


def interrupts() -> None:
    raise KeyboardInterrupt


def recurses(depth: int = 0) -> int:
    return recurses(depth + 1) + 1


def no_memory() -> None:
    raise MemoryError("as if")


def returns_set() -> dict[str, Any]:
    return {"items": [{1, 2}]}


def ends_process() -> None:
    os._exit(3)


def segfaults() -> None:
    ctypes.string_at(0)


def killed_by_the_system() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def ends_but_its_child_holds_the_pipe() -> None:
    if os.fork() == 0:
        time.sleep(3600)
    os._exit(4)


def closes_every_descriptor() -> None:
    os.closerange(3, 256)


async def add_later(a: float, b: float) -> float:
    await asyncio.sleep(0)
    return a + b


async def cancelled_later() -> None:
    raise asyncio.CancelledError


async def exits_later() -> None:
    raise SystemExit(5)


async def generator_exit_later() -> None:
    raise GeneratorExit


async def interrupts_later() -> None:
    raise KeyboardInterrupt


def own_pid() -> int:
    return os.getpid()


def hangs(ready: str) -> None:
    """Say that it runs by writing its process id to a FIFO, then never return, whatever signal comes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    announce(ready)
    while True:
        try:
            threading.Event().wait()
        finally:
            continue  # noqa: B012  # a cleanup that never ends


def hangs_with_the_interpreter_locked(ready: str) -> None:
    announce(ready)
    re.match(r"(a+)+$", "a" * 64 + "b")


async def swallows_cancellation(ready: str) -> None:
    announce(ready)
    while True:
        with contextlib.suppress(BaseException):
            await asyncio.sleep(3600)


def hangs_in_a_program(ready: str) -> None:
    subprocess.run(
        [sys.executable, "-c", f"import os, time; open({ready!r}, 'w').write(str(os.getpid())); time.sleep(3600)"]
    )


def announce(ready: str) -> None:
    Path(ready).write_text(str(os.getpid()))


def reads(path: str) -> str:
    """Return what comes through a FIFO: opening it says that this runs, its end says that this may go on."""
    return Path(path).read_text()


def prints_and_reads() -> list[str]:
    print("this is no frame")  # noqa: T201
    sys.stdout.flush()
    os.write(1, b"nor is this")
    subprocess.run(["echo", "nor is what a program says"], check=True)
    return [sys.stdin.read(), os.environ.get("LLMCOMPILER_WORKER", "unset")]


def flag_while_importing() -> str | None:
    return IMPORTED_WITH


class Tools:
    @staticmethod
    def static(a: int) -> int:
        return a

    @classmethod
    def of_class(cls, a: int) -> str:
        return f"{cls.__name__} {a}"

    def bound(self) -> None:
        return None


def made_inside() -> Any:
    def inner() -> None:
        return None

    return inner


nameless = lambda: None  # noqa: E731
