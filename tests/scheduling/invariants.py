"""Every rule that the task-fetching unit keeps between two signals, recomputed from scratch.

The rules are those of the docstring of `unit.py` and of the tables in ARCHITECTURE.md. A rule that is broken raises
`AssertionError` with the story: the rule, the task, and all that the unit knows.
"""

from collections import Counter

from llmcompiler.scheduling.state import ENDED, Entry, PlanState, State
from llmcompiler.scheduling.unit import TaskFetchingUnit

_BEGAN = (State.RUNNING, State.PARKED, State.RETRYING, State.SUCCEEDED)


def check(unit: TaskFetchingUnit) -> None:
    """Recount everything."""
    _check_counts(unit)
    for id, entry in unit.entries.items():
        assert entry.id == id, _story(unit, f"entry {entry.id} is filed under {id}")
        _check_inputs(unit, entry)
        _check_end(unit, entry)
        _check_due(unit, entry)
    _check_timers(unit)
    _check_queue(unit)
    _check_plan(unit)


def snapshot(unit: TaskFetchingUnit) -> str:
    """Return all that the unit knows, by value."""
    return repr({**vars(unit), "_queue": vars(unit._queue)})


def _check_counts(unit: TaskFetchingUnit) -> None:
    states = Counter(entry.state for entry in unit.entries.values())
    running = states[State.RUNNING]
    assert unit._running == running, _story(unit, f"{running} tasks are running, not {unit._running}")
    assert running <= unit._slots, _story(unit, f"{running} tasks run in {unit._slots} slots")
    live = sum(count for state, count in states.items() if state not in ENDED)
    assert unit._live == live, _story(unit, f"{live} tasks have not ended, not {unit._live}")
    invalid = states[State.INVALID]
    assert unit._invalid == invalid, _story(unit, f"{invalid} tasks are invalid, not {unit._invalid}")
    assert unit._out == [], _story(unit, f"commands were kept back: {unit._out}")
    capped = [entry for entry in unit.entries.values() if entry.cap is not None and entry.state is State.RUNNING]
    by_tool = Counter(entry.tool for entry in capped)
    kept = {tool: count for tool, count in unit._queue._by_tool.items() if count}
    assert kept == dict(by_tool), _story(unit, f"running by tool: {dict(by_tool)}, not {kept}")
    for entry in capped:
        assert by_tool[entry.tool] <= (entry.cap or 0), _story(unit, f"{by_tool[entry.tool]} of {entry.tool} run")


def _check_inputs(unit: TaskFetchingUnit, entry: Entry) -> None:
    """`missing` counts the inputs that have not ended; a task that began, or may, has none, and all succeeded."""
    inputs = [unit.entries[id] for id in entry.inputs]
    live = [needed for needed in inputs if needed.state not in ENDED]
    if entry.state is State.WAITING:
        assert entry.missing == len(live) > 0, _story(unit, f"task {entry.id} waits for {[e.id for e in live]}")
        lonely = [needed.id for needed in live if entry.id not in needed.users]
        assert not lonely, _story(unit, f"task {entry.id} waits for {lonely}, which do not know it")
    elif entry.state in (State.HELD, State.READY, *_BEGAN):
        assert entry.missing == len(live) == 0, _story(unit, f"task {entry.id} is {entry.state} without its inputs")
    if entry.state not in (State.INVALID, State.FAILED, State.SKIPPED, State.CANCELLED):
        lost = [needed.id for needed in inputs if needed.state in ENDED and needed.state is not State.SUCCEEDED]
        assert not lost, _story(unit, f"task {entry.id} is {entry.state}, though {lost} did not succeed")
    if entry.state not in ENDED:
        wrong = [id for id in entry.users if entry.id not in unit.entries[id].inputs]
        assert not wrong, _story(unit, f"{wrong} are users of task {entry.id} without needing it")
        assert len(set(entry.users)) == len(entry.users), _story(unit, f"task {entry.id} has the same user twice")


def _check_end(unit: TaskFetchingUnit, entry: Entry) -> None:
    """A skipped task names a task that it needs, on a way of skipped ones, and that was not skipped itself."""
    if entry.state is not State.SKIPPED:
        assert entry.cause == 0, _story(unit, f"task {entry.id} is {entry.state} and names the cause {entry.cause}")
        return
    assert entry.attempt == 0, _story(unit, f"task {entry.id} was skipped after it had begun")
    culprit = unit.entries[entry.cause]
    assert culprit.state in (State.FAILED, State.CANCELLED), _story(unit, f"cause {culprit.id} is {culprit.state}")
    causes = {needed.cause or needed.id for needed in map(unit.entries.__getitem__, entry.inputs)}
    assert entry.cause in causes, _story(unit, f"task {entry.id} does not need its cause {entry.cause}")


def _check_due(unit: TaskFetchingUnit, entry: Entry) -> None:
    """A due time is a deadline or a retry; it is in the heap and nobody was asked to come later."""
    if entry.state is State.RETRYING:
        assert entry.due is not None, _story(unit, f"task {entry.id} waits for a retry that is never due")
    if entry.due is None:
        return
    assert entry.state in (State.RUNNING, State.RETRYING), _story(unit, f"task {entry.id} is {entry.state} and due")
    assert (entry.due, entry.id) in unit._timers, _story(
        unit, f"task {entry.id} is due at {entry.due}, but no timer is"
    )
    asked = unit._timer_at
    assert asked is not None, _story(unit, f"task {entry.id} is due at {entry.due}, but no timer was asked for")
    assert asked <= entry.due, _story(unit, f"task {entry.id} is due at {entry.due}, the timer is set to {asked}")


def _check_timers(unit: TaskFetchingUnit) -> None:
    timers = unit._timers
    assert len(timers) <= max(64, 4 * unit._live), _story(unit, f"{len(timers)} timers were kept")
    misplaced = [timer for n, timer in enumerate(timers[1:]) if timer < timers[n // 2]]
    assert not misplaced, _story(unit, f"{misplaced} are not in the order of a heap")


def _check_queue(unit: TaskFetchingUnit) -> None:
    queue = unit._queue
    free = [id for _, id in queue._heap]
    waiting = [id for items in queue._waiting.values() for _, id in items]
    queued = Counter(id for id in free + waiting if unit.entries[id].state is State.READY)
    ready = [entry for entry in unit.entries.values() if entry.state is State.READY]
    assert queued == Counter(entry.id for entry in ready), _story(unit, f"the queue holds {dict(queued)}")
    asked, resumes = unit._timer_at, queue.resumes_at
    assert resumes is None or unit._stopped or (asked is not None and asked <= resumes), _story(
        unit, f"a tool may start again at {resumes}, the timer is set to {asked}"
    )
    if unit._running == unit._slots:
        return
    running = queue._by_tool
    idle = [
        entry.id
        for entry in ready
        if entry.tool not in queue._not_before and (entry.cap is None or running.get(entry.tool, 0) < entry.cap)
    ]
    assert not idle, _story(unit, f"a slot is free, and yet {idle} are not started")


def _check_plan(unit: TaskFetchingUnit) -> None:
    states = {entry.state for entry in unit.entries.values()}
    is_over = unit.plan is PlanState.SEALED and unit._live == 0
    assert unit._round_ended == is_over, _story(unit, f"the round has ended: {unit._round_ended}")
    if unit.plan is PlanState.SEALED:
        assert not states & {State.HELD, State.INVALID}, _story(unit, "a sealed plan holds or diagnoses a task")
    else:
        began = [e.id for e in unit.entries.values() if e.is_held and e.state in (State.READY, *_BEGAN[:3])]
        assert not began, _story(unit, f"{began} have effects and began before the plan was sealed")
    if unit._stopped:
        assert is_over, _story(unit, "the run was stopped and goes on")


def _story(unit: TaskFetchingUnit, rule: str) -> str:
    tasks = "\n".join(f"  {entry}" for entry in unit.entries.values())
    return f"{rule}\nplan {unit.plan}, {unit._running} of {unit._slots} slots, asked for {unit._timer_at}\n{tasks}"
