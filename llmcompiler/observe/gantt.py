"""A Gantt chart as a picture: what the model wrote and what the tools did, several runs on one axis of time.

Needs matplotlib, which the extra `notebook` brings.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmcompiler.errors import UsageError
from llmcompiler.journal.events import JoinDecided, PlanClosed, PlanStarted, TaskEnded, TaskPlanned, TextInjected
from llmcompiler.observe.live import usage_text
from llmcompiler.plan.outcomes import Failed, Succeeded
from llmcompiler.plan.printer import print_call

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmcompiler.strategies.result import RunResult, TaskRecord

LONGEST_LABEL = 44  # characters of a call
_INCHES_A_ROW, _WIDTH = 0.27, 10.0
_INK, _FAINT, _GRID = "#22252b", "#6d7480", "#e6e8ec"
_INJECTED = "the model is told"
_ABOVE = -0.45  # of a row, from its middle: where marks stand
_COLOURS = {
    "the model plans": "#4263eb",
    "the model answers": "#9775fa",
    "the model waits": "#ffd8a8",
    "a tool runs": "#12b886",
    "a tool fails": "#fa5252",
    "a task waits": "#ced4da",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the model, in seconds since the run began: for a plan or the next call, or for the answer.

    Of a text into which results come (AsyncLM) it is a part: one in which the model writes, or waits for a result.
    """

    purpose: Literal["plans", "answers", "waits"]
    began: float
    ended: float


def requests_of(result: "RunResult") -> list[Request]:
    """Return the requests to the model of a run, in order; one for the answer ends with the decision.

    Those that the events do not tell of, of tools that ask a model themselves, are not among them.
    """
    if injected := _injections(result):
        return list(_parts(injected, result))
    requests: list[Request] = []
    began: float | None = None  # a request for a plan, under way
    is_repair = False
    quiet = 0.0  # since when nothing runs that a joiner would wait for
    for event in result.events:
        match event:
            case PlanStarted(purpose=purpose):
                requests += [] if began is None else [Request("plans", began, event.at)]
                began, is_repair = event.at, purpose == "repair"
            case PlanClosed() if began is not None:
                requests.append(Request("plans", began, event.at))
                began, quiet = None, event.at
            case TaskPlanned() if is_repair and began is not None:  # a repair's end is not told otherwise
                requests.append(Request("plans", began, event.at))
                began = None
            case JoinDecided():
                requests.append(Request("answers", quiet if began is None else began, event.at))
                began, quiet = None, event.at
            case TaskEnded():
                quiet = event.at
    return requests if began is None else [*requests, Request("plans", began, result.seconds)]


def _injections(result: "RunResult") -> list[TextInjected]:
    return [event for event in result.events if isinstance(event, TextInjected)]


def _parts(injected: Iterable[TextInjected], result: "RunResult") -> Iterator[Request]:
    """Yield the parts of a text into which results came; after the last of these it is the answer."""
    began = 0.0
    for event in injected:
        ended = event.at - event.waited
        if ended > began:
            yield Request("plans", began, ended)
        if event.waited:
            yield Request("waits", ended, event.at)
        began = event.at
    yield Request("plans" if result.answer is None else "answers", began, result.seconds)


def gantt(results: "Mapping[str, RunResult]") -> "Figure":
    """Return a figure with a panel for each run, by its title, on one axis of time.

    A panel has a row for the model and one for each task; bars are the time in which something ran, lines the time for
    which a task had been planned and waited, marks what came into the text that the model writes. Raises `UsageError`
    without a run, or where matplotlib is missing.
    """
    if not results:
        raise UsageError("there is no run to draw")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError('charts need matplotlib: pip install "llmcompiler-engine[notebook]"') from error
    rows = [len(result.tasks) + 1 for result in results.values()]
    figure = Figure(figsize=(_WIDTH, sum(rows) * _INCHES_A_ROW + 0.75 * len(rows) + 0.5), layout="constrained")
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=[count + 1 for count in rows])
    labels = [_labels(result) for result in results.values()]
    width = max(len(label) for row in labels for label in row)
    for panel, said, (title, result) in zip(panels[:, 0], labels, results.items(), strict=True):
        _draw(panel, title, result, [label.ljust(width) for label in said])
    panels[0, 0].set_xlim(0, 1.07 * max(result.seconds for result in results.values()))
    panels[-1, 0].set_xlabel("seconds", color=_FAINT, fontsize=9)
    _explain(figure, results.values())
    return figure


def _labels(result: "RunResult") -> list[str]:
    return ["model", *(cut(f"{record.task.id}. {print_call(record.task)}") for record in result.tasks.values())]


def _draw(panel: "Axes", title: str, result: "RunResult", labels: Sequence[str]) -> None:
    for request in requests_of(result):
        _bar(panel, 0, request.began, request.ended, _COLOURS[f"the model {request.purpose}"], "white")
    if injected := [event.at for event in _injections(result)]:
        panel.plot(injected, [_ABOVE] * len(injected), "v", color=_INK, markersize=4.5)
    for row, record in enumerate(result.tasks.values(), 1):
        _draw_task(panel, row, record)
    panel.axvline(result.seconds, color=_INK, linewidth=0.8, linestyle=(0, (2, 2)))
    told = f"{result.seconds:.2f} s · {usage_text(result.usage.total)}"
    panel.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_INK, parse_math=False)
    panel.set_title(told, loc="right", fontsize=9, color=_FAINT)
    # A placeholder's dollar sign is no formula. In a monospaced font padding puts all labels at the left.
    panel.set_yticks(range(len(labels)), labels, fontsize=8.5, fontfamily="monospace", color=_INK, parse_math=False)
    panel.set_ylim(len(labels) - 0.4, -0.6)
    panel.tick_params(axis="both", length=0)
    panel.tick_params(axis="x", labelsize=8.5, labelcolor=_FAINT, labelbottom=True)
    panel.grid(axis="x", color=_GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[:].set_visible(False)


def _draw_task(panel: "Axes", row: int, record: "TaskRecord") -> None:
    ended = record.planned if record.ended is None else record.ended
    started = ended if record.started is None else record.started
    if started > record.planned:
        panel.hlines(row, record.planned, started, color=_COLOURS["a task waits"], linewidth=2)
    colour = _COLOURS[_state(record)]
    _bar(panel, row, started, ended, colour, colour)
    panel.annotate(
        _said(record, ended - started),
        (ended, row),
        xytext=(4, 0),
        textcoords="offset points",
        verticalalignment="center",
        fontsize=7.5,
        color=_FAINT,
    )


def _bar(panel: "Axes", row: int, began: float, ended: float, colour: str, edge: str) -> None:
    # A white edge keeps apart what follows at once; one of the bar's colour shows what took no time.
    panel.barh(row, ended - began, left=began, height=0.62, color=colour, edgecolor=edge, linewidth=0.8)


def _state(record: "TaskRecord") -> str:
    if isinstance(record.outcome, Succeeded):
        return "a tool runs"
    return "a tool fails" if isinstance(record.outcome, Failed) else "a task waits"


def _said(record: "TaskRecord", seconds: float) -> str:
    if record.reused_from is not None:
        return "cache" if record.reused_from == "cache" else f"= task {record.reused_from}"
    if isinstance(record.outcome, Succeeded):
        return f"{seconds:.2f} s"
    return type(record.outcome).__name__.lower()


def _explain(figure: "Figure", results: "Iterable[RunResult]") -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = _kinds(results)
    handles: list[Artist] = [Patch(color=colour, label=kind) for kind, colour in _COLOURS.items() if kind in shown]
    if _INJECTED in shown:
        handles.append(Line2D([], [], marker="v", linestyle="", color=_INK, label=_INJECTED))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8.5, labelcolor=_FAINT
    )


def _kinds(results: "Iterable[RunResult]") -> set[str]:
    kinds = {"a task waits"}
    for result in results:
        kinds |= {f"the model {request.purpose}" for request in requests_of(result)}
        kinds |= {_state(record) for record in result.tasks.values()}
        kinds |= {_INJECTED for _ in _injections(result)}
    return kinds


def cut(label: str, longest: int = LONGEST_LABEL) -> str:
    """Return a label on one line, at most so long."""
    text = " ".join(label.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"
