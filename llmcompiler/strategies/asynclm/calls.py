"""Calls: what a model calls becomes tasks of the run's own driver; what has ended is told to the model once."""

import asyncio
import re
from dataclasses import dataclass, replace

from llmcompiler.config.choices import HoldWrites
from llmcompiler.journal.events import TaskRejected
from llmcompiler.passes.check import check_task
from llmcompiler.passes.fields import unknown_fields
from llmcompiler.plan.arguments import read_arguments
from llmcompiler.plan.diagnostics import Diagnostic, Span, did_you_mean
from llmcompiler.plan.outcomes import ErrorRecord, Failed
from llmcompiler.plan.parser import TaskRead
from llmcompiler.plan.printer import print_call
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.tools import Effect
from llmcompiler.plan.values import Value, map_refs
from llmcompiler.scheduling.messages import HeldReleased, PlanClosed, PlanSealed, TaskRefused
from llmcompiler.strategies.asynclm.names import NAME, Names, required
from llmcompiler.strategies.asynclm.repeats import Repeats
from llmcompiler.strategies.run import Run

_HEAD = re.compile(r"[\s`]*(?P<tool>[^\W\d][\w./-]*)\s*\(")
_UNKNOWN = re.compile(r"\$\$\{?(?P<name>[^\W\d]\w*)")


@dataclass(frozen=True, slots=True)
class _Pending:
    """A call of which nothing was told yet; `is_named` if the model wants its result; `due` when it is expected to end."""

    is_named: bool
    due: float


class Calls:
    """The calls of one session. `errors` and `notes` are of all of them.

    pending: calls by id of which the model was told nothing so far. repeats: calls made again; it is to hear when a turn
    ends. end: what ends a call in the text, if anything does, and how it is written in a string.
    """

    def __init__(self, run: Run, *, hold_writes: HoldWrites, end: tuple[str, str] | None = None) -> None:
        self.names = Names()
        self.errors: list[Diagnostic] = []
        self.notes: list[Diagnostic] = []
        self.pending: dict[int, _Pending] = {}
        self.repeats = Repeats()
        self._run, self._holds, self._end = run, hold_writes == "trap", end
        self._checks = run.workshop.registry.checks()
        self._by_name: dict[str, Task] = {}  # as they were called
        self._count = 0
        self._misnamed = 0  # calls that were not made since their names cannot be used

    @property
    def count(self) -> int:
        """Return how many calls have become tasks."""
        return self._count

    @property
    def ended(self) -> list[int]:
        """Return the pending calls that have ended, in the order in which they did."""
        outcomes = self._run.driver.outcomes
        found = self.pending.keys() & outcomes.keys()
        return [id for id in outcomes if id in found] if found else []

    def expected(self, *, last: bool) -> float | None:
        """Return in how many seconds the first pending call is expected to end, or the last; None if there is none."""
        if not self.pending:
            return None
        due = (max if last else min)(each.due for each in self.pending.values())
        return max(0.0, due - asyncio.get_running_loop().time())

    def take(self, name: str | None, body: str, span: Span) -> str | None:
        """Take a call as it was written. Return a complaint about its name, None if the name may be used.

        What is wrong with the call itself is its outcome. Raises `LimitReached` or `NoProgress`.
        """
        task, wrong, read = self._read(body, span)
        complaint = None if name is None else self._complaint(name)
        if complaint is not None:
            known = self._by_name.get(name or "")
            return None if known is not None and known.same_call(task) else self._misname(complaint)  # once is enough
        task = replace(task, id=self._next(name))
        if name is not None:
            self._by_name[name] = task
        if read is not None:
            task, wrong = self._checked(replace(read, task=task))
        self._hand_over(task, [replace(found, task_id=task.id) for found in wrong])
        return None

    def take_checked(self, name: str, task: Task, wrong: list[Diagnostic]) -> None:
        """Take a call that was read and checked elsewhere, under the id that it has. Raises as `take` does."""
        self._next(name)
        self._hand_over(task, wrong)

    def refuse(self, name: str | None, why: str, span: Span) -> str | None:
        """Take a call that could not be read to its end; return as `take` does."""
        complaint = None if name is None else self._complaint(name)
        if complaint is not None:
            return self._misname(complaint)
        id = self._next(name)
        self._hand_over(Task(id, "?"), [Diagnostic("unterminated", why, span, task_id=id)])
        return None

    def told(self, id: int) -> bool:
        """Note that the model is told of a call; return whether it wanted its result."""
        return self.pending.pop(id).is_named

    def release(self) -> None:
        """Let what has effects begin."""
        self._run.driver.post(HeldReleased())

    async def close(self, *, complete: bool) -> None:
        """End the plan, and wait for what is under way; what is held is dropped unless it is complete."""
        if self._count:
            self._run.driver.post(PlanClosed(complete))
            self._run.driver.post(PlanSealed())
            await self._run.driver.round_over()

    def _next(self, name: str | None) -> int:
        self._check_limit()
        self._count += 1
        self.names.give(name or f"_{self._count}", self._count)
        self.pending[self._count] = _Pending(name is not None, 0.0)
        return self._count

    def _misname(self, complaint: str) -> str:
        """Count a call that is no task, so that a model which repeats it for ever is stopped too; return the complaint."""
        self._check_limit()
        self._misnamed += 1
        self.repeats.refused(complaint)
        return complaint

    def _check_limit(self) -> None:
        if self._count + self._misnamed >= self._run.limits.tasks:
            raise self._run.reached("tasks")

    def _complaint(self, name: str) -> str | None:
        """Return what is wrong with a name, None if a call may have it."""
        if not NAME.fullmatch(name):
            return f"the id {name[:64]!r} is no name: a letter, then letters, digits or _; the call was not made"
        if name not in self.names:
            return None
        outcome = self._run.driver.outcomes.get(self.names.id_of(name))
        if isinstance(outcome, Failed) and outcome.error.kind == "plan":
            return None  # that call was never made, so this one is its correction
        return f"the id {name!r} is that of an earlier call; the call was not made; choose another id"

    def _read(self, body: str, span: Span) -> tuple[Task, list[Diagnostic], TaskRead | None]:
        head = _HEAD.match(body)
        if head is None:
            return Task(0, "?"), [Diagnostic("expected", "a call is written tool(arguments)", span)], None
        tool, written = head["tool"], body[head.end() :].rstrip().rstrip("`;")
        text = self.names.in_plan_language(written)
        found = read_arguments(text)
        self.notes += [replace(note, span=span) for note in found.notes]
        if found.error is not None:
            return Task(0, tool), [self._error(found.error, text, span)], None
        unknown = self.names.unknown(written)
        if unknown is not None:
            return Task(0, tool), [self._no_call(unknown, span)], None
        args: tuple[Value, ...] = tuple(map_refs(value, required) for value in found.args)
        kwargs = {key: map_refs(value, required) for key, value in found.kwargs.items()}
        task = Task(0, tool, args, kwargs)
        return task, [], TaskRead(task, span, (span,) * len(args), tuple((key, span) for key in kwargs))

    def _error(self, error: Diagnostic, text: str, span: Span) -> Diagnostic:
        """Return an error with its place in the whole text; one about a name that no call has says so."""
        if error.code == "unterminated" and self._end is not None:
            return replace(error, span=span, remedy="in a string {} is written {}".format(*self._end))
        unknown = _UNKNOWN.match(text, error.span.start)
        if error.code != "bad_literal" or unknown is None:
            return replace(error, span=span)
        return self._no_call(unknown["name"], span)

    def _no_call(self, name: str, span: Span) -> Diagnostic:
        nearest = did_you_mean(name, [known for known in self.names if NAME.fullmatch(known)])
        remedy = "; ".join(filter(None, (nearest, f"as mere text it is written $${{{name}}}")))
        return Diagnostic("unknown_reference", f"there is no call {name!r} so far", span, remedy)

    def _checked(self, read: TaskRead) -> tuple[Task, list[Diagnostic]]:
        task, wrong = check_task(read, self._checks)
        for given in sorted(task.inputs):
            producer = self._checks.specs.get(self._run.driver.tasks[given].tool)
            if producer is not None:
                wrong += unknown_fields(task, given, producer, read.span)
        return task, wrong

    def _hand_over(self, task: Task, wrong: list[Diagnostic]) -> None:
        run = self._run
        if wrong:
            self.errors += wrong
            run.driver.announce(task)
            run.journal.emit(TaskRejected, task.id, task.tool, tuple(wrong), True)
            said = "; ".join(f"{found.message} ({found.remedy})" if found.remedy else found.message for found in wrong)
            run.driver.post(TaskRefused(task.id, ErrorRecord("plan", "InvalidTask", said)))
            self.repeats.refused(self.names.in_names(said))
            return
        spec = self._checks.specs[task.tool]
        policy = spec.policy
        expected = run.workshop.durations.expected(task.tool, policy.expected)
        due = asyncio.get_running_loop().time() + expected
        self.pending[task.id] = replace(self.pending[task.id], due=due)
        run.driver.add(task)
        self._note(task, spec.effect)
        if not self._holds:
            self.release()

    def _note(self, task: Task, effect: Effect) -> None:
        """Note whether a call is made again though its result was told. Raises `NoProgress`."""
        if effect is not Effect.READ:
            self.repeats.progress()  # another attempt may end otherwise
        elif not any(self._run.driver.tasks[id].same_call(task) for id in self.pending if id != task.id):
            self.repeats.made(self.names.in_names(print_call(task)))
