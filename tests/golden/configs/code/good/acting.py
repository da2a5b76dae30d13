"""Tools whose doings can be seen, for the tests of agents from files."""

import os
import threading
import time

from llmcompiler import tool

calls: list[str] = []
running = 0
most = 0
_lock = threading.Lock()


def note(text: str) -> str:
    """Note a text."""
    calls.append(text)
    return text.upper()


def count(text: str) -> int:
    """Return how many calls ran at once so far, this one included."""
    global running, most
    with _lock:
        running += 1
        most = max(most, running)
    time.sleep(0.05)
    with _lock:
        running -= 1
    return most


def fail(text: str) -> str:
    """Fail, the first time."""
    calls.append(text)
    if len(calls) < 2:
        raise RuntimeError(f"not yet, {text}")
    return "at last"


def process(text: str) -> int:
    """Return the id of the process that it runs in."""
    return os.getpid()


def sleep(text: str) -> str:
    """Take longer than anybody waits."""
    time.sleep(5)
    return text


def thread(text: str) -> str:
    """Return the thread's name."""
    return threading.current_thread().name


def tell(text: str) -> str:
    """Fail with what should not be told."""
    raise RuntimeError(f"the key {os.environ['TEST_API_KEY']} was refused")


@tool(effect="read", retries=3)
def look(text: str) -> str:
    """Look it up."""
    calls.append(text)
    return text
