"""Playing: one workload in one mode on one ground, with the real strategy and real tools, and the record of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmcompiler.bench.asynclm.contenders import Contender
from llmcompiler.bench.asynclm.ground import Costs, Ground, Voice
from llmcompiler.bench.asynclm.latency import seconds_per_writing
from llmcompiler.bench.asynclm.record import Record
from llmcompiler.bench.asynclm.script import LONGEST_PATH, Cell, Script, message_tokens, predicted, script_of
from llmcompiler.bench.asynclm.workload import Part, Workload, seconds_of
from llmcompiler.bench.comparing.slowing import slowed
from llmcompiler.bench.suites.bfcl.checker import Call
from llmcompiler.bench.suites.bfcl.functions import tools_of
from llmcompiler.errors import LLMCompilerError, UsageError
from llmcompiler.plan.tools import Effect
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.asynclm.asynclm import AsyncLM
from llmcompiler.strategies.compiler import LLMCompiler
from llmcompiler.strategies.result import RunResult
from llmcompiler.toolkit.tool import Tool


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the records: a workload, by the name of its set, in one mode at one pace, in one order."""

    set: str
    workload: Workload
    contender: Contender
    cell: Cell
    order: str = LONGEST_PATH

    @property
    def key(self) -> str:
        """Return what tells it from all other jobs of a ground."""
        return f"{self.cell}|{self.order}|{self.contender.name}|{self.set}|{self.workload.id}"

    @property
    def sessions(self) -> dict[str, Script]:
        """Return all sessions that it may take, by their keys: a question that comes late may need one of its own."""
        return {self.session_key(first): self.script(first, workload) for first, workload in self.beginnings().items()}

    def script(self, first: int, workload: Workload) -> Script:
        """Return the script of the session that begins with a part, and has to do a workload."""
        script = script_of(workload, self.contender, self.cell, self.order)
        is_late = first > 0 and self.contender.takes_messages
        return replace(script, unread=message_tokens(workload.question)) if is_late else script

    def session_key(self, first: int) -> str:
        """Return the key of the session that begins with a part, counted from 0."""
        return f"{self.key}|{first}"

    def beginnings(self) -> dict[int, Workload]:
        """Return what each session has to do that may be held, by its first part, counted from 0."""
        if not self.workload.is_interrupted:
            return {0: self.workload}
        if self.contender.takes_messages:
            return {first: self.workload.from_part(first) for first in range(len(self.workload.parts))}
        return dict(enumerate(part for _, part in self.workload.apart()))


class Toolbox:
    """Functions of rows as tools that take their time. Each is made once: to check its schema takes 5 ms."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bool, bool], list[Tool[..., Any]]] = {}

    def tools(self, workload: Workload, *, is_early: bool) -> list[Tool[..., Any]]:
        """Return the tools of a workload. Those whose calls may not begin early have effects."""
        return [tool for part in workload.parts for tool in self._of_part(part, is_early)]

    def _of_part(self, part: Part, is_early: bool) -> list[Tool[..., Any]]:
        key = (part.row.id, part.is_chain, is_early)  # functions of a chain have one more argument
        if key not in self._made:
            made = map(_timed, tools_of(part.row)) if is_early else map(_with_effects, self._of_part(part, True))
            self._made[key] = list(made)
        return self._made[key]


def _with_effects(tool: Tool[..., Any]) -> Tool[..., Any]:
    return Tool(tool.function, replace(tool.spec, effect=Effect.WRITE), wait=tool.wait)


class Course:
    """A job that is ready to be played, once: agents and tools are made, so that playing is nothing else."""

    def __init__(self, job: Job, ground: Ground, toolbox: Toolbox) -> None:
        self._asked = job.cell
        self.job = job = replace(job, cell=ground.cell(job.cell))
        self._ground = ground
        self._seconds = 0.0
        self._error: str | None = None
        self._results: list[RunResult] = []
        self._held: list[Voice] = []
        self._seats: dict[int, _Seat] = {}
        for first, workload in job.beginnings().items():
            voice = ground.voice(job.session_key(first), job.script(first, workload), job.contender)
            tools = toolbox.tools(workload, is_early=job.contender.mode.is_early)
            self._seats[first] = _Seat(workload, voice, agent_of(job.contender, voice, tools))

    async def play(self) -> None:
        """Hold all sessions, each when its first question comes, or when the one before has ended."""
        now = asyncio.get_running_loop().time
        began, first = now(), 0
        try:
            while first < len(self.job.workload.parts):
                await _until(began + self.job.workload.parts[first].arrives)
                first = await self._hold(first, began)
        except LLMCompilerError as failure:
            self._error = f"{type(failure).__name__}: {failure}"[:1000]
        finally:
            self._seconds = now() - began
            for seat in self._seats.values():
                seat.agent.close()

    async def record(self) -> Record:
        """Return the record of what was played. A mode that has failed gives one that says why."""
        job, costs = self.job, sum([await voice.costs() for voice in self._held], Costs())
        sessions = max(1, len(self._held))
        cell = self._ground.cell(self._asked, costs.prompt_tokens // sessions, costs.joiner_tokens // sessions)
        return Record(
            ground=self._ground.name,
            set=job.set,
            id=job.workload.id,
            contender=job.contender.name,
            order=job.order,
            per_token_ms=self._asked.per_token_ms,
            first_token_ms=self._asked.first_token_ms,
            score=0.0 if self._error else job.workload.score(self.calls),
            error=self._error,
            seconds=self._seconds,
            predicted=predicted(job.workload, job.contender, cell, job.order).wall,
            requests=costs.requests,
            tokens_in=costs.tokens_in,
            tokens_out=costs.tokens_out,
            starting=costs.starting,
            generating=costs.generating,
            injecting=costs.injecting,
            waiting=max(0.0, self._seconds - costs.busy),
            tool_per_writing=tool_per_writing(job),
        )

    @property
    def calls(self) -> list[Call]:
        """Return the calls that reached a tool, in the order in which they did."""
        return [
            Call(record.task.tool, record.arguments)
            for result in self._results
            for record in sorted(result.tasks.values(), key=lambda record: record.started or 0.0)
            if record.arguments is not None
        ]

    async def _hold(self, first: int, began: float) -> int:
        """Hold the session that begins with a part; return the first part that came too late for it."""
        seat, parts = self._seats[first], self.job.workload.parts
        self._held.append(seat.voice)
        if not (self.job.workload.is_interrupted and self.job.contender.takes_messages):
            self._results.append(await seat.agent.arun(seat.workload.question))
            return first + 1 if self.job.workload.is_interrupted else len(parts)
        assert isinstance(seat.agent, AsyncLM)
        following = first + 1
        async with seat.agent.session(seat.workload.question) as session:
            ending = asyncio.ensure_future(session.result())
            while following < len(parts) and await _comes_before(ending, began + parts[following].arrives):
                try:
                    await session.interrupt(parts[following].row.question)
                except UsageError:  # it has ended at this very moment
                    break
                following += 1
            self._results.append(await ending)
        return following


@dataclass(slots=True)
class _Seat:
    """An agent that is ready for the session that begins with one part."""

    workload: Workload
    voice: Voice
    agent: Agent


def tool_per_writing(job: Job) -> float:
    """Return the mean time of the job's tools over that of writing its calls."""
    script = script_of(job.workload, job.contender, job.cell, job.order)
    return seconds_per_writing(script.work.calls, script.pace)


async def _until(time: float) -> None:
    await asyncio.sleep(max(0.0, time - asyncio.get_running_loop().time()))


async def _comes_before(ending: "asyncio.Future[RunResult]", time: float) -> bool:
    """Wait until a time, or until a session has ended; return whether the time came first."""
    await asyncio.wait({ending}, timeout=max(0.0, time - asyncio.get_running_loop().time()))
    return not ending.done()


def agent_of(contender: Contender, voice: Voice, tools: Sequence[Tool[..., Any]]) -> Agent:
    """Return the agent that plays a mode."""
    speaker: Any = voice.speaker
    if contender.wire == "plan":
        return LLMCompiler(speaker, tools)
    return AsyncLM(speaker, tools, engine="futures" if contender.wire == "native" else "auto", trap=contender.trap)


def _timed(made_up: Tool[..., Any]) -> Tool[..., Any]:
    seconds = seconds_of(made_up.spec.name)
    slow = slowed(made_up, lambda arguments: seconds)
    policy = replace(slow.spec.policy, expected=seconds)
    return Tool(slow.function, replace(slow.spec, policy=policy), wait=slow.wait)
