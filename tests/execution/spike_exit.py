"""A program with tools that hang. It must say "main is over", exit by itself with code 7, and write nothing to stderr.

Run by test_border.py, or by hand: PYTHONPATH=. python tests/execution/spike_exit.py everything
"""

import asyncio
import os
import re
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from llmcompiler.execution.closing import abandon_task
from llmcompiler.execution.processes import ProcessExecutor, Target
from llmcompiler.execution.threads import ThreadExecutor


async def swallows_cancelled() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


async def swallows_everything() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            continue


async def endless_cleanup() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.Event().wait()


async def numbers() -> AsyncIterator[int]:
    try:
        yield 1
        await asyncio.sleep(3600)
    finally:
        await asyncio.Event().wait()


async def generator_cleanup() -> None:
    async for _ in numbers():
        pass


COROUTINES = (swallows_cancelled, swallows_everything, endless_cleanup, generator_cleanup)


async def abandon(*functions) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    tasks = [asyncio.create_task(function()) for function in functions]
    for _ in range(3):  # they have begun, and been cancelled more than once
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    _, pending = await asyncio.wait(tasks, timeout=0.01)
    for task in pending:
        abandon_task(task)


def threads() -> None:
    executor = ThreadExecutor(64)

    def hang(begun: threading.Event) -> None:
        begun.set()
        while True:
            threading.Event().wait()

    for number in range(70):
        begun = threading.Event()
        call = executor.start(hang, {"begun": begun}, print)
        begun.wait()
        if number % 2:
            call.abandon()
    assert executor.abandoned == 35


def thread_in_c() -> None:
    """Hang in a pattern that keeps the interpreter's lock until it has ended, for the last tenth of the program's life."""
    executor = ThreadExecutor()
    begun = threading.Event()

    def search() -> None:
        begun.set()
        for _ in range(1_000_000):
            re.match(r"(a+)+$", "a" * 16 + "b")

    executor.start(search, {}, print)
    begun.wait()


def hang_in_python(ready: str) -> None:
    Path(ready).write_text("")
    while True:
        threading.Event().wait()


def process() -> None:
    executor = ProcessExecutor()
    executor.prestart(2)
    with tempfile.TemporaryDirectory() as folder:
        ready = f"{folder}/ready"
        os.mkfifo(ready)
        here = Target("spike_exit", "hang_in_python", __file__)
        for target, kwargs in (
            (here, {"ready": ready}),
            (Target("subprocess", "call"), {"args": f"echo > {ready}; sleep 3600", "shell": True}),
        ):
            executor.start(target, kwargs, lambda outcome: None)
            Path(ready).read_text()  # it has begun


def main(mode: str) -> None:
    for hang in (threads, thread_in_c, process):
        if mode in (hang.__name__, "everything"):
            hang()
    functions = [function for function in COROUTINES if mode in (function.__name__, "everything")]
    if functions:
        asyncio.run(abandon(*functions))
    print("main is over")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
    sys.exit(7)
