"""ProcessExecutor: which functions can be found, whole programs with workers, and closing."""

import contextlib
import functools
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmcompiler.errors import UsageError
from llmcompiler.execution.processes import CLOSE_SECONDS, ProcessExecutor, Target, target_of
from llmcompiler.plan.outcomes import Failed, Succeeded
from tests.execution import process_tools, typed_tools
from tests.execution.process_helpers import TOOLS, WAIT_FOR_PROCESS, result, tool
from tests.execution.tiers import Collected, ended, eventually, is_running


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
