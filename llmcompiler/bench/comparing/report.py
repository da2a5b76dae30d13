"""How a comparison is told: a table of at most 120 columns, and what has to be known to read it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llmcompiler.bench.comparing.contenders import BASELINES, CONTENDERS
from llmcompiler.bench.comparing.record import ORACLE, Record, Setting
from llmcompiler.bench.comparing.settings import ORACLE_PRICE, PROFILES
from llmcompiler.bench.comparing.summary import Summary, dearer, of_one_call, summaries
from llmcompiler.bench.suites.suite import Suite
from llmcompiler.bench.table import machine

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 100


def as_tables(suite: Suite, records: Sequence[Record]) -> "list[Table]":
    """Return two tables with a row for each contender: how right and fast they are, and what they cost."""
    rows = summaries(records)
    return [
        fixed_table(
            ["strategy", "right", "median", "p95", *_SPEED_LABELS], [_speed(row, suite.published) for row in rows]
        ),
        fixed_table(["strategy", *_COST_LABELS], [_cost(row) for row in rows]),
    ]


def fixed_table(labels: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1, gap: int = 2) -> "Table":
    """Return a table whose columns are as wide as what stands in them, however narrow the terminal is.

    names: how many columns, from the left, hold names and no figures. gap: characters between columns.
    """
    from rich.table import Table

    widths = [max(len(row[place]) for row in (labels, *rows)) for place in range(len(labels))]
    table = Table(box=None, padding=(0, gap, 0, 0), width=sum(widths) + gap * len(widths))
    for place, label in enumerate(labels):
        table.add_column(label, justify="left" if place < names else "right", no_wrap=True, width=widths[place])
    for row in rows:
        table.add_row(*row)
    return table


_SPEED_LABELS = ("speed-up", "predicted", "paper", "/bound", "worst", "joiner")
_COST_LABELS = ("calls", "requests", "tokens in", "out", "$/1,000", "failed")


def _speed(row: Summary, published: Mapping[str, float]) -> list[str]:
    graded = f" ({100 * row.score:.0f})" if round(row.score, 3) != round(row.accuracy, 3) else ""
    return [
        row.contender,
        f"{100 * row.accuracy:.0f} %{graded}",
        _number(row.median, "{:.2f} s"),
        _number(row.p95, "{:.2f} s"),
        _number(row.speed_up, "{:.2f} x"),
        _number(row.predicted_speed_up, "{:.2f} x"),
        _number(published.get(row.contender), "{:.2f} x"),
        _number(row.to_bound, "{:.3f}"),
        _number(row.worst_to_bound, "{:.3f}"),
        _number(row.joining, "{:.2f} s"),
    ]


def _cost(row: Summary) -> list[str]:
    return [
        row.contender,
        f"{row.calls:.1f}",
        f"{row.requests:.1f}",
        _number(row.input_tokens, "{:,.0f}"),
        _number(row.output_tokens, "{:,.0f}"),
        _number(row.dollars, "{:.2f}"),
        str(row.failed) if row.failed else "",
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def notes(setting: Setting, records: Sequence[Record]) -> list[str]:
    """Return the lines below a table: which model and profile, what is cited, where we lose."""
    about = machine()
    rows = summaries(records)
    lines = [
        f"{setting.suite}, {_questions(rows)}; {_model(setting)}; Python {about['python']}, {about['cores']} cores",
        "speed-up: mean latency of the first baseline over this one's; predicted: by the timing model from token counts and "
        "tool times; paper: as cited, not checked; /bound: median of latency over the least possible on the same stream, "
        "and the worst; joiner: mean time after the last task; tokens: means a question",
    ]
    lines += [f"{row.contender}: {CONTENDERS[row.contender].what}" for row in rows]
    answered = {record.contender for record in records if record.answer is not None}
    for other in ("react", "parallel_calls"):
        if {"compiler", other} <= answered:
            lost = dearer(records, "compiler", other)
            lines.append(f"questions of two or more calls on which compiler took more tokens than {other}: {len(lost)}")
    if not any(row.contender in BASELINES for row in rows):
        lines.append(f"no speed-up: none of the baselines is among these ({', '.join(BASELINES)})")
    if single := summaries(of_one_call([record for record in records if record.answer is not None])):
        told = "; ".join(f"{row.contender} {_number(row.median, '{:.2f} s')}, {_tokens(row)}" for row in single)
        lines.append(f"median and tokens on {_questions(single)} of one call: {told}")
    return lines


def _tokens(row: Summary) -> str:
    known = row.input_tokens is not None and row.output_tokens is not None
    return f"{(row.input_tokens or 0) + (row.output_tokens or 0):,.0f} tokens" if known else "tokens unknown"


def _questions(rows: Sequence[Summary]) -> str:
    count = max((row.questions for row in rows), default=0)
    return f"{count} question{'s' if count != 1 else ''}"


def _model(setting: Setting) -> str:
    if setting.model != ORACLE:
        return f"model {setting.model}, real; the tools are offline ones, accuracy is of this run"
    profile = PROFILES[setting.profile]
    timing = profile.timing
    read = f" and {1000 * timing.per_prompt_token:g} ms a prompt token" if timing.per_prompt_token else ""
    return (
        f"ORACLE, an ideal model played over loopback (what it writes is right by construction, as far as its strategy lets "
        f"it see), profile {profile.name}: "
        f"{1000 * timing.first_token:.0f} ms to the first token, {1000 * timing.per_token:.0f} ms a token{read} "
        f"({profile.resembles}); tool times x {setting.tool_time:g}; priced as {ORACLE_PRICE}"
    )
