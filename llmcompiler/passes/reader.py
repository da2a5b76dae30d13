"""PlanReader: text chunks in, settled tasks out. Parser, checks, ids and refs of one plan, and its one repair.

A reading is what the task-fetching unit may act on: a task is `Accepted` when nothing is wrong with it and every ref in it
is bound; until then its id is `Pending`, so that its dependants wait. At the end of the text refs that were not bound are
settled: a quoted one to an id that never came is literal text, an unquoted one and a forward ref are errors.

Ids: the planner's own numbers are *raw*; a round that restarts at 1 after earlier rounds is shifted behind them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from llmcompiler.passes.check import check_task, text_references
from llmcompiler.passes.fields import unknown_fields
from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.parser import CallRefused, Item, JoinRead, NoteRead, PlanParser, TaskRead
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.tools import Tools
from llmcompiler.plan.values import Ref, map_refs, refs


@dataclass(frozen=True, slots=True)
class Accepted:
    """A task that may run: arguments bound, refs bound to ids of this run."""

    task: Task


@dataclass(frozen=True, slots=True)
class Pending:
    """Task `id` was read but may not run yet: it is diagnosed, or names an id not read so far (no diagnostics)."""

    id: int
    tool: str
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Task `id` will never run."""

    id: int
    tool: str
    diagnostics: tuple[Diagnostic, ...]


Reading: TypeAlias = Accepted | Pending | Rejected


class Parser(Protocol):
    """Reads a plan's text, in whichever format: `PlanParser`, `EvidenceParser`."""

    skipped: int
    ignored: int

    def feed(self, chunk: str) -> list[Item]:
        """Return what this chunk completes."""
        ...

    def close(self) -> list[Item]:
        """Return what the end of the text completes."""
        ...


@dataclass(slots=True)
class _Draft:
    """A task as read, refs raw. `raw` is None for one whose id is taken or unusable, until the plan's end gives it one."""

    raw: int | None
    tool: str
    span: Span
    task: Task | None
    errors: list[Diagnostic]
    names: dict[int, int] = field(default_factory=dict)  # raw id -> id of this run, for the refs that are bound
    unread: list[int] = field(default_factory=list)  # raw ids that nothing has defined so far


class PlanReader:
    """Reads one plan. `known` are the ids of earlier rounds, whose outcomes refs may name.

    With a `limit`, the text counts as cut before the first task beyond that many; `is_full` says that there was one.
    `parser` is that of the text's format, by default the plan language.
    """

    def __init__(
        self,
        tools: Tools | None,
        *,
        known: Iterable[int] = (),
        limit: int | None = None,
        parser: Parser | None = None,
    ) -> None:
        self.notes: list[Diagnostic] = []
        self.is_complete = False
        self.is_full = False
        self._limit = limit
        self._parser: Parser = parser or PlanParser()
        self._tools = tools
        self._known = frozenset(known)
        self._shift: int | None = None
        self._accepted: dict[int, Task] = {}  # by raw id, refs raw
        self._needs: dict[int, frozenset[int]] = {}  # of accepted tasks: which of this round they refer to
        self._drafts: list[_Draft] = []
        self._doubled: set[int] = set()
        self._chunks: list[str] = []
        self._is_empty = True
        self.size = 0  # characters read

    @property
    def text(self) -> str:
        """Return the text read so far."""
        return "".join(self._chunks)

    @property
    def skipped(self) -> int:
        """Return how many characters were neither task, thought nor join."""
        return self._parser.skipped

    @property
    def ignored(self) -> int:
        """Return how many characters came after the join."""
        return self._parser.ignored

    @property
    def is_empty(self) -> bool:
        """Return whether nothing readable has come: no task and no join, or only a join after calls without numbers."""
        if self._is_empty or self.count or not self.skipped or not self._tools:
            return self._is_empty
        names = "|".join(map(re.escape, self._tools.specs))
        return re.search(rf"^\W*(?:{names})\(", self.text, re.MULTILINE) is not None if names else False

    @property
    def count(self) -> int:
        """Return how many tasks were read, diagnosed ones included."""
        return len(self._accepted) + len(self._drafts)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """Return what is wrong now, in the order of the text."""
        return tuple(sorted((error for draft in self._drafts for error in draft.errors), key=lambda error: error.span))

    @property
    def repairable(self) -> frozenset[int]:
        """Return the raw ids that a repair may define; known once the plan has ended."""
        return frozenset(draft.raw for draft in self._drafts if draft.raw is not None and draft.errors)

    def feed(self, chunk: str) -> list[Reading]:
        """Return what this chunk settles."""
        self._chunks.append(chunk)
        self.size += len(chunk)
        items = self._parser.feed(chunk)
        return self._take(items) if items else []

    def close(self) -> list[Reading]:
        """End the text; return what that settles. What is wrong afterwards waits for `repair` or `finish`."""
        readings = self._take(self._parser.close())
        for draft in self._drafts:
            if draft.raw is None:
                draft.raw = self._fresh_id()
                advice = f"write this task with the unused id {draft.raw}"
                draft.errors = [
                    replace(e, remedy=f"{e.remedy}; {advice}" if e.remedy else advice) for e in draft.errors
                ]
                readings.append(self._pending(draft))
        inputs = self._inputs()
        for draft in [draft for draft in self._drafts if draft.unread]:
            readings.append(self._settle(draft, inputs))
        return readings

    def repair(self, text: str) -> list[Reading]:
        """Return what the planner's repair settles. It may define only the ids in `repairable`; the rest is ignored."""
        parser = PlanParser()
        items = [*parser.feed(text), *parser.close()]
        allowed = self.repairable
        reads = {item.task.id: item for item in items if isinstance(item, TaskRead) and item.task.id in allowed}
        repaired = [draft for draft in self._drafts if draft.raw in reads]
        for draft in repaired:
            task, errors = self._check(reads[draft.raw or 0])
            draft.errors = [replace(error, span=draft.span) for error in errors]  # spans point into the plan's text
            draft.task, draft.tool, draft.names, draft.unread = task, task.tool, {}, []
        self._doubled.clear()  # every id is unique now
        for draft in repaired:
            self._bind(draft)
        return [self._settle(draft, self._inputs(), forward=True) for draft in repaired]

    def finish(self) -> list[Reading]:
        """Return the rejection of everything that is still wrong."""
        rejected = [Rejected(self._id(draft.raw or 0), draft.tool, tuple(draft.errors)) for draft in self._drafts]
        self._drafts.clear()
        return [*rejected]

    # Items of the parser

    def _take(self, items: list[Item]) -> list[Reading]:
        readings: list[Reading] = []
        for item in items:
            is_task = isinstance(item, TaskRead | CallRefused)
            self.is_full = self.is_full or (is_task and self._limit is not None and self.count >= self._limit)
            if self.is_full:
                break
            match item:
                case TaskRead():
                    readings += self._read(item)
                case CallRefused():
                    readings += self._refused(item)
                case JoinRead():
                    self.is_complete = True
                case NoteRead(diagnostic):
                    self.notes.append(diagnostic)
            self._is_empty = self._is_empty and isinstance(item, NoteRead)
        return readings

    def _read(self, read: TaskRead) -> list[Reading]:
        raw = read.task.id
        self._number(raw)
        task, errors = self._check(read)
        draft = _Draft(raw, task.tool, read.span, task, errors)
        pending = self._draft_of(raw)
        if raw in self._accepted or self._id(raw) in self._known or (pending and (errors or not pending.errors)):
            self._duplicate(draft)
            return []
        if pending is not None:
            self._drafts.remove(pending)  # the planner has corrected itself
        self._bind(draft)
        cycle = find_cycle({**self._inputs(), raw: self._needed(draft)}, raw) if pending and not errors else None
        if cycle:
            draft.errors.append(_cycle(cycle, draft))  # tasks read meanwhile may need the one that is corrected
        if draft.errors or draft.unread:
            self._drafts.append(draft)
            return [self._pending(draft)]
        return [self._accept(draft)]

    def _check(self, read: TaskRead) -> tuple[Task, list[Diagnostic]]:
        return check_task(read, self._tools) if self._tools else (read.task, [])

    def _refused(self, refused: CallRefused) -> list[Reading]:
        draft = _Draft(refused.id, refused.tool, refused.span, None, [replace(refused.diagnostic, task_id=refused.id)])
        if refused.id is not None:
            self._number(refused.id)
            if refused.id in self._accepted or self._draft_of(refused.id) or self._id(refused.id) in self._known:
                self._doubled.add(refused.id)
                draft.raw = None
        self._drafts.append(draft)
        return [self._pending(draft)] if draft.raw is not None else []

    def _duplicate(self, draft: _Draft) -> None:
        """A task whose id is taken: ignored if it is the same call, else it gets a fresh id at the plan's end."""
        raw, task = draft.raw, draft.task
        assert raw is not None
        assert task is not None
        pending = self._draft_of(raw)
        earlier = pending.task if pending else self._accepted.get(raw)
        if earlier is not None and task.same_call(earlier):
            said = f"task {raw} is given twice with the same call; the second is ignored"
            self.notes.append(Diagnostic("duplicate_ignored", said, draft.span, severity="note"))
            return
        self._doubled.add(raw)
        said = f"the id {raw} is taken by an earlier call" + (f" of {earlier.tool}" if earlier else "")
        draft.errors.insert(0, Diagnostic("duplicate_id", said, draft.span, task_id=raw))
        draft.raw = None
        self._drafts.append(draft)

    def _number(self, raw: int) -> None:
        """The first id of a round decides whether its numbers are shifted behind those of earlier rounds."""
        if self._shift is None:
            last = max(self._known, default=0)
            self._shift = last if raw <= last else 0

    def _id(self, raw: int) -> int:
        return raw + (self._shift or 0)

    def _fresh_id(self) -> int:
        used = [*self._accepted, *(draft.raw for draft in self._drafts if draft.raw is not None)]
        return max([*used, *(id - (self._shift or 0) for id in self._known), 0]) + 1

    def _draft_of(self, raw: int) -> _Draft | None:
        return next((draft for draft in self._drafts if draft.raw == raw), None)

    def _accept(self, draft: _Draft) -> Accepted:
        task = draft.task
        assert task is not None
        assert draft.raw is not None
        self._accepted[draft.raw], self._needs[draft.raw] = task, self._needed(draft)
        self.notes += text_references(task, draft.span)
        if self._shift:
            task = replace(_renamed(task, draft.names), id=self._id(draft.raw))
        return Accepted(task)

    def _pending(self, draft: _Draft) -> Pending:
        return Pending(self._id(draft.raw or 0), draft.tool, tuple(draft.errors))

    # Refs

    def _bind(self, draft: _Draft) -> None:
        """Bind the refs of a draft to ids of this run; note those that cannot be bound yet or at all."""
        if draft.task is None:
            return
        for raw in sorted(draft.task.inputs):
            if raw in self._doubled:
                said, remedy = f"${raw} is ambiguous: the id {raw} is given twice", "write it with the id that is meant"
                draft.errors.append(Diagnostic("ambiguous_reference", said, draft.span, remedy, task_id=draft.raw))
            elif raw != draft.raw and (raw in self._accepted or self._draft_of(raw) is not None):
                draft.names[raw] = self._id(raw)
                draft.errors += self._unknown_fields(draft.task, raw, draft.span)
            elif raw in self._known:
                draft.names[raw] = raw
            elif raw == draft.raw:
                said = f"task {raw} refers to itself"
                draft.errors.append(Diagnostic("self_reference", said, draft.span, task_id=raw))
            else:
                draft.unread.append(raw)

    def _unknown_fields(self, task: Task, given: int, span: Span) -> Iterator[Diagnostic]:
        draft = self._draft_of(given)
        producer = self._accepted.get(given) or (draft.task if draft and not draft.errors else None)
        spec = self._tools.specs.get(producer.tool) if self._tools and producer else None
        return iter(()) if spec is None else unknown_fields(task, given, spec, span)

    def _settle(self, draft: _Draft, inputs: Mapping[int, frozenset[int]], *, forward: bool = False) -> Reading:
        """The text has ended: a ref to a later task is an error (in a plan), a quoted one to no task is text."""
        task, raw = draft.task, draft.raw
        if task is not None and raw is not None:
            for unread in draft.unread:
                draft.errors += self._unread_errors(draft, task, unread, inputs)
            cycle = find_cycle(inputs, raw) if forward else None
            if cycle:
                draft.errors.append(_cycle(cycle, draft))
        if draft.errors or task is None:
            return self._pending(draft)
        draft.task, notes = _literalised(task, frozenset(draft.unread), draft.span)
        self.notes += notes
        again, draft.errors = self._check(_unplaced(draft.task, draft.span)) if draft.unread else (draft.task, [])
        if draft.errors:
            return self._pending(draft)
        draft.task = again
        self._drafts.remove(draft)
        return self._accept(draft)

    def _unread_errors(
        self, draft: _Draft, task: Task, unread: int, inputs: Mapping[int, frozenset[int]]
    ) -> list[Diagnostic]:
        if unread in inputs:
            cycle = find_cycle({**inputs, task.id: frozenset({unread})}, task.id)
            if cycle:
                return [_cycle(cycle, draft)]
            said = f"task {task.id} refers to ${unread}, which is only read after it"
            remedy = f"write task {task.id} after task {unread}"
            return [Diagnostic("forward_reference", said, draft.span, remedy, task_id=task.id)]
        if all(ref.literal for value in task.values() for ref in refs(value) if ref.id == unread):
            return []
        near = sorted([*self._accepted, *self._known], key=lambda id: (abs(id - unread), id))[:2]
        said = f"${unread} is no task of this plan"
        remedy = f"did you mean {' or '.join(f'${id}' for id in near)}?" if near else "define the task first"
        return [Diagnostic("unknown_reference", said, draft.span, remedy, task_id=task.id)]

    def _inputs(self) -> dict[int, frozenset[int]]:
        """Return which tasks of this round every task of it refers to, all by raw id."""
        return self._needs | {draft.raw: self._needed(draft) for draft in self._drafts if draft.raw is not None}

    def _needed(self, draft: _Draft) -> frozenset[int]:
        own = {raw for raw, id in draft.names.items() if id == self._id(raw)}  # the others are of earlier rounds
        return frozenset(own.union(draft.unread))


def _cycle(cycle: list[int], draft: _Draft) -> Diagnostic:
    said = f"a cycle: {' needs '.join(f'${id}' for id in cycle)}"
    return Diagnostic("cycle", said, draft.span, "break it: a task may use only earlier ones", task_id=draft.raw)


def _renamed(task: Task, names: Mapping[int, int]) -> Task:
    def rename(ref: Ref) -> Ref:
        return replace(ref, id=names.get(ref.id, ref.id))

    return _with_refs(task, rename)


def _literalised(task: Task, ids: frozenset[int], span: Span) -> tuple[Task, list[Diagnostic]]:
    if not ids:
        return task, []

    def literal(ref: Ref) -> Ref | str:
        return ref.literal or "" if ref.id in ids else ref

    said = f"{', '.join(f'${id}' for id in sorted(ids))} in task {task.id} is literal text: there is no such task"
    return _with_refs(task, literal), [Diagnostic("literal_dollar", said, span, severity="note", task_id=task.id)]


def _unplaced(task: Task, span: Span) -> TaskRead:
    """Return the task as one whose arguments all stand at `span`."""
    return TaskRead(task, span, (span,) * len(task.args), tuple((name, span) for name in task.kwargs))


def _with_refs(task: Task, change: Callable[[Ref], Ref | str]) -> Task:
    args = tuple(map_refs(value, change) for value in task.args)
    return replace(task, args=args, kwargs={name: map_refs(value, change) for name, value in task.kwargs.items()})


def find_cycle(inputs: Mapping[int, frozenset[int]], start: int) -> list[int] | None:
    """Return the ids on a shortest way from `start` through its inputs back to itself, or None."""
    ways: dict[int, list[int]] = {start: [start]}
    queue = [start]
    for id in queue:
        for needed in sorted(inputs.get(id, ())):
            if needed == start:
                return [*ways[id], start]
            if needed not in ways:
                ways[needed] = [*ways[id], needed]
                queue.append(needed)
    return None
