"""Showing a question of the demo: two runs side by side, the timeline, the comparison."""

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from llmcompiler.demo.agents import SEARCH_SECONDS, demo_agents, is_slowed
from llmcompiler.demo.recording import TIMING, DemoQuestion
from llmcompiler.models.model import Model
from llmcompiler.observe.console import show_run
from llmcompiler.strategies.result import RunResult
from llmcompiler.toolkit.registry import Registry


async def show_demo(
    question: DemoQuestion, tools: Registry, model: Model | None, console: Console
) -> dict[str, RunResult]:
    """Show one question of the demo, on a real model or on the recording; return the results by title."""
    console.print(f"\n[bold]{question.number}. {escape(question.question)}[/bold]", highlight=False)
    console.print(f"[dim]{question.shows}[/dim]", highlight=False)
    spoken = (
        f"Model: {model}, real."
        if model
        else "Model: a RECORDING, served over loopback with the timing of a hosted one "
        f"({TIMING.first_token * 1000:.0f} ms to the first token, {TIMING.per_token * 1000:.0f} ms a token)."
    )
    waits = f" Each search waits {SEARCH_SECONDS} s, as one on the web would." if is_slowed(tools) else ""
    console.print(Text(f"{spoken}{waits}\n", "dim"))
    with demo_agents(question, tools, model) as agents:
        results = await show_run(agents, question.question, console)
    first, *_ = results.values()
    console.print()
    console.print(first.timeline(min(console.width, 120)), markup=False, highlight=False)
    if not console.is_terminal:
        for title, result in results.items():
            console.print("\n" + title + ":", Text(result.answer or "", "bold"), highlight=False, soft_wrap=True)
    _compare(results, console)
    return results


def _compare(results: Mapping[str, RunResult], console: Console) -> None:
    table = Table("", "seconds", "requests", "tokens in", "tokens out", box=None, padding=(0, 2, 0, 0))
    for title, result in results.items():
        usage = result.usage.total
        counts = [str(usage.requests), _count(usage.input_tokens), _count(usage.output_tokens)]
        table.add_row(title, f"{result.seconds:.2f}", *counts)
    console.print()
    console.print(table)
    (ours, ours_ran), (other, other_ran) = results.items()
    ratio = other_ran.seconds / ours_ran.seconds
    console.print(Text(f"\n{ours}: {ratio:.2f} times as fast as the {other}.", "bold"))


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"
