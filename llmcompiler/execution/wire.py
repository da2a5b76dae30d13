"""Wire: values between processes, as frames of bounded size.

    j JSON            a value that is not big; inside a list or an object: some of its items
    t text            a piece of a big text
    s ... e           a big text, its pieces between    l ... e   a big list    d ... e   a big object
    k JSON            inside an object: the key of the big value that follows

A frame is its length in 8 bytes and the frame itself. They are bounded because reading or writing JSON holds the
interpreter's lock from its beginning to its end: at once, 50 MB would keep the event loop from its work for a second.
"""

import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator

from llmcompiler.plan.values import BIG, Json, weight

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 20
_TEXT = 500_000  # characters of a piece
_END = b"e"


def write_value(fd: int, frames: Iterable[bytes]) -> None:
    """Write the frames of a value. Raises `OSError` when the other end is closed."""
    for frame in frames:
        rest = memoryview(_LENGTH.pack(len(frame)) + frame)
        while rest:
            rest = rest[os.write(fd, rest) :]


def read_value(fd: int, is_alive: Callable[[], bool] = lambda: True) -> Json:
    """Return the next value. `is_alive` is asked before each read, and may wait.

    Raises `EOFError` when the other end is closed, `ValueError` or `LookupError` for what `frames_of` did not write.
    """

    def frame() -> bytes:
        return _read(fd, _LENGTH.unpack(_read(fd, _LENGTH.size, is_alive))[0], is_alive)

    return value_of(frame)


def _read(fd: int, count: int, is_alive: Callable[[], bool]) -> bytes:
    parts = []
    while count:
        part = os.read(fd, min(count, _CHUNK)) if is_alive() else b""
        if not part:
            raise EOFError("the other process has closed its end")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def frames_of(value: Json) -> Iterator[bytes]:
    """Yield the frames of a value. Raises `TypeError` or `ValueError` for what is not JSON data."""
    if weight(value) <= BIG:
        yield b"j" + json.dumps(value).encode()
    elif isinstance(value, str):
        yield b"s"
        for at in range(0, len(value), _TEXT):
            yield b"t" + value[at : at + _TEXT].encode(errors="surrogatepass")
        yield _END
    elif isinstance(value, dict):
        yield b"d"
        yield from _members(value)
        yield _END
    else:
        yield b"l"
        yield from _items(value)  # type: ignore[arg-type]  # nothing else is big
        yield _END


def _items(value: list[Json]) -> Iterator[bytes]:
    some: list[Json] = []
    room = BIG
    for item in value:
        steps = weight(item)
        if steps > room and some:
            yield b"j" + json.dumps(some).encode()
            some, room = [], BIG
        if steps > BIG:
            yield from frames_of(item)
        else:
            some.append(item)
            room -= steps
    if some:
        yield b"j" + json.dumps(some).encode()


def _members(value: dict[str, Json]) -> Iterator[bytes]:
    some: dict[str, Json] = {}
    room = BIG
    for key, item in value.items():
        steps = weight(item) + weight(key)
        if steps > room and some:
            yield b"j" + json.dumps(some).encode()
            some, room = {}, BIG
        if steps > BIG:
            yield b"k" + json.dumps(key).encode()
            yield from frames_of(item)
        else:
            some[key] = item
            room -= steps
    if some:
        yield b"j" + json.dumps(some).encode()


def value_of(frame: Callable[[], bytes]) -> Json:
    """Return the value whose frames `frame` gives one by one. Raises `ValueError` for what `frames_of` did not write."""
    return _value(frame(), frame)


def _value(first: bytes, frame: Callable[[], bytes]) -> Json:
    match first[:1]:
        case b"j":
            value: Json = json.loads(first[1:])
            return value
        case b"s":
            return "".join(piece[1:].decode(errors="surrogatepass") for piece in iter(frame, _END))
        case b"l":
            items: list[Json] = []
            for piece in iter(frame, _END):
                items += json.loads(piece[1:]) if piece[:1] == b"j" else [_value(piece, frame)]
            return items
        case b"d":
            members: dict[str, Json] = {}
            for piece in iter(frame, _END):
                members |= json.loads(piece[1:]) if piece[:1] == b"j" else {json.loads(piece[1:]): value_of(frame)}
            return members
    raise ValueError(f"{first[:20]!r} begins no value")
