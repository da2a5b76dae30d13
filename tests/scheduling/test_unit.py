"""The task-fetching unit by example: signals in, whole lists of commands out. Every signal is followed by a recount."""

import pytest

from llmcompiler.plan.outcomes import Cancelled, Failed, Skipped
from llmcompiler.scheduling.messages import (
    AttemptEnded,
    Command,
    EndRound,
    EndTask,
    ExpireTask,
    HeldReleased,
    PlanClosed,
    PlanOpened,
    PlanSealed,
    RepairStarted,
    RetryTask,
    SetTimer,
    Signal,
    StartTask,
    Stopped,
    StopTask,
    TaskDeferred,
    TaskParked,
    TaskPending,
    TaskRefused,
    TaskUnparked,
    Tick,
)
from llmcompiler.scheduling.state import IllegalMove, State
from tests.scheduling.signals import BROKEN, DROPPED, OK, REFUSED, Checked, add, broken, ok, write


def test_a_task_without_inputs_starts_when_it_is_added() -> None:
    assert Checked().take(add(1)) == [StartTask(1, 1)]


def test_a_task_waits_until_its_last_input_has_succeeded() -> None:
    unit = Checked(add(1), add(2))
    assert unit.take(add(3, 1, 2)) == []
    assert unit.take(ok(2)) == [EndTask(2, OK, 1)]
    assert unit.take(ok(1)) == [EndTask(1, OK, 1), StartTask(3, 1)]


def test_a_task_starts_at_once_when_its_inputs_have_succeeded_before_it_was_read() -> None:
    assert Checked(add(1), ok(1)).take(add(2, 1)) == [StartTask(2, 1)]


def test_the_round_ends_when_the_plan_is_sealed_and_every_task_has_ended() -> None:
    unit = Checked(add(1), add(2))
    assert unit.take(ok(1), PlanClosed(complete=True), PlanSealed()) == [EndTask(1, OK, 1)]
    assert unit.take(ok(2)) == [EndTask(2, OK, 1), EndRound()]


def test_the_round_ends_when_the_plan_is_sealed_last() -> None:
    unit = Checked(add(1), ok(1))
    assert unit.take(PlanClosed(complete=True)) == []
    assert unit.take(PlanSealed()) == [EndRound()]
    assert unit.take(Tick()) == []


def test_signals_that_come_together_are_all_taken_before_anything_starts() -> None:
    unit = Checked(add(1), add(2, 1), slots=1)
    commands = unit.take_together(add(3, expected=9.0), ok(1))
    assert commands == [EndTask(1, OK, 1), StartTask(3, 1)]


def test_what_came_before_an_illegal_signal_of_a_batch_is_not_lost() -> None:
    unit = Checked()
    with pytest.raises(IllegalMove, match="nobody has announced task 9"):
        unit.unit.handle_all([add(1), ok(9), add(2)], 0)
    assert unit.take(add(3)) == [StartTask(1, 1), StartTask(3, 1)]


# Effects


def test_effects_are_held_until_the_plan_is_sealed() -> None:
    unit = Checked(add(1))
    assert unit.take(write(2), write(3, 1), ok(1)) == [EndTask(1, OK, 1)]
    assert (unit.state(2), unit.state(3)) == (State.HELD, State.HELD)
    assert unit.take(PlanClosed(complete=True), RepairStarted()) == []
    assert unit.take(PlanSealed()) == [StartTask(2, 1), StartTask(3, 1)]


def test_effects_are_released_while_the_plan_goes_on_and_later_ones_are_held_again() -> None:
    unit = Checked(add(1), write(2), write(3, 1))
    assert unit.take(HeldReleased()) == [StartTask(2, 1)]
    assert unit.take(write(4), ok(1)) == [EndTask(1, OK, 1), StartTask(3, 1)]
    assert unit.state(4) is State.HELD
    assert unit.take(PlanClosed(complete=False), PlanSealed()) == [EndTask(4, DROPPED, 0)]


def test_effects_whose_inputs_come_after_the_seal_start_with_their_inputs() -> None:
    unit = Checked(add(1), write(2, 1), PlanClosed(complete=True), PlanSealed())
    assert unit.take(ok(1)) == [EndTask(1, OK, 1), StartTask(2, 1)]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param([PlanClosed(complete=False), PlanSealed()], id="the text ended without a join"),
        pytest.param([PlanSealed()], id="the text did not end"),
        pytest.param([PlanClosed(complete=False), RepairStarted(), PlanSealed()], id="a repair does not mend it"),
    ],
)
def test_effects_of_a_cut_plan_are_dropped_and_what_needs_them_is_skipped(end: list[Signal]) -> None:
    unit = Checked(add(1), write(2), write(3, 1), add(4, 3), write(5, 4))
    assert unit.take(*end) == [
        EndTask(2, DROPPED, 0),
        EndTask(3, DROPPED, 0),
        EndTask(4, Skipped(3), 0),
        EndTask(5, Skipped(3), 0),
    ]
    assert unit.take(ok(1)) == [EndTask(1, OK, 1), EndRound()]


def test_the_cut_of_one_plan_does_not_drop_the_effects_of_the_next() -> None:
    unit = Checked(PlanClosed(complete=False), PlanSealed(), PlanOpened())
    assert unit.take(write(1), PlanClosed(complete=True), PlanSealed()) == [StartTask(1, 1)]


# Repairs


def test_tasks_that_need_a_pending_one_wait_and_the_others_run() -> None:
    unit = Checked()
    assert unit.take(TaskPending(1), add(2, 1), add(3), TaskPending(1)) == [StartTask(3, 1)]
    assert unit.take(PlanClosed(complete=True), RepairStarted()) == []
    assert unit.take(add(1)) == [StartTask(1, 1)]
    assert unit.take(PlanSealed(), ok(1)) == [EndTask(1, OK, 1), StartTask(2, 1)]


def test_a_repaired_task_may_need_one_that_was_read_later() -> None:
    unit = Checked(TaskPending(1), add(2))
    assert unit.take(add(1, 2)) == []
    assert unit.take(ok(2)) == [EndTask(2, OK, 1), StartTask(1, 1)]


def test_a_repaired_task_whose_inputs_failed_is_skipped_with_all_that_need_it() -> None:
    unit = Checked(TaskPending(1), add(2), add(3, 1), broken(2))
    assert unit.take(add(1, 2)) == [EndTask(1, Skipped(2), 0), EndTask(3, Skipped(2), 0)]


def test_a_repaired_task_may_need_one_that_was_skipped_though_it_needed_it() -> None:
    unit = Checked(TaskPending(1), add(2), add(3, 1, 2), broken(2))
    assert unit.take(add(1, 3)) == [EndTask(1, Skipped(2), 0)]


def test_a_refused_task_fails_and_what_needs_it_is_skipped() -> None:
    unit = Checked(TaskPending(1), add(2, 1), add(3, 2), add(4))
    assert unit.take(TaskRefused(1, REFUSED)) == [
        EndTask(1, Failed(REFUSED), 0),
        EndTask(2, Skipped(1), 0),
        EndTask(3, Skipped(1), 0),
    ]


# Failures


def test_a_failure_skips_exactly_the_descendants_and_names_the_first_cause() -> None:
    unit = Checked(add(1), add(2), add(3, 1), add(4, 3, 2), add(5, 2), add(6, 4), add(7, 1))
    assert unit.take(broken(1)) == [
        EndTask(1, BROKEN, 1),
        EndTask(3, Skipped(1), 0),
        EndTask(4, Skipped(1), 0),
        EndTask(6, Skipped(1), 0),
        EndTask(7, Skipped(1), 0),
    ]
    assert unit.take(ok(2)) == [EndTask(2, OK, 1), StartTask(5, 1)]


def test_a_task_read_after_its_input_failed_is_skipped_with_the_root_cause() -> None:
    unit = Checked(add(1), add(2, 1), broken(1))
    assert unit.take(add(3, 2)) == [EndTask(3, Skipped(1), 0)]


def test_of_several_failed_inputs_the_first_by_id_is_the_cause() -> None:
    unit = Checked(add(1), add(2), add(3), broken(3), broken(2))
    assert unit.take(add(4, 1, 2, 3)) == [EndTask(4, Skipped(2), 0)]


def test_a_task_that_was_cancelled_from_outside_skips_its_descendants() -> None:
    unit = Checked(add(1), add(2, 1))
    commands = [EndTask(1, Cancelled(), 1), EndTask(2, Skipped(1), 0)]
    assert unit.take(AttemptEnded(1, 1, Cancelled())) == commands


def test_a_long_chain_is_skipped_without_recursion() -> None:
    unit = Checked(add(1))
    unit.unit.handle_all([add(id, id - 1) for id in range(2, 5001)], 0)
    assert len(unit.take(broken(1))) == 5000


# Retries and deadlines


def test_a_failed_attempt_is_followed_by_the_next_one_when_it_is_due() -> None:
    unit = Checked(add(1))
    assert unit.take(broken(1, retry_in=2.0), at=10.0) == [RetryTask(1, 1, BROKEN.error, 12.0), SetTimer(12.0)]
    assert unit.take(Tick(), at=12.0) == [StartTask(1, 2)]
    assert unit.take(broken(1, 2), at=13.0) == [EndTask(1, BROKEN, 2)]


def test_a_success_is_not_retried() -> None:
    assert Checked(add(1)).take(AttemptEnded(1, 1, OK, retry_in=2.0)) == [EndTask(1, OK, 1)]


def test_a_task_that_waits_for_its_retry_gives_up_its_slot_and_stands_in_line_for_another() -> None:
    unit = Checked(add(1), add(2), slots=1)
    assert unit.take(broken(1, retry_in=2.0)) == [RetryTask(1, 1, BROKEN.error, 2.0), StartTask(2, 1), SetTimer(2.0)]
    assert unit.take(Tick(), at=2.0) == []
    assert unit.take(ok(2), at=5.0) == [EndTask(2, OK, 1), StartTask(1, 2)]


def test_an_attempt_that_outlives_its_timeout_is_expired_once_and_ends_as_its_report_says() -> None:
    unit = Checked()
    assert unit.take(add(1, timeout=5.0), at=1.0) == [StartTask(1, 1), SetTimer(6.0)]
    assert unit.take(Tick(), at=5.5) == [SetTimer(6.0)]
    assert unit.take(Tick(), at=6.0) == [ExpireTask(1, 1)]
    assert unit.take(Tick(), at=7.0) == []
    assert unit.take(broken(1), at=7.0) == [EndTask(1, BROKEN, 1)]


def test_each_attempt_has_its_own_timeout() -> None:
    unit = Checked(add(1, timeout=5.0))
    assert unit.take(Tick(), at=5.0) == [ExpireTask(1, 1)]
    assert unit.take(broken(1, retry_in=1.0), at=5.0) == [RetryTask(1, 1, BROKEN.error, 6.0), SetTimer(6.0)]
    assert unit.take(Tick(), at=6.5) == [StartTask(1, 2), SetTimer(11.5)]
    assert unit.take(Tick(), at=11.5) == [ExpireTask(1, 2)]


def test_the_deadline_of_a_failed_attempt_does_not_bring_its_retry_forward() -> None:
    unit = Checked(add(1, timeout=5.0))
    assert unit.take(broken(1, retry_in=20.0), at=1.0) == [RetryTask(1, 1, BROKEN.error, 21.0)]
    assert unit.take(Tick(), at=5.0) == [SetTimer(21.0)]
    assert unit.take(Tick(), at=21.0) == [StartTask(1, 2), SetTimer(26.0)]


def test_the_deadline_of_a_failed_attempt_is_forgotten_also_behind_another_deadline() -> None:
    unit = Checked(add(1, timeout=5.0), add(2, timeout=4.0))
    assert unit.take(broken(1, retry_in=20.0), at=1.0) == [RetryTask(1, 1, BROKEN.error, 21.0)]
    assert unit.take(Tick(), at=5.0) == [ExpireTask(2, 1), SetTimer(21.0)]


def test_the_timer_is_set_again_only_when_something_is_due_earlier() -> None:
    unit = Checked(add(1, timeout=5.0))
    assert unit.take(add(2, timeout=9.0)) == [StartTask(2, 1)]
    assert unit.take(add(3, timeout=5.0)) == [StartTask(3, 1)]
    assert unit.take(add(4, timeout=4.0)) == [StartTask(4, 1), SetTimer(4.0)]
    assert unit.take(ok(4), ok(1), ok(3)) == [EndTask(4, OK, 1), EndTask(1, OK, 1), EndTask(3, OK, 1)]
    assert unit.take(Tick(), at=4.0) == [SetTimer(9.0)]


def test_deadlines_of_tasks_that_ended_do_not_pile_up_and_the_others_pass_in_their_order() -> None:
    unit = Checked(slots=1000)
    timeouts = {id: 10.0 + id * 37 % 101 for id in range(1, 400)}
    for id, timeout in timeouts.items():
        unit.take(add(id, timeout=timeout), *([ok(id)] if id % 8 else []))
    assert len(unit.unit._timers) < 200
    late = sorted((id for id in timeouts if id % 8 == 0), key=timeouts.__getitem__)
    assert unit.take(Tick(), at=200.0) == [ExpireTask(id, 1) for id in late]


def test_reports_of_attempts_that_were_given_up_are_counted_and_ignored() -> None:
    unit = Checked(add(1), broken(1, retry_in=1.0))
    assert unit.take(ok(1)) == []  # while it waits for the next attempt
    assert unit.take(Tick(), at=1.0) == [StartTask(1, 2)]
    assert unit.take(ok(1), broken(1)) == []  # during the next attempt
    assert unit.take(ok(1, 2)) == [EndTask(1, OK, 2)]
    assert unit.take(broken(1, 2), ok(1)) == []  # after the end
    assert unit.unit.late == 5


# Parking


def test_a_parked_task_gives_up_its_slot_and_its_attempt_does_not_count() -> None:
    unit = Checked(add(1), add(2), slots=1)
    assert unit.take(TaskParked(1)) == [StartTask(2, 1)]
    assert unit.take(TaskUnparked(1)) == []
    assert unit.take(ok(2)) == [EndTask(2, OK, 1), StartTask(1, 1)]
    assert unit.take(ok(1)) == [EndTask(1, OK, 1)]


def test_the_deadline_of_a_start_that_was_parked_does_not_fire() -> None:
    unit = Checked(add(1, timeout=5.0), TaskParked(1))
    assert unit.take(TaskUnparked(1), at=3.0) == [StartTask(1, 1)]
    assert unit.take(Tick(), at=5.0) == [SetTimer(8.0)]
    assert unit.take(Tick(), at=8.0) == [ExpireTask(1, 1)]


def test_a_task_that_is_parked_when_its_deadline_passes_goes_on_waiting() -> None:
    unit = Checked(add(1, timeout=5.0), TaskParked(1))
    assert unit.take(Tick(), at=5.0) == []
    assert unit.take(TaskUnparked(1), at=6.0) == [StartTask(1, 1), SetTimer(11.0)]


def test_a_parked_task_that_an_identical_read_serves_ends_without_an_attempt() -> None:
    unit = Checked(add(1), TaskParked(1), add(2, 1))
    assert unit.take(ok(1, attempt=0)) == [EndTask(1, OK, 0), StartTask(2, 1)]


def test_a_late_report_of_an_earlier_attempt_does_not_serve_a_parked_task() -> None:
    unit = Checked(add(1), broken(1, retry_in=0.0), Tick(), TaskParked(1))
    assert unit.take(ok(1, attempt=1)) == []
    assert unit.take(TaskUnparked(1)) == [StartTask(1, 2)]
    assert unit.unit.late == 1


# Order


def test_a_deferred_task_gives_up_its_slot_and_starts_at_its_time_as_if_for_the_first_time() -> None:
    unit = Checked(add(1), slots=1)
    assert unit.take(add(2, tool="other")) == []
    assert unit.take(TaskDeferred(1, not_before=5.0)) == [StartTask(2, 1), SetTimer(5.0)]
    assert unit.take(ok(2)) == [EndTask(2, OK, 1)]
    assert unit.take(Tick(), at=5.0) == [StartTask(1, 1)]


def test_the_deadline_of_a_start_that_was_deferred_does_not_fire() -> None:
    unit = Checked(add(1, timeout=2.0))
    assert unit.take(TaskDeferred(1, not_before=5.0)) == []  # the timer of the deadline comes earlier
    assert unit.take(Tick(), at=2.0) == [SetTimer(5.0)]
    assert unit.take(Tick(), at=5.0) == [StartTask(1, 1), SetTimer(7.0)]


def test_no_task_of_a_tool_starts_before_its_time_and_then_the_longest_path_goes_first() -> None:
    unit = Checked(add(1), TaskDeferred(1, not_before=5.0))
    assert unit.take(add(2, expected=9.0), add(3, tool="other")) == [StartTask(3, 1)]
    assert unit.take(Tick(), at=4.0) == [SetTimer(5.0)]
    assert unit.take(Tick(), at=5.0) == [StartTask(2, 1), StartTask(1, 1)]


def test_of_many_tasks_that_wait_for_a_rate_one_tries_at_a_time() -> None:
    unit = Checked(add(1), TaskDeferred(1, not_before=1.0), slots=1)
    unit.take_together(*(add(id) for id in range(2, 900)))
    assert unit.take(Tick(), at=1.0) == [StartTask(1, 1)]
    assert unit.take(TaskDeferred(1, not_before=2.0)) == [SetTimer(2.0)]


def test_a_stop_forgets_the_times_at_which_tools_may_start_again() -> None:
    unit = Checked(add(1), TaskDeferred(1, not_before=5.0))
    assert unit.take(Stopped()) == [EndTask(1, Cancelled(), 0), EndRound()]
    assert unit.take(Tick(), at=5.0) == []


def test_a_task_beyond_its_tools_cap_waits_and_others_pass_it() -> None:
    unit = Checked()
    capped = [add(id, tool="slow", cap=2) for id in (1, 2, 3, 4)]
    assert unit.take(*capped, add(5)) == [StartTask(1, 1), StartTask(2, 1), StartTask(5, 1)]
    assert unit.take(ok(5)) == [EndTask(5, OK, 1)]
    assert unit.take(broken(2)) == [EndTask(2, BROKEN, 1), StartTask(3, 1)]
    assert unit.take(TaskParked(1)) == [StartTask(4, 1)]
    assert unit.take(TaskUnparked(1), ok(3)) == [EndTask(3, OK, 1), StartTask(1, 1)]


def test_within_a_cap_the_longest_path_goes_first_also_after_ranks_were_computed_anew() -> None:
    unit = Checked(add(1, tool="slow", cap=1))
    unit.take_together(*(add(id, tool="slow", cap=1, expected=expected) for id, expected in ((2, 3), (3, 1), (4, 2))))
    assert unit.take(ok(1)) == [EndTask(1, OK, 1), StartTask(2, 1)]
    assert unit.take_together(add(5, 3, expected=4), add(6), add(7)) == [StartTask(6, 1), StartTask(7, 1)]
    assert unit.take(ok(2)) == [EndTask(2, OK, 1), StartTask(3, 1)]
    assert unit.take(ok(3)) == [EndTask(3, OK, 1), StartTask(5, 1), StartTask(4, 1)]


def test_when_slots_are_short_the_longest_remaining_path_goes_first_and_then_the_smaller_id() -> None:
    unit = Checked(add(1), slots=1)
    plan = [add(2, expected=4), add(3), add(4, 3, expected=2), add(5, 4, expected=2), add(6, expected=4), add(7)]
    assert unit.take(*plan) == []
    order = []
    running = 1
    while running:
        commands = unit.take(ok(running))
        running = next((command.id for command in commands if isinstance(command, StartTask)), 0)
        order.append(running)
    assert order == [3, 2, 4, 6, 5, 7, 0]


def test_paths_are_measured_in_expected_seconds_not_in_hops() -> None:
    unit = Checked(add(1), slots=1)
    unit.take(add(2), add(3, 2), add(4, 3), add(5, 4), add(6, expected=4.5))
    assert unit.take(ok(1)) == [EndTask(1, OK, 1), StartTask(6, 1)]


@pytest.mark.parametrize(
    ("more", "first"),
    [
        pytest.param([], 3, id="a plan that grew by a quarter keeps its ranks"),
        pytest.param([add(6)], 2, id="a plan that grew by more gets new ones"),
        pytest.param([PlanClosed(complete=True), PlanSealed()], 2, id="a plan that is sealed gets its last ones"),
    ],
)
def test_ranks_follow_the_growth_of_the_plan(more: list[Signal], first: int) -> None:
    unit = Checked(add(1), slots=1)
    unit.take(add(2, expected=1), add(3, expected=2), add(4, expected=3))
    assert unit.take(ok(1)) == [EndTask(1, OK, 1), StartTask(4, 1)]
    unit.take(add(5, 2, expected=9), *more)
    assert unit.take(ok(4)) == [EndTask(4, OK, 1), StartTask(first, 1)]


def test_a_task_that_is_newer_than_the_ranks_counts_with_its_own_seconds() -> None:
    unit = Checked(add(1), slots=1)
    unit.take(add(2, expected=1), add(3, expected=2), add(4, expected=3))
    unit.take(ok(1), add(5, expected=9))
    assert unit.take(ok(4)) == [EndTask(4, OK, 1), StartTask(5, 1)]


def test_ranks_of_the_next_round_do_not_wait_until_it_is_as_long_as_the_first() -> None:
    unit = Checked(*(add(id) for id in range(1, 30)), PlanClosed(complete=True), PlanSealed(), slots=1)
    unit.take(*(ok(id) for id in range(1, 30)), PlanOpened())
    unit.take(add(31), add(32, expected=2), add(33), add(34, 33, expected=8))
    assert unit.take(ok(31)) == [EndTask(31, OK, 1), StartTask(33, 1)]


# The end of the run and the next round


def test_a_stop_cancels_everything_that_has_not_ended() -> None:
    unit = Checked(add(1), add(2, timeout=9.0), add(3, 2), write(4), TaskPending(5), add(6), add(7), add(8), slots=4)
    unit.take(ok(1), TaskParked(6), broken(7, retry_in=3.0), add(9), add(10))
    states = [unit.state(id).value for id in range(1, 11)]
    assert states[:5] == ["succeeded", "running", "waiting", "held", "invalid"]
    assert states[5:] == ["parked", "retrying", "running", "running", "running"]
    assert unit.take(Stopped()) == [
        StopTask(2),
        EndTask(2, Cancelled(), 1),
        EndTask(3, Cancelled(), 0),
        EndTask(4, Cancelled(), 0),
        EndTask(5, Cancelled(), 0),
        EndTask(6, Cancelled(), 0),
        EndTask(7, Cancelled(), 1),
        StopTask(8),
        EndTask(8, Cancelled(), 1),
        StopTask(9),
        EndTask(9, Cancelled(), 1),
        StopTask(10),
        EndTask(10, Cancelled(), 1),
        EndRound(),
    ]
    assert unit.take(Tick(), at=9.0) == []


def test_a_stop_cancels_tasks_that_wait_for_a_slot_or_for_their_tool() -> None:
    unit = Checked(add(1, tool="slow", cap=1), add(2, tool="slow", cap=1), add(3), add(4), slots=2)
    assert (unit.state(2), unit.state(4)) == (State.READY, State.READY)
    ended = [command.id for command in unit.take(Stopped()) if isinstance(command, EndTask)]
    assert ended == [1, 2, 3, 4]


def test_a_stop_is_answered_even_when_the_round_was_over() -> None:
    unit = Checked(PlanClosed(complete=True), PlanSealed())
    assert unit.take(Stopped()) == [EndRound()]
    assert unit.take(Stopped()) == [EndRound()]


@pytest.mark.parametrize(
    ("signal", "commands"),
    [
        pytest.param(add(3, 1), [EndTask(3, Cancelled(), 0)], id="a new task is cancelled"),
        pytest.param(add(3, 99), [EndTask(3, Cancelled(), 0)], id="a new task that needs an unknown one is cancelled"),
        pytest.param(TaskPending(3), [EndTask(3, Cancelled(), 0)], id="a new pending task is cancelled"),
        pytest.param(add(2), [], id="a settled task has been cancelled"),
        pytest.param(TaskPending(2), [], id="a pending task has been cancelled"),
        pytest.param(TaskRefused(2, REFUSED), [], id="a refused task has been cancelled"),
        pytest.param(TaskParked(1), [], id="a task that is parked has been cancelled"),
        pytest.param(TaskUnparked(1), [], id="a task that is unparked has been cancelled"),
        pytest.param(PlanClosed(complete=True), [], id="the text ends"),
        pytest.param(RepairStarted(), [], id="a repair starts"),
        pytest.param(PlanSealed(), [], id="the plan is sealed"),
        pytest.param(PlanOpened(), [EndRound()], id="the next round is over before it began"),
        pytest.param(Tick(), [], id="the timer fires"),
        pytest.param(broken(1, retry_in=1.0), [], id="an attempt ends"),
    ],
)
def test_whatever_comes_after_a_stop_begins_nothing(signal: Signal, commands: list[Command]) -> None:
    unit = Checked(add(1), TaskPending(2), Stopped())
    assert unit.take(signal) == commands


def test_reports_that_come_after_a_stop_are_counted() -> None:
    unit = Checked(add(1), Stopped(), ok(1))
    assert unit.unit.late == 1
    with pytest.raises(IllegalMove, match="nobody has announced task 7"):
        unit.take(ok(7))


def test_the_next_round_binds_to_the_outcomes_of_the_first() -> None:
    unit = Checked(add(1), add(2), add(3, 2), write(4), ok(1), broken(2))
    assert unit.take(PlanClosed(complete=False), PlanSealed()) == [EndTask(4, DROPPED, 0), EndRound()]
    assert unit.take(PlanOpened()) == []
    assert unit.take(add(5, 1)) == [StartTask(5, 1)]
    assert unit.take(add(6, 2)) == [EndTask(6, Skipped(2), 0)]
    assert unit.take(add(7, 1, 3)) == [EndTask(7, Skipped(2), 0)]
    assert unit.take(add(8, 4)) == [EndTask(8, Skipped(4), 0)]
    assert unit.take(write(9, 5), ok(5)) == [EndTask(5, OK, 1)]
    assert unit.take(PlanClosed(complete=True), PlanSealed()) == [StartTask(9, 1)]
    assert unit.take(ok(9)) == [EndTask(9, OK, 1), EndRound()]
