"""An agent as a LangChain `Runnable`. Imports langchain_core, so it is imported only by `as_runnable`.

LangChain's config travels in a context variable. Every executor of ours carries the caller's context (the private loop of
the synchronous face, the tasks of a run, the threads of tools), so the callbacks reach the chat models and tools inside.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Protocol, TypeAlias, cast

from langchain_core.runnables import Runnable, RunnableConfig

from llmcompiler.errors import RunFailed, UsageError
from llmcompiler.journal.events import AnswerText, Event, RunEnded
from llmcompiler.strategies.result import RunResult
from llmcompiler.strategies.runner import run_sync

Question: TypeAlias = str | Mapping[str, Any]


class Answering(Protocol):
    """An agent, as far as it is needed here."""

    def run(self, question: str) -> RunResult:
        """Return the result."""

    async def arun(self, question: str) -> RunResult:
        """Return the result."""

    def astream(self, question: str) -> AsyncGenerator[Event, None]:
        """Yield the events; the last one carries the result."""


class AgentRunnable(Runnable[Question, str]):
    """Answers a question, given as text or under the key `question`; raises `RunFailed` without an answer.

    Streamed, the chunks are the text of the answer as it comes, and joined they are the answer. If the joiner had to be
    asked again, what came first was not the answer: then the last chunk is a blank line and the whole answer.
    """

    def __init__(self, agent: Answering) -> None:
        self.name = type(agent).__name__
        self._agent = agent

    def __repr__(self) -> str:
        return f"{self.name}.as_runnable()"

    # LangChain's signatures end in **kwargs, for runnables that take options with a call; this one takes none.

    def invoke(self, input: Question, config: RunnableConfig | None = None) -> str:  # type: ignore[override]
        """Return the answer. Works inside a running event loop too."""
        return self._call_with_config(self._answer, input, config)

    async def ainvoke(self, input: Question, config: RunnableConfig | None = None) -> str:  # type: ignore[override]
        """Return the answer."""
        return await self._acall_with_config(self._aanswer, input, config)

    def stream(self, input: Question, config: RunnableConfig | None = None) -> Iterator[str]:  # type: ignore[override]
        """Yield the answer as it comes. Leaving cancels the run."""
        yield from self._transform_stream_with_config(iter([input]), self._stream, config)

    async def astream(  # type: ignore[override]
        self, input: Question, config: RunnableConfig | None = None
    ) -> AsyncIterator[str]:
        """Yield the answer as it comes. Leaving cancels the run."""
        pieces = self._atransform_stream_with_config(_only(input), self._astream, config)
        async with aclosing(cast("AsyncGenerator[str, None]", pieces)):
            async for piece in pieces:
                yield piece

    def _answer(self, input: Question) -> str:
        return _answer_of(self._agent.run(_question(input)))

    async def _aanswer(self, input: Question) -> str:
        return _answer_of(await self._agent.arun(_question(input)))

    def _stream(self, inputs: Iterator[Question]) -> Iterator[str]:
        pieces = _pieces(self._agent, _question(next(inputs)))
        try:
            while (piece := run_sync(_next(pieces))) is not None:
                yield piece
        finally:
            run_sync(pieces.aclose())

    async def _astream(self, inputs: AsyncIterator[Question]) -> AsyncIterator[str]:
        async with aclosing(_pieces(self._agent, _question(await anext(inputs)))) as pieces:
            async for piece in pieces:
                yield piece


async def _only(input: Question) -> AsyncIterator[Question]:
    yield input


async def _next(pieces: AsyncGenerator[str, None]) -> str | None:
    return await anext(pieces, None)


def _question(input: Question) -> str:
    question = input.get("question") if isinstance(input, Mapping) else input
    if not isinstance(question, str):
        raise UsageError(f"an agent takes a question, a text or {{'question': text}}, not {input!r}"[:500])
    return question


def _answer_of(result: RunResult) -> str:
    assert result.answer is not None  # a run without an answer raises
    return result.answer


async def _pieces(agent: Answering, question: str) -> AsyncGenerator[str, None]:
    """Yield the text of the answer as it comes. Raises `RunFailed`: an event stream tells of a run that failed, no more."""
    text = _AnswerSoFar()
    async with aclosing(agent.astream(question)) as events:
        async for event in events:
            match event:
                case AnswerText(text=piece):
                    given = text.add(piece)
                case RunEnded(result=RunResult(answer=str(answer))):
                    given = text.rest(answer)
                case RunEnded(result=result, error=error):
                    raise RunFailed(f"no answer: {error}", result=result)
                case _:
                    continue
            if given:
                yield given


class _AnswerSoFar:
    """What was given of an answer, whose white space at both ends is none of it."""

    def __init__(self) -> None:
        self._given = ""
        self._held = ""

    def add(self, piece: str) -> str:
        """Return what may be given now."""
        text = self._held + piece
        text = text if self._given else text.lstrip()
        end = len(text.rstrip())
        self._held = text[end:]
        self._given += text[:end]
        return text[:end]

    def rest(self, answer: str) -> str:
        """Return what makes of the text so far the answer, or, if nothing can, of its last paragraph."""
        return answer[len(self._given) :] if answer.startswith(self._given) else f"\n\n{answer}"
