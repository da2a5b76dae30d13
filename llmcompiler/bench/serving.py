"""The loopback server in a process of its own, so that it does not share the interpreter's lock with what is measured.

parent ──▶ pickle of the script ──▶ stdin  ── child: LoopbackServer
parent ◀── pickle of the URL, then of the log each time a line asks for it ◀── stdout ◀──┘   (stdin closed: the end)

A line names whose requests are wanted: those that carry it as `user`, or all if it is empty.
"""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import llmcompiler
from llmcompiler.strategies.planning import END_OF_PLAN
from llmcompiler.testing.server import ChatRequest, LoggedRequest, LoopbackServer, Reply, Timing


class Playing(Protocol):
    """What a server process plays. It is pickled, so it holds plain data alone."""

    @property
    def timing(self) -> Timing:
        """How fast."""

    def reply(self, request: ChatRequest) -> Reply:
        """Return the reply to a request."""


@dataclass(frozen=True, slots=True)
class Script:
    """What the model says: `plan` to a planner, `answer` to anyone else."""

    plan: Reply
    answer: Reply
    timing: Timing

    def reply(self, request: ChatRequest) -> Reply:
        """Return the reply to a request."""
        return self.plan if is_planner(request) else self.answer


def is_planner(request: ChatRequest) -> bool:
    """Return whether a request is a planner's."""
    return END_OF_PLAN in request.stop


def child_environment() -> Mapping[str, str]:
    """Return the environment of a child process that imports the llmcompiler that runs here."""
    home = str(Path(llmcompiler.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}


class ServerProcess:
    """A context manager: a server that plays `script` to whoever asks, until the end of `with`."""

    def __init__(self, script: Playing) -> None:
        self.base_url = ""
        self._script = script
        self._asking = threading.Lock()  # one pipe, and callers in several threads
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        command = [sys.executable, "-c", "from llmcompiler.bench.serving import main; main()"]
        pipe = subprocess.PIPE
        # In a session of its own: Ctrl-C is for us, and ends it by the end of its stdin.
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, env=child_environment(), start_new_session=True
        )
        self.base_url = self._ask(pickle.dumps(self._script))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:  # closes its stdin, which ends it, and waits
            pass

    @property
    def requests(self) -> list[LoggedRequest]:
        """Return the requests so far, without their headers; times are of the clock that all processes share."""
        return self.requests_of("")

    def requests_of(self, user: str) -> list[LoggedRequest]:
        """Return the requests so far that came with this `user`; all for an empty one."""
        found: list[LoggedRequest] = self._ask(f"{user}\n".encode())
        return found

    def _ask(self, data: bytes) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._asking:
            stdin.write(data)
            stdin.flush()
            return pickle.load(stdout)


def main() -> None:
    """Serve until stdin is closed."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    script: Playing = pickle.load(requests)
    with LoopbackServer(script.reply, timing=script.timing) as server:
        _tell(answers, server.base_url)
        while line := requests.readline():
            user = line.decode().rstrip("\n")
            wanted = [one for one in server.requests if not user or one.request.raw.get("user") == user]
            _tell(answers, [replace(request, headers={}) for request in wanted])


def _tell(answers: BinaryIO, what: object) -> None:
    answers.write(pickle.dumps(what))
    answers.flush()
