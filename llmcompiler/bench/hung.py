"""Tools that hang for ever beside as many that do not, in a process of their own: who is late, and does it end?"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from typing import Literal, TypeAlias

from llmcompiler.bench.row import Row, fewer, spread
from llmcompiler.bench.serving import child_environment
from llmcompiler.bench.shapes import plan_text
from llmcompiler.execution.limits import Limits
from llmcompiler.plan.outcomes import Failed, Succeeded
from llmcompiler.strategies.compiler import LLMCompiler
from llmcompiler.testing import ScriptedModel
from llmcompiler.toolkit.tool import tool

Tier: TypeAlias = Literal["thread", "process"]

GOOD_SECONDS = 0.1


def hang() -> None:
    """Never return."""
    threading.Event().wait()


async def rest() -> str:
    """Return after a moment."""
    await asyncio.sleep(GOOD_SECONDS)
    return "done"


def block() -> str:
    """Return after a moment, and block a thread until then."""
    time.sleep(GOOD_SECONDS)
    return "done"


def hung(runs: int, count: int = 100, timeout: float = 1.0) -> list[Row]:
    """Return for threads and processes how late good and hung tools end, and how long the process takes to exit."""
    rows = []
    for tier in ("thread", "process"):
        told = [_child(tier, count, timeout) for _ in range(fewer(runs))]
        name = f"{count} hung {'threads' if tier == 'thread' else 'processes'}"
        what = f"{count} hung tools ({tier}) beside {count} good ones, async and sync, in {len(told)} child processes"
        for key, said, limit in (
            ("good", "good ones late", 50.0),
            ("hung", "past deadline", 50.0),
            ("exit", "exit", 1000.0),
        ):
            late = [1e3 * each[key] for each in told]
            rows.append(Row(f"{name}, {said}", what, spread(late), "ms", limit=limit))
    return rows


def _child(tier: Tier, count: int, timeout: float) -> dict[str, float]:
    script = f"from llmcompiler.bench.hung import main; main({tier!r}, {count}, {timeout})"
    ran = subprocess.run([sys.executable, "-c", script], env=child_environment(), check=True, stdout=subprocess.PIPE)
    told: dict[str, float] = json.loads(ran.stdout)
    ended = told.pop("ended")
    return {**told, "exit": time.monotonic() - ended}


def main(tier: Tier, count: int, timeout: float) -> None:
    """Run them, and print in JSON by how many seconds the last of each was late, and when all was over."""
    tools = [tool(timeout=timeout, isolate=tier)(hang), tool(rest), tool(block)]
    plan = plan_text([("rest()", "hang()", "block()", "hang()")[number % 4] for number in range(2 * count)])
    # As many slots as there are calls, and a thread for each: with fewer, good ones would have to wait for hung ones.
    limits = Limits(parallel_tasks=2 * count)
    agent = LLMCompiler(ScriptedModel([plan, "Action: Finish(done)"]), tools, limits=limits, threads=2 * count)
    records = asyncio.run(agent.arun("go")).tasks.values()
    late = {"hung": 0.0, "good": 0.0}
    for record in records:
        assert record.ended is not None
        kind, due = ("hung", timeout) if record.task.tool == "hang" else ("good", GOOD_SECONDS)
        assert isinstance(record.outcome, Failed if kind == "hung" else Succeeded), record
        # A hung call's deadline counts from its beginning: of 100 in processes, 8 at a time have begun.
        since = record.started if kind == "hung" and record.started is not None else record.planned
        late[kind] = max(late[kind], record.ended - since - due)
    sys.stdout.write(json.dumps({**late, "ended": time.monotonic()}))
