"""The reader of server-sent events, pure: the same chunks however the bytes are split, and nothing is lost uncounted."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmcompiler.models.event_stream import EventStream
from llmcompiler.models.model import Chunk, Usage

TEXT = 'héllo 😀 "1. look(\\"a\\")"\u2028\u0085 done\r\n'


def event(data: Any, *, end: str = "\n") -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + (end * 2).encode()


def piece(text: str, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, **choice}], "usage": None}


def read(parts: Iterable[bytes]) -> tuple[list[Chunk], int, bool, str | None]:
    events = EventStream()
    chunks = [chunk for part in parts for chunk in events.feed(part)]
    return chunks, events.skipped, events.is_finished, events.error


FRAMES = st.sampled_from(
    [
        event(piece("a")),
        event(piece(TEXT)),
        event(piece(TEXT), end="\r\n"),
        event(piece("")),
        b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
        event({"choices": [{"delta": {"role": "assistant"}}]}),
        event({"choices": [{"delta": {"reasoning_content": "hm"}}]}),
        event({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": TEXT}}]}}]}),
        event({"choices": []}),
        event({"choices": [{"index": 0}]}),
        event({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
        event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        event({"error": {"message": "overloaded", "code": 503}}),
        event([1, 2]),
        b"data: {broken\n\n",
        b'data: "\xff\xfe"\n\n',
        b": keep-alive\r\n\r\n",
        b"event: ping\nid: 7\nretry: 3\n\n",
        b"\n\r\n\n",
        b"data:[DONE]\n\n",
        b"data: [DONE]\r\n\r\n",
    ]
)


@given(st.lists(FRAMES, max_size=12).map(b"".join), st.lists(st.integers(0, 2000), max_size=12))
@example(event(piece(TEXT), end="\r\n") + b"data: [DONE]\r\n\r\n", list(range(200)))
def test_any_split_of_the_bytes_gives_the_same_chunks(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    assert read(data[start:end] for start, end in pairwise(places)) == read([data])


@given(st.binary(max_size=200))
def test_no_bytes_can_raise(data: bytes) -> None:
    read([b"data: " + data + b"\n\ndata:" + data, b"\n"])


@given(st.lists(FRAMES, max_size=12).map(b"".join), st.integers(0, 3000))
def test_a_cut_loses_only_what_had_not_come(data: bytes, cut: int) -> None:
    whole, part = read([data]), read([data[:cut]])
    assert part[0] == whole[0][: len(part[0])]
    assert part[1] <= whole[1]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_arrives_as_it_was_sent(text: str) -> None:
    chunks, skipped, _, _ = read([event(piece(text))])
    assert "".join(chunk.text for chunk in chunks) == text
    assert skipped == 0


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"data: {broken\n\n", (1, False), id="broken JSON"),
        pytest.param(b'data: "\xff"\n\n', (1, False), id="no UTF-8"),
        pytest.param(b"data: " + b"[" * 100_000 + b"\n\n", (1, False), id="nested beyond all bounds"),
        pytest.param(event(None), (1, False), id="null"),
        pytest.param(event({"type": "ping"}), (1, False), id="an unknown event"),
        pytest.param(event({"choices": []}), (1, False), id="empty choices"),
        pytest.param(event({"choices": [{"index": 0}]}), (1, False), id="no delta"),
        pytest.param(event({"choices": [{"delta": None, "finish_reason": None}]}), (1, False), id="a null delta"),
        pytest.param(event({"choices": [{"delta": [1]}]}), (1, False), id="a list for a delta"),
        pytest.param(event({"choices": [{"delta": {"content": [{"text": "a"}]}}]}), (1, False), id="parts for a text"),
        pytest.param(event({"choices": {"delta": {}}}), (1, False), id="an object for choices"),
        pytest.param(b": comment\n\nevent: x\nid: 1\n\n", (0, False), id="comments and other fields are no events"),
        pytest.param(b"data: [DONE]\n\n", (0, True), id="the end alone"),
        pytest.param(b"data: {broken\n\ndata: [DONE]\n\n", (1, False), id="the end of nothing that could be read"),
        pytest.param(event(piece("a")) + b"data: [DONE]", (0, False), id="a line that has not ended"),
        pytest.param(event(piece("a", finish_reason="")), (0, False), id="an empty finish reason says nothing"),
        pytest.param(event(piece("a", finish_reason="length")), (0, True), id="a finish reason"),
    ],
)
def test_what_cannot_be_read_is_counted(data: bytes, expected: tuple[int, bool]) -> None:
    _, skipped, is_finished, _ = read([data])
    assert (skipped, is_finished) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(None, None, id="null"),
        pytest.param({}, None, id="empty"),
        pytest.param("many", None, id="no object"),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 5}, Usage(1, 0, 5, None), id="a true zero"),
        pytest.param({"prompt_tokens": None, "completion_tokens": 5}, Usage(1, None, 5, None), id="one of them"),
        pytest.param({"prompt_tokens": -1, "completion_tokens": True}, Usage(1, None, None, None), id="nonsense"),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
            Usage(1, 9, 5, 4),
            id="all",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": None},
            Usage(1, 9, 5, None),
            id="no details",
        ),
    ],
)
def test_usage_that_is_not_told_is_none(usage: object, expected: Usage | None) -> None:
    chunks, _, _, _ = read([event({**piece("a"), "usage": usage})])
    assert [chunk.usage for chunk in chunks] == [expected]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param({"error": {"message": "overloaded", "code": 503}}, "overloaded", id="as OpenAI says it"),
        pytest.param({"error": "overloaded"}, "overloaded", id="as a text"),
        pytest.param({"error": {"code": 1}}, "{'code': 1}", id="without a message"),
        pytest.param({"object": "error", "message": "overloaded"}, "overloaded", id="as vLLM said it"),
        pytest.param({**piece("a"), "error": None}, None, id="no error"),
    ],
)
def test_an_error_of_the_server_is_heard(data: Any, said: str | None) -> None:
    assert read([event(data)])[3] == said


def test_an_empty_piece_is_no_sign_of_life_but_thinking_aloud_is() -> None:
    data = event(piece("")) + event({"choices": [{"delta": {"role": "assistant"}}]})
    assert read([data])[0] == []
    assert read([event({"choices": [{"delta": {"reasoning": "hm", "content": None}}]})])[0] == [Chunk("")]


def test_a_lone_surrogate_does_not_come_through() -> None:
    data = b'data: {"choices":[{"delta":{"content":"a\\ud83d b \\ud83d\\ude00"}}]}\n\n'
    assert read([data])[0] == [Chunk("a\ufffd b 😀")]
