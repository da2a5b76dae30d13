"""The wire between processes: whatever is JSON data comes through exactly, in frames of bounded size."""

import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.execution.wire import frames_of, read_value, value_of, write_value
from llmcompiler.plan.values import BIG, Json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
TEXT = 'é😀\0\n"\\e' * 300_000
BIGS: list[Json] = [
    TEXT,
    [TEXT, "e", TEXT],
    list(range(3 * BIG)),
    [[], [TEXT], {"a": {"b": TEXT}}, 1.5, None],
    {str(key): [key, {}] for key in range(BIG)},
    {"small": 1, "text": TEXT, "rows": list(range(BIG + 1)), "e": "e", "": {}},
    [[[["x" * (60 * BIG)]]]],
    {"x" * (60 * BIG): "a long key"},
]  # fmt: skip


def received(frames: Iterator[bytes]) -> Json:
    return value_of(lambda: next(frames))


@given(VALUES)
def test_a_small_value_is_one_frame(value: Json) -> None:
    [frame] = frames_of(value)
    assert repr(received(iter([frame]))) == repr(value)


@given(st.data())
def test_small_values_come_through_among_big_ones(data: st.DataObject) -> None:
    small = data.draw(st.lists(VALUES, max_size=5))
    big = ["x" * (51 * BIG)] * len(small)
    value: Json = [item for pair in zip(small, big, strict=True) for item in pair]
    members: Json = {f"{key}": item for key, item in enumerate(value)}  # type: ignore[arg-type]
    assert repr(received(frames_of(value))) == repr(value)
    assert repr(received(frames_of(members))) == repr(members)


@pytest.mark.parametrize("value", BIGS, ids=range(len(BIGS)))
def test_a_big_value_comes_in_frames_that_are_not(value: Json) -> None:
    frames = list(frames_of(value))
    assert len(frames) > 1
    assert max(map(len, frames)) < 6_000_000
    assert received(iter(frames)) == value


def test_through_a_pipe() -> None:
    source, sink = os.pipe()
    thread = threading.Thread(target=lambda: [write_value(sink, frames_of(value)) for value in BIGS])
    thread.start()
    assert [read_value(source) for _ in BIGS] == BIGS
    thread.join()
    os.close(sink)
    with pytest.raises(EOFError):
        read_value(source)
    os.close(source)


@pytest.mark.parametrize("frames", [[b""], [b"x1"], [b"e"], [b"j{"], [b"l", b"z", b"e"], [b"d", b"k", b"j1", b"e"]])
def test_what_is_no_value_is_an_error(frames: list[bytes]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever it is, its sender is of no more use
        received(iter(frames))


@pytest.mark.parametrize("value", [{1, 2}, [b"x"], [object()] * (BIG + 1), {"a": {1: "x" * 60 * BIG, (): 1}}])
def test_what_is_no_data_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        list(frames_of(value))  # type: ignore[arg-type]
