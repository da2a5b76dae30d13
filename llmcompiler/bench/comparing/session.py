"""A whole comparison as one command makes it: what is left to do, oracles or a real endpoint, records as they come."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from llmcompiler.bench.comparing.compare import Comparison, Job, jobs_of
from llmcompiler.bench.comparing.contenders import Contender, contenders_of
from llmcompiler.bench.comparing.endpoint import Endpoint, Real, oracles
from llmcompiler.bench.comparing.record import ORACLE, Record, Setting, append, key_of, of_setting, read_records
from llmcompiler.bench.comparing.settings import DEFAULT_PROFILE, profile_of
from llmcompiler.bench.suites.catalogue import suite_of
from llmcompiler.bench.suites.suite import Case, Suite
from llmcompiler.models.model import Model
from llmcompiler.strategies.runner import run_sync

AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be compared.

    contenders: their names. count: questions, None for the suite's usual number. folder: of the data. model: a real one,
    None for the oracles, which play at the speed of `profile`. tool_time: by how much the suite's tool times are
    multiplied. at_once: runs side by side. file: where records are kept, and read again if the comparison is taken up once
    more.
    """

    suite: str
    contenders: Sequence[str]
    count: int | None = None
    folder: Path | None = None
    model: Model | None = None
    profile: str = DEFAULT_PROFILE
    tool_time: float = 1.0
    at_once: int = AT_ONCE
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A comparison that can be run: its suite, its setting, what is done and what is left."""

    request: Request
    suite: Suite
    setting: Setting
    contenders: Sequence[Contender]
    cases: Sequence[Case]
    records: list[Record] = field(default_factory=list)
    jobs: Sequence[Job] = ()

    def run(self, told: Callable[[Record], None]) -> list[Record]:
        """Do what is left, tell each record, and return all of them. Interrupted, what was told is kept in the file.

        Works inside a running event loop too (Jupyter).
        """

        def keep(record: Record) -> None:
            self.records.append(record)
            if self.request.file is not None:
                append(self.request.file, record)
            told(record)

        if self.jobs:
            with self._endpoint() as endpoint:
                try:
                    comparison = Comparison(self.suite, self.setting, endpoint)
                    run_sync(comparison.run(self.jobs, self.request.at_once, keep))
                finally:
                    endpoint.release()  # the private loop goes on after this
        order = {contender.name: place for place, contender in enumerate(self.contenders)}
        return sorted(self.records, key=lambda record: order[record.contender])

    def _endpoint(self) -> AbstractContextManager[Endpoint]:
        if self.request.model is not None:
            return nullcontext(Real(self.request.model))
        asked = {contender.name for _, contender in self.jobs}
        return oracles(
            {name: self.suite.oracle(name, self.cases) for name in asked}, profile_of(self.setting.profile).timing
        )


def session_of(request: Request) -> Session:
    """Return the session for a request. Raises `UsageError` for what is not known, and where data are missing."""
    suite = suite_of(request.suite)
    contenders = contenders_of(request.contenders, suite.contenders)
    setting = Setting(
        suite=suite.name,
        model=ORACLE if request.model is None else str(request.model),
        profile=profile_of(request.profile).name if request.model is None else "",
        tool_time=request.tool_time,
    )
    cases = suite.cases(request.folder, request.count)
    wanted = {key_of(setting, contender.name, case.id) for case, contender in jobs_of(cases, contenders)}
    kept = of_setting(read_records(request.file), setting) if request.file else []
    records = list({record.key: record for record in kept if record.key in wanted}.values())
    done = {record.key for record in records}
    left = [job for job in jobs_of(cases, contenders) if key_of(setting, job[1].name, job[0].id) not in done]
    return Session(request, suite, setting, contenders, cases, records, left)
