"""A discrete-event simulation of the unit: virtual time, a heap of what comes next, no event loop.

Times are ints, so every comparison is exact. What the unit may never do (start a task early, twice, or beyond a limit) is
asserted here, at every command; what a whole run must come to is asserted by the tests.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from random import Random

from llmcompiler.plan.outcomes import Outcome, Succeeded, failed
from llmcompiler.scheduling.messages import (
    AttemptEnded,
    Command,
    EndRound,
    EndTask,
    PlanClosed,
    PlanSealed,
    Signal,
    StartTask,
    TaskAdded,
)
from llmcompiler.scheduling.unit import TaskFetchingUnit
from tests.scheduling.invariants import check

BROKEN = failed("tool", "ValueError", "broken")
_ARRIVAL, _COMPLETION = 0, 1


@dataclass(frozen=True, slots=True)
class Job:
    """A task with what only the world knows: how long it takes and when the planner writes it."""

    id: int
    inputs: frozenset[int] = frozenset()
    seconds: float = 1
    arrives: int = 0
    tool: str = "tool"
    cap: int | None = None
    is_held: bool = False
    expected: float = 1

    def added(self) -> TaskAdded:
        return TaskAdded(self.id, self.tool, self.inputs, self.is_held, self.expected, None, self.cap)


@dataclass
class World:
    """One run: obeys the unit's commands in virtual time."""

    jobs: Sequence[Job]
    slots: int
    fails: Collection[int] = ()
    shuffle: Random | None = None  # of what happens at the same time; else by id, and handed over together
    check_every: int = 1
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)
    now: float = 0
    ends: int = 0  # commands EndRound
    signals: int = 0

    def __post_init__(self) -> None:
        self._unit = TaskFetchingUnit(parallel_tasks=self.slots)
        self._by_id = {job.id: job for job in self.jobs}
        self._busy: Counter[str] = Counter()
        self._ran = 0
        self._coming: list[tuple[float, int, int, Signal]] = []
        for number, job in enumerate(self.jobs):
            heappush(self._coming, (job.arrives, _ARRIVAL, number, job.added()))
        last = max((job.arrives for job in self.jobs), default=0)
        heappush(self._coming, (last, _ARRIVAL, len(self.jobs), PlanClosed(complete=True)))
        heappush(self._coming, (last, _ARRIVAL, len(self.jobs) + 1, PlanSealed()))

    def run(self) -> "World":
        """Return itself when nothing more comes."""
        while self._coming:
            self.now = self._coming[0][0]
            for signals in self._next():
                self._obey(self._unit.handle_all(signals, self.now))
                self.signals += 1
                if self.signals % self.check_every == 0:
                    check(self._unit)
        check(self._unit)
        assert self.ends == 1, f"the round ended {self.ends} times"
        assert self.outcomes.keys() == self._by_id.keys(), "some task has no outcome"
        return self

    def _next(self) -> Iterable[list[Signal]]:
        """Return what comes at this moment: together, or one by one with completions in any order."""
        batch = []
        while self._coming and self._coming[0][0] == self.now:
            batch.append(heappop(self._coming))
        if self.shuffle is None:
            return [[signal for *_, signal in batch]]
        arrivals = [signal for _, kind, _, signal in batch if kind == _ARRIVAL]
        completions = [signal for _, kind, _, signal in batch if kind == _COMPLETION]
        self.shuffle.shuffle(completions)
        for signal in arrivals:  # in their order, at any place among the completions
            completions.insert(self.shuffle.randint(_place(completions), len(completions)), signal)
        return [[signal] for signal in completions]

    def _obey(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case StartTask(id, attempt):
                    self._start(self._by_id[id], attempt)
                case EndTask(id, outcome, attempts):
                    self._end(self._by_id[id], outcome, attempts)
                case EndRound():
                    self.ends += 1
                case _:
                    raise AssertionError(f"nobody asked for {command}")

    def _start(self, job: Job, attempt: int) -> None:
        assert attempt == 1, f"task {job.id} began attempt {attempt}"
        assert job.id not in self.started, f"task {job.id} was started twice"
        early = [id for id in job.inputs if not isinstance(self.outcomes.get(id), Succeeded)]
        assert not early, f"task {job.id} was started before {early} had succeeded"
        self.started[job.id] = self.now
        self._busy[job.tool] += 1
        assert len(self.started) - self._ran <= self.slots, f"more than {self.slots} tasks run"
        assert job.cap is None or self._busy[job.tool] <= job.cap, f"{self._busy[job.tool]} of {job.tool} run"
        outcome = BROKEN if job.id in self.fails else Succeeded(job.id)
        heappush(self._coming, (self.now + job.seconds, _COMPLETION, job.id, AttemptEnded(job.id, 1, outcome)))

    def _end(self, job: Job, outcome: Outcome, attempts: int) -> None:
        assert job.id not in self.outcomes, f"task {job.id} ended twice"
        assert attempts == (job.id in self.started), f"task {job.id} ended after {attempts} attempts"
        self.outcomes[job.id] = outcome
        if job.id in self.started:
            assert self.now == self.started[job.id] + job.seconds, f"task {job.id} ended at {self.now}"
            self._busy[job.tool] -= 1
            self._ran += 1


def _place(signals: list[Signal]) -> int:
    """Return the first place after the last arrival: arrivals keep their order, since refs point back."""
    return max((n + 1 for n, signal in enumerate(signals) if not isinstance(signal, AttemptEnded)), default=0)


def random_jobs(random: Random) -> list[Job]:
    """Return a DAG of 1 to 200 tasks (as many of 1 to 14 as of 15 to 200), in an order in which refs point back."""
    size = round(200 ** random.random())
    shape = random.choice(("any", "layers", "near", "fan"))
    width = random.randint(1, max(1, size // 2))
    is_streamed = random.random() < 0.5
    at = 0
    jobs = []
    for id in range(1, size + 1):
        at += random.randint(0, 3) if is_streamed else 0
        inputs = random_inputs(random, id, shape, width)
        seconds = random.choice((0, 1, 1, 2, 3, 5, random.randint(0, 40)))
        expected = random.choice((seconds, 1))
        jobs.append(Job(id, inputs, seconds, at, is_held=random.random() < 0.1, expected=expected))
    return jobs


def random_inputs(random: Random, id: int, shape: str, width: int) -> frozenset[int]:
    """Return ids before `id`."""
    first, last = 1, id - 1
    if shape == "layers":  # only of the layer before
        last = (id - 1) // width * width
        first = last - width + 1
    elif shape == "near":
        first = id - 3
    elif shape == "fan":  # all from the first few, or all of the last few
        return frozenset(range(max(1, id - width), id)) if random.random() < 0.05 else frozenset(range(1, min(id, 2)))
    earlier = range(max(1, first), last + 1)
    return frozenset(random.sample(earlier, min(len(earlier), random.choice((0, 1, 1, 2, 3)))))


def at_once(jobs: Iterable[Job]) -> list[Job]:
    """Return the same jobs, all written at the start."""
    return [replace(job, arrives=0) for job in jobs]


def rearranged(jobs: Sequence[Job], random: Random) -> list[Job]:
    """Return the same jobs in another order in which refs point back, at the same moments."""
    users: dict[int, list[Job]] = {job.id: [] for job in jobs}
    missing = {job.id: len(job.inputs) for job in jobs}
    for job in jobs:
        for id in job.inputs:
            users[id].append(job)
    free = [job for job in jobs if not job.inputs]
    order = []
    for written in jobs:
        job = free.pop(random.randrange(len(free)))
        order.append(replace(job, arrives=written.arrives))
        for user in users[job.id]:
            missing[user.id] -= 1
            if missing[user.id] == 0:
                free.append(user)
    return order


def critical_path(jobs: Iterable[Job]) -> float:
    """Return when the last task ends if nothing but its text, its inputs and the plan's end is waited for."""
    jobs = list(jobs)
    sealed = max((job.arrives for job in jobs), default=0)
    ends: dict[int, float] = {}
    for job in jobs:
        begins = max([job.arrives, sealed if job.is_held else 0, *(ends[id] for id in job.inputs)])
        ends[job.id] = begins + job.seconds
    return max(sealed, *ends.values()) if ends else sealed


def descendants(jobs: Iterable[Job], id: int) -> frozenset[int]:
    """Return every task that needs `id`, directly or not."""
    found = {id}
    for job in jobs:
        if not found.isdisjoint(job.inputs):
            found.add(job.id)
    return frozenset(found - {id})
