"""Processes: tools that can be killed, each in a warm worker process (worker.py), one call at a time.

    start ──▶ a thread of our own (threads.py) ──▶ an idle worker, or a new one ──▶ reply ──▶ done(outcome)

The thread waits on the pipe, so that nobody else has to. Abandoning a call kills its worker and whatever the tool has
started in its process group; the next call gets a fresh one. POSIX only.
"""

import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

from llmcompiler.errors import UsageError
from llmcompiler.execution.border import Ended, describe
from llmcompiler.execution.targets import Target, target_of
from llmcompiler.execution.threads import Done, ThreadCall, ThreadExecutor
from llmcompiler.execution.wire import frames_of, read_value, write_value
from llmcompiler.execution.worker import outcome_from
from llmcompiler.plan.outcomes import Failed, Succeeded, failed
from llmcompiler.plan.values import Json

__all__ = ["ProcessExecutor", "ProcessCall", "Target", "target_of"]

CLOSE_SECONDS = 0.2

_ALIVE_MILLISECONDS = 250
_INT = struct.Struct("i")
# The path comes first of all, so that the worker finds this package and its tools where the parent found them, and not
# in whatever folder it was started in (which `-m` would put first).
_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from llmcompiler.execution.worker import main; main(int(sys.argv.pop(1)))"
)


class _Worker:
    """One worker process, seen from the parent. `discard` is called for each reply that belongs to no call of ours."""

    def __init__(self, discard: Callable[[], None]) -> None:
        self._discard = discard
        self._path = _search_path()
        if not sys.executable:
            raise UsageError("there is no Python interpreter to start a process with: sys.executable is empty")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps(self._path), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in the terminal is not for workers; the group can be killed as a whole
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._lock = threading.Lock()
        self._calls = 0
        self._has_answered = False
        self.is_killed = False

    def ask(self, target: Target, kwargs: Mapping[str, Json]) -> Ended | None:
        """Run one call and return how it ended. A worker that dies or talks nonsense is ended.

        None means that a worker that had been idle died before the tool began, so another one may have the call.
        """
        try:
            path = _search_path()
            self._calls += 1
            request: dict[str, Any] = {"call": self._calls, "target": astuple(target), "kwargs": kwargs}
            if path != self._path:
                request["path"] = path
            frames = list(frames_of(request))
        except (TypeError, ValueError, RecursionError) as error:
            return Failed(describe(error, "arguments"))
        self._path = path
        is_sent = False
        with suppress(Exception):  # whatever it is, this worker is of no more use
            write_value(self._stdin.fileno(), frames)
            is_sent = True
            outcome = self._reply()
            self._has_answered = True
            return outcome
        has_begun = is_sent and not self._has_unread()
        self.end()
        if self._has_answered and not has_begun:
            return None
        return failed("crash", "ProcessDied", f"the worker process ended with {_code_text(self._process.returncode)}")

    def _reply(self) -> Ended:
        """Return the reply to the latest call. A tool that has found our pipe may have written others."""
        while True:
            reply: Any = read_value(self._stdout.fileno(), self._is_alive)
            if reply.get("call") == self._calls:
                return outcome_from(reply)
            self._discard()

    def discard_unread(self) -> None:
        """Read what it has said unasked, of which nothing more can come after `kill`."""
        with suppress(Exception):  # the end of the pipe, or of what can be read as replies
            while True:
                read_value(self._stdout.fileno(), lambda: bool(self._poll.poll(0)))
                self._discard()

    def _has_unread(self) -> bool:
        """Return whether the worker has left something of the request in the pipe: then it has not begun the tool."""
        import fcntl  # here, so that systems without them can use the other tiers
        import termios

        with suppress(OSError):  # where the system cannot tell, the tool may have begun
            unread = fcntl.ioctl(self._stdin, termios.FIONREAD, bytes(_INT.size))
            return bool(_INT.unpack(unread)[0])
        return False

    def _is_alive(self) -> bool:
        """Wait for something to read. A closed pipe is something; but one that a tool's own child holds stays open."""
        while not self._poll.poll(_ALIVE_MILLISECONDS):
            if self._process.poll() is not None:
                return bool(self._poll.poll(0))
        return True

    @property
    def is_idle(self) -> bool:
        """Return whether the worker can take a call. One that says something unasked is dying or in a tool's hands."""
        return not self.is_killed and not self._poll.poll(0) and self._process.poll() is None

    def kill(self) -> None:
        """Kill the process and its group. Returns at once."""
        with self._lock:
            self.is_killed = True
            if self._stdin.closed:
                return  # it has ended, and its number may be another's by now
            # Its children are still there where it died by itself, so the group is asked, not the process.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self, timeout: float | None = None) -> None:
        """Kill the process, wait until it is gone and close the pipes."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        with self._lock:
            self._stdin.close()
            self._stdout.close()


def _search_path() -> list[str]:
    return [entry or str(Path.cwd()) for entry in sys.path if isinstance(entry, str)]


def _code_text(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    if code == -signal.SIGKILL:
        return "SIGKILL, which is also how the system ends one that takes too much memory"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


class _Fleet:
    """All workers of one executor; apart from it, so that it can be ended when the executor is no more."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._is_closed = False
        self.discarded = 0  # replies that belonged to no call
        self.pid = os.getpid()

    def __len__(self) -> int:
        return len(self._all)

    def take(self) -> _Worker:
        """Return an idle worker, the last used one, or a new one."""
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return self.launch()
            if worker.is_idle:
                return worker
            self.drop(worker)

    def launch(self) -> _Worker:
        worker = _Worker(self._count_discarded)
        with self._lock:
            self._all.add(worker)
        return worker

    def warm(self) -> Ended:
        self.give_back(self.launch())
        return Succeeded(None)

    def give_back(self, worker: _Worker) -> None:
        with self._lock:
            is_kept = not self._is_closed and worker.is_idle and len(self._idle) < self._size
            if is_kept:
                self._idle.append(worker)
        if not is_kept:
            self.drop(worker)

    def drop(self, worker: _Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.kill()
        worker.discard_unread()
        worker.end()

    def _count_discarded(self) -> None:
        with self._lock:
            self.discarded += 1

    def close(self, *, busy_too: bool = False) -> None:
        """End the idle workers; the busy ones end after their call, or now. Takes `CLOSE_SECONDS` at most."""
        if self.pid != os.getpid():
            return  # a forked process has no say over its parent's workers
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            busy = self._all.difference(idle)
            self._all.difference_update(idle)
        for worker in [*idle, *(busy if busy_too else ())]:
            worker.kill()  # the thread that waits for a busy one does the rest
        until = time.monotonic() + CLOSE_SECONDS
        for worker in idle:
            worker.end(max(0.0, until - time.monotonic()))


class ProcessCall:
    """One call of a tool in a process. Only `abandon` is for callers."""

    __slots__ = ("_is_abandoned", "_lock", "_thread", "_worker")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_abandoned = False
        self._worker: _Worker | None = None
        self._thread: ThreadCall

    def begin(
        self, fleet: _Fleet, target: Target, kwargs: Mapping[str, Json], threads: ThreadExecutor, done: Done
    ) -> None:
        """Hand the call to a thread."""
        self._thread = threads.submit(partial(self._run, fleet, target, kwargs), done)

    def abandon(self) -> None:
        """Withdraw the call if it waits; kill its process if it runs; do nothing if it is over. Returns at once.

        `done` will not be called afterwards, unless it has already begun.
        """
        self._thread.abandon()
        if not self._thread.is_abandoned:
            return
        with self._lock:
            self._is_abandoned = True
            if self._worker is not None:
                self._worker.kill()

    def _run(self, fleet: _Fleet, target: Target, kwargs: Mapping[str, Json]) -> Ended:
        while not self._is_abandoned:
            worker = fleet.take()
            with self._lock:
                is_wanted = not self._is_abandoned
                self._worker = worker if is_wanted else None
            outcome = worker.ask(target, kwargs) if is_wanted else None
            with self._lock:
                self._worker = None  # before another call gets the worker, which an abandon must not kill then
            fleet.give_back(worker)
            if outcome is not None:
                return outcome
        return Succeeded(None)  # which nobody will see


class ProcessExecutor:
    """Runs tools in at most `size` processes; safe to use from any thread and any event loop."""

    def __init__(self, size: int = 8) -> None:
        self.size = size
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        self._threads = ThreadExecutor(self.size, name="llmcompiler-process")
        self._fleet = _Fleet(self.size)
        # Also at the interpreter's exit, where no worker may go on with a call.
        weakref.finalize(self, self._fleet.close, busy_too=True)

    @property
    def discarded(self) -> int:
        """Return how many replies of worker processes belonged to no call: a tool has written them to our pipe."""
        return self._fleet.discarded

    def start(self, target: Target, kwargs: Mapping[str, Json], done: Done) -> ProcessCall:
        """Run the function that `target` names in a process; return the call at once.

        `done` is called once, in a thread, with a `Succeeded` that holds JSON data, or with a `Failed`; its kind is
        "crash" if the process died.
        """
        if self._fleet.pid != os.getpid():
            self._begin_afresh()  # a forked process must not talk to its parent's workers
        call = ProcessCall()
        call.begin(self._fleet, target, dict(kwargs), self._threads, done)
        return call

    def prestart(self, count: int) -> None:
        """Start workers until there are `count` of them, so that first calls need not wait. Returns at once."""
        for _ in range(min(count, self.size) - len(self._fleet)):
            self._threads.submit(self._fleet.warm, lambda outcome: None)

    def close(self) -> None:
        """End the idle workers; running calls end as usual, what waits is withdrawn. Takes 0.2 s at most."""
        self._threads.close()
        self._fleet.close()
