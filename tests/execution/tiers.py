"""What both tiers must do with what a tool does: rows of (id, name of the tool, outcome)."""

import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from llmcompiler.execution.border import Ended
from llmcompiler.plan.outcomes import Succeeded, failed

PATIENCE = 15.0  # how long a test waits for what must happen

ROWS: list[tuple[str, str, Ended]] = [
    ("O01a none is a value", "none", Succeeded(None)),
    ("O01b empty text is a value", "empty_text", Succeeded("")),
    ("O01c an empty list is a value", "empty_list", Succeeded([])),
    ("O01d false is a value", "false", Succeeded(False)),
    ("O01e zero is a value", "zero", Succeeded(0)),
    ("O02a an exception", "raises", failed("tool", "ValueError", "no such mountain")),
    ("O02b a group", "raises_group", failed("tool", "ExceptionGroup", "two things (ValueError: a; KeyError: 'b')")),
    (
        "O02c its str fails",
        "raises_without_text",
        failed("tool", "StrFails", "(its text could not be read: RuntimeError)"),
    ),
    ("O02d an exception that cannot be pickled", "raises_unpicklable", failed("tool", "NotPickled", "holds a lock")),
    (
        "O02e a secret is data until a sink",
        "raises_secret",
        failed("tool", "PermissionError", "key sk-1234567890 refused"),
    ),
    ("O03a cancels itself", "cancels_itself", failed("tool", "CancelledError", "")),
    ("O03b exits", "exits", failed("tool", "SystemExit", "exit code 3")),
    ("O03b exits with a text", "exits_with_text", failed("tool", "SystemExit", "exit code 1: good bye")),
    ("O03c generator exit", "generator_exit", failed("tool", "GeneratorExit", "")),
    ("O03d interrupts", "interrupts", failed("tool", "KeyboardInterrupt", "")),
    ("O04a recursion", "recurses", failed("tool", "RecursionError", "maximum recursion depth exceeded")),
    ("O04b memory", "no_memory", failed("tool", "MemoryError", "as if")),
    (
        "O07 what is no JSON data",
        "returns_set",
        failed(
            "value",
            "NotJson",
            "$.items[0] is of type set, which is not JSON data; return sorted(...) of it, a list",
        ),
    ),
]


class Collected:
    """A `done` that keeps what it is told, for a test that waits."""

    def __init__(self) -> None:
        self._told: SimpleQueue[Ended] = SimpleQueue()

    def __call__(self, outcome: Ended) -> None:
        self._told.put(outcome)

    def outcome(self) -> Ended:
        return self._told.get(timeout=PATIENCE)

    @property
    def is_empty(self) -> bool:
        return self._told.empty()


def ended(start: Callable[[Callable[[Ended], None]], Any]) -> Ended:
    """Return the outcome of the call that `start` begins."""
    done = Collected()
    start(done)
    return done.outcome()


def eventually(is_so: Callable[[], bool]) -> bool:
    """Return whether something becomes so within our patience."""
    until = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.001)
    return True


def is_running(pid: int) -> bool:
    """Return whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
