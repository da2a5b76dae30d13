"""One request to a model: deadlines, the only retry layer, and one kind of error for whatever a model throws."""

import asyncio
import inspect
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from tenacity.wait import wait_base

from llmcompiler.errors import ModelError, ModelTimeout, ModelUnavailable, StreamCut
from llmcompiler.execution.retrying import MODEL_WAIT, seconds_before_next
from llmcompiler.models.model import Chunk, Model, Prompt

LONGEST_PAUSE = 600.0  # a server that asks for more has no answer for this run


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds that a model request may take; None for no limit.

    first_token: until the first piece of text, or the next sign of life before it. idle: between two pieces. total: the
    whole reply, waits between attempts included. (The deadline for connecting belongs to the model, since only it knows of
    connections.)
    """

    first_token: float | None = 60.0
    idle: float | None = 30.0
    total: float | None = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetries:
    """How often and how a request is tried again, as long as no text has come: extra attempts, tenacity's wait."""

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
        has_text = False
        try:
            async with aclosing(_timed(model, prompt, deadlines, last)) as chunks:
                async for chunk in chunks:
                    has_text = has_text or bool(chunk.text)
                    yield chunk
            return
        except (ModelUnavailable, ModelTimeout, StreamCut) as error:
            pause = _pause(error, attempt, retrying)
            if has_text or pause is None or getattr(error, "which", "") == "total":
                raise
            if pause > LONGEST_PAUSE or (last is not None and now() + pause >= last):
                error.add_note(f"not tried again: that would be in {pause:.0f} s, past the deadline of the request")
                raise
        await asyncio.sleep(pause)


def _pause(error: ModelError, attempt: int, retrying: ModelRetries) -> float | None:
    """Return the seconds before the next attempt, or None if there is none."""
    if attempt > retrying.retries:
        return None
    if error.retry_after is not None:
        return error.retry_after * random.uniform(1.0, 1.1)  # so that clients do not come back together
    return seconds_before_next(retrying.wait, attempt, error)


async def _timed(model: Model, prompt: Prompt, deadlines: Deadlines, last: float | None) -> AsyncGenerator[Chunk, None]:
    now = asyncio.get_running_loop().time
    chunks = await _opened(model, prompt)
    which, wait = "first token", deadlines.first_token
    try:
        while True:
            due = None if wait is None else now() + wait
            if last is not None and (due is None or last < due):
                which, due = "total", last
            try:
                async with asyncio.timeout_at(due) as clock:
                    chunk = await anext(chunks)
            except TimeoutError:
                if not clock.expired():
                    raise  # the model's own
                raise ModelTimeout(f"the model was too slow: {which} deadline", which=which) from None
            if isinstance(chunk, str):
                chunk = Chunk(chunk)
            if chunk.text:
                which, wait = "idle", deadlines.idle
            yield chunk
    except StopAsyncIteration:
        return
    except (ModelError, asyncio.CancelledError, GeneratorExit):
        raise
    except Exception as error:
        raise ModelError(f"the model failed: {type(error).__name__}: {error}") from error
    finally:
        with suppress(AttributeError):
            await chunks.aclose()


async def _opened(model: Model, prompt: Prompt) -> Any:
    chunks: Any = model.stream(prompt)
    return aiter(await chunks if inspect.isawaitable(chunks) else chunks)
