"""Tools whose results are a trial, plain functions at the top of a module, so that a worker process finds them too."""

import asyncio
import hashlib
import inspect
import itertools
import json
import os
import stat
import struct
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmcompiler import Succeeded

SIZE = 50_000_000
KEPT: list[Any] = []
SHARED: dict[str, Any] = {"limits": {"rows": [1, 2, 3]}}


def digest(value: Any) -> str:
    """Return a hash of a value, in a form that does not depend on where it is computed."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else json.dumps(value).encode()).hexdigest()


def fine() -> str:
    return "fine"


def echo(value: Any) -> Any:
    return value


def count(value: Any) -> int:
    return len(value)


# O06


def big_text() -> str:
    return "é" + "x" * (SIZE - 2) + "!"


def big_list() -> list[int]:
    return list(range(1_000_000))


def big_record() -> dict[str, Any]:
    return {"title": "rows", "rows": [{"id": id, "name": f"row {id}"} for id in range(50_000)]}


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


# O07: each that can be closed says so by a file.


def generator(folder: str) -> Any:
    begun = _numbers(folder)
    next(begun)
    return {"rows": begun}


def async_generator(folder: str) -> Any:
    return [_begun(_numbers_later(folder))]


def async_generator_not_begun(folder: str) -> Any:
    return [_numbers_later(folder)]


async def async_generator_of_a_coroutine(folder: str) -> Any:
    numbers = _numbers_later(folder)
    await anext(numbers)
    return {"rows": numbers, "more": [asyncio.sleep(0)]}


def begun_coroutine(folder: str) -> Any:
    return [_begun(_waiting(folder))]


def endless_generator(folder: str) -> Any:
    begun = _without_end(folder)
    next(begun)
    return begun


def endless_iterator(folder: str) -> Any:
    return {"rows": [itertools.count()]}


def coroutines(folder: str) -> Any:
    return {"rows": [asyncio.sleep(0), {"more": (asyncio.sleep(0), {"deep": asyncio.sleep(0)})}]}


def open_file(folder: str) -> Any:
    KEPT.append((Path(folder) / "some").open("w"))
    return {"file": KEPT[-1]}


def cycle(folder: str) -> Any:
    value: dict[str, Any] = {"a": [1]}
    value["a"].append(value)
    return value


class Mountain:
    height = 8849


def instance(folder: str) -> Any:
    return [1, {"mountain": Mountain()}]


def _numbers(folder: str) -> Iterator[int]:
    try:
        yield 1
        yield 2
    finally:
        (Path(folder) / "closed").touch()


def _without_end(folder: str) -> Iterator[int]:
    try:
        while True:
            yield 1
    finally:
        (Path(folder) / "closed").touch()


async def _numbers_later(folder: str) -> AsyncGenerator[int, None]:
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)  # which only a loop can do
        (Path(folder) / "closed").touch()


async def _waiting(folder: str) -> None:
    try:
        await asyncio.sleep(0)
    finally:
        (Path(folder) / "closed").touch()


def _begun(later: Any) -> Any:
    """Take the first step of a coroutine or an async generator by hand."""
    with suppress(StopIteration):
        (later if inspect.iscoroutine(later) else anext(later)).send(None)
    return later


# O07: those that will not be closed, and those whose cleanup fails.


def goes_on(folder: str) -> Any:
    def numbers() -> Iterator[int]:
        for number in range(3):
            with suppress(GeneratorExit):
                yield number

    begun = numbers()
    next(begun)
    return begun


def goes_on_later(folder: str) -> Any:
    async def numbers() -> AsyncGenerator[int, None]:
        for number in range(3):
            with suppress(GeneratorExit):
                yield number

    return _begun(numbers())


def coroutine_that_goes_on(folder: str) -> Any:
    async def work() -> None:
        for _ in range(3):
            with suppress(GeneratorExit):
                await asyncio.sleep(0)

    return [_begun(work())]


def exits_when_closed(folder: str) -> Any:
    def numbers() -> Iterator[int]:
        try:
            yield 1
        finally:
            sys.exit(3)

    begun = numbers()
    next(begun)
    return [generator(folder), begun]


def cleanup_without_end(folder: str) -> Any:
    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            while True:
                with suppress(BaseException):
                    await asyncio.sleep(3600)

    return _begun(numbers())


# O08


def odd_values() -> dict[str, Any]:
    return {
        "nul": "a\0b",
        "controls": "\x01\x1f\x7f\x85\u2028\u2029\ufeff",
        "astral": "😀",
        "combining": "e\u0301",
        "over 64 bits": 2**64,
        "far over": -(10**3_999),
        "floats": [0.1, 1e308, 5e-324, -0.0, 1e22],
        "empty": {"": {}},
        "keys": {"1": "text", "01": "other", "a b": 1, "__class__": 2},
    }


def has_bytes() -> Any:
    return {"a": [b"raw"]}


def has_nan() -> Any:
    return [1.0, {"x": float("nan")}]


def has_infinity() -> Any:
    return {"x": -float("inf")}


def has_surrogate() -> Any:
    return {"a": "b\ud800"}


def has_surrogate_in_key() -> Any:
    return {"\udfff": 1}


def has_too_long_an_integer() -> Any:
    return [10**5_000]


def has_equal_keys() -> Any:
    return {"rows": {1: "a", "1": "b"}}


# O10


def says(text: str) -> Any:
    return {"page": text, text: [text]}


def fails_with(text: str) -> Any:
    raise type(f"Odd{text}", (Exception,), {})(text)


# O11


def spoils(value: Any) -> str:
    """Change whatever there is to change in the argument."""
    if isinstance(value, dict):
        for item in value.values():
            spoils(item)
        value.clear()
    elif isinstance(value, list):
        for item in value:
            spoils(item)
        value.append("spoilt")
    return "spoilt"


def gives_what_it_keeps() -> Any:
    KEPT.append({"rows": [[1], [2]], "text": "a"})
    return KEPT[-1]


def changes_what_was_kept(after: Any) -> int:
    for value in KEPT:
        spoils(value)
    return len(KEPT)


def gives_shared_state(after: Any = None) -> Any:
    return SHARED


def changes_shared_state(after: Any) -> None:
    SHARED["limits"]["rows"].append(len(SHARED["limits"]["rows"]))


# O12, O14


def waits_for(path: str) -> str:
    """Block until a file is there."""
    while not Path(path).exists():
        time.sleep(0.001)
    return "came"


async def computes(seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))
    return "done"


def is_late(folder: str) -> str:
    (Path(folder) / "began").touch()
    while not (Path(folder) / "go").exists():
        time.sleep(0.002)
    (Path(folder) / "late").touch()
    return "late"


def reports_twice(reply: str) -> str:
    """Write a reply of its own, before the true one."""
    _writes_to_the_parent(reply)
    return "true"


def reports_later(reply: str, folder: str, times: int) -> str:
    """Leave a thread that writes replies of its own when the file `go` is there, while the process is idle."""

    def later() -> None:
        waits_for(str(Path(folder) / "go"))
        for _ in range(times):
            _writes_to_the_parent(reply)
        (Path(folder) / "said").touch()

    threading.Thread(target=later, daemon=True).start()
    return "true"


def _writes_to_the_parent(reply: str) -> None:
    """Write to whatever pipe of this process may lead to the parent."""
    frame = b"j" + reply.encode()
    for fd in range(3, 20):
        with suppress(OSError):
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.write(fd, struct.pack("!Q", len(frame)) + frame)


def reports_by_hand() -> str:
    """Find in the frames that called this tool what takes its outcome, and call it before the true outcome comes."""
    frame = sys._getframe(1)
    while (done := frame.f_locals.get("done") or getattr(frame.f_locals.get("call"), "_done", None)) is None:
        assert frame.f_back is not None
        frame = frame.f_back
    done(Succeeded("forged"))
    return "true"


def reports_an_error(body: Any) -> Any:
    return body
