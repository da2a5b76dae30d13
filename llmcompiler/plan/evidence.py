"""The parser of ReWOO's plans (arXiv 2305.18323): the same items as `PlanParser`, from `#E1 = tool[input]` lines.

    Plan: what this step finds
    #E1 = search[the height of Everest]
    #E2 = calculate[#E1.value * 2]

Task n is the evidence variable `#En`; its thought is the plan above it. The input of a tool that takes one text is that text
as it stands, unless it is quoted or named as in the plan language, whose argument syntax all other tools take. Round
brackets do as well. `#E1` is a ref wherever it stands, a dollar sign is none. There is no join: the end of the text is one.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from llmcompiler.plan.arguments import read_arguments
from llmcompiler.plan.diagnostics import Diagnostic, Span
from llmcompiler.plan.parser import MAX_CALL, CallRefused, Item, JoinRead, NoteRead, TaskRead
from llmcompiler.plan.strings import PATH, QUOTES, BadText, read_path
from llmcompiler.plan.tasks import MAX_ID, Task
from llmcompiler.plan.tools import ToolSpec
from llmcompiler.plan.values import Ref, Text, Value, map_refs

_HEAD = re.compile(r"#E(?P<id>\d{1,9})[ \t*_`]*=[ \t*_`]*(?P<tool>[^\W\d][\w./-]*)[ \t]*(?P<open>[\[(])")
_PLAN = re.compile(r"[\s*_>#\d.)-]*Plan(?:\s*\d+)?[*_ \t]*:[*_ \t]*(.*)", re.IGNORECASE | re.DOTALL)
_EVIDENCE = re.compile(rf"(?<!\w)#E(\d{{1,9}})({PATH})")
_CLOSERS = {"[": "]", "(": ")"}


class EvidenceParser:
    """Reads one ReWOO plan. `skipped` counts the characters that are neither plan nor call; nothing is ever `ignored`."""

    def __init__(self, specs: Mapping[str, ToolSpec]) -> None:
        self.skipped = 0
        self.ignored = 0
        self._specs = specs
        self._chunks: list[str] = []  # of the line that has not ended
        self._base = 0  # where that line begins
        self._thoughts: list[str] = []
        self._has_calls = False

    def feed(self, chunk: str) -> list[Item]:
        """Return what this chunk completes."""
        self._chunks.append(chunk)
        if "\n" not in chunk:
            return []
        *lines, rest = "".join(self._chunks).split("\n")
        self._chunks = [rest]
        return [item for line in lines for item in self._line(f"{line}\n")]

    def close(self) -> list[Item]:
        """Return what the end of the text completes. Nothing may be fed afterwards."""
        items = self._line("".join(self._chunks))
        self._chunks.clear()
        self.skipped += sum(map(len, self._thoughts))  # no call took them
        end = Span(self._base, self._base)
        return [*items, JoinRead(end)] if self._has_calls else items

    def _line(self, line: str) -> list[Item]:
        heads = list(_HEAD.finditer(line))
        before = line[: heads[0].start()] if heads else line
        plan = _PLAN.match(before)
        if plan and plan[1].strip():
            self._thoughts.append(plan[1].strip())
        else:
            self.skipped += len(before.strip())
        ends = [*(head.start() for head in heads[1:]), len(line)]
        items = [item for head, end in zip(heads, ends, strict=False) for item in self._call(line, head, end)]
        self._base += len(line)
        return items

    def _call(self, line: str, head: re.Match[str], end: int) -> list[Item]:
        """Return the task of a call that begins at `head` and ends, with its last closing bracket, before `end`."""
        self._has_calls = True
        thought, self._thoughts = "\n".join(self._thoughts), []
        id, tool, opened = int(head["id"]), head["tool"], head.end()
        closed = line.rfind(_CLOSERS[head["open"]], opened, end)
        stop = len(line[:end].rstrip()) if closed < 0 else closed + 1
        span = Span(self._base + head.start(), self._base + stop)
        problem = None
        if not 0 < id <= MAX_ID:
            problem = Diagnostic("bad_id", f"#E{id} is no evidence", span, f"evidence goes from #E1 to #E{MAX_ID}")
        elif closed < 0:
            closer = _CLOSERS[head["open"]]
            problem = Diagnostic("unterminated", f"{tool} is not closed on its line", span, f"close it with '{closer}'")
        elif closed - opened > MAX_CALL:
            problem = Diagnostic("too_long", f"an input of over {MAX_CALL} characters", span)
        if problem is not None:
            self.skipped += len(thought)  # no call takes it
            return [CallRefused(id if 0 < id <= MAX_ID else None, tool, span, problem)]
        self.skipped += len(line[stop:end].strip())
        return self._read(Task(id, tool, thought=thought), line[opened:closed], span)

    def _read(self, task: Task, text: str, span: Span) -> list[Item]:
        spec = self._specs.get(task.tool)
        if spec is None or (_takes_one_text(spec) and not _is_written_out(text, spec)):
            try:
                given = _text(text.strip())
            except BadText as error:
                problem = Diagnostic(error.code, str(error), span, error.remedy)
                return [CallRefused(task.id, task.tool, span, problem)]
            return [TaskRead(replace(task, args=(given,)), span, (span,))]
        found = read_arguments(_in_plan_language(text) + ")")
        if found.error is not None:
            return [CallRefused(task.id, task.tool, span, replace(found.error, span=span))]
        args = tuple(map(_required, found.args))
        kwargs = {name: _required(value) for name, value in found.kwargs.items()}
        read = TaskRead(
            replace(task, args=args, kwargs=kwargs), span, (span,) * len(args), tuple((name, span) for name in kwargs)
        )
        return [read, *(NoteRead(replace(note, span=span)) for note in found.notes)]


def _takes_one_text(spec: ToolSpec) -> bool:
    """Return whether a tool can be called with one text and nothing else."""
    names = list(spec.properties)
    first = spec.properties[names[0]] if names else None
    is_text = isinstance(first, Mapping) and first.get("type") == "string"
    return is_text and set(spec.required) <= {names[0]}


def _is_written_out(text: str, spec: ToolSpec) -> bool:
    """Return whether an input is written in the plan language: a quoted text, or arguments by name."""
    names = "|".join(map(re.escape, spec.properties))
    quoted = text.lstrip()[:1] in QUOTES or re.match(rf"\s*(?:{names})\s*=(?!=)", text) is not None
    return quoted and read_arguments(_in_plan_language(text) + ")").error is None


def _text(text: str) -> Value:
    """Return a text with its evidence as refs. Evidence is text here even where it stands alone, as in ReWOO."""
    parts: list[str | Ref] = []
    done = 0
    for found in _EVIDENCE.finditer(text):
        parts += [text[done : found.start()], Ref(int(found[1]), read_path(found[2]))]
        done = found.end()
    pieces = tuple(part for part in [*parts, text[done:]] if part != "")
    return Text(pieces) if parts else text


def _in_plan_language(text: str) -> str:
    """Return an input with `${1}` for `#E1`, and its dollar signs as such."""
    return _EVIDENCE.sub(r"${\1\2}", text.replace("$", "$$"))


def _required(value: Value) -> Value:
    """Return the value with refs that never stand for literal text."""
    return map_refs(value, lambda ref: Ref(ref.id, ref.path))
