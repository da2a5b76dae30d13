"""A measure in a process of its own: what another one has loaded is not there for its garbage collector to go through."""

import os
import pickle
import subprocess
import sys
from functools import partial

from llmcompiler.bench.row import Measure, Row
from llmcompiler.bench.serving import child_environment


def fresh(take: Measure) -> Measure:
    """Return the same measure, taken in a child process."""
    return partial(_take, take)


def _take(take: Measure, runs: int) -> list[Row]:
    command = [sys.executable, "-c", "from llmcompiler.bench.fresh import main; main()"]
    asked = pickle.dumps((take, runs))
    ran = subprocess.run(command, input=asked, env=child_environment(), check=True, stdout=subprocess.PIPE)
    rows: list[Row] = pickle.loads(ran.stdout)
    return rows


def main() -> None:
    """Take the measure that stdin holds and write its rows; whatever is printed meanwhile goes to stderr."""
    take, runs = pickle.load(sys.stdin.buffer)
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        answers.write(pickle.dumps(take(runs)))
