"""Which signals fit which states: every legal move is made, every other one is refused and changes nothing."""

import re
from typing import Any

import pytest

from llmcompiler.plan.outcomes import Cancelled, Outcome, Skipped
from llmcompiler.scheduling.messages import (
    AttemptEnded,
    EndTask,
    PlanClosed,
    PlanOpened,
    PlanSealed,
    RepairStarted,
    Signal,
    TaskDeferred,
    TaskParked,
    TaskPending,
    TaskRefused,
    TaskUnparked,
)
from llmcompiler.scheduling.state import ALLOWED, PLAN_ALLOWED, PlanState, State
from tests.scheduling.signals import ARCHITECTURE, BROKEN, OK, REFUSED, Checked, add, broken, ok, write

TO_STATE: dict[State, list[Signal]] = {  # of task 1, with one slot
    State.INVALID: [TaskPending(1)],
    State.WAITING: [add(9), add(1, 9)],
    State.HELD: [write(1)],
    State.READY: [add(9), add(1)],
    State.RUNNING: [add(1)],
    State.PARKED: [add(1), TaskParked(1)],
    State.RETRYING: [add(1), broken(1, retry_in=5.0)],
    State.SUCCEEDED: [add(1), ok(1)],
    State.FAILED: [add(1), broken(1)],
    State.SKIPPED: [add(9), add(1, 9), broken(9)],
    State.CANCELLED: [add(1), AttemptEnded(1, 1, Cancelled())],
}
LEGAL: dict[Signal, set[State]] = {
    TaskPending(1): {State.INVALID},
    add(1): {State.INVALID},
    TaskRefused(1, REFUSED): {State.INVALID},
    TaskParked(1): {State.RUNNING},
    TaskDeferred(1, 5.0): {State.RUNNING},
    TaskUnparked(1): {State.PARKED},
    ok(1): set(State) - {State.INVALID, State.WAITING, State.HELD},  # late ones are counted
}


def test_the_recipes_of_this_file_reach_every_state() -> None:
    assert {state: Checked(*signals, slots=1).state() for state, signals in TO_STATE.items()} == {s: s for s in State}


@pytest.mark.parametrize(
    ("state", "signal"),
    [
        pytest.param(state, signal, id=f"{type(signal).__name__} of a task that is {state}")
        for signal, legal in LEGAL.items()
        for state in State
        if state not in legal
    ],
)
def test_a_signal_that_does_not_fit_the_state_of_its_task_is_refused(state: State, signal: Signal) -> None:
    story = Checked(*TO_STATE[state], slots=1).refuse(signal)
    assert re.match(rf"task 1 \((search|no tool yet)(, needs \[9\])?\) is {state} at attempt [01]: ", story)


@pytest.mark.parametrize(
    ("state", "signal"),
    [
        pytest.param(state, signal, id=f"{type(signal).__name__} of a task that is {state}")
        for signal, legal in LEGAL.items()
        for state in sorted(legal)
    ],
)
def test_a_signal_that_fits_the_state_of_its_task_is_taken(state: State, signal: Signal) -> None:
    Checked(*TO_STATE[state], slots=1).take(signal)


TO_PLAN_STATE: dict[PlanState, list[Signal]] = {
    PlanState.OPEN: [],
    PlanState.CLOSED: [PlanClosed(complete=True)],
    PlanState.REPAIRING: [PlanClosed(complete=True), RepairStarted()],
    PlanState.SEALED: [PlanClosed(complete=True), PlanSealed()],
}
PLAN_SIGNALS: dict[PlanState, Signal] = {
    PlanState.OPEN: PlanOpened(),
    PlanState.CLOSED: PlanClosed(complete=True),
    PlanState.REPAIRING: RepairStarted(),
    PlanState.SEALED: PlanSealed(),
}


@pytest.mark.parametrize("target", list(PlanState))
@pytest.mark.parametrize("state", list(PlanState))
def test_the_plan_moves_as_its_table_says(state: PlanState, target: PlanState) -> None:
    unit = Checked(*TO_PLAN_STATE[state])
    assert unit.unit.plan is state
    if target in PLAN_ALLOWED[state]:
        unit.take(PLAN_SIGNALS[target])
        assert unit.unit.plan is target
    else:
        assert unit.refuse(PLAN_SIGNALS[target]) == f"the plan cannot go from {state} to {target}"


@pytest.mark.parametrize(
    ("before", "signal", "story"),
    [
        pytest.param([], ok(1), "nobody has announced task 1", id="an attempt of an unknown task"),
        pytest.param([], TaskRefused(1, REFUSED), "nobody has announced task 1", id="the refusal of an unknown task"),
        pytest.param([], TaskParked(1), "nobody has announced task 1", id="parking an unknown task"),
        pytest.param([], TaskUnparked(1), "nobody has announced task 1", id="unparking an unknown task"),
        pytest.param(
            [add(1)], add(2, 1, 4, 3), "task 2 needs [3, 4], which nobody has announced", id="inputs nobody knows"
        ),
        pytest.param(
            [add(1), add(2, 1)],
            add(2),
            "task 2 (search, needs [1]) is waiting at attempt 0: was added again",
            id="again",
        ),
        pytest.param([], add(1, 1), "task 1 needs [1], which nobody has announced", id="a task that needs itself"),
        pytest.param(
            [TaskPending(1)],
            add(1, 1),
            "task 1 (no tool yet) is invalid at attempt 0: cannot need [1]: some of them need it",
            id="a repaired task that needs itself",
        ),
        pytest.param(
            [TaskPending(1), add(2, 1), add(3, 2), add(4)],
            add(1, 3, 4),
            "task 1 (no tool yet) is invalid at attempt 0: cannot need [3, 4]: some of them need it",
            id="a repaired task that closes a cycle",
        ),
        pytest.param(
            [add(1)],
            AttemptEnded(1, 1, Skipped(1)),
            "task 1 (search) is running at attempt 1: cannot become skipped",
            id="an attempt that ends as skipped",
        ),
        pytest.param(
            [add(1), TaskParked(1)],
            broken(1, attempt=0, retry_in=1.0),
            "task 1 (search) is parked at attempt 0: cannot become retrying",
            id="a retry of a task that never began",
        ),
        pytest.param(
            [TaskPending(1)],
            PlanSealed(),
            "the plan cannot be sealed: 1 tasks are pending",
            id="sealing a plan with a pending task",
        ),
        pytest.param(
            [add(1), PlanClosed(complete=True), PlanSealed()],
            PlanOpened(),
            "a new plan cannot be opened: 1 tasks have not ended",
            id="a new plan while a task runs",
        ),
        pytest.param(
            [PlanClosed(complete=True), PlanSealed()],
            add(1),
            "task 1 came after the plan was sealed",
            id="a task after the seal",
        ),
        pytest.param(
            [PlanClosed(complete=True), PlanSealed()],
            TaskPending(1),
            "task 1 came after the plan was sealed",
            id="a pending task after the seal",
        ),
    ],
)
def test_an_illegal_move_tells_the_story_and_changes_nothing(before: list[Signal], signal: Signal, story: str) -> None:
    assert Checked(*before).refuse(signal) == story


# The tables


def documented(heading: str) -> dict[str, set[str]]:
    """Return the moves in a table of ARCHITECTURE.md: state -> states it may move to."""
    section = ARCHITECTURE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| \n").split("|") for line in section.splitlines() if line.startswith("| `")]
    rows = [[*row, ""] if len(row) < 3 else row for row in rows]
    moves = {word: row[2] for row in rows for word in re.findall(r"`(\w+)`", row[0])}
    return {state: set(re.sub(r"\(.*\)", "", said).replace(",", " ").split()) for state, said in moves.items()}


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        pytest.param("States of a task", ALLOWED, id="tasks"),
        pytest.param("States of a plan", PLAN_ALLOWED, id="plans"),
    ],
)
def test_the_tables_of_the_architecture_are_those_of_the_code(heading: str, table: dict[Any, frozenset[Any]]) -> None:
    assert documented(heading) == {str(state): {str(to) for to in moves} for state, moves in table.items()}


def test_the_table_of_moves_covers_every_state_and_every_end_is_final() -> None:
    assert set(ALLOWED) == set(State)
    assert {state for state, moves in ALLOWED.items() if not moves} == {
        State.SUCCEEDED,
        State.FAILED,
        State.SKIPPED,
        State.CANCELLED,
    }
    assert set(PLAN_ALLOWED) == set(PlanState)


@pytest.mark.parametrize("outcome", [OK, BROKEN, Cancelled()], ids=lambda outcome: type(outcome).__name__)
def test_an_attempt_may_end_in_any_outcome_but_skipped(outcome: Outcome) -> None:
    assert Checked(add(1)).take(AttemptEnded(1, 1, outcome)) == [EndTask(1, outcome, 1)]
