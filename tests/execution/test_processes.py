"""Tools in processes: real ones, through the face of the executor only."""

import contextlib
import functools
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.errors import UsageError
from llmcompiler.execution.processes import CLOSE_SECONDS, ProcessExecutor, Target, target_of
from llmcompiler.plan.outcomes import Failed, Succeeded, failed
from tests.execution import process_tools, typed_tools
from tests.execution.tiers import ROWS, Collected, ended, eventually, is_running

TOOLS = str(Path(process_tools.__file__).resolve())
WAIT_FOR_PROCESS = 30


def tool(name: str) -> Target:
    return Target("process_tools", name, TOOLS)


@pytest.fixture(scope="module")
def shared():
    """An executor whose workers have loaded the tools, for tests that leave it as it was."""
    executor = ProcessExecutor(2)
    executor.prestart(2)
    yield executor
    executor.close()


@pytest.fixture
def executor():
    executor = ProcessExecutor(2)
    yield executor
    executor.close()


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A FIFO: reading it waits until a tool has written its process id, that is, until it runs."""
    path = tmp_path / "ready"
    os.mkfifo(path)
    return path


def result(executor: ProcessExecutor, name: str, **kwargs):
    return ended(lambda done: executor.start(tool(name), kwargs, done))


def begin(executor: ProcessExecutor, name: str, ready: Path):
    """Start a tool that hangs; return its call, its `done` and its process id once it runs."""
    done = Collected()
    call = executor.start(tool(name), {"ready": str(ready)}, done)
    return call, done, int(ready.read_text())


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


@settings(max_examples=50, deadline=None)
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


# Which functions can be found.


def plain() -> str:
    return "found by name"


@pytest.mark.parametrize(
    ("function", "target"),
    [
        pytest.param(os.path.join, Target("posixpath", "join"), id="of the standard library"),
        pytest.param(len, Target("builtins", "len"), id="builtin"),
        pytest.param(process_tools.add, Target("tests.execution.process_tools", "add"), id="of a module"),
        pytest.param(typed_tools.decorated, Target("tests.execution.typed_tools", "decorated"), id="a decorated tool"),
        pytest.param(
            process_tools.Tools.static, Target("tests.execution.process_tools", "Tools.static"), id="static method"
        ),
        pytest.param(
            process_tools.Tools.of_class, Target("tests.execution.process_tools", "Tools.of_class"), id="class method"
        ),
    ],
)
def test_a_function_is_named_by_its_module(function, target):
    assert target_of(function) == target


@pytest.mark.parametrize(
    ("function", "kwargs", "value"),
    [
        pytest.param(process_tools.Tools.static, {"a": 1}, 1, id="static method"),
        pytest.param(process_tools.Tools.of_class, {"a": 1}, "Tools 1", id="class method"),
        pytest.param(typed_tools.decorated, {"day": "2024-01-01", "offsets": []}, "date 2024 0", id="a decorated tool"),
        pytest.param(plain, {}, "found by name", id="of a test module"),
    ],
)
def test_a_named_function_is_found_in_the_worker(shared, function, kwargs, value):
    assert ended(lambda done: shared.start(target_of(function), kwargs, done)) == Succeeded(value)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        pytest.param(process_tools.nameless, "a lambda of tests.execution.process_tools cannot", id="lambda"),
        pytest.param(
            process_tools.made_inside(), "made_inside.<locals>.inner of .* only inside another function", id="closure"
        ),
        pytest.param(process_tools.Tools().bound, "Tools.bound of .* is bound to an object", id="bound method"),
        pytest.param([].append, "append", id="method of a list"),
        pytest.param(functools.partial(print), "partial.* is an object; wrap it in a function", id="partial"),
        pytest.param(process_tools.Tools(), "is an object; wrap it in a function", id="an object"),
    ],
)
def test_a_function_without_a_name_is_refused(function, says):
    with pytest.raises(UsageError, match=says):
        target_of(function)


def load_from(path: Path, name: str):
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["knowledge_of_nobody", "json", "some.dotted_name"])
def test_a_module_that_was_loaded_by_its_path_is_found_by_its_path(shared, tmp_path, name):
    path = tmp_path / "know.ledge.py"
    path.write_text("def where(): return __file__")
    target = target_of(load_from(path, name).where)
    assert target == Target(name, "where", str(path))
    assert ended(lambda done: shared.start(target, {}, done)) == Succeeded(str(path))


def test_a_module_is_found_where_the_parent_finds_it(shared, tmp_path, monkeypatch):
    (tmp_path / "found_on_the_path.py").write_text("def here(): return __name__")
    monkeypatch.syspath_prepend(tmp_path)
    target = Target("found_on_the_path", "here")
    assert [ended(lambda done: shared.start(target, {}, done)) for _ in range(2)] == [
        Succeeded("found_on_the_path")
    ] * 2


@pytest.mark.parametrize(
    ("source", "type", "message"),
    [
        pytest.param(
            "import no_such_module", "ModuleNotFoundError", "No module named 'no_such_module'", id="import fails"
        ),
        pytest.param("raise SystemExit(2)", "SystemExit", "exit code 2", id="import exits"),
        pytest.param("x = (", "SyntaxError", "'(' was never closed (bad.py, line 1)", id="syntax"),
        pytest.param("f = 1", "AttributeError", None, id="no such function"),
    ],
)
def test_code_that_cannot_be_loaded_fails_the_task_and_is_tried_again(shared, tmp_path, source, type, message):
    path = tmp_path / "bad.py"
    path.write_text(source)
    target = Target("bad", "missing", str(path))
    for _ in range(2):
        outcome = ended(lambda done: shared.start(target, {}, done))
        assert isinstance(outcome, Failed)
        assert (outcome.error.kind, outcome.error.type) == ("tool", type)
        assert outcome.error.message.startswith(f"{path} could not be loaded in a worker process: ")
        assert message is None or outcome.error.message.endswith(message)


def test_the_environment_says_so_while_a_worker_imports(shared):
    assert result(shared, "flag_while_importing") == Succeeded("1")


# Scripts, exits and signals: whole programs.

PRELUDE = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from queue import SimpleQueue
from llmcompiler.execution.processes import ProcessExecutor, Target, target_of

TOOLS = {TOOLS!r}
told = SimpleQueue()

def tool(name):
    return Target("process_tools", name, TOOLS)

def where():
    return [__name__, os.getpid()]
"""


def run_script(tmp_path: Path, source: str, *arguments: str, **options):
    script = tmp_path / "a.script.py"
    script.write_text(PRELUDE + source)
    command = [sys.executable, *(arguments or [str(script)])]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=WAIT_FOR_PROCESS, check=False, cwd=tmp_path, **options
    )


ASK = """
if __name__ == "__main__":
    executor = ProcessExecutor()
    executor.start(target_of(where), {}, told.put)
    name, pid = told.get().value
    print(name == "__main__", pid == os.getpid())
"""


def test_a_function_of_a_script_is_found_by_its_file_and_its_main_part_is_not_run_again(tmp_path):
    child = run_script(tmp_path, ASK)
    assert (child.stdout, child.stderr, child.returncode) == ("False False\n", "", 0)


def test_a_function_of_a_module_run_with_m_is_found_by_its_name(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "sibling.py").write_text("")
    (tmp_path / "package" / "program.py").write_text(PRELUDE + "from . import sibling\n" + ASK)
    child = run_script(tmp_path, "", "-m", "package.program")
    assert (child.stdout, child.stderr, child.returncode) == ("False False\n", "", 0)


def test_a_function_of_an_interactive_session_is_refused(tmp_path):
    source = PRELUDE + "try: target_of(where)\nexcept ValueError as error: print(error)"
    child = run_script(tmp_path, "", "-c", source)
    assert child.stdout.startswith(
        "where cannot run in a process: it was defined in a notebook or an interactive session"
    )


def test_a_script_without_a_main_guard_can_tell_that_a_worker_imports_it(tmp_path):
    source = """
if os.environ.get("LLMCOMPILER_WORKER"):
    raise RuntimeError("put this under: if __name__ == '__main__'")
executor = ProcessExecutor()
executor.start(target_of(where), {}, told.put)
print(told.get().error.message.rpartition(": put")[0].rpartition("/")[2])
"""
    child = run_script(tmp_path, source)
    assert child.stdout == "a.script.py could not be loaded in a worker process\n"


def test_ctrl_c_of_the_terminal_does_not_reach_workers(tmp_path, ready):
    source = f"""
executor = ProcessExecutor()
executor.start(tool("reads"), {{"path": {str(ready)!r}}}, told.put)
try:
    import threading
    threading.Event().wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(told.get().value)
"""
    script = tmp_path / "script.py"
    script.write_text(PRELUDE + source)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        with ready.open("w") as fifo:  # opened once the tool runs
            os.killpg(child.pid, signal.SIGINT)
            assert child.stdout.readline() == "interrupted\n"
            fifo.write("done")
        assert child.stdout.read() == "done\n"


HANGING = """
executor = ProcessExecutor()
executor.start(tool("{name}"), {{"ready": "{ready}"}}, told.put)
print(open("{ready}").read(), flush=True)
{end}
"""


@pytest.mark.parametrize(
    ("name", "end", "code"),
    [
        pytest.param("hangs", "sys.exit(5)", 5, id="the parent exits"),
        pytest.param(
            "hangs_with_the_interpreter_locked", "sys.exit(5)", 5, id="the parent exits, the tool holds the lock"
        ),
        pytest.param("hangs", "os._exit(6)", 6, id="the parent exits without cleaning up"),
        pytest.param("hangs_in_a_program", "os.kill(os.getpid(), 9)", -9, id="the parent is killed"),
        pytest.param("swallows_cancellation", "os.kill(os.getpid(), 15)", -15, id="the parent is terminated"),
    ],
)
def test_workers_end_with_their_parent(tmp_path, ready, name, end, code):
    child = run_script(tmp_path, HANGING.format(name=name, ready=ready, end=end))
    # run() returned, so nobody holds the pipes any more; the tool's process is gone as well.
    assert child.returncode == code
    assert eventually(lambda: not is_running(int(child.stdout)))


def test_a_worker_ends_when_its_parent_dies_though_a_sibling_still_holds_the_pipe(tmp_path, ready):
    child = run_script(
        tmp_path,
        HANGING.format(
            name="hangs",
            ready=ready,
            end="if os.fork() == 0:\n    os.close(1); os.close(2)\n    import time; time.sleep(3); os._exit(0)\nos._exit(8)",
        ),
    )
    assert child.returncode == 8
    assert eventually(lambda: not is_running(int(child.stdout)))


# Closing.


def test_closing_ends_idle_workers_quickly():
    executor = ProcessExecutor(3)
    pids = []
    for _ in range(3):
        pids.append(result(executor, "own_pid").value)
    began = time.perf_counter()
    executor.close()
    assert time.perf_counter() - began < CLOSE_SECONDS + 0.1
    assert not any(map(is_running, pids))
    with pytest.raises(UsageError, match="closed"):
        executor.start(tool("zero"), {}, Collected())


def test_closing_lets_a_running_call_end(ready):
    executor = ProcessExecutor(1)
    done, waiting = Collected(), Collected()
    executor.start(tool("reads"), {"path": str(ready)}, done)
    with ready.open("w") as fifo:
        executor.start(tool("zero"), {}, waiting)
        executor.close()
        fifo.write("to the end")
    assert done.outcome() == Succeeded("to the end")
    assert waiting.is_empty


def test_an_executor_that_nobody_holds_ends_its_workers():
    executor = ProcessExecutor(1)
    pid = result(executor, "own_pid").value
    del executor
    gc.collect()
    assert eventually(lambda: not is_running(pid))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # threads are there on purpose
def test_a_forked_process_has_workers_of_its_own(executor):
    parents = result(executor, "own_pid").value
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            own = result(executor, "own_pid").value
            executor.close()
            os._exit(0 if own != parents else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert result(executor, "own_pid") == Succeeded(parents)
