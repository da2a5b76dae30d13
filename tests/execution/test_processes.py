"""Tools in processes: real ones, through the face of the executor only."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.execution.processes import ProcessExecutor, Target
from llmcompiler.plan.outcomes import Failed, Succeeded, failed
from tests.execution import typed_tools
from tests.execution.process_helpers import begin, result, tool
from tests.execution.tiers import ROWS, Collected, ended, eventually, is_running


@pytest.mark.parametrize(("name", "outcome"), [pytest.param(name, outcome, id=id) for id, name, outcome in ROWS])
def test_whatever_a_tool_does_becomes_an_outcome(shared, name, outcome):
    assert result(shared, name) == outcome


@pytest.mark.parametrize(
    ("name", "kwargs", "outcome"),
    [
        pytest.param("add_later", {"a": 1, "b": 2}, Succeeded(3), id="a value"),
        pytest.param("cancelled_later", {}, failed("tool", "CancelledError", ""), id="O03a cancels itself"),
        pytest.param("exits_later", {}, failed("tool", "SystemExit", "exit code 5"), id="O03b exits"),
        pytest.param("generator_exit_later", {}, failed("tool", "GeneratorExit", ""), id="O03c generator exit"),
        pytest.param("interrupts_later", {}, failed("tool", "KeyboardInterrupt", ""), id="O03d interrupts"),
    ],
)
def test_a_coroutine_function_is_run_to_its_end(shared, name, kwargs, outcome):
    assert result(shared, name, **kwargs) == outcome
    assert result(shared, "zero") == Succeeded(0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("ends_process", "the worker process ended with exit code 3", id="O04c exits at once"),
        pytest.param("segfaults", "the worker process ended with SIGSEGV", id="O04d segfault"),
        pytest.param(
            "killed_by_the_system",
            "the worker process ended with SIGKILL, which is also how the system ends one that takes too much memory",
            id="O04b killed for its memory",
        ),
        pytest.param(
            "ends_but_its_child_holds_the_pipe",
            "the worker process ended with exit code 4",
            id="its own child lives on",
        ),
    ],
)
def test_a_process_that_dies_is_a_crash_and_the_pool_is_rebuilt(executor, name, message):
    before = result(executor, "own_pid")
    assert result(executor, name) == failed("crash", "ProcessDied", message)
    after = result(executor, "own_pid")
    assert isinstance(after, Succeeded)
    assert after != before


def test_a_tool_that_closes_every_descriptor_is_a_crash(executor):
    outcome = result(executor, "closes_every_descriptor")
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.error.type) == ("crash", "ProcessDied")
    assert result(executor, "zero") == Succeeded(0)


def test_a_crash_touches_no_sibling(executor, ready):
    sibling = Collected()
    executor.start(tool("reads"), {"path": str(ready)}, sibling)
    with ready.open("w") as fifo:  # the sibling runs
        assert result(executor, "segfaults") == failed("crash", "ProcessDied", "the worker process ended with SIGSEGV")
        fifo.write("untouched")
    assert sibling.outcome() == Succeeded("untouched")


@pytest.mark.parametrize("wait", [False, True])
def test_a_worker_that_died_while_idle_is_replaced_unseen(executor, wait):
    for _ in range(3):
        pid = result(executor, "own_pid").value
        os.kill(pid, signal.SIGSTOP)  # it will not read what it is sent
        done = Collected()
        if wait:
            os.kill(pid, signal.SIGKILL)
            assert eventually(lambda pid=pid: not is_running(pid))
        executor.start(tool("zero"), {}, done)
        os.kill(pid, signal.SIGKILL)
        assert done.outcome() == Succeeded(0)


def test_workers_are_warm(executor):
    pids = {result(executor, "own_pid").value for _ in range(20)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_prestarted_workers_serve_the_first_calls(executor):
    executor.prestart(99)
    assert result(executor, "zero") == Succeeded(0)


# What goes over the pipe.


def test_what_a_tool_prints_and_reads_does_not_touch_the_frames(shared, capfd):
    assert result(shared, "prints_and_reads") == Succeeded(["", "unset"])
    assert result(shared, "zero") == Succeeded(0)
    assert "this is no frame" not in capfd.readouterr().out


def test_arguments_are_handed_over_by_name_whatever_the_names(shared):
    arguments = {"function": "f", "kwargs": 1, "self": "s", "done": True, "work": None}
    assert ended(lambda done: shared.start(tool("names_of_ours"), arguments, done)) == Succeeded(
        ["f", 1, "s", True, None]
    )


def typed(executor: ProcessExecutor, name: str, **kwargs):
    target = Target("typed_tools", name, str(Path(typed_tools.__file__).resolve()))
    return ended(lambda done: executor.start(target, kwargs, done))


def test_arguments_become_what_the_annotations_want(shared):
    assert typed(shared, "decorated", day="2024-02-29", offsets=[1, 2]) == Succeeded("date 2024 3")
    assert typed(shared, "undecorated", peak={"name": "K2", "height": 8611}) == Succeeded("Peak K2")


def test_arguments_that_do_not_become_what_the_annotations_want_fail_the_task(shared):
    outcome = typed(shared, "decorated", day="no date", offsets=[])
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.error.type) == ("arguments", "ValidationError")


def test_arguments_that_are_no_json_data_fail_the_task(shared):
    outcome = ended(lambda done: shared.start(tool("echo"), {"value": {1}}, done))
    assert outcome == failed("arguments", "TypeError", "Object of type set is not JSON serializable")
    assert result(shared, "zero") == Succeeded(0)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param({"a": "\udc80"}, id="a lone surrogate inside"),
    ],
)
def test_arguments_cross_as_they_are_and_results_are_checked(shared, value):
    outcome = result(shared, "echo", value=value)
    assert isinstance(outcome, Failed)
    assert "lone surrogate at position 0" in outcome.error.message


VALUES = [
    pytest.param("snow 🏔 \u2028 \0 \x7f ü", id="any text"),
    pytest.param(-0.0, id="minus zero"),
    pytest.param(5e-324, id="the smallest float"),
    pytest.param(1.7976931348623157e308, id="the largest float"),
    pytest.param(10**3999, id="a long int"),
    pytest.param({"": {"a.b": [[], {}, None, True]}}, id="odd keys"),
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_comes_back_exactly(shared, value):
    assert repr(result(shared, "echo", value=value)) == repr(Succeeded(value))


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    )
)
def test_any_plain_data_comes_back_exactly(shared, value):
    assert repr(result(shared, "echo", value=value)) == repr(Succeeded(value))


def test_a_large_value_comes_back(shared):
    value = ["ü" * 3_000_000, list(range(100_000))]
    assert result(shared, "echo", value=value) == Succeeded(value)


# O05: a process can be killed.


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("hangs", id="O05abc ignores signals and has a cleanup that never ends"),
        pytest.param("hangs_with_the_interpreter_locked", id="hangs in C code that never lets go of the lock"),
        pytest.param("swallows_cancellation", id="O05b a coroutine that swallows everything"),
        pytest.param("hangs_in_a_program", id="waits for a program that hangs"),
    ],
)
def test_an_abandoned_call_is_killed_with_all_it_has_started(executor, ready, name):
    call, done, pid = begin(executor, name, ready)
    assert is_running(pid)
    call.abandon()
    call.abandon()
    assert eventually(lambda: not is_running(pid))
    assert result(executor, "zero") == Succeeded(0)
    assert done.is_empty


def test_abandoning_returns_at_once(executor, ready):
    call, _, _ = begin(executor, "hangs", ready)
    began = time.perf_counter()
    call.abandon()
    assert time.perf_counter() - began < 0.05


def test_hung_calls_do_not_stop_others(tmp_path):
    executor = ProcessExecutor(2)
    calls = []
    for number in range(6):
        fifo = tmp_path / str(number)
        os.mkfifo(fifo)
        calls.append((executor.start(tool("hangs"), {"ready": str(fifo)}, Collected()), fifo))
    good = [Collected() for _ in range(6)]
    for number, done in enumerate(good):
        executor.start(tool("echo"), {"value": number}, done)
    for call, fifo in calls:
        fifo.read_text()
        call.abandon()
    assert [done.outcome() for done in good] == [Succeeded(number) for number in range(6)]
    executor.close()


def test_a_queued_call_is_withdrawn(ready, tmp_path):
    executor = ProcessExecutor(1)
    call, _, _ = begin(executor, "hangs", ready)
    never, last = Collected(), Collected()
    mark = tmp_path / "mark"
    queued = executor.start(tool("announce"), {"ready": str(mark)}, never)
    executor.start(tool("zero"), {}, last)
    queued.abandon()
    call.abandon()
    assert last.outcome() == Succeeded(0)
    assert never.is_empty
    assert not mark.exists()
    executor.close()


def test_a_call_may_be_abandoned_at_any_moment(executor):
    for number in range(60):
        call = executor.start(tool("zero"), {}, Collected())
        if number % 3:
            threading.Event().wait(number / 100_000)  # a little later each time, into the call
        call.abandon()
    assert [result(executor, "zero") for _ in range(5)] == [Succeeded(0)] * 5


def test_abandoning_what_is_over_kills_nothing(executor):
    done = Collected()
    call = executor.start(tool("own_pid"), {}, done)
    before = done.outcome()
    call.abandon()
    assert result(executor, "own_pid") == before
