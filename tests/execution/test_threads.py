"""Synchronous tools in threads: real threads, through the face of the executor only."""

import asyncio
import logging
import os
import threading
from queue import SimpleQueue

import pytest

from llmcompiler.errors import UsageError
from llmcompiler.execution.threads import ThreadExecutor
from llmcompiler.plan.outcomes import Failed, Succeeded, failed
from tests.execution import process_tools as tools
from tests.execution.tiers import PATIENCE, ROWS, Collected, ended, eventually


@pytest.fixture
def executor():
    executor = ThreadExecutor(4)
    yield executor
    executor.close()


class Hung:
    """A tool that runs until it is released, which most tests never do."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.release = threading.Event()

    def __call__(self) -> str:
        self.began.set()
        self.release.wait()
        return "late"


@pytest.mark.parametrize(("name", "outcome"), [pytest.param(name, outcome, id=id) for id, name, outcome in ROWS])
def test_whatever_a_tool_does_becomes_an_outcome(executor, name, outcome):
    assert ended(lambda done: executor.start(getattr(tools, name), {}, done)) == outcome


@pytest.mark.parametrize(("name", "outcome"), [pytest.param(name, outcome, id=id) for id, name, outcome in ROWS])
def test_a_thread_survives_whatever_a_tool_does(name, outcome):
    executor = ThreadExecutor(1)
    before = ended(lambda done: executor.start(threading.get_ident, {}, done))
    ended(lambda done: executor.start(getattr(tools, name), {}, done))
    assert ended(lambda done: executor.start(threading.get_ident, {}, done)) == before
    executor.close()


def test_arguments_are_handed_over_by_name_whatever_the_names(executor):
    arguments = {"function": "f", "kwargs": 1, "self": "s", "done": True, "work": None}
    assert ended(lambda done: executor.start(tools.names_of_ours, arguments, done)) == Succeeded(
        ["f", 1, "s", True, None]
    )


def test_missing_arguments_are_the_tools_error(executor):
    outcome = ended(lambda done: executor.start(tools.add, {"a": 1}, done))
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "TypeError"


def test_the_value_is_a_private_copy(executor):
    kept = {"list": [1]}
    outcome = ended(lambda done: executor.start(lambda: kept, {}, done))
    kept["list"].append(2)
    assert outcome == Succeeded({"list": [1]})


def test_a_coroutine_function_fails_with_a_hint_and_leaves_no_coroutine_behind(executor):
    outcome = ended(lambda done: executor.start(tools.add_later, {"a": 1, "b": 2}, done))
    assert outcome == failed("value", "NotJson", "$ is an awaitable; an async tool needs `isolate: loop` or `process`")


def test_a_value_is_converted_in_the_thread(executor):
    class Enumerated(dict):
        def __iter__(self):
            self["thread"] = threading.current_thread().name
            return super().__iter__()

        keys = __iter__

    outcome = ended(lambda done: executor.start(Enumerated, {}, done))
    assert outcome == Succeeded({"thread": "llmcompiler-tool-1"})


def test_a_serializer_that_exits_fails_the_task_only(executor):
    class Exits(dict):
        def keys(self):
            raise SystemExit(2)

        __iter__ = keys

    assert ended(lambda done: executor.start(Exits, {}, done)) == failed("value", "SystemExit", "exit code 2")


def test_threads_are_daemons_with_a_name(executor):
    def who():
        thread = threading.current_thread()
        return [thread.name, thread.daemon]

    assert ended(lambda done: executor.start(who, {}, done)) == Succeeded(["llmcompiler-tool-1", True])


def test_a_tool_sees_the_callers_context_and_cannot_change_it(executor):
    def sees():
        seen = tools.LABEL.get()
        tools.LABEL.set("changed by the tool")
        return seen

    tools.LABEL.set("ours")
    assert ended(lambda done: executor.start(sees, {}, done)) == Succeeded("ours")
    assert tools.LABEL.get() == "ours"
    assert ended(lambda done: executor.start(sees, {}, done)) == Succeeded("ours")  # nor that of the next call


def test_the_last_idle_thread_is_used_first(executor):
    def who():
        return threading.current_thread().name

    barrier = threading.Barrier(3, timeout=PATIENCE)
    done = Collected()
    for _ in range(3):
        executor.start(barrier.wait, {}, done)
    assert {repr(done.outcome()) for _ in range(3)} == {repr(Succeeded(number)) for number in range(3)}
    assert len({repr(ended(lambda done: executor.start(who, {}, done))) for _ in range(20)}) == 1


def test_no_more_than_size_run_at_once_and_the_queue_is_first_come_first_served(executor):
    hung = [Hung() for _ in range(4)]
    order: SimpleQueue[int] = SimpleQueue()
    done = Collected()
    for tool in hung:
        executor.start(tool, {}, done)
    for number in range(5):
        executor.start(order.put, {"item": number}, done)
    assert all(tool.began.wait(PATIENCE) for tool in hung)
    assert order.empty()
    hung[0].release.set()
    assert [order.get(timeout=PATIENCE) for _ in range(5)] == [0, 1, 2, 3, 4]
    for tool in hung[1:]:
        tool.release.set()
    assert (
        sorted(repr(done.outcome()) for _ in range(9))
        == ["Succeeded(value='late')"] * 4 + ["Succeeded(value=None)"] * 5
    )


def test_an_executor_needs_a_thread():
    with pytest.raises(UsageError, match="at least one thread, not 0"):
        ThreadExecutor(0)


# O05: a thread cannot be stopped.


def test_a_hung_call_is_abandoned_counted_and_replaced(executor):
    hung = [Hung() for _ in range(4)]
    late = Collected()
    calls = [executor.start(tool, {}, late) for tool in hung]
    assert all(tool.began.wait(PATIENCE) for tool in hung)
    waiting = Collected()
    executor.start(tools.zero, {}, waiting)
    assert executor.abandoned == 0
    calls[0].abandon()
    assert waiting.outcome() == Succeeded(0)
    for call in calls[1:]:
        call.abandon()
    assert executor.abandoned == 4
    assert calls[0].is_abandoned
    assert ended(lambda done: executor.start(tools.zero, {}, done)) == Succeeded(0)


def test_the_late_result_of_an_abandoned_call_is_discarded_and_counted(executor):
    hung = Hung()
    late = Collected()
    call = executor.start(hung, {}, late)
    assert hung.began.wait(PATIENCE)
    call.abandon()
    call.abandon()
    assert (executor.abandoned, executor.discarded) == (1, 0)
    hung.release.set()
    assert eventually(lambda: (executor.abandoned, executor.discarded) == (0, 1))
    assert late.is_empty


def test_an_abandoned_thread_ends_when_its_tool_returns(executor):
    hung = Hung()
    threads: SimpleQueue[threading.Thread] = SimpleQueue()

    def tool():
        threads.put(threading.current_thread())
        return hung()

    call = executor.start(tool, {}, Collected())
    thread = threads.get(timeout=PATIENCE)
    call.abandon()
    hung.release.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_queued_call_is_withdrawn():
    executor = ThreadExecutor(1)
    hung, never = Hung(), Hung()
    first, withdrawn, last = Collected(), Collected(), Collected()
    executor.start(hung, {}, first)
    call = executor.start(never, {}, withdrawn)
    executor.start(tools.zero, {}, last)
    assert hung.began.wait(PATIENCE)
    call.abandon()
    assert executor.abandoned == 0
    hung.release.set()
    assert first.outcome() == Succeeded("late")
    assert last.outcome() == Succeeded(0)
    assert withdrawn.is_empty
    assert not never.began.is_set()
    executor.close()


def test_a_call_may_be_abandoned_at_any_moment(executor):
    for _ in range(300):
        begun, done = threading.Event(), Collected()
        call = executor.start(begun.set, {}, done)
        call.abandon()
        assert call.is_abandoned or done.outcome() == Succeeded(None)
    assert eventually(lambda: executor.abandoned == 0)
    assert [ended(lambda done: executor.start(tools.zero, {}, done)) for _ in range(5)] == [Succeeded(0)] * 5


def test_abandoning_what_is_over_changes_nothing(executor):
    done = Collected()
    call = executor.start(tools.zero, {}, done)
    assert done.outcome() == Succeeded(0)
    call.abandon()
    assert not call.is_abandoned
    assert (executor.abandoned, executor.discarded) == (0, 0)


def test_a_hundred_hung_tools_stop_none_of_a_hundred_good_ones():
    executor = ThreadExecutor(8)
    hung = [Hung() for _ in range(100)]
    calls = [executor.start(tool, {}, Collected()) for tool in hung]
    done = Collected()
    for number in range(100):
        executor.start(tools.echo, {"value": number}, done)
    for tool, call in zip(hung, calls, strict=True):
        assert tool.began.wait(PATIENCE)
        call.abandon()
    outcomes = [done.outcome() for _ in range(100)]
    assert sorted(outcome.value for outcome in outcomes) == list(range(100))
    assert executor.abandoned == 100
    for tool in hung:
        tool.release.set()
    assert eventually(lambda: (executor.abandoned, executor.discarded) == (0, 100))
    executor.close()


def test_a_hung_and_a_busy_thread_do_not_keep_the_event_loop_from_its_work(executor):
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            pass

    async def main():
        loop = asyncio.get_running_loop()
        calls = [executor.start(tool, {}, Collected()) for tool in (Hung(), busy)]
        answered = loop.create_future()
        executor.start(tools.zero, {}, lambda outcome: loop.call_soon_threadsafe(answered.set_result, outcome))
        async with asyncio.timeout(PATIENCE):
            assert await answered == Succeeded(0)
        for call in calls:
            call.abandon()

    asyncio.run(main())
    stop.set()


# Edges of the executor itself.


def test_a_done_that_raises_is_logged_and_the_thread_lives_on(caplog):
    executor = ThreadExecutor(1)

    def broken(outcome):
        raise RuntimeError("loop is closed")

    with caplog.at_level(logging.ERROR):
        executor.start(tools.zero, {}, broken)
        assert ended(lambda done: executor.start(tools.zero, {}, done)) == Succeeded(0)
    assert [record.message for record in caplog.records] == ["nobody could be told how a tool ended"]
    executor.close()


def test_a_done_may_start_the_next_call():
    executor = ThreadExecutor(1)
    last = Collected()
    executor.start(tools.zero, {}, lambda outcome: executor.start(tools.none, {}, last))
    assert last.outcome() == Succeeded(None)
    executor.close()


def test_closing_lets_running_calls_end_and_withdraws_what_waits():
    executor = ThreadExecutor(1)
    hung = Hung()
    running, waiting = Collected(), Collected()
    executor.start(hung, {}, running)
    call = executor.start(tools.zero, {}, waiting)
    assert hung.began.wait(PATIENCE)
    executor.close()
    hung.release.set()
    assert running.outcome() == Succeeded("late")
    assert call.is_abandoned
    assert waiting.is_empty
    with pytest.raises(UsageError, match="closed"):
        executor.start(tools.zero, {}, waiting)


def test_closing_ends_idle_threads():
    executor = ThreadExecutor(1)
    threads: SimpleQueue[threading.Thread] = SimpleQueue()
    ended(lambda done: executor.start(lambda: threads.put(threading.current_thread()), {}, done))
    executor.close()
    thread = threads.get()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # threads are there on purpose
def test_a_forked_process_has_threads_of_its_own(executor):
    assert ended(lambda done: executor.start(tools.zero, {}, done)) == Succeeded(0)
    pid = os.fork()
    if pid == 0:
        outcome = ended(lambda done: executor.start(tools.add, {"a": 20, "b": 22}, done))
        os._exit(outcome.value)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
