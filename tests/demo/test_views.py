"""What is shown of a run: a panel at a terminal, lines in a pipe, a summary. All of it is a fold over events."""

import asyncio
import io
from collections.abc import Iterable
from typing import Any

import pytest
from rich.console import Console
from tenacity import wait_fixed

from llmcompiler import Limits, LLMCompiler, RunFailed, Usage, UsageError, tool
from llmcompiler.demo import demo_questions
from llmcompiler.demo.show import show_demo
from llmcompiler.journal.events import Event, RunEnded, TaskEnded, TaskPlanned, TaskRejected, TaskRetrying, TaskStarted
from llmcompiler.models.provider import model_of
from llmcompiler.observe.console import show_run, show_summary
from llmcompiler.observe.live import RunView, outcome_text, plain_line, usage_text
from llmcompiler.plan.outcomes import Cancelled, Outcome, Skipped, Succeeded, failed
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.scripted import ScriptedReply
from llmcompiler.testing.server import LoopbackServer
from tests.examples import EXAMPLE_TOOLS

QUESTION = "How high are they?"
FINISH = "Thought: known.\nAction: Finish(as high as :apple: [bold]8611[/bold] m)"
TRIES: list[int] = []


@tool(effect="read")
async def height(mountain: str) -> dict[str, Any]:
    """Return the height of a mountain."""
    await asyncio.sleep(1)
    return {"value": {"K2": 8611, "Everest": 8849}[mountain], "unit": "m"}


@tool(retries=1, wait=wait_fixed(1))
async def shaky(x: int) -> int:
    """Fail at first."""
    TRIES.append(x)
    if len(TRIES) == 1:
        raise ConnectionError("not\n  yet")
    return x


@pytest.fixture(autouse=True)
def fresh() -> None:
    TRIES.clear()


def agent(*replies: ScriptedReply, **options: Any) -> LLMCompiler:
    return LLMCompiler(ScriptedModel(replies), [height, shaky], examples=[], **options)


def events(*replies: ScriptedReply, **options: Any) -> list[Event]:
    async def work() -> list[Event]:
        return [event async for event in agent(*replies, **options).astream(QUESTION)]

    return run_virtual(work())


def page(width: int = 100, *, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, emoji=False, color_system=None)


def written(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def panel(seen: Iterable[Event], now: float) -> list[str]:
    view, console = RunView("a run"), page(80)
    for event in seen:
        view.take(event)
    console.print(view.render(now))
    return [" ".join(line.strip("│").split()) for line in written(console).splitlines()]


def until(all_of_them: list[Event], kind: type, count: int = 1) -> list[Event]:
    """Return the events up to and with the count-th of a kind."""
    places = [place for place, event in enumerate(all_of_them) if isinstance(event, kind)]
    return all_of_them[: places[count - 1] + 1]


# --- the panel


def test_before_anything_comes_the_panel_says_what_it_waits_for() -> None:
    assert "… waiting for the first words of the model" in panel([], 0.0)


def test_a_planned_task_is_a_ring_a_running_one_a_dot_with_its_time() -> None:
    seen = events('1. height("K2")\n2. shaky($1)\n3. join()', FINISH)
    assert '○ 1. height(mountain="K2")' in panel(until(seen, TaskPlanned), 0.0)
    assert '● 1. height(mountain="K2") 0.50s' in panel(until(seen, TaskStarted), 0.5)


def test_a_task_that_has_ended_shows_its_time_and_its_value() -> None:
    seen = events('1. height("K2")\n2. join()', FINISH)
    lines = panel(until(seen, TaskEnded), 9.0)
    assert '✓ 1. height(mountain="K2") 1.00s 8611 m' in lines
    assert "… the tasks have ended; waiting for the answer" in lines


def test_while_the_plan_is_open_the_planner_writes_whatever_has_ended() -> None:
    plan = Scripted(chunks=['1. height("K2")\n', '2. height("Everest")\n3. join()'], per_chunk=2.0)
    seen = events(plan, FINISH)
    assert "… the planner writes" in panel(until(seen, TaskEnded), 1.0)
    assert "… the plan is read; waiting for the tasks" in panel(until(seen, TaskStarted, 2), 2.0)


def test_a_retry_and_its_reason_stand_on_one_line() -> None:
    lines = panel(until(events("1. shaky(3)\n2. join()", FINISH), TaskRetrying), 0.5)
    assert "↻ 1. shaky(x=3) 0.50s ConnectionError: not yet" in lines


def test_what_failed_was_skipped_or_served_says_why() -> None:
    lines = panel(events('1. height("Athos")\n2. shaky($1)\n3. height("K2")\n4. height("K2")\n5. join()', FINISH), 9.0)
    assert any(line.startswith("✗ 1.") and line.endswith("KeyError: 'Athos'") for line in lines)
    assert any(line.startswith("– 2.") and line.endswith("needs task 1") for line in lines)
    assert any(line.startswith("✓ 4.") and line.endswith("= task 3") for line in lines)


def test_a_misspelt_tool_waits_for_its_repair_and_fails_without_one() -> None:
    seen = events('1. hight("K2")\n2. join()', "join()", FINISH)
    repairing = panel(until(seen, TaskRejected), 0.0)
    assert any(line.startswith("? 1. hight(?)") and line.endswith("there is no tool 'hight'") for line in repairing)
    assert any(line.startswith("✗ 1. hight(?)") for line in panel(seen, 9.0))


def test_the_answer_grows_and_a_replan_takes_it_away() -> None:
    replan = "Action: Replan(the\nother one)"
    seen = events('1. height("K2")\n2. join()', replan, '2. height("Everest")\n3. join()', FINISH)
    asked = next(place for place, event in enumerate(seen) if type(event).__name__ == "Replanned")
    assert "… replanning: the other one" in panel(seen[: asked + 1], 1.0)
    growing = next(place for place, event in enumerate(seen) if type(event).__name__ == "AnswerText")
    assert "… the answer comes" in panel(seen[: growing + 1], 2.0)
    last = panel(seen, 9.0)
    assert "as high as :apple: [bold]8611[/bold] m" in last
    assert not any(line.startswith("…") for line in last)


def test_the_foot_of_the_panel_says_what_it_cost() -> None:
    plan = Scripted(text="1. join()", usage=Usage(1, 1200, 30))
    seen = events(plan, Scripted(text=FINISH, usage=Usage(1, 100, 5)))
    assert "0.00 s · 2 requests, tokens 1,300 in + 35 out" in panel(seen, 9.0)[-1]


def test_a_run_without_an_answer_says_why() -> None:
    with pytest.raises(RunFailed):
        run_virtual(agent("1. join()", "Hm.", "Hm!").arun(QUESTION))
    lines = panel(events("1. join()", "Hm.", "Hm!"), 0.0)
    assert "the reply holds no action: Finish(answer) or Replan(reason)" in lines


def test_what_a_limit_cut_off_is_a_dash() -> None:
    seen = events(
        '1. height("K2")\n2. height("Everest")\n3. join()', FINISH, limits=Limits(seconds=1.5, parallel_tasks=1)
    )
    assert any(line.startswith('– 2. height(mountain="Everest")') for line in panel(seen, 9.0))


# --- lines


def test_each_event_worth_a_line_has_one() -> None:
    plan = '1. hight("K2")\n2. shaky(3)\n3. height("Athos")\n4. shaky($3)\n5. join()'
    seen = events(plan, "join()", "Action: Replan(all of it)", '6. height("K2")\n7. join()', FINISH)
    assert [line for line in map(plain_line, seen) if line is not None] == [
        "   0.00s  diagnosed 1. hight: there is no tool 'hight'",
        "   0.00s  planned   2. shaky(x=3)",
        "   0.00s  started   2. shaky",
        "   0.00s  retrying  2. ConnectionError: not yet",
        '   0.00s  planned   3. height(mountain="Athos")',
        "   0.00s  started   3. height",
        "   0.00s  planned   4. shaky(x=$3)",
        "   0.00s  rejected  1. hight: there is no tool 'hight'",
        "   0.00s  failed    1. InvalidTask: there is no tool 'hight' (did you mean height?)",
        "   1.00s  started   2. shaky",
        "   1.00s  failed    3. KeyError: 'Athos'",
        "   1.00s  skipped   4. needs task 3",
        "   1.00s  succeeded 2. 3",
        "   1.00s  replan    all of it",
        '   1.00s  planned   6. height(mountain="K2")',
        "   1.00s  started   6. height",
        "   2.00s  succeeded 6. 8611 m",
    ]


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Succeeded({"value": 3790000000000, "unit": "USD", "source": "x"}), "3,790,000,000,000 USD"),
        (Succeeded({"value": 1969, "unit": None}), "1969"),
        (Succeeded({"value": "Seoul"}), '"Seoul"'),
        (Succeeded(-10000), "-10,000"),
        (Succeeded(True), "true"),
        (Succeeded([1, 2]), "[1, 2]"),
        (Succeeded("x" * 50), '"' + "x" * 19 + "… (50 characters)"),
        (failed("tool", "ValueError", "a\n  b " + "c" * 50), "ValueError: a b cccc…"),
        (Skipped(3), "needs task 3"),
        (Cancelled(), ""),
    ],
    ids=str,
)
def test_an_outcome_is_told_in_a_few_words(outcome: Outcome, text: str) -> None:
    assert outcome_text(outcome, 20) == text


def test_usage_is_told_with_a_question_mark_where_nobody_said() -> None:
    assert usage_text(Usage(1, 1200, 3)) == "1 request, tokens 1,200 in + 3 out"
    assert usage_text(Usage(2)) == "2 requests, tokens ? in + ? out"


# --- runs


def test_at_a_terminal_two_runs_stand_side_by_side_if_there_is_room() -> None:
    def rows(width: int) -> list[str]:
        agents = {title: agent("1. join()", FINISH) for title in ("one", "other")}
        console = page(width, terminal=True)
        results = asyncio.run(show_run(agents, QUESTION, console))
        assert list(results) == ["one", "other"]
        return [line for line in written(console).splitlines() if "─ one ─" in line]

    assert all("─ other ─" in line for line in rows(140))
    assert not any("─ other ─" in line for line in rows(100))


@pytest.mark.parametrize("terminal", [False, True])
def test_a_run_that_fails_is_shown_to_its_end_and_raised(terminal: bool) -> None:
    console = page(terminal=terminal)
    with pytest.raises(RunFailed, match="no answer: the reply holds no action") as told:
        asyncio.run(show_run({"one": agent("1. join()", "Hm.", "Hm!")}, QUESTION, console))
    assert told.value.result.answer is None
    assert ("no action" in written(console)) is terminal


def test_an_error_of_ours_is_raised_from_the_live_view_as_it_is() -> None:
    with pytest.raises(UsageError, match="a question is a text that says something"):
        asyncio.run(show_run({"one": agent()}, " ", page(terminal=True)))


def test_a_live_view_that_is_cancelled_leaves_no_task_behind() -> None:
    async def work() -> set[str]:
        slow = Scripted(text="1. join()", first_token=60)
        shown = asyncio.create_task(show_run({"one": agent(slow), "two": agent(slow)}, QUESTION, page(terminal=True)))
        await asyncio.sleep(5)
        shown.cancel()
        await asyncio.gather(shown, return_exceptions=True)
        return {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}

    assert run_virtual(work()) == set()


def test_a_summary_is_the_timeline_the_answer_as_it_is_and_the_cost() -> None:
    result = run_virtual(
        agent('1. height("K2")\n2. join()', f"Action: Finish({'very ' * 40}high :apple: [b])").arun(QUESTION)
    )
    console = page(80)
    show_summary(result, console)
    lines = written(console).splitlines()
    assert lines[1].startswith('1. height(mountain="K2") │█')
    assert lines[-2] == "very " * 40 + "high :apple: [b]"
    assert lines[-1] == "1.00 s · 2 requests, tokens ? in + ? out"


def test_at_a_terminal_the_panel_has_said_all_but_the_timeline() -> None:
    result = run_virtual(agent('1. height("K2")\n2. join()', FINISH).arun(QUESTION))
    console = page(80, terminal=True)
    show_summary(result, console)
    assert written(console).strip() == result.timeline(80)


def test_the_demo_on_a_model_of_the_users_says_which_and_compares() -> None:
    console = page(120)
    with LoopbackServer(["1. join()", "Action: Finish(42)", "Action: Finish(42)"]) as server:
        results = asyncio.run(
            show_demo(demo_questions()[0], EXAMPLE_TOOLS, model_of("openai:own", base_url=server.base_url), console)
        )
    assert [result.answer for result in results.values()] == ["42", "42"]
    text = written(console)
    assert f"Model: openai:own at {server.base_url}, real." in text
    assert "RECORDING" not in text
    assert "no task was planned" in text
    assert "times as fast as the sequential tool loop (ReAct)." in text


def test_the_last_event_carries_what_the_view_ends_with() -> None:
    *_, last = events("1. join()", FINISH)
    assert isinstance(last, RunEnded)
    assert last.result.answer == "as high as :apple: [bold]8611[/bold] m"
