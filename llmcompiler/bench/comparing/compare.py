"""Compare: each question with each contender, side by side, and a record of each.

A question that fails is a record that says why; the others go on. The contenders take turns question by question, so that
what else the machine does falls on all of them alike.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llmcompiler.bench.comparing.contenders import Contender
from llmcompiler.bench.comparing.endpoint import Borrowed, Counted, Endpoint
from llmcompiler.bench.comparing.record import ORACLE, Record, Setting
from llmcompiler.bench.comparing.settings import PROFILES, Price, price_of
from llmcompiler.bench.comparing.slowing import Slowness
from llmcompiler.bench.comparing.stages import logged, promised, stages_of
from llmcompiler.bench.comparing.timing import wall
from llmcompiler.bench.suites.suite import Case, Suite
from llmcompiler.errors import LLMCompilerError, RunFailed
from llmcompiler.models.model import Usage
from llmcompiler.plan.tools import Effect
from llmcompiler.strategies.result import RunResult
from llmcompiler.testing.server import LoggedRequest

Job = tuple[Case, Contender]
Keep = Callable[[Record], None]


def jobs_of(cases: Iterable[Case], contenders: Sequence[Contender]) -> list[Job]:
    """Return the jobs in the order in which they are done: question by question, contenders in turn."""
    return [(case, contender) for case in cases for contender in contenders]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What all runs of a comparison share."""

    suite: Suite
    setting: Setting
    endpoint: Endpoint

    async def run(self, jobs: Sequence[Job], at_once: int, keep: Keep) -> None:
        """Do the jobs, at most `at_once` at a time, and give each record to `keep`.

        On an oracle the first one is done once more beforehand: imports and connections belong to no contender.
        """
        if self.setting.model == ORACLE:
            await self.answer(*jobs[0])
        waiting = iter(jobs)

        async def work() -> None:
            for case, contender in waiting:
                keep(await self.answer(case, contender))

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())

    async def answer(self, case: Case, contender: Contender) -> Record:
        """Return the record of one question answered by one contender."""
        model = self.endpoint.model(contender, case)
        asked_by_tools = Counted(model)
        slowness = Slowness(self.suite.seconds, self.setting.tool_time)
        tools = self.suite.tools(case, asked_by_tools)
        if self.setting.model == ORACLE:
            tools = slowness.slowed(tools)
        agent = contender.agent(Borrowed(model), tools, self.suite)
        result, error = None, None
        try:
            result = await agent.arun(case.question)
        except RunFailed as failure:
            result, error = failure.result, str(failure)
        except LLMCompilerError as failure:
            error = f"{type(failure).__name__}: {failure}"
        finally:
            agent.close()
        requests = await asyncio.to_thread(self.endpoint.requests, contender, case)
        held = [tool.spec.name for tool in tools if tool.spec.effect in (Effect.IDEMPOTENT, Effect.WRITE)]
        walls = self._walls(contender, requests, result, slowness, held)
        return self._record(case, contender, result, error, walls, asked_by_tools.usage)

    def _walls(
        self,
        contender: Contender,
        requests: list[LoggedRequest] | None,
        result: RunResult | None,
        slowness: Slowness,
        held: Sequence[str],
    ) -> tuple[float | None, float | None]:
        """Return the bound and the prediction, where the requests are known."""
        if not requests or result is None or result.answer is None:
            return None, None
        own = [request for request in requests if not self.suite.is_from_tool(request.request)]
        at_once = 1 if contender.sequential else None
        profile = PROFILES[self.setting.profile].timing
        bound, predicted = (
            wall(stages_of(contender, own, result.tasks, clock, slowness.of_task, held), at_once)
            for clock in (logged, promised(profile))
        )
        return bound, predicted

    def _record(
        self,
        case: Case,
        contender: Contender,
        result: RunResult | None,
        error: str | None,
        walls: tuple[float | None, float | None],
        by_tools: Usage,
    ) -> Record:
        usage = (result.usage.total if result else Usage(0, 0, 0, 0)) + by_tools
        has_answer = result is not None and result.answer is not None
        return Record(
            setting=self.setting,
            contender=contender.name,
            id=case.id,
            question=case.question,
            label=case.label,
            answer=result.answer if result else None,
            score=self.suite.score(case, result) if result is not None and has_answer else 0.0,
            status=result.status if result else "failed",
            error=error[:1000] if error else None,
            seconds=result.seconds if result else 0.0,
            bound=walls[0],
            predicted=walls[1],
            joining=_joining(result) if result and has_answer else None,
            calls=len(result.tasks) if result else 0,
            requests=usage.requests,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            dollars=_dollars(price_of(None if self.setting.model == ORACLE else self.setting.model), usage),
        )


def _joining(result: RunResult) -> float | None:
    """Return the seconds from the end of the last task to the answer."""
    ends: list[Any] = [record.ended for record in result.tasks.values() if record.ended is not None]
    return result.seconds - max(ends) if ends else None


def _dollars(price: Price | None, usage: Usage) -> float | None:
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return price.of(usage.input_tokens, usage.output_tokens)
