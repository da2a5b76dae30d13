"""Closing: what a tool leaves open. Coroutines and generators in a value that was refused; tasks that will not end.

Nobody will await or drain what was refused, so it is closed, where the tool ran: on its loop, in its thread or process.
Files, connections and other handles are refused too, but not closed, since the tool may go on using them.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import suppress
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import asyncio  # imported at run time it would be half of a worker's cold start

CLOSE_SECONDS = 1.0  # what async generators have for their cleanup; then they are cancelled and given up

GiveUp: TypeAlias = "Callable[[asyncio.Task[None]], None]"
_Generators: TypeAlias = list[AsyncGenerator[Any, Any]]


async def aclose_left(value: object, give_up: GiveUp) -> None:
    """Close what is open in `value`, on the running loop. Tasks that are still at it after `CLOSE_SECONDS` are given up."""
    generators = _left(value)
    if generators:
        await _aclose_all(generators, give_up)


def close_left(value: object) -> None:
    """Close what is open in `value`, in a thread without a loop. Takes `CLOSE_SECONDS` at most, if code does not block."""
    generators = _left(value)
    if not generators:
        return
    import asyncio

    # Not asyncio.run, which waits for ever for a task that swallows its cancellation.
    with suppress(Exception):  # such as too many open files, for which there is no loop
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(_aclose_all(generators, abandon_task))
        finally:
            loop.close()


def _left(value: object) -> _Generators:
    """Close the coroutines and generators in a value; return the async generators, which only a loop can close."""
    generators: _Generators = []
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, (CoroutineType, GeneratorType)):
            _close(item)
        elif isinstance(item, AsyncGeneratorType):
            generators.append(item)
        elif isinstance(item, (list, tuple, set, frozenset, dict)) and id(item) not in seen:
            seen.add(id(item))
            waiting.extend(item.values() if isinstance(item, dict) else item)
    return generators


def _close(item: Coroutine[Any, Any, Any] | Generator[Any, Any, Any]) -> None:
    """Close a coroutine, of which Python would else warn that it was never awaited, or a generator. Never raises."""
    with suppress(BaseException):  # code of the tool's runs; what it raises, or that it goes on, no longer matters
        item.close()


async def _aclose_all(generators: _Generators, give_up: GiveUp) -> None:
    import asyncio

    current = asyncio.current_task()
    name = None if current is None else current.get_name()  # the tool's, by which the watchdog knows it
    tasks = [asyncio.create_task(_aclose(generator), name=name) for generator in generators]
    try:
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
    finally:
        for task in tasks:
            if not task.done():
                task.cancel()
                give_up(task)


async def _aclose(generator: AsyncGenerator[Any, Any]) -> None:
    with suppress(BaseException):  # as above
        await generator.aclose()


def abandon_task(task: "asyncio.Task[Any]") -> None:
    """Give up a task that will not end: from here on `asyncio.run` and the interpreter's exit do not wait for it.

    It stays on its loop and may still end by itself; its result or error is then dropped.
    """
    import asyncio  # see above
    import ctypes

    if task.done():
        return
    # asyncio.run cancels all registered tasks at its end and waits for them for ever. There is no public way out of the
    # register; the name is the same in 3.11 to 3.14.
    asyncio.tasks._unregister_task(task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    # When the loop lets go of the task, Python throws GeneratorExit into its coroutine, and a tool that catches that
    # too (`while True: try: await ... except BaseException: pass`) then spins for ever inside loop.close(). One
    # reference that nothing gives back, not even the interpreter's end, keeps the coroutine asleep.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))
    task.add_done_callback(_let_go)


def _let_go(task: "asyncio.Task[Any]") -> None:
    import ctypes

    if not task.cancelled():
        task.exception()  # asked for, so that asyncio does not report it as never retrieved
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(task))
