"""Live views: a run as it happens, as a panel in a terminal or as plain lines elsewhere. Folds over events."""

from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from llmcompiler.joiner import Finish
from llmcompiler.journal.events import (
    AnswerText,
    Event,
    JoinDecided,
    PlanClosed,
    PlanStarted,
    Replanned,
    RunEnded,
    TaskEnded,
    TaskPlanned,
    TaskRejected,
    TaskRetrying,
    TaskStarted,
    TextInjected,
)
from llmcompiler.models.model import Usage
from llmcompiler.plan.outcomes import Cancelled, Failed, Outcome, Skipped, Succeeded
from llmcompiler.plan.printer import print_call
from llmcompiler.plan.showing import shown
from llmcompiler.plan.values import Json

_MARKS = {
    "planned": ("○", "dim"),
    "running": ("●", "yellow"),
    "retrying": ("↻", "yellow"),
    "repairing": ("?", "magenta"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("–", "red"),
    "cancelled": ("–", "dim"),
}


@dataclass(slots=True)
class _Line:
    label: str
    state: str = "planned"
    started: float | None = None
    ended: float | None = None
    said: str = ""


@dataclass(slots=True)
class RunView:
    """One run in a panel: feed it events with `take`, show it with `render`."""

    title: str
    lines: dict[int, _Line] = field(default_factory=dict)
    phase: str = "waiting for the first words of the model"
    answer: str = ""
    footer: str = ""
    error: str = ""
    is_read: bool = False  # the plan, to its end

    def take(self, event: Event) -> None:
        """Fold one event into the view."""
        match event:
            case PlanStarted(purpose=purpose):
                self.phase = "the planner writes" if purpose == "plan" else "the planner repairs"
                self.is_read = False
            case PlanClosed():
                self.is_read = True
                self._wait()
            case TaskPlanned(task=task):
                self.lines[task.id] = _Line(f"{task.id}. {print_call(task)}")
            case TaskRejected(id=id):
                line = self.lines.setdefault(id, _Line(f"{id}. {event.tool}(?)"))
                line.state, line.said = ("failed" if event.final else "repairing"), event.diagnostics[0].message
            case TaskStarted(id=id):
                line = self.lines[id]
                line.state, line.started = "running", event.at if line.started is None else line.started
            case TaskRetrying(id=id):
                self.lines[id].state, self.lines[id].said = "retrying", _one_line(str(event.error), 60)
            case TaskEnded(id=id, outcome=outcome):
                self._ended(self.lines.setdefault(id, _Line(f"{id}.")), outcome, event)
            case AnswerText(text=text):
                self.phase, self.answer = "the answer comes", self.answer + text
            case JoinDecided(decision=decision):
                self.answer = decision.answer if isinstance(decision, Finish) else ""
            case Replanned(reason=reason):
                self.phase = f"replanning: {_one_line(reason, 200)}"
            case RunEnded():
                self._run_ended(event)

    def _wait(self) -> None:
        is_over = all(line.ended is not None for line in self.lines.values())
        self.phase = (
            "the tasks have ended; waiting for the answer" if is_over else "the plan is read; waiting for the tasks"
        )

    def _ended(self, line: _Line, outcome: Outcome, event: TaskEnded) -> None:
        line.state, line.ended = type(outcome).__name__.lower(), event.at
        line.said = outcome_text(outcome, 60)
        if event.reused_from is not None:
            line.said = "= cache" if event.reused_from == "cache" else f"= task {event.reused_from}"
        if self.is_read:
            self._wait()

    def _run_ended(self, event: RunEnded) -> None:
        self.phase = ""
        self.error = event.error or ""
        self.answer = event.result.answer or ""
        self.footer = f"{event.result.seconds:.2f} s · {usage_text(event.result.usage.total)}"

    def render(self, now: float) -> RenderableType:
        """Return a panel; `now` is seconds since the run began."""
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(min_width=1, max_width=1, no_wrap=True)
        table.add_column(ratio=5, no_wrap=True, overflow="ellipsis")
        table.add_column(min_width=6, max_width=6, no_wrap=True, justify="right", style="dim")
        table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
        for line in self.lines.values():
            mark, style = _MARKS[line.state]
            end = line.ended if line.ended is not None else now
            spent = f"{end - line.started:.2f}s" if line.started is not None else ""
            table.add_row(Text(mark, style), Text(line.label), spent, Text(line.said, style))
        parts: list[RenderableType] = [table]
        if self.phase:
            parts.append(Text(f"… {self.phase}", "dim italic"))
        if self.answer:
            parts.append(Text(f"\n{self.answer}", "bold"))
        if self.error:
            parts.append(Text(f"\n{self.error}", "red"))
        return Panel(Group(*parts), title=self.title, subtitle=self.footer or f"{now:.1f} s", title_align="left")


def plain_line(event: Event) -> str | None:
    """Return a line for a log, or None for events that are not worth one."""
    at = f"{event.at:7.2f}s"
    match event:
        case TaskPlanned(task=task):
            return f"{at}  planned   {task.id}. {print_call(task)}"
        case TaskRejected(id=id, final=final):
            what = "rejected" if final else "diagnosed"
            return f"{at}  {what:<9} {id}. {event.tool}: {event.diagnostics[0].message}"
        case TaskStarted(id=id):
            return f"{at}  started   {id}. {event.tool}"
        case TaskRetrying(id=id):
            return f"{at}  retrying  {id}. {_one_line(str(event.error), 80)}"
        case TaskEnded(id=id, outcome=outcome):
            return f"{at}  {type(outcome).__name__.lower():<9} {id}. {outcome_text(outcome, 80)}"
        case Replanned(reason=reason):
            return f"{at}  replan    {_one_line(reason, 200)}"
        case TextInjected(text=text):
            return f"{at}  put in    {_one_line(text, 200)}"
    return None


def outcome_text(outcome: Outcome, width: int) -> str:
    """Return an outcome in a few words: the value (of a dict, its `value` and `unit`), or why there is none."""
    match outcome:
        case Succeeded({"value": value, **rest}):
            unit = rest.get("unit")
            return f"{_value_text(value, width)} {unit}" if isinstance(unit, str) else _value_text(value, width)
        case Succeeded(value):
            return _value_text(value, width)
        case Failed(error):
            return _one_line(str(error), width)
        case Skipped(cause):
            return f"needs task {cause}"
        case Cancelled():
            return ""


def _one_line(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[:width] + "…"


def _value_text(value: Json, width: int) -> str:
    # From five digits on; a year stays as it is.
    return f"{value:,}" if type(value) is int and abs(value) >= 10_000 else shown(value, width)


def usage_text(usage: Usage) -> str:
    """Return requests and tokens in a few words; what the provider did not say is `?`."""
    tokens = [("in", usage.input_tokens), ("out", usage.output_tokens)]
    said = " + ".join(f"{'?' if count is None else f'{count:,}'} {name}" for name, count in tokens)
    return f"{usage.requests} request{'s' if usage.requests != 1 else ''}, tokens {said}"
