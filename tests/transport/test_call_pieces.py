"""Reading native calls from pieces: the same calls however they are cut, and whatever servers leave out or repeat."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.models.calls import CallReader
from llmcompiler.models.event_stream import EventStream
from llmcompiler.models.model import CallPiece, ToolCall

A, B = '{"q":"a"}', '{"q":"b"}'


def read(pieces: Iterable[CallPiece]) -> tuple[list[ToolCall], list[ToolCall], int]:
    """Return the calls that were sealed while pieces came, those at the end, and the characters ignored."""
    reader = CallReader()
    sealed = [call for piece in pieces if (call := reader.feed(piece)) is not None]
    return sealed, list(reader.close()), reader.ignored


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)
TEXTS = st.builds(json.dumps, OBJECTS, ensure_ascii=st.booleans(), indent=st.none() | st.just(1))


@given(st.lists(st.tuples(TEXTS, st.lists(st.integers(0, 200), max_size=12)), min_size=1, max_size=4), st.booleans())
def test_however_the_arguments_are_cut_the_same_calls_result(
    said: list[tuple[str, list[int]]], has_index: bool
) -> None:
    pieces = []
    for number, (text, cuts) in enumerate(said):
        index = number if has_index else None
        pieces.append(CallPiece(index, f"id{number}", "look"))
        places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
        pieces += [CallPiece(index, arguments=text[start:end]) for start, end in pairwise(places)]
    expected = [ToolCall(f"id{number}", "look", text) for number, (text, _) in enumerate(said)]
    assert read(pieces) == (expected, [], 0)


@given(TEXTS, st.integers(0, 200))
def test_a_call_is_sealed_by_its_last_brace_and_not_before(text: str, cut: int) -> None:
    reader = CallReader()
    early = text[: min(cut, len(text) - 1)]
    assert reader.feed(CallPiece(0, "a", "look", early)) is None
    assert reader.feed(CallPiece(0, arguments=text[len(early) :])) == ToolCall("a", "look", text)


PIECES = st.builds(
    CallPiece,
    st.sampled_from([None, 0, 1]),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["", "f"]),
    st.text(),
)


@given(st.lists(PIECES, max_size=12))
def test_no_pieces_can_raise_or_be_lost_uncounted(pieces: list[CallPiece]) -> None:
    sealed, open_, ignored = read(pieces)
    came = sum(len("".join(piece.arguments.split())) for piece in pieces)
    kept = sum(len("".join(call.arguments.split())) for call in sealed + open_)
    assert kept <= came <= kept + ignored


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [CallPiece(0, "1", "f"), CallPiece(0, arguments=A), CallPiece(1, "2", "g"), CallPiece(1, arguments=B)],
            [("1", "f", A), ("2", "g", B)],
            id="as OpenAI does",
        ),
        pytest.param(
            [CallPiece(0, "1", "f"), CallPiece(1, "2", "g"), CallPiece(1, arguments=B), CallPiece(0, arguments=A)],
            [("2", "g", B), ("1", "f", A)],
            id="calls in one another",
        ),
        pytest.param(
            [CallPiece(0, "1", "f", A), CallPiece(0, "2", "f", B)],
            [("1", "f", A), ("2", "f", B)],
            id="one index for all",
        ),
        pytest.param(
            [CallPiece(0, "", "f", A), CallPiece(0, "", "f", B)], [("", "f", A), ("", "f", B)], id="and no id"
        ),
        pytest.param(
            [CallPiece(None, "1", "f", A), CallPiece(None, "1", "f", B)],
            [("1", "f", A), ("1", "f", B)],
            id="no index and one id for all",
        ),
        pytest.param(
            [
                CallPiece(name="f"),
                CallPiece(arguments=A[:3]),
                CallPiece(arguments=A[3:]),
                CallPiece(name="g", arguments=B),
            ],
            [("", "f", A), ("", "g", B)],
            id="neither index nor id",
        ),
        pytest.param(
            [CallPiece(0, "1", "f", A[:4]), CallPiece(0, "1", "f", A[4:]), CallPiece(0, "1", "f", "")],
            [("1", "f", A)],
            id="id and name in every piece",
        ),
        pytest.param(
            [CallPiece(0, "1", "lo"), CallPiece(0, "", "ok"), CallPiece(0, "", "", A)],
            [("1", "look", A)],
            id="a name in parts",
        ),
        pytest.param([CallPiece(0, "", "f"), CallPiece(0, "9", "", A)], [("9", "f", A)], id="the id later"),
        pytest.param([CallPiece(0, "1", "f", f"  {A}\n ")], [("1", "f", A)], id="white space around"),
        pytest.param([CallPiece(0, "1", "f", "[1]")], [("1", "f", "[1]")], id="a list"),
    ],
)
def test_what_servers_send_in_place_of_openais_form(
    pieces: list[CallPiece], expected: list[tuple[str, str, str]]
) -> None:
    assert read(pieces) == ([ToolCall(*call) for call in expected], [], 0)


@pytest.mark.parametrize("arguments", ["", "null", '"text"', '{"q": "a', "{", "}"])
def test_what_is_not_closed_waits_for_the_end(arguments: str) -> None:
    sealed, left, _ = read([CallPiece(0, "1", "f", arguments), CallPiece(1, "2", "g", B)])
    assert sealed == [ToolCall("2", "g", B)]
    assert left == [ToolCall("1", "f", arguments)]


@pytest.mark.parametrize("pieces", [[A + B], [A, B], [A[:2], A[2:] + B[:3], B[3:]]])
def test_what_follows_the_end_of_a_call_is_ignored_and_counted(pieces: list[str]) -> None:
    first, *others = pieces
    sealed, left, ignored = read([CallPiece(0, "1", "f", first), *(CallPiece(0, arguments=other) for other in others)])
    assert (sealed, left, ignored) == ([ToolCall("1", "f", A)], [], len(B))


# --- from the events of a server


def deltas(*said: Any) -> list[CallPiece]:
    events = EventStream()
    lines = [
        f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'tool_calls': calls}}]})}\n\n".encode()
        for calls in said
    ]
    return [piece for line in lines for chunk in events.feed(line) for piece in chunk.calls]


def test_pieces_are_read_from_the_events_of_a_server() -> None:
    assert deltas(
        [{"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": A}}],
        [{"id": "2", "function": {"name": "g", "arguments": {"q": "b"}}}, {"index": "3", "function": None}],
        [{"index": 1, "id": None, "function": {"name": None, "arguments": None}}],
    ) == [
        CallPiece(0, "1", "f"),
        CallPiece(0, arguments=A),
        CallPiece(None, "2", "g", '{"q": "b"}'),
        CallPiece(),
        CallPiece(1),
    ]


@pytest.mark.parametrize("calls", [5, "f", [5], [None], [{"function": "f"}], {"a": 1}])
def test_an_event_whose_calls_cannot_be_read_is_counted(calls: Any) -> None:
    events = EventStream()
    line = f"data: {json.dumps({'choices': [{'delta': {'tool_calls': calls}}]})}\n\n".encode()
    assert list(events.feed(line)) == []
    assert events.skipped == 1
