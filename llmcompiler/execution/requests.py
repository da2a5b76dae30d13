"""One request to a model: deadlines, the only retry layer, and one kind of error for whatever a model throws."""

import asyncio
import inspect
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from tenacity.wait import wait_base

from llmcompiler.errors import ModelError, ModelTimeout, ModelUnavailable, StreamCut
from llmcompiler.execution.retrying import MODEL_WAIT, seconds_before_next
from llmcompiler.models.model import Chunk, Model, Prompt

T = TypeVar("T")
LONGEST_PAUSE = 600.0  # a server that asks for more has no answer for this run


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds that a model request may take; None for no limit.

    first_token: until the first piece of text or of a tool call, or the next sign of life before it. idle: between two
    pieces. total: the whole reply, waits between attempts included. (The deadline for connecting belongs to the model,
    since only it knows of connections.)
    """

    first_token: float | None = 60.0
    idle: float | None = 30.0
    total: float | None = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetries:
    """How often and how a request is tried again, as long as nothing of it has come: extra attempts, tenacity's wait."""

    retries: int = 2
    wait: wait_base = MODEL_WAIT


async def stream_reply(
    model: Model, prompt: Prompt, deadlines: Deadlines, retrying: ModelRetries
) -> AsyncGenerator[Chunk, None]:
    """Yield the chunks of one reply. Raises a `ModelError` when it fails, is late or breaks off."""
    now = asyncio.get_running_loop().time
    last = None if deadlines.total is None else now() + deadlines.total
    attempt = 0
    while True:
        attempt += 1
        has_begun = False
        try:
            async with aclosing(_timed(model, prompt, deadlines, last)) as chunks:
                async for chunk in chunks:
                    has_begun = has_begun or chunk.has_content
                    yield chunk
            return
        except (ModelUnavailable, ModelTimeout, StreamCut) as error:
            pause = _pause(error, attempt, retrying)
            if has_begun or pause is None or getattr(error, "which", "") == "total":
                raise
            if pause > LONGEST_PAUSE or (last is not None and now() + pause >= last):
                error.add_note(f"not tried again: that would be in {pause:.0f} s, past the deadline of the request")
                raise
        await asyncio.sleep(pause)


def _too_slow(model: Model, which: str, deadlines: Deadlines) -> ModelTimeout:
    knob = which.replace(" ", "_")
    said = {"idle": "no further text", "total": "the reply had not ended"}.get(which, "no text")
    return ModelTimeout(f"{model!r}: {said} within {getattr(deadlines, knob)} s (Deadlines.{knob})", which=which)


def _pause(error: ModelError, attempt: int, retrying: ModelRetries) -> float | None:
    """Return the seconds before the next attempt, or None if there is none."""
    if error.retried or attempt > retrying.retries:
        return None
    if error.retry_after is not None:
        return error.retry_after * random.uniform(1.0, 1.1)  # so that clients do not come back together
    return seconds_before_next(retrying.wait, attempt, error)


async def _timed(model: Model, prompt: Prompt, deadlines: Deadlines, last: float | None) -> AsyncGenerator[Chunk, None]:
    now = asyncio.get_running_loop().time
    which, wait = "first token", deadlines.first_token
    try:
        async with aclosing(_pieces(model, prompt)) as pieces:
            while True:
                due = None if wait is None else now() + wait
                if last is not None and (due is None or last < due):
                    which, due = "total", last
                piece = await _within(due, partial(_too_slow, model, which, deadlines), anext(pieces))
                chunk = Chunk(piece) if isinstance(piece, str) else piece
                if chunk.has_content:
                    which, wait = "idle", deadlines.idle
                yield chunk
    except StopAsyncIteration:
        return
    except (ModelError, asyncio.CancelledError, GeneratorExit):
        raise
    except Exception as error:
        raise ModelError(f"the model failed: {type(error).__name__}: {error}") from error


async def _within(due: float | None, late: Callable[[], ModelTimeout], step: Awaitable[T]) -> T:
    """Return what `step` gives, by `due`. A deadline or a cancellation that the model answers in its own way holds too."""
    task = asyncio.current_task()
    assert task is not None
    asked = task.cancelling()
    try:
        async with asyncio.timeout_at(due) as clock:
            return await step
    except Exception:
        if clock.expired():
            raise late() from None
        raise
    finally:
        if task.cancelling() > asked:
            raise asyncio.CancelledError


async def _pieces(model: Model, prompt: Prompt) -> AsyncGenerator[Chunk | str, None]:
    stream: Any = model.stream(prompt)
    pieces = await stream if inspect.isawaitable(stream) else stream
    try:
        async for piece in pieces:
            yield piece
    finally:
        with suppress(Exception):  # there may be nothing to close, or its cleanup fails: neither changes the reply
            await pieces.aclose()
