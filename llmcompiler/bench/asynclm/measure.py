"""A whole measurement as one command makes it: which jobs on which grounds, and their records as they come."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from llmcompiler.bench.asynclm.ground import Ground
from llmcompiler.bench.asynclm.in_process import in_process
from llmcompiler.bench.asynclm.latency import ASYNC
from llmcompiler.bench.asynclm.order import ORDERS
from llmcompiler.bench.asynclm.playing import Job, Toolbox, play
from llmcompiler.bench.asynclm.record import Record, append, read_records
from llmcompiler.bench.asynclm.script import CONTENDERS, LONGEST_PATH, OWN_PACE, Cell, contenders_of
from llmcompiler.bench.asynclm.served import served
from llmcompiler.bench.asynclm.virtual import VirtualTime
from llmcompiler.bench.asynclm.workloads import WORKLOADS, read_workloads
from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean

GROUNDS = ("virtual", "server", "local")
COUNT = 10  # workloads of each set on virtual time, unless asked for
SHARE_OF_SERVER = 5  # one in so many of them is played in real time
CELLS = tuple(Cell(per_token, first_token) for per_token in (5, 10, 20, 30) for first_token in (60, 310))
CORNERS = tuple(cell for cell in CELLS if cell.per_token_ms in (5, 30))  # in real time
_CELLS_OF = {"virtual": CELLS, "server": CORNERS, "local": (OWN_PACE,)}
OTHER_ORDERS = ("longest_first", "random")
ORDERED = "multi_step_parallel"  # the set whose orders are compared: in it they matter most


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be measured: names of sets, of modes and of grounds; workloads a set; the folder of the data.

    file: where records are kept, and read again if the measurement is taken up once more.
    """

    sets: Sequence[str] = tuple(WORKLOADS)
    modes: Sequence[str] = tuple(CONTENDERS)
    grounds: Sequence[str] = ("virtual", "server")  # what needs no extra
    count: int = COUNT
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

            def keep(record: Record, told: Told = told) -> None:
                records.append(record)
                if self.request.file is not None:
                    append(self.request.file, record)
                told(record)

            with _ground(name, jobs) as ground:
                _run(ground, jobs, toolbox, keep)
        return records


def measurement_of(request: Request) -> Measurement:
    """Return the measurement for a request. Raises `UsageError` for what is not known, and where data are missing."""
    for name in request.grounds:
        if name not in GROUNDS:
            raise UsageError(f"there is no ground {name!r} to measure on; {did_you_mean(name, list(GROUNDS))}")
    wanted = {name: _jobs(request, name) for name in dict.fromkeys(request.grounds)}
    keys = {record_key(name, job) for name, jobs in wanted.items() for job in jobs}
    kept = [record for record in (read_records(request.file) if request.file else []) if record.key in keys]
    done = {record.key: record for record in kept}
    left = [(name, [job for job in jobs if record_key(name, job) not in done]) for name, jobs in wanted.items()]
    return Measurement(request, list(done.values()), [(name, jobs) for name, jobs in left if jobs])


def record_key(ground: str, job: Job) -> tuple[str, ...]:
    """Return the key of the record that a job gives."""
    cell = (f"{job.cell.per_token_ms:g}", f"{job.cell.first_token_ms:g}")
    return (ground, job.set, job.workload.id, job.contender.name, job.order, *cell)


def _jobs(request: Request, ground: str) -> list[Job]:
    """Return the jobs of a ground, workload by workload, modes in turn. A local model is offered no native calls."""
    is_virtual = ground == "virtual"
    count = request.count if is_virtual else max(1, request.count // SHARE_OF_SERVER)
    contenders = [each for each in contenders_of(request.modes) if ground != "local" or each.wire != "native"]
    jobs = []
    for name in dict.fromkeys(request.sets):
        for workload in read_workloads(name, request.folder, count):
            for cell in _CELLS_OF[ground]:
                jobs += [Job(name, workload, contender, cell) for contender in contenders]
                if is_virtual and name == ORDERED and CONTENDERS[ASYNC.name] in contenders:
                    jobs += [Job(name, workload, CONTENDERS[ASYNC.name], cell, order) for order in OTHER_ORDERS]
    return jobs


@contextmanager
def _ground(name: str, jobs: Sequence[Job]) -> Iterator[Ground]:
    if name == VirtualTime.name:
        yield VirtualTime()
        return
    scripts = {key: script for job in jobs for key, script in job.sessions.items()}
    workloads = {job.workload.id: job.workload for job in jobs}
    with in_process(scripts.values(), workloads.values()) if name == "local" else served(scripts) as ground:
        yield ground


def _run(ground: Ground, jobs: Sequence[Job], toolbox: Toolbox, keep: Told) -> None:
    if ground.at_once == 1:
        for job in jobs:
            keep(ground.run(play(job, ground, toolbox)))
    else:
        ground.run(_side_by_side(ground, jobs, toolbox, keep))


async def _side_by_side(ground: Ground, jobs: Sequence[Job], toolbox: Toolbox, keep: Told) -> None:
    """Do the jobs, the first one once more beforehand: imports and connections belong to no mode."""
    await play(jobs[0], ground, toolbox)
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            keep(await play(job, ground, toolbox))

    async with asyncio.TaskGroup() as group:
        for _ in range(ground.at_once):
            group.create_task(work())
