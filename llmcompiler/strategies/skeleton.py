"""Skeleton-of-Thought: a list of short points, each written out by a request of its own, all at once (arXiv 2307.15337).

Faithful are the two stages, a writer a point, and that the answer is the points in their order, without a further request.
The original expands when the skeleton is whole and shows all of it to every writer (`stream=False`); by default a point is
expanded as soon as its line has been written, and its writer sees the skeleton so far. An expansion is a task of the run.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from llmcompiler.errors import JoinError, LimitReached, LLMCompilerError, ModelError, NotAPlan, StreamCut, UsageError
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries
from llmcompiler.joiner import Finish
from llmcompiler.journal.events import AnswerText, JoinDecided, PlanClosed, PlanStarted, PlanText
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.models.provider import ModelLike, model_of
from llmcompiler.plan.framing import inert
from llmcompiler.plan.outcomes import Failed, Succeeded
from llmcompiler.plan.tasks import Task
from llmcompiler.prompting import bundled_prompt, fill
from llmcompiler.scheduling import messages
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.lists import numbered_item
from llmcompiler.strategies.planning import MAX_PLAN_CHARACTERS, further
from llmcompiler.strategies.run import Reply, Run
from llmcompiler.toolkit.registry import Registry
from llmcompiler.toolkit.tool import Tool, tool

_EXPAND = "expand"
_NO_SKELETON = "there is no point in the text; a skeleton is lines like `1. the first point`"


class SkeletonOfThought(Agent):
    """Answers questions by a skeleton whose points are written out in parallel. Options and methods as of `LLMCompiler`.

    tools: it calls none, and takes them so that all strategies can be made alike; none may be named `expand`, which is what
    its own tasks are called. stream: False expands only when the skeleton is whole, as the original does.
    A point that cannot be expanded keeps its line in the answer, and the run is partial: `stopped_by="expansion"`.
    """

    strategy = "skeleton"

    def __init__(
        self,
        model: ModelLike,
        tools: Registry | Iterable[object] = (),
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        limits: Limits | None = None,
        instructions: str = "",
        stream: bool = True,
        deadlines: Deadlines | None = None,
        retries: ModelRetries | None = None,
        threads: int = 64,
        processes: int = 8,
    ) -> None:
        self.model = model_of(model, base_url=base_url, api_key=api_key)
        super().__init__(
            tools,
            (self.model,),
            limits=limits,
            deadlines=deadlines,
            retries=retries,
            threads=threads,
            processes=processes,
        )
        if _EXPAND in self.registry:
            raise UsageError(f"the strategy skeleton has a tool {_EXPAND!r} of its own; give yours another name=")
        self._stream = stream
        self._prompts = _Prompts(
            skeleton=fill(bundled_prompt("skeleton/skeleton"), instructions=instructions),
            expand=fill(bundled_prompt("skeleton/expand"), instructions=instructions),
        )

    def _own_tools(self, run: Run) -> Sequence[Tool[..., Any]]:
        async def expand(point: int, skeleton: str) -> str:
            """Return the text of one point of a skeleton."""
            return await _expanded(run, self.model, self._prompts.expand, point, skeleton)

        return (tool(name=_EXPAND, effect="read", timeout=None)(expand),)

    def _start(self, run: Run) -> "_Writing":
        return _Writing(run, self.model, self._prompts.skeleton, stream=self._stream)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prompts:
    """The two system prompts, filled."""

    skeleton: str
    expand: str


async def _expanded(run: Run, model: Model, system: str, point: int, skeleton: str) -> str:
    """Return what a writer makes of a point; a text that its model cut off makes the run a partial one."""
    user = f"Question: {run.question}\n\nSkeleton:\n{inert(skeleton)}\n\nWrite the text of point {point}."
    reply = await run.ask(model, Prompt((Message("system", system), Message("user", user)), "writer"))
    line = skeleton.splitlines()[point - 1]
    text = reply.text.strip().removeprefix(line).lstrip(" :\n")
    if not text:
        raise JoinError(f"the writer of point {point} wrote nothing", text=reply.text)
    if reply.was_cut:
        run.stopped_by = run.stopped_by or "cut"
    return text


class _PointReader:
    """Reads the points of a skeleton, each as soon as its line has ended. Other lines are skipped and counted."""

    def __init__(self) -> None:
        self.size = 0
        self.skipped = 0
        self._rest: list[str] = []  # pieces of the line that has not ended

    def feed(self, chunk: str) -> Iterator[str]:
        """Yield the points whose lines end in this chunk."""
        self.size += len(chunk)
        *lines, last = chunk.split("\n")
        for line in lines:
            yield from self._point("".join([*self._rest, line]))
            self._rest.clear()
        self._rest.append(last)

    def close(self) -> Iterator[str]:
        """Yield the point in the last line, if there is one."""
        yield from self._point("".join(self._rest))

    def _point(self, line: str) -> Iterator[str]:
        point = numbered_item(line)
        if point:
            yield point
        else:
            self.skipped += len(line)


class _Writing:
    """One run: the points by the ids of their tasks, which are their numbers in the answer."""

    def __init__(self, run: Run, model: Model, system: str, *, stream: bool) -> None:
        self._run, self._model, self._system, self._stream = run, model, system, stream
        self._points: dict[int, str] = {}

    async def answer(self) -> str:
        """Return the points in order, each with its text. Raises `NotAPlan`, `LimitReached`, `JoinError` or `ModelError`."""
        run, driver = self._run, self._run.driver
        broken = await self._read()
        driver.post(messages.PlanClosed(complete=broken is None))
        driver.post(messages.PlanSealed())
        await self._tell()
        await driver.round_over()
        run.check_tokens()
        if broken is not None and (isinstance(broken, LimitReached) or not run.has_results):
            raise broken
        failures = [outcome for outcome in driver.outcomes.values() if isinstance(outcome, Failed)]
        if len(failures) == len(self._points):
            raise JoinError(f"none of {len(failures)} points could be expanded: {failures[0].error}")
        if broken is not None or failures:
            run.stopped_by = run.stopped_by or ("expansion" if broken is None else "cut")
        return self._finished()

    async def best_answer(self, why: str) -> str:
        """Return the points with the texts that there are; the others keep their lines."""
        return self._finished()

    async def _read(self) -> LLMCompilerError | None:
        """Read the skeleton, asking a second time for one without points; return what broke it off, if anything did."""
        user = Message("user", f"Question: {self._run.question}")
        prompt = Prompt((Message("system", self._system), user), "planner")
        reply = Reply()
        broken = await self._outline(prompt, reply, "plan")
        if not self._points and broken is None:
            request = f"{_NO_SKELETON}. Write the skeleton, and nothing else."
            prompt, reply = further(prompt, reply.text, request), Reply()
            broken = await self._outline(prompt, reply, "repair")
        if not self._points:
            raise broken or NotAPlan(f"{_NO_SKELETON}. It said: {reply.text.strip()[:300]}", text=reply.text)
        return broken

    async def _outline(
        self, prompt: Prompt, reply: Reply, purpose: Literal["plan", "repair"]
    ) -> LLMCompilerError | None:
        """Take the points of one reply as they come; return what broke it off, if anything did."""
        run, reader, broken = self._run, _PointReader(), None
        run.journal.emit(PlanStarted, purpose)
        try:
            async with aclosing(run.stream(self._model, prompt, reply)) as chunks:
                async for text in chunks:
                    run.journal.emit(PlanText, text)
                    self._take(reader.feed(text))
                    if reader.size > MAX_PLAN_CHARACTERS:
                        said = f"the skeleton is longer than {MAX_PLAN_CHARACTERS} characters"
                        raise LimitReached(said, limit="plan_text")
            if reply.was_cut:
                raise StreamCut("the skeleton hit the model's own cap on tokens", text=reply.text)
            self._take(reader.close())
        except (ModelError, LimitReached) as error:
            broken = error
        if not self._stream:
            for id in self._points:
                self._expand(id)
        counts = (reader.skipped, 0, reply.text)
        run.journal.emit(PlanClosed, broken is None, len(self._points), (), (), *counts)
        return broken

    def _take(self, points: Iterable[str]) -> None:
        for point in points:
            if len(self._points) >= self._run.limits.tasks:
                raise self._run.reached("tasks")
            id = len(self._points) + 1
            self._points[id] = point
            if self._stream:
                self._expand(id)

    def _expand(self, id: int) -> None:
        skeleton = "\n".join(map(self._line, self._points))
        self._run.driver.add(Task(id, _EXPAND, kwargs={"point": id, "skeleton": skeleton}))

    async def _tell(self) -> None:
        """Stream the answer: each point when it and all before it have ended."""
        for id in self._points:
            await self._run.driver.first_ended({id})
            self._run.journal.emit(AnswerText, self._section(id) if id == 1 else f"\n\n{self._section(id)}")

    def _finished(self) -> str:
        answer = "\n\n".join(map(self._section, self._points))
        self._run.journal.emit(JoinDecided, Finish(answer))
        return answer

    def _line(self, id: int) -> str:
        return f"{id}. {self._points[id]}"

    def _section(self, id: int) -> str:
        match self._run.driver.outcomes.get(id):
            case Succeeded(str(text)):
                return f"{self._line(id)}\n{text}"
        return self._line(id)
