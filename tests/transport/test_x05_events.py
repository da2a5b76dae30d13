"""X05, events that are not as they should be: skipped and counted; an error only if the stream ends without content."""

import asyncio

import pytest

from llmcompiler import ModelRetries, RunFailed, Usage
from llmcompiler.errors import NotAPlan, StreamCut
from llmcompiler.testing.server import Inject, LoopbackServer, Reply, SplitPackets, Status, sse
from llmcompiler.testing.server import Usage as Told
from tests.transport.serving import World, ask, body_of, desk, is_planner, model_at, raw

TEXT = "héllo wörld, 😀 and\u2028more\u2029\u0085\r\n of it"
NEVER_AGAIN = ModelRetries(retries=0)


def content(text: str) -> bytes:
    return sse({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


DONE = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + sse("[DONE]")


@pytest.mark.parametrize(
    ("injected", "skipped"),
    [
        pytest.param(b"data: {broken\n\n", 1, id="X05a broken JSON"),
        pytest.param(b'data: {"choices": [{"delta": {"content": "half\n\n', 1, id="X05a half an event"),
        pytest.param(b"data:\n\n", 1, id="X05a no JSON at all"),
        pytest.param(b'data: "\xff\xfe"\n\n', 1, id="X05a no UTF-8"),
        pytest.param(sse({"type": "ping"}, name="ping"), 1, id="X05b an unknown event"),
        pytest.param(sse("[1, 2]"), 1, id="X05b a list"),
        pytest.param(b": keep-alive\n\n:\n\n", 0, id="X05c comment lines"),
        pytest.param(b"id: 7\nretry: 100\nevent: x\n\n", 0, id="X05c fields that are not ours"),
        pytest.param(sse({"choices": []}), 1, id="X05e empty choices"),
        pytest.param(sse({"choices": None}), 1, id="X05e null choices"),
        pytest.param(sse({"choices": [{"index": 0, "finish_reason": None}]}), 1, id="X05f missing delta"),
        pytest.param(sse({"choices": [{"index": 0, "delta": None}]}), 1, id="X05f null delta"),
        pytest.param(sse({"choices": [{"index": 0, "delta": {"content": None}}]}), 0, id="X05f null content"),
        pytest.param(sse({"error": None, "choices": []}), 1, id="no error"),
    ],
)
def test_X05abcef_is_skipped_and_counted(injected: bytes, skipped: int) -> None:
    replies = [Reply(chunks=["a", "b", "c"], fault=Inject(after, injected)) for after in (0, 1, 3)]
    with LoopbackServer(replies) as server:
        model = model_at(server)

        async def scenario() -> None:
            for count in (1, 2, 3):
                text, chunks = await ask(model)
                assert text == "abc"
                assert chunks[-1].usage is not None
                assert model.skipped_events == count * skipped

        asyncio.run(scenario())
        server.assert_consumed()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_X05d_data_split_over_packets(size: int) -> None:
    with LoopbackServer([Reply(TEXT, fault=SplitPackets(size))]) as server:
        model = model_at(server)
        text, chunks = asyncio.run(ask(model))
        assert text == TEXT
        assert chunks[-1].usage is not None
        assert model.skipped_events == 0


def test_X05d_characters_of_several_bytes_are_sent_raw_in_these_tests() -> None:
    with LoopbackServer([Reply(TEXT), Reply(TEXT)]) as server:
        asyncio.run(ask(model_at(server)))
        body = body_of(server.base_url, server.requests[0].request.raw)
        assert "😀".encode() in body
        assert "\u2028".encode() in body


@pytest.mark.parametrize("size", [None, 1, 5])
def test_X05d_line_ends_of_two_characters(size: int | None) -> None:
    reply = raw((content(TEXT) + DONE).replace(b"\n", b"\r\n"))
    faults = (*reply.faults, SplitPackets(size)) if size else reply.faults
    with LoopbackServer([Reply(fault=faults)]) as server:
        model = model_at(server)
        assert asyncio.run(ask(model))[0] == TEXT
        assert model.skipped_events == 0


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        pytest.param(None, None, id="X05g never"),
        pytest.param({}, None, id="X05g empty"),
        pytest.param({"prompt_tokens": None}, Usage(1, None, None, None), id="X05g null"),
        pytest.param(Told(70, 8), Usage(1, 70, 8, None), id="X05g in a last chunk"),
        pytest.param(Told(70, 8, 64), Usage(1, 70, 8, 64), id="X05g with what was cached"),
        pytest.param(Told(0, 0, 0), Usage(1, 0, 0, 0), id="X05g a zero that was told"),
    ],
)
def test_X05g_usage_is_what_was_told(told: Told | None, usage: Usage | None) -> None:
    with LoopbackServer([Reply("whole", usage=told)]) as server:
        text, chunks = asyncio.run(ask(model_at(server)))
    assert text == "whole"
    assert [chunk.usage for chunk in chunks if chunk.usage is not None] == ([] if usage is None else [usage])


def test_X05g_usage_that_grows_with_every_chunk_is_not_added_up() -> None:
    def told(text: str, tokens: int) -> bytes:
        return sse(
            {"choices": [{"delta": {"content": text}}], "usage": {"prompt_tokens": 9, "completion_tokens": tokens}}
        )

    plan = raw(told('1. look("a")\n', 4), told("2. join()", 7), DONE)
    with LoopbackServer(desk(lambda: plan)) as server:
        result = asyncio.run(World().agent(server).arun("q"))
    assert result.usage.by_purpose["planner"] == Usage(1, 9, 7, None)


@pytest.mark.parametrize("purpose", ["planner", "joiner"])
def test_X05g_the_usage_of_a_run_is_unknown_where_one_request_did_not_tell(purpose: str) -> None:
    plan = Reply('1. look("a")\n2. join()', usage=None if purpose == "planner" else Told(100, 10, 5))
    answer = Reply("Action: Finish(A)", usage=None if purpose == "joiner" else Told(200, 20, 5))
    with LoopbackServer(desk(lambda: plan, answer)) as server:
        usage = asyncio.run(World().agent(server).arun("q")).usage
    known = {"planner": Usage(1, 100, 10, 5), "joiner": Usage(1, 200, 20, 5)}
    assert usage.by_purpose == {**known, purpose: Usage(1, None, None, None)}
    assert usage.total == Usage(2, None, None, None)


def test_X05g_the_usage_of_a_run_is_the_sum() -> None:
    told = desk(
        lambda: Reply('1. look("a")\n2. join()', usage=Told(100, 10, 5)), Reply("Finish(A)", usage=Told(1, 2, 3))
    )
    with LoopbackServer(told) as server:
        assert asyncio.run(World().agent(server).arun("q")).usage.total == Usage(2, 101, 12, 8)


def test_X05_a_stream_of_nothing_readable_is_an_error_and_tried_again() -> None:
    garbage = raw(b"data: {broken\n\n" * 3, sse("[DONE]"))
    with LoopbackServer([garbage, "whole"]) as server:
        model = model_at(server)
        assert asyncio.run(ask(model))[0] == "whole"
        assert model.skipped_events == 3
        server.assert_consumed()
    with LoopbackServer([garbage]) as server, pytest.raises(StreamCut, match="3 events could not be read"):
        asyncio.run(ask(model_at(server), retries=NEVER_AGAIN))


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(raw(), id="nothing"),
        pytest.param(raw(b"\n\n"), id="empty lines"),
        pytest.param(raw(b": keep-alive\n\n"), id="comments only"),
        pytest.param(raw(b"<html>all is well</html>"), id="a page"),
        pytest.param(raw(b'{"choices": [{"message": {"content": "a"}}]}'), id="a reply that is not streamed"),
        pytest.param(raw(content("")), id="an empty piece"),
    ],
)
def test_X05_an_empty_stream_is_an_error_and_tried_again(reply: Reply) -> None:
    with LoopbackServer([reply] * 3) as server:
        with pytest.raises(StreamCut):
            asyncio.run(ask(model_at(server)))
        server.assert_consumed()


def test_X05_a_model_that_says_nothing_and_finishes_is_asked_to_repair_not_called_again_by_the_transport() -> None:
    with LoopbackServer(desk(lambda: "")) as server:
        with pytest.raises(RunFailed) as failed:
            asyncio.run(World().agent(server).arun("q"))
        assert [is_planner(one.request) for one in server.requests] == [True, True]
    assert isinstance(failed.value.__cause__, NotAPlan)


ERROR = sse({"error": {"message": "the engine died", "type": "server_error", "code": 500}})


@pytest.mark.parametrize("ending", [b"", sse("[DONE]"), content("more") + DONE])
def test_X05_an_error_event_before_any_text_is_tried_again(ending: bytes) -> None:
    with LoopbackServer([raw(ERROR, ending), "whole"]) as server:
        assert asyncio.run(ask(model_at(server)))[0] == "whole"
        server.assert_consumed()


@pytest.mark.parametrize("ending", [b"", sse("[DONE]")])
def test_X05_an_error_event_after_some_text_is_told(ending: bytes) -> None:
    with LoopbackServer([raw(content("a"), ERROR, ending)]) as server:
        with pytest.raises(StreamCut, match="the engine died"):
            asyncio.run(ask(model_at(server)))
        server.assert_consumed()


def test_X05_an_error_event_cuts_a_plan() -> None:
    plan = raw(content('1. look("a")\n2. save("$1")\n'), ERROR)
    world = World()
    with LoopbackServer(desk(lambda: plan)) as server:
        result = asyncio.run(world.agent(server).arun("q"))
        assert "the engine died" in server.requests[-1].request.text, "the joiner was told"
    assert (result.status, result.stopped_by) == ("partial", "cut")
    assert (world.looked, world.saved) == (["a"], [])


def test_X05_an_error_event_after_the_end_is_of_no_consequence() -> None:
    with LoopbackServer([raw(content("a"), DONE, ERROR)]) as server:
        assert asyncio.run(ask(model_at(server)))[0] == "a"


def test_X05_a_stream_with_every_fault_at_once_still_gives_its_plan() -> None:
    plan = Reply(
        chunks=['1. look("é😀', '\u2028")\n', "2. join()"],
        fault=(
            SplitPackets(1),
            Inject(0, b": hello\r\n\r\n"),
            Inject(1, b"data: {broken\n\n"),
            Inject(1, sse({"choices": []})),
            Inject(2, sse({"type": "ping"}, name="ping")),
        ),
    )
    world = World()
    with LoopbackServer(desk(lambda: plan)) as server:
        agent = world.agent(server)
        result = asyncio.run(agent.arun("q"))
    assert result.status == "complete"
    assert world.looked == ["é😀\u2028"]


def test_X05_a_lone_surrogate_in_a_plan_can_still_be_shown_to_the_joiner() -> None:
    plan = raw(b'data: {"choices":[{"delta":{"content":"1. look(\\"a\\ud83d\\")\\n2. join()"}}]}\n\n', DONE)
    world = World()
    with LoopbackServer(desk(lambda: plan)) as server:
        assert asyncio.run(world.agent(server).arun("q")).status == "complete"
    assert world.looked == ["a\ufffd"]


def test_X05_a_status_of_200_with_an_error_for_a_body() -> None:
    body = b'{"error": {"message": "no such model", "code": 404}}'
    reply = Reply(fault=Status(200, (("content-type", "application/json"),), body))
    with LoopbackServer([reply]) as server, pytest.raises(StreamCut):
        asyncio.run(ask(model_at(server), retries=NEVER_AGAIN))
