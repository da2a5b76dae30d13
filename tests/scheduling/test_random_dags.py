"""Ten thousand random DAGs in virtual time. What a whole run comes to is computed a second way and compared exactly."""

from dataclasses import replace
from random import Random

import pytest

from llmcompiler.plan.outcomes import Outcome, Skipped, Succeeded
from llmcompiler.scheduling.state import IllegalMove
from tests.scheduling.simulate import (
    BROKEN,
    Job,
    World,
    at_once,
    critical_path,
    descendants,
    random_jobs,
    rearranged,
)

BLOCK = 1000


@pytest.mark.parametrize("first", range(0, 10_000, BLOCK), ids=lambda first: f"seeds from {first}")
def test_every_random_dag_comes_to_what_its_graph_says(first: int) -> None:
    for seed in range(first, first + BLOCK):
        try:
            explore(Random(seed))
        except (AssertionError, IllegalMove) as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def explore(random: Random) -> None:
    jobs = random_jobs(random)
    # Recounting is as long as the plan: after every signal for small plans, now and then for large ones.
    check_every = max(1, len(jobs) ** 2 // 100)
    without_limits(jobs, check_every)
    within_slots(at_once(jobs), random.randint(1, 8), check_every)
    with_a_failure(random, jobs, check_every)


def without_limits(jobs: list[Job], check_every: int) -> None:
    """Nothing waits but for its text, its inputs, or the plan's end: the run is as long as the critical path."""
    world = World(jobs, slots=len(jobs), check_every=check_every).run()
    assert world.outcomes == {job.id: Succeeded(job.id) for job in jobs}
    assert world.now == critical_path(jobs)


def within_slots(jobs: list[Job], slots: int, check_every: int) -> None:
    """No slot is idle while a task could use it: Graham's bound, 1966.

    It says wall <= work / m + (1 - 1 / m) * path, from which wall <= (2 - 1 / m) * max(path, work / m) follows, and no
    schedule is shorter than that maximum. Both are compared in whole numbers.
    """
    world = World(jobs, slots, check_every=check_every).run()
    assert world.outcomes == {job.id: Succeeded(job.id) for job in jobs}
    path, work = critical_path(jobs), sum(job.seconds for job in jobs)
    assert world.now * slots >= max(path * slots, work), f"{slots} slots did {work} s of work in {world.now} s"
    assert world.now * slots <= work + (slots - 1) * path, f"{world.now} s in {slots} slots: path {path}, work {work}"
    assert world.now * slots * slots <= (2 * slots - 1) * max(path * slots, work)


def with_a_failure(random: Random, jobs: list[Job], check_every: int) -> None:
    """One task fails: its descendants are skipped and nothing else is, under caps and in whatever order things come.

    Since every order has to come to what the graph says, no order comes to anything else than another one.
    """
    caps = {f"tool {n}": random.randint(1, 3) for n in range(3)}
    jobs = [replace(job, tool=tool, cap=caps[tool]) for job in jobs for tool in [random.choice([*caps])]]
    broken = random.choice(jobs).id
    lost = descendants(jobs, broken)
    expected: dict[int, Outcome] = {job.id: Succeeded(job.id) for job in jobs}
    expected |= {id: Skipped(broken) for id in lost} | {broken: BROKEN}
    arrival, ties = random.choice(((jobs, None), (rearranged(jobs, random), random)))
    world = World(arrival, random.randint(1, 8), fails={broken}, shuffle=ties, check_every=check_every).run()
    assert world.outcomes == expected
    assert world.started.keys() == expected.keys() - lost
