"""run() from wherever it is called, and the end of the interpreter, which nothing of a run may hold up."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmcompiler import LLMCompiler, Prompt, RunFailed, RunResult, UsageError, tool
from tests.execution.running import FINISH, PATIENCE, scripted

ROOT = Path(__file__).parents[2]


@tool
async def nap(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"


def quick() -> LLMCompiler:
    return scripted("1. nap(0)\n2. join()", tools=[nap])


def test_run_inside_a_running_event_loop() -> None:
    async def scenario() -> RunResult:
        return quick().run("q")  # as in a notebook

    assert asyncio.run(scenario()).answer == "done"


def test_two_threads_call_run_at_once() -> None:
    both, results = threading.Barrier(2), list[RunResult]()

    @tool
    def meets() -> str:
        both.wait(PATIENCE)
        return "met"

    plan = "1. meets()\n2. join()"
    agent = scripted(plan, plan, answers=(FINISH, FINISH), tools=[meets])
    threads = [threading.Thread(target=lambda: results.append(agent.run("q"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert [result.tasks[1].outcome.value for result in results] == ["met", "met"]  # type: ignore[union-attr]


def test_run_on_the_loop_of_another_run_is_refused_instead_of_waiting_for_itself() -> None:
    inner = quick()

    @tool
    async def nested() -> str:
        with pytest.raises(UsageError, match="await arun"):
            inner.run("q")
        return (await quick().arun("q")).answer or ""

    agent = scripted("1. nested()\n2. join()", tools=[nested])
    assert agent.run("q").tasks[1].outcome.value == "done"  # type: ignore[union-attr]


def test_a_tool_in_a_thread_may_call_run() -> None:
    @tool
    def nested() -> str:
        return quick().run("q").answer or ""

    agent = scripted("1. nested()\n2. join()", tools=[nested])
    assert agent.run("q").tasks[1].outcome.value == "done"  # type: ignore[union-attr]


def test_run_raises_what_arun_raises() -> None:
    agent = scripted("I would rather not.", "No.", answers=(), tools=[nap])
    with pytest.raises(RunFailed):
        agent.run("q")
    with pytest.raises(UsageError):
        agent.run("  ")


# The end of the interpreter

HEAD = """
import asyncio, os, sys, threading, time
from tenacity import wait_none
from llmcompiler import LLMCompiler, Limits, RunFailed, tool
from llmcompiler.testing import ScriptedModel

FINISH = "Thought: enough.\\nAction: Finish(done)"

@tool(timeout=0.2)
async def stubborn() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except BaseException:
            pass

@tool
async def nap(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"

@tool(timeout=0.2)
def hangs() -> None:
    threading.Event().wait()

def agent(plan, *answers, **options):
    models = dict(planner_model=ScriptedModel([plan] * 2), joiner_model=ScriptedModel(answers or [FINISH] * 2))
    return LLMCompiler(tools=[stubborn, nap, hangs], examples=(), **models, **options)
"""


def exits(script: str, *, code: int = 0) -> str:
    """Run a script to its end, which must come; return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", "-c", HEAD + textwrap.dedent(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_asyncio_run_ends_though_a_tool_swallows_its_cancellation_for_ever() -> None:
    said = exits(
        """
        result = asyncio.run(agent("1. stubborn()\\n2. nap(0)\\n3. join()").arun("q"))
        print(result.answer, result.abandoned)
        """
    )
    assert said == "done 1\n"


def test_it_ends_when_the_run_fails_the_moment_the_tool_was_given_up() -> None:
    said = exits(
        """
        try:
            asyncio.run(agent("1. stubborn()\\n2. join()", limits=Limits(seconds=0.1)).arun("q"))
        except RunFailed as failed:
            print(failed.result.abandoned)
        """
    )
    assert said == "1\n"


def test_it_ends_when_the_run_is_cancelled_or_left() -> None:
    said = exits(
        """
        async def main():
            work = asyncio.create_task(agent("1. stubborn()\\n2. join()").arun("q"))
            await asyncio.sleep(0.05)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            async for event in agent("1. stubborn()\\n2. join()").astream("q"):
                if type(event).__name__ == "TaskStarted":
                    break
            print("left")
        asyncio.run(main())
        """
    )
    assert said == "left\n"


def test_it_ends_when_the_main_coroutine_just_returns_from_amid_a_run() -> None:
    said = exits(
        """
        async def main():
            global work
            work = asyncio.create_task(agent("1. stubborn()\\n2. join()").arun("q"))
            await asyncio.sleep(0.05)
            print("returned")
        asyncio.run(main())
        """
    )
    assert said == "returned\n"


def test_the_interpreter_ends_though_a_thread_hangs() -> None:
    said = exits(
        """
        one = agent("1. hangs()\\n2. stubborn()\\n3. join()")
        print(asyncio.run(one.arun("q")).abandoned)
        print(one.run("q").abandoned)
        """
    )
    assert said == "2\n4\n"


def test_run_works_in_a_forked_process() -> None:
    said = exits(
        """
        one = agent("1. nap(0)\\n2. join()")
        print(one.run("q").answer, flush=True)
        pid = os.fork()
        if pid == 0:
            print(agent("1. nap(0)\\n2. join()").run("q").answer, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        """
    )
    assert said == "done\ndone\n"


def test_run_survives_whatever_leaves_a_run() -> None:
    """What would end an event loop belongs to the caller; the private loop goes on."""

    class Exiting:
        async def stream(self, prompt: Prompt) -> AsyncIterator[str]:
            raise SystemExit(3)
            yield ""

    with pytest.raises(SystemExit):
        LLMCompiler(Exiting(), [nap], examples=()).run("q")
    assert quick().run("q").answer == "done"
