"""Gates and durations: what the runs of one agent share about a tool."""

import threading

import pytest

from llmcompiler.execution.gates import Durations, Gate


class Waiter:
    """Wants to enter a gate, and counts how often it was woken."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.woken = 0
        self.wake = self._wake

    def _wake(self) -> None:
        self.woken += 1

    def enter(self) -> bool:
        return self.gate.enter(self.wake)


def waiters(size: int, count: int) -> list[Waiter]:
    gate = Gate(size)
    return [Waiter(gate) for _ in range(count)]


def test_so_many_may_enter_and_the_others_wait() -> None:
    assert [waiter.enter() for waiter in waiters(2, 4)] == [True, True, False, False]


def test_whoever_leaves_wakes_the_first_that_waits() -> None:
    inside, first, second = waiters(1, 3)
    assert [each.enter() for each in (inside, first, second)] == [True, False, False]
    inside.gate.leave()
    assert (first.woken, second.woken) == (1, 0)
    assert first.enter()
    first.gate.leave()
    assert second.woken == 1


def test_one_who_comes_first_may_take_the_place_and_no_turn_is_lost() -> None:
    inside, waiting, quick = waiters(1, 3)
    inside.enter(), waiting.enter()
    inside.gate.leave()
    assert quick.enter()
    assert not waiting.enter(), "its turn was taken"
    quick.gate.leave()
    assert waiting.woken == 2
    assert waiting.enter()


def test_withdrawing_before_the_turn() -> None:
    inside, first, second = waiters(1, 3)
    inside.enter(), first.enter(), second.enter()
    first.gate.withdraw(first.wake)
    inside.gate.leave()
    assert (first.woken, second.woken) == (0, 1)


def test_withdrawing_with_the_turn_in_hand_passes_it_on() -> None:
    inside, first, second = waiters(1, 3)
    inside.enter(), first.enter(), second.enter()
    inside.gate.leave()
    first.gate.withdraw(first.wake)
    assert second.woken == 1
    assert second.enter()


def test_withdrawing_when_the_place_was_taken_wakes_nobody() -> None:
    inside, first, second, quick = waiters(1, 4)
    inside.enter(), first.enter(), second.enter()
    inside.gate.leave()
    assert quick.enter()
    first.gate.withdraw(first.wake)
    assert second.woken == 0
    quick.gate.leave()
    assert second.woken == 1


def test_several_leave_at_once() -> None:
    one, other, first, second, third = waiters(2, 5)
    for each in (one, other, first, second, third):
        each.enter()
    one.gate.leave()
    other.gate.leave()
    assert [each.woken for each in (first, second, third)] == [1, 1, 0]


@pytest.mark.parametrize("size", [1, 3])
def test_between_threads_the_size_holds_and_everybody_comes_through(size: int) -> None:
    gate, lock = Gate(size), threading.Lock()
    inside, most, through = [0], [0], [0]

    def work() -> None:
        for _ in range(50):
            turn = threading.Event()
            while not gate.enter(turn.set):
                assert turn.wait(30), "a turn was lost"
                turn = threading.Event()
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= 1
                through[0] += 1
            gate.leave()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert through == [400]
    assert 1 <= most[0] <= size


def test_durations_are_declared_learnt_or_one() -> None:
    durations = Durations()
    assert durations.expected("f", None) == 1
    assert durations.expected("f", 0.3) == 0.3
    durations.observe("f", 10)
    assert durations.expected("f", None) == 10
    assert durations.expected("f", 0.3) == 0.3, "what is declared counts"
    assert durations.expected("g", None) == 1


def test_newer_durations_weigh_more() -> None:
    durations = Durations()
    for seconds in [10] * 50 + [1] * 20:
        durations.observe("f", seconds)
    assert 1 <= durations.expected("f", None) < 1.2
