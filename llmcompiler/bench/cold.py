"""Cold start: from the start of a process to the moment when its first request has reached the server."""

import json
import statistics
import subprocess
import sys
from time import monotonic

from llmcompiler.bench.row import Row, spread
from llmcompiler.bench.serving import Script, ServerProcess, child_environment
from llmcompiler.testing.server import Reply, Timing

OURS = """
from llmcompiler import LLMCompiler, tool

@tool(effect="read")
async def look(topic: str) -> str:
    "Return something about a topic."
    return "found"

LLMCompiler("openai:scripted", [look]).run("Which topic is the largest?")
"""
OPENAI = """
import asyncio
from openai import AsyncOpenAI

async def main():
    messages = [{"role": "user", "content": "Which topic is the largest?"}]
    async for chunk in await AsyncOpenAI().chat.completions.create(model="scripted", messages=messages, stream=True):
        pass

asyncio.run(main())
"""
HEAVY = ("openai", "langchain_core", "networkx")

_SCRIPT = Script(Reply('1. look("a")\n2. join()'), Reply("Action: Finish(done)"), Timing())
_LOADED = f"import json, sys, llmcompiler; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"


def first_requests(script: str, runs: int, warm_ups: int = 1) -> list[float]:
    """Return for each run the seconds from the start of a fresh process with `script` to its first request's arrival.

    The script finds the server in OPENAI_BASE_URL, with a key. The first `warm_ups` are not counted: they
    may write bytecode.
    """
    seconds = []
    with ServerProcess(_SCRIPT) as server:
        environment = {**child_environment(), "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "none"}
        for _ in range(warm_ups + runs):
            before = len(server.requests)
            start = monotonic()
            subprocess.run([sys.executable, "-c", script], env=environment, check=True)
            seconds.append(server.requests[before].at - start)
    return seconds[warm_ups:]


def cold_start(runs: int, warm_ups: int = 1) -> list[Row]:
    """Return our cold start beside the bare client's, and which heavy packages `import llmcompiler` loads."""
    what = f"from the start of a process to the arrival of its first request, {runs} processes; bytecode is cached"
    ours, bare = first_requests(OURS, runs, warm_ups), first_requests(OPENAI, runs, warm_ups)
    return [
        Row("cold start", what, spread(ours), "s", statistics.median(bare)),
        Row("  openai's client alone", what, spread(bare), "s"),
        Row(
            "heavy packages the import loads",
            f"{', '.join(HEAVY)}, in a fresh process",
            {"packages": len(heavy_packages())},
            "",
            limit=0,
        ),
    ]


def heavy_packages() -> list[str]:
    """Return which of `HEAVY` a fresh process has loaded after `import llmcompiler`."""
    ran = subprocess.run([sys.executable, "-c", _LOADED], env=child_environment(), check=True, capture_output=True)
    found: list[str] = json.loads(ran.stdout)
    return found
