"""A whole measurement as one command makes it: which jobs on which grounds, and their records as they come."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from llmcompiler.bench.asynclm.contenders import CONTENDERS, contenders_of
from llmcompiler.bench.asynclm.ground import Ground
from llmcompiler.bench.asynclm.in_process import in_process
from llmcompiler.bench.asynclm.latency import ASYNC
from llmcompiler.bench.asynclm.playing import Course, Job, Toolbox
from llmcompiler.bench.asynclm.record import Record, append, read_records
from llmcompiler.bench.asynclm.script import OWN_PACE, Cell
from llmcompiler.bench.asynclm.served import served
from llmcompiler.bench.asynclm.virtual import VirtualTime
from llmcompiler.bench.asynclm.workloads import WORKLOADS, read_workloads
from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean

CELLS = tuple(Cell(per_token, first_token) for per_token in (5, 10, 20, 30) for first_token in (60, 310))
OTHER_ORDERS = ("longest_first", "random")
ORDERED = "multi_step_parallel"  # the set whose orders are compared: in it they matter most
_APART = 0.05  # seconds between the beginnings of what is played at once: to write a prompt takes some of them

Opened: TypeAlias = AbstractContextManager[Ground]


@dataclass(frozen=True, slots=True)
class Place:
    """What is measured on a ground. count: workloads of each set, unless asked for.

    orders: in which Async is played beside the best one. about: what is to be known of its figures. opened: returns the
    ground for these jobs. A further ground is one more of these, and of `Ground`.
    """

    title: str
    opened: Callable[[Sequence[Job]], Opened]
    cells: Sequence[Cell]
    count: int = 10
    orders: Sequence[str] = ()
    about: str = ""

    def jobs(self, request: "Request") -> Iterator[Job]:
        """Yield the jobs, workload by workload, modes in turn."""
        contenders = contenders_of(request.modes)
        for name in dict.fromkeys(request.sets):
            for workload in read_workloads(name, request.folder, request.count or self.count):
                for cell in self.cells:
                    yield from (Job(name, workload, each, cell) for each in contenders if each.fits(workload))
                    if name == ORDERED and CONTENDERS[ASYNC.name] in contenders:
                        yield from (Job(name, workload, CONTENDERS[ASYNC.name], cell, order) for order in self.orders)


def _served(jobs: Sequence[Job]) -> Opened:
    return served({key: script for job in jobs for key, script in job.sessions.items()})


def _in_process(jobs: Sequence[Job]) -> Opened:
    return in_process([script for job in jobs for script in job.sessions.values()], [job.workload for job in jobs])


PLACES: Mapping[str, Place] = MappingProxyType(
    {
        "virtual": Place("virtual time", lambda jobs: nullcontext(VirtualTime()), CELLS, orders=OTHER_ORDERS),
        "server": Place(
            "loopback server, real time", _served, [cell for cell in CELLS if cell.per_token_ms in (5, 30)], count=2
        ),
        "local": Place(
            "a model in this process",
            _in_process,
            [OWN_PACE],
            count=2,
            about="random weights, forced tokens: the engine is measured, no model's skill",
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be measured: names of sets, of modes and of grounds; workloads a set; the folder of the data.

    file: where records are kept, and read again if the measurement is taken up once more.
    """

    sets: Sequence[str] = tuple(WORKLOADS)
    modes: Sequence[str] = tuple(CONTENDERS)
    grounds: Sequence[str] = ("virtual", "server")  # what needs no extra
    count: int | None = None
    folder: Path | None = None
    file: Path | None = None


Told = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measurement that can be run: what is done, and the jobs that are left, by ground."""

    request: Request
    done: Sequence[Record]
    left: Sequence[tuple[str, Sequence[Job]]]

    def run(self, begins: Callable[[str, int], Told]) -> list[Record]:
        """Do what is left, and return all records. begins: is told a ground and how many jobs; returns what is told each.

        Interrupted, what was told is kept in the file. Works inside a running event loop too (Jupyter).
        """
        records, toolbox = list(self.done), Toolbox()
        for name, jobs in self.left:
            told = begins(name, len(jobs))
            with PLACES[name].opened(jobs) as ground:
                for record in _played(ground, jobs, toolbox):
                    records.append(record)
                    if self.request.file is not None:
                        append(self.request.file, record)
                    told(record)
        return records


def measurement_of(request: Request) -> Measurement:
    """Return the measurement for a request.

    Raises `UsageError` for what is not known, for a ground on which nothing is left to measure, and where data are missing.
    """
    wanted = {name: _jobs(name, request) for name in dict.fromkeys(request.grounds)}
    keys = {record_key(name, job) for name, jobs in wanted.items() for job in jobs}
    kept = [record for record in (read_records(request.file) if request.file else []) if record.key in keys]
    done = {record.key: record for record in kept}
    left = [(name, [job for job in jobs if record_key(name, job) not in done]) for name, jobs in wanted.items()]
    return Measurement(request, list(done.values()), [(name, jobs) for name, jobs in left if jobs])


def _jobs(ground: str, request: Request) -> list[Job]:
    if ground not in PLACES:
        raise UsageError(f"there is no ground {ground!r} to measure on; {did_you_mean(ground, list(PLACES))}")
    jobs = list(PLACES[ground].jobs(request))
    if not jobs:
        raise UsageError(
            f"there is nothing to measure with {', '.join(request.modes)}: refs need a set of chains, such as multi_step"
        )
    return jobs


def record_key(ground: str, job: Job) -> tuple[str, ...]:
    """Return the key of the record that a job gives."""
    return (ground, job.set, job.workload.id, job.contender.name, job.order, str(job.cell))


def _played(ground: Ground, jobs: Sequence[Job], toolbox: Toolbox) -> Iterator[Record]:
    """Yield the records of jobs, as many at once as the ground allows."""
    if ground.at_once > 1:  # imports and connections belong to no mode
        ground.run(_side_by_side([Course(job, ground, toolbox) for job in jobs[: ground.at_once]]))
    for first in range(0, len(jobs), ground.at_once):
        some = jobs[first : first + ground.at_once]
        yield from ground.run(_side_by_side([Course(job, ground, toolbox) for job in some]))


async def _side_by_side(courses: Sequence[Course]) -> list[Record]:
    """Return the records of courses that are played at once; nothing else is done meanwhile."""
    async with asyncio.TaskGroup() as group:
        for place, course in enumerate(courses):
            group.create_task(_after(place * _APART, course))
    return [await course.record() for course in courses]


async def _after(seconds: float, course: Course) -> None:
    await asyncio.sleep(seconds)
    await course.play()
