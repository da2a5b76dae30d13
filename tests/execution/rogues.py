"""Tools that misbehave, plain functions at the top of a module, so that a worker process finds them too."""

import asyncio
import ctypes
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

SECRET_NAME = "ROGUE_API_KEY"


def fine(value: int = 1) -> int:
    return value + 1


def echo(value: Any) -> Any:
    return value


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
    raise ExceptionGroup("two things", [ValueError("a"), KeyError("b")])


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raises_unprintable() -> None:
    raise Unprintable


class Unpicklable(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def raises_unpicklable() -> None:
    raise Unpicklable("holds a lock")


def raises_secret() -> None:
    raise PermissionError(f"the key {os.environ[SECRET_NAME]} was refused")


def cancels_itself() -> None:
    raise asyncio.CancelledError


def exits() -> None:
    raise SystemExit(3)


def generator_exit() -> None:
    raise GeneratorExit


def interrupts() -> None:
    raise KeyboardInterrupt


def recurses() -> None:
    recurses()


def takes_all_memory() -> int:
    return len(bytearray(1 << 62))


def dies() -> None:
    os._exit(7)


def crashes() -> None:
    ctypes.string_at(0)


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def own_process() -> int:
    return os.getpid()


def says(text: str) -> str:
    return text


# What never ends. Each leaves the number of its process; `after` makes it wait for a task, whose warm process it gets.


def hangs(folder: str, after: Any = None) -> None:
    _sign(folder)
    threading.Event().wait()


def hangs_in_cleanup(folder: str, after: Any = None) -> None:
    try:
        _sign(folder)
        raise ValueError("the work is over, the cleanup is not")
    finally:
        threading.Event().wait()


def computes(folder: str, after: Any = None) -> None:
    _sign(folder)
    while True:
        pass


def ignores_signals(folder: str, after: Any = None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _sign(folder)
    threading.Event().wait()


def is_late(folder: str, after: Any = None) -> str:
    """Return once the file `go` is there."""
    _sign(folder)
    while not (Path(folder) / "go").exists():
        time.sleep(0.005)
    (Path(folder) / "late").touch()
    return "late"


def slow(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def _sign(folder: str) -> None:
    (Path(folder) / f"pid-{os.getpid()}").touch()
