"""execute: run a plan that exists already. Nothing is asked of a model and nothing is repaired."""

import asyncio
from collections.abc import Iterable

from llmcompiler.errors import InternalError, UsageError
from llmcompiler.execution.driver import Driver
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.watchdog import watched
from llmcompiler.execution.workshop import Workshop
from llmcompiler.journal.journal import Journal
from llmcompiler.passes.check import check_task
from llmcompiler.passes.parse import read_plan
from llmcompiler.plan.diagnostics import Span
from llmcompiler.plan.outcomes import Outcome
from llmcompiler.plan.parser import TaskRead
from llmcompiler.plan.plan import Plan
from llmcompiler.plan.tasks import Task
from llmcompiler.scheduling.messages import PlanClosed, PlanSealed
from llmcompiler.toolkit.registry import Registry, registry_of

_BATCH = 64  # tasks looked at before the loop gets its turn
_NOWHERE = Span(0, 0)


async def execute(
    plan: Plan, *, tools: Registry | Iterable[object], limits: Limits | None = None
) -> dict[int, Outcome]:
    """Return the outcome of every task, by id. A task that fails stops nothing but what needs it.

    A plan that is not complete (no join) runs without its tasks that have effects. Of `limits`, `parallel_tasks` and
    `seconds` count here; what has not ended in time is `Cancelled`. Raises `PlanError` if the plan does not fit the tools;
    cancelling it cancels the tasks.
    """
    if not isinstance(plan, Plan):
        raise UsageError(f"execute takes a Plan, not {type(plan).__name__}; parse_plan makes one of a text")
    workshop = Workshop(registry_of(tools))
    limits = limits or Limits()
    tasks = await _bound(plan, workshop.registry)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.TaskGroup() as group:
            with watched(lambda _: None):  # the watchdog logs what it finds
                driver = Driver(workshop, Journal("execute", loop.time), parallel_tasks=limits.parallel_tasks)
                work = group.create_task(driver.run())
                await _submit(driver, tasks, complete=plan.complete)
                await _over(driver, limits.seconds)
                work.cancel()
    except* Exception as errors:
        raise InternalError(f"please report: {errors.exceptions[0]!r}") from errors
    finally:
        workshop.executors.close()
    return driver.outcomes


async def _over(driver: Driver, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await driver.round_over()
    except TimeoutError:
        await driver.stop()


async def _submit(driver: Driver, tasks: Iterable[Task], *, complete: bool) -> None:
    for count, task in enumerate(tasks, 1):
        driver.add(task)
        if count % _BATCH == 0:
            await asyncio.sleep(0)
    driver.post(PlanClosed(complete))
    driver.post(PlanSealed())


async def _bound(plan: Plan, registry: Registry) -> list[Task]:
    """Return the tasks with arguments bound to names; if anything is wrong, read the printed plan to say where."""
    checks = registry.checks()
    tasks: list[Task] = []
    seen: set[int] = set()
    for task in plan:
        spans = [(name, _NOWHERE) for name in task.kwargs]
        bound, wrong = check_task(TaskRead(task, _NOWHERE, (_NOWHERE,) * len(task.args), tuple(spans)), checks)
        if wrong or task.id in seen or not task.inputs <= seen:
            return list(read_plan(str(plan), checks))  # raises, with the places
        seen.add(task.id)
        tasks.append(bound)
        if len(tasks) % _BATCH == 0:
            await asyncio.sleep(0)  # a large plan must not hold up the loop
    return tasks
