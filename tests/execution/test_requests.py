"""One request to a model, on virtual time: deadlines, the one retry layer, and one kind of error for whatever is thrown."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from tenacity import wait_fixed, wait_none

from llmcompiler import CallPiece, Chunk, Deadlines, Message, ModelError, ModelRetries, Prompt
from llmcompiler.errors import AuthenticationFailed, ContextTooLong, ModelTimeout, ModelUnavailable, StreamCut
from llmcompiler.execution.requests import stream_reply
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual

PROMPT = Prompt((Message("user", "q"),))
OFF = Deadlines(first_token=None, idle=None, total=None)
Step = float | str | Chunk | Exception


class Steps:
    """A model that does these steps, one list a request: waits, says something, raises. It notes what befalls it."""

    def __init__(self, *requests: Iterable[Step]) -> None:
        self.begun: list[float] = []
        self.closed: list[float] = []
        self._requests = list(requests)

    async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk | str]:
        now = asyncio.get_running_loop().time
        steps = self._requests[len(self.begun)]
        self.begun.append(now())
        try:
            for step in steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.closed.append(now())


def ask(model: Any, deadlines: Deadlines = OFF, retries: ModelRetries | None = None) -> tuple[list[Chunk], float]:
    """Return the chunks, and when the last one had come."""

    async def scenario() -> tuple[list[Chunk], float]:
        chunks = [chunk async for chunk in stream_reply(model, PROMPT, deadlines, retries or ModelRetries(retries=0))]
        return chunks, asyncio.get_running_loop().time()

    return run_virtual(scenario())


def failure(model: Any, *args: Any) -> tuple[ModelError, float]:
    """Return the error, and when it came."""

    async def scenario() -> tuple[ModelError, float]:
        with pytest.raises(ModelError) as failed:
            async for _ in stream_reply(model, PROMPT, *args):
                pass
        return failed.value, asyncio.get_running_loop().time()

    return run_virtual(scenario())


NEVER = ModelRetries(retries=0)


def twice(wait: float = 1) -> ModelRetries:
    return ModelRetries(retries=2, wait=wait_fixed(wait))


# What comes through


def test_chunks_come_through_and_texts_become_chunks() -> None:
    model = Steps(["a", Chunk("b"), 1.0, Chunk("", finish="stop")])
    assert ask(model) == ([Chunk("a"), Chunk("b"), Chunk("", finish="stop")], 1)


def test_a_model_may_be_a_coroutine_that_gives_the_stream() -> None:
    class Late:
        async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk | str]:
            await asyncio.sleep(2)
            return Steps(["a"]).stream(prompt)

    assert ask(Late()) == ([Chunk("a")], 2)


def test_a_stream_without_aclose_will_do() -> None:
    class Plain:
        def __init__(self) -> None:
            self.left = ["a", "b"]

        def stream(self, prompt: Prompt) -> "Plain":
            return self

        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> str:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    assert ask(Plain())[0] == [Chunk("a"), Chunk("b")]


# Deadlines


@pytest.mark.parametrize(
    ("steps", "which", "at"),
    [
        pytest.param([9.0, "a"], "first token", 4, id="nothing at all"),
        pytest.param([3.0, "a", 9.0, "b"], "idle", 5, id="a pause"),
        pytest.param([3.0, "a", 1.5, "b", 1.5, "c", 9.0], "idle", 8, id="a later pause"),
        pytest.param(["a"] + [1.5, "b"] * 9, "total", 10, id="a slow drip"),
        pytest.param([3.0, Chunk(""), 3.0, "a"] + [1.0, "b"] * 9, "total", 10, id="thinking aloud is a sign of life"),
    ],
)
def test_four_deadlines_fire_at_exact_times(steps: list[Step], which: str, at: float) -> None:
    model = Steps(steps)
    error, time = failure(model, Deadlines(first_token=4, idle=2, total=10), NEVER)
    assert isinstance(error, ModelTimeout)
    assert (error.which, time) == (which, at)
    assert model.closed == [at], "the stream was closed"


def test_the_first_token_counts_from_the_call_of_a_model_that_takes_its_time_to_give_a_stream() -> None:
    class Late:
        async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk | str]:
            await asyncio.sleep(99)
            return Steps(["a"]).stream(prompt)

    error, time = failure(Late(), Deadlines(first_token=4), NEVER)
    assert (getattr(error, "which", None), time) == ("first token", 4)


def test_no_deadlines_at_all() -> None:
    assert ask(Steps([1e6, "a", 1e6, "b"]))[1] == 2e6


def test_the_first_deadline_that_passes_is_named() -> None:
    error, time = failure(Steps([9.0]), Deadlines(first_token=4, idle=None, total=3), NEVER)
    assert (getattr(error, "which", None), time) == ("total", 3)


def test_a_slow_reader_is_not_taken_for_a_slow_model() -> None:
    async def scenario() -> int:
        count = 0
        async for _ in stream_reply(
            Steps(["a", "b", "c"]), PROMPT, Deadlines(first_token=1, idle=1, total=None), NEVER
        ):
            await asyncio.sleep(100)
            count += 1
        return count

    assert run_virtual(scenario()) == 3


# Retries

TROUBLES: list[Callable[[], Exception]] = [
    lambda: ModelUnavailable("no", status=503),
    lambda: ModelTimeout("no", which="connect"),
    lambda: StreamCut("no"),
]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_may_pass_is_tried_again_at_exact_times(trouble: Callable[[], Exception]) -> None:
    model = Steps([trouble()], [1.0, trouble()], ["a"])
    assert ask(model, retries=twice(wait=10)) == ([Chunk("a")], 21)
    assert model.begun == [0, 10, 21]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_not_once_text_has_come(trouble: Callable[[], Exception]) -> None:
    model = Steps(["a", trouble()])
    error, time = failure(model, OFF, twice())
    assert (type(error), time, len(model.begun)) == (type(trouble()), 0, 1)


def test_chunks_without_text_do_not_count_as_text() -> None:
    model = Steps([Chunk(""), StreamCut("no")], ["a"])
    assert ask(model, retries=twice())[0] == [Chunk(""), Chunk("a")]


@pytest.mark.parametrize(
    "trouble", [AuthenticationFailed("no"), ContextTooLong("no"), ModelError("no"), ModelTimeout("no", which="total")]
)
def test_what_will_not_pass_is_not_tried_again(trouble: ModelError) -> None:
    model = Steps([trouble])
    error, _ = failure(model, OFF, twice())
    assert error is trouble
    assert len(model.begun) == 1


def test_a_reply_of_which_a_call_has_begun_is_not_asked_for_again() -> None:
    begun = Chunk(calls=(CallPiece(0, "1", "look"),))
    error, _ = failure(Steps([begun, StreamCut("no")], ["a"]), OFF, twice())
    assert str(error) == "no"


def test_a_piece_of_a_call_is_a_first_token_and_then_the_next_is_due() -> None:
    piece = Chunk(calls=(CallPiece(0, arguments="x"),))
    assert ask(Steps([3.0, piece, 5.0, piece]), Deadlines(first_token=4, idle=6))[1] == 8
    error, time = failure(Steps([3.0, piece, 9.0, piece]), Deadlines(first_token=4, idle=6), NEVER)
    assert (getattr(error, "which", ""), time) == ("idle", 9)


def test_a_first_token_that_is_late_is_tried_again_within_the_total() -> None:
    model = Steps([99.0], [99.0], [99.0])
    error, time = failure(model, Deadlines(first_token=4, idle=None, total=10), twice(wait=1))
    assert model.begun == [0, 5]
    assert (getattr(error, "which", None), time) == ("first token", 9), "a third attempt would begin at the end"


@pytest.mark.parametrize("asked", [0.0, 7.0, 100.0])
def test_retry_after_is_honoured_with_a_jitter_of_a_tenth(asked: float) -> None:
    pauses = []
    for _ in range(20):
        model = Steps([ModelUnavailable("no", status=429, retry_after=asked)], ["a"])
        ask(model, retries=ModelRetries(retries=1, wait=wait_fixed(999)))
        pauses.append(model.begun[1])
    assert all(asked <= pause <= 1.1 * asked for pause in pauses)
    assert asked == 0 or len(set(pauses)) > 1, "clients do not come back together"


@pytest.mark.parametrize(
    ("asked", "deadlines"), [(601.0, OFF), (1e9, OFF), (float("inf"), OFF), (10.0, Deadlines(total=10))]
)
def test_a_server_that_asks_for_too_much_is_given_up_at_once(asked: float, deadlines: Deadlines) -> None:
    error, time = failure(Steps([ModelUnavailable("no", retry_after=asked)]), deadlines, twice())
    assert time == 0
    assert "not tried again" in error.__notes__[0]


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_there_are_as_many_attempts_as_allowed(retries: int) -> None:
    model = Steps(*[[ModelUnavailable(str(number))] for number in range(9)])
    error, _ = failure(model, OFF, ModelRetries(retries=retries, wait=wait_none()))
    assert len(model.begun) == retries + 1
    assert str(error) == str(retries), "the last error is told"


# Whatever a model throws


@pytest.mark.parametrize(
    "thrown", [ValueError("odd"), TimeoutError("mine"), ConnectionResetError(), AssertionError("x")]
)
def test_whatever_a_model_throws_becomes_one_kind_of_error(thrown: Exception) -> None:
    model = Steps([thrown])
    error, _ = failure(model, Deadlines(), twice())
    assert type(error) is ModelError
    assert type(thrown).__name__ in str(error)
    assert error.__cause__ is thrown
    assert len(model.begun) == 1


def test_a_model_that_fails_before_its_stream_is_there() -> None:
    class Broken:
        def stream(self, prompt: Prompt) -> AsyncIterator[str]:
            raise ValueError("odd")

    error, _ = failure(Broken(), OFF, NEVER)
    assert type(error) is ModelError
    assert "ValueError: odd" in str(error)


def test_a_model_that_gives_no_stream() -> None:
    class Broken:
        def stream(self, prompt: Prompt) -> str:
            return "a whole text"

    error, _ = failure(Broken(), OFF, NEVER)
    assert type(error) is ModelError


async def _fails_in_its_cleanup() -> AsyncIterator[str]:
    try:
        yield "a"
        await asyncio.sleep(100)
    finally:
        raise ValueError("cleanup")


async def _ends_when_it_is_cancelled() -> AsyncIterator[str]:
    yield "a"
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        return


async def _goes_on_when_it_is_cancelled() -> AsyncIterator[str]:
    yield "a"
    while True:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            yield "b"


ODD = [_fails_in_its_cleanup, _ends_when_it_is_cancelled, _goes_on_when_it_is_cancelled]


class Odd:
    def __init__(self, stream: Callable[[], AsyncIterator[str]]) -> None:
        self._stream = stream

    def stream(self, prompt: Prompt) -> AsyncIterator[str]:
        return self._stream()


@pytest.mark.parametrize("stream", ODD)
def test_a_cancellation_that_the_model_answers_in_its_own_way_holds(stream: Callable[[], AsyncIterator[str]]) -> None:
    async def scenario() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                async for _ in stream_reply(Odd(stream), PROMPT, OFF, NEVER):
                    pass
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == 3


@pytest.mark.parametrize("stream", ODD[:2])
def test_a_deadline_that_the_model_answers_in_its_own_way_holds(stream: Callable[[], AsyncIterator[str]]) -> None:
    error, time = failure(Odd(stream), Deadlines(idle=3), NEVER)
    assert (getattr(error, "which", None), time) == ("idle", 3), "half a reply is not taken for a whole one"


@pytest.mark.parametrize("given", [None, 7, {"text": "a"}])
def test_a_model_that_says_what_is_no_text(given: object) -> None:
    error, _ = failure(Steps([given]), OFF, NEVER)  # type: ignore[list-item]
    assert type(error) is ModelError


# Leaving


def test_leaving_closes_the_stream_at_once() -> None:
    model = Steps(["a", 100.0, "b"])

    async def scenario() -> None:
        chunks = stream_reply(model, PROMPT, Deadlines(), NEVER)
        assert await anext(chunks) == Chunk("a")
        await chunks.aclose()

    run_virtual(scenario())
    assert model.closed == [0]


@pytest.mark.parametrize("after", [1, 5], ids=["before the first token", "between two"])
def test_cancelling_closes_the_stream_at_once(after: float) -> None:
    model = Steps([3.0, "a", 100.0, "b"])

    async def scenario() -> None:
        async def read() -> None:
            async for _ in stream_reply(model, PROMPT, OFF, NEVER):
                pass

        reading = asyncio.create_task(read())
        await asyncio.sleep(after)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert asyncio.get_running_loop().time() == after

    run_virtual(scenario())
    assert model.closed == [after]


def test_cancelling_ends_a_wait_between_attempts() -> None:
    model = Steps([ModelUnavailable("no")], ["a"])

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                async for _ in stream_reply(model, PROMPT, OFF, twice(wait=10)):
                    pass

    run_virtual(scenario())
    assert model.begun == [0]


def test_the_scripted_model_is_a_model_like_any_other() -> None:
    with ScriptedModel([Scripted(text="a b", first_token=1, per_chunk=1)]) as model:
        chunks, time = ask(model)
    assert ("".join(chunk.text for chunk in chunks), chunks[-1].finish, time) == ("a b", "stop", 3)
