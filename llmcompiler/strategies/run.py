"""Run: what every strategy works with while it answers one question. Journal, driver, requests to models, usage."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from llmcompiler.errors import LimitReached, ModelError, UsageError
from llmcompiler.execution.border import Redactor, secrets_in
from llmcompiler.execution.driver import Driver
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries, stream_reply
from llmcompiler.execution.watchdog import Blocked
from llmcompiler.execution.workshop import Workshop
from llmcompiler.journal.journal import Journal
from llmcompiler.models.model import Chunk, Model, Prompt, Usage, UsageTotals
from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.toolkit.tool import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the runs of one agent are made with; `own_tools` returns what a strategy brings into a run."""

    workshop: Workshop
    own_tools: "Callable[[Run], Sequence[Tool[..., Any]]]" = lambda _: ()
    limits: Limits = field(default_factory=Limits)
    deadlines: Deadlines = field(default_factory=Deadlines)
    retries: ModelRetries = field(default_factory=ModelRetries)
    secrets: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, kind in (("limits", Limits), ("deadlines", Deadlines), ("retries", ModelRetries)):
            if not isinstance(getattr(self, name), kind):
                raise UsageError(f"{name}={getattr(self, name)!r} must be a {kind.__name__}(...)")


@dataclass(slots=True)
class Reply:
    """A model's reply, as far as it has come.

    finish: why the model ended it, None while it has not. usage: as the provider told it, None while it has not.
    """

    parts: list[str] = field(default_factory=list)
    finish: str | None = None
    usage: Usage | None = None

    @property
    def text(self) -> str:
        """Return the text so far."""
        return "".join(self.parts)

    @property
    def was_cut(self) -> bool:
        """Return whether the model hit its token cap."""
        return self.finish == "length"


@lru_cache(maxsize=16)
def _redactor(secrets: frozenset[str]) -> Redactor:
    """Return the redactor of these secrets: to work out all their forms for each run would be half of its beginning."""
    return Redactor(secrets)


class Run:
    """One question being answered. Created inside a running event loop."""

    def __init__(self, question: str, means: Means) -> None:
        self.question = question
        self.limits = means.limits
        self.journal = Journal(uuid.uuid4().hex[:12], asyncio.get_running_loop().time)
        self._redactor = _redactor(means.secrets | secrets_in(os.environ))
        own_tools = means.own_tools(self)
        self.workshop = means.workshop.with_tools(own_tools) if own_tools else means.workshop
        self.driver = Driver(
            self.workshop, self.journal, parallel_tasks=means.limits.parallel_tasks, redactor=self._redactor
        )
        self.stopped_by: str | None = None  # what kept the run from its proper end, if anything did
        self.blocked: list[Blocked] = []
        self.on_blocked = self.blocked.append
        self._means = means
        self._usage: dict[str, Usage] = {}
        self._tokens = 0  # as far as they were told; the totals are unknown as soon as one request did not tell
        self._pieces = 0  # pieces of replies whose tokens no usage has told yet
        self._background: set[asyncio.Task[None]] = set()

    @property
    def usage(self) -> UsageTotals:
        """Return the usage so far."""
        return UsageTotals(dict(self._usage))

    @property
    def has_results(self) -> bool:
        """Return whether any task has succeeded."""
        return any(isinstance(outcome, Succeeded) for outcome in self.driver.outcomes.values())

    async def stream(self, model: Model, prompt: Prompt, reply: Reply) -> AsyncGenerator[str, None]:
        """Yield the text of a reply. Counts and raises as `chunks` does."""
        async with aclosing(self.chunks(model, prompt, reply)) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    yield chunk.text

    async def chunks(self, model: Model, prompt: Prompt, reply: Reply) -> AsyncGenerator[Chunk, None]:
        """Yield the text and the calls of a reply, counting what it uses; `reply` gets the text.

        Raises `ModelError`, or `LimitReached` for tokens.
        """
        pieces = 0
        self.check_tokens()  # what another request has told of its use may have come late
        try:
            async with aclosing(stream_reply(model, prompt, self._means.deadlines, self._means.retries)) as chunks:
                async for chunk in chunks:
                    reply.usage, reply.finish = chunk.usage or reply.usage, chunk.finish or reply.finish
                    if chunk.has_content:
                        pieces += 1
                        self._pieces += 1
                        reply.parts.append(chunk.text)
                        self.check_tokens()
                        yield chunk
        except ModelError as error:
            error.args = (self._redactor.redact(str(error)),)  # a server may repeat the key that it refuses
            raise
        finally:
            self._pieces -= pieces if reply.usage else 0
            self.count(prompt.purpose, reply.usage or Usage())
        self.check_tokens()

    async def ask(self, model: Model, prompt: Prompt) -> Reply:
        """Return a whole reply."""
        reply = Reply()
        async for _ in self.stream(model, prompt, reply):
            pass
        return reply

    def reached(self, limit: str) -> LimitReached:
        """Return the error that says that one of `limits`, by its name, was reached."""
        allowed = getattr(self.limits, limit)
        said = f"{allowed:g}" if isinstance(allowed, float) else str(allowed)
        return LimitReached(f"the run has reached Limits({limit}={said})", limit=limit)

    def check_tokens(self) -> None:
        """Raise `LimitReached` if the requests so far have used more tokens than the run may."""
        limit = self.limits.tokens
        if limit is None:
            return
        # A piece of text is at least one token; providers tell the true number only at the end.
        if self._tokens + self._pieces > limit:
            raise self.reached("tokens")

    def count(self, purpose: str, usage: Usage) -> None:
        """Count what a request has used."""
        self._usage[purpose] = self._usage.get(purpose, Usage(0, 0, 0, 0)) + usage
        self._tokens += (usage.input_tokens or 0) + (usage.output_tokens or 0)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something of no consequence for the answer go on beside the run, at most until its end."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background_over)

    async def end_background(self) -> None:
        """Cancel what goes on beside the run."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _background_over(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # asked for, so that asyncio does not complain: it is of no consequence
