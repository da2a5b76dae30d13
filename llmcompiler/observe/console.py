"""Showing runs in a console: live panels on a terminal, plain lines elsewhere, and what came of them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Protocol

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from llmcompiler.journal.events import Event, RunEnded
from llmcompiler.observe.live import RunView, plain_line, usage_text

if TYPE_CHECKING:
    from llmcompiler.strategies.result import RunResult

FRAMES_A_SECOND = 15


class Streaming(Protocol):
    """An agent, as far as it is needed here."""

    def astream(self, question: str) -> AsyncIterator[Event]:
        """Yield events; the last one is `RunEnded`."""
        ...


async def show_run(agents: Mapping[str, Streaming], question: str, console: Console) -> dict[str, "RunResult"]:
    """Run the agents on one question at the same time, side by side; return their results by title."""
    if console.is_terminal and not console.quiet:
        return await _show_live(agents, question, console)
    results = {}
    for title, agent in agents.items():
        if len(agents) > 1:
            console.print(f"— {title}", highlight=False)
        results[title] = await _show_plain(agent, question, console)
    return results


async def _show_plain(agent: Streaming, question: str, console: Console) -> "RunResult":
    result = None
    async for event in agent.astream(question):
        line = plain_line(event)
        if line is not None:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if isinstance(event, RunEnded):
            result = _ended(event)
    assert result is not None
    return result


async def _show_live(agents: Mapping[str, Streaming], question: str, console: Console) -> dict[str, "RunResult"]:
    views = {title: RunView(title) for title in agents}
    ends: dict[str, RunEnded] = {}
    loop = asyncio.get_running_loop()
    origin = loop.time()

    async def follow(title: str) -> None:
        async for event in agents[title].astream(question):
            views[title].take(event)
            if isinstance(event, RunEnded):
                ends[title] = event

    def frame() -> RenderableType:
        shown = [view.render(loop.time() - origin) for view in views.values()]
        return _side_by_side(shown, console.width)

    with Live(get_renderable=frame, console=console, auto_refresh=False, transient=False) as live:
        work = [asyncio.create_task(follow(title)) for title in agents]
        try:
            while not all(run.done() for run in work):
                live.refresh()
                await asyncio.wait(work, timeout=1 / FRAMES_A_SECOND)
            live.refresh()
        finally:
            for run in work:
                run.cancel()
            done = await asyncio.gather(*work, return_exceptions=True)
    for error in filter(None, done):
        raise error
    return {title: _ended(ends[title]) for title in agents}


def _side_by_side(shown: list[RenderableType], width: int) -> RenderableType:
    if len(shown) == 1 or width < 110:
        return Group(*shown)
    return Columns(shown, width=width // len(shown) - 1, padding=(0, 1))


def _ended(event: RunEnded) -> "RunResult":
    if event.result.answer is None:
        from llmcompiler.errors import RunFailed

        raise RunFailed(f"no answer: {event.error}", result=event.result)
    return event.result


def show_summary(result: "RunResult", console: Console) -> None:
    """Print the timeline, and where no panel has shown them the answer and what it cost."""
    console.print()
    console.print(result.timeline(min(console.width, 120)), markup=False, highlight=False)
    if not console.is_terminal:
        console.print()
        console.print(Text(result.answer or ""), soft_wrap=True)
        console.print(Text(f"{result.seconds:.2f} s · {usage_text(result.usage.total)}"))
