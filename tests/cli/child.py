"""The command line as a user runs it: a child process, without any key or server of ours in its environment."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS = 30.0  # no child takes that long, unless it hangs


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a child: wide lines, nothing of OpenAI's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LLMCOMPILER_"))}
    path = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))
    return kept | {"COLUMNS": "100", "PYTHONPATH": path} | changes


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "llmcompiler", *args]


def run(*args: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end."""
    return subprocess.run(
        command(*args), env=environment(**changes), capture_output=True, text=True, timeout=SECONDS, check=False
    )


@contextmanager
def started(*args: str, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """Yield a running child with its output in pipes; it is gone afterwards."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    child = subprocess.Popen(command(*args), **{"env": environment(), **pipes, **options})
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


class Terminal:
    """A child at a terminal of 100 columns; `text` is what it wrote."""

    def __init__(self, args: Sequence[str]) -> None:
        self._end, theirs = pty.openpty()
        self.text = ""
        env = environment(TERM="xterm-256color", LINES="40")
        self.child = subprocess.Popen(command(*args), env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)

    def read_until(self, words: str) -> None:
        """Read until `words` were written."""
        while words not in self.text:
            assert self._read(), f"the child ended without {words!r}; it wrote {self.text}"

    def read_to_end(self) -> int:
        """Read to the end of the child and return its exit code."""
        while self._read():
            pass
        return self.child.wait(SECONDS)

    def _read(self) -> bool:
        try:
            data = os.read(self._end, 1 << 16)
        except OSError:  # how Linux says that the other end is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self._end)


@contextmanager
def terminal(*args: str) -> Iterator[Terminal]:
    """Yield a child at a terminal; it is gone afterwards."""
    made = Terminal(args)
    try:
        yield made
    finally:
        made.close()
