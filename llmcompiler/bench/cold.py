"""Cold start: from the start of a process to the moment when its first request has reached the server."""

import json
import statistics
import subprocess
import sys
from time import monotonic

from llmcompiler.bench.peers import installed
from llmcompiler.bench.row import Row, spread
from llmcompiler.bench.serving import Script, ServerProcess, child_environment
from llmcompiler.bench.shapes import JOINER, plan_text
from llmcompiler.testing.server import Reply, Timing

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

_SCRIPT = Script(Reply(plan_text(['look("a")'])), Reply(JOINER), Timing())
_LOADED = f"import json, sys, llmcompiler; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"


def first_requests(script: str, runs: int, warm_ups: int = 1) -> list[float]:
    """Return for each run the seconds from the start of a fresh process with `script` to its first request's arrival.

    The script finds the server in `sys.argv[1]` and in OPENAI_BASE_URL, with a key. The first `warm_ups` are not counted:
    they may write bytecode.
    """
    seconds = []
    with ServerProcess(_SCRIPT) as server:
        environment = {**child_environment(), "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "none"}
        for _ in range(warm_ups + runs):
            before = len(server.requests)
            start = monotonic()
            command = [sys.executable, "-c", script, server.base_url]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            seconds.append(server.requests[before].at - start)
    return seconds[warm_ups:]


def cold_start(runs: int, warm_ups: int = 1) -> list[Row]:
    """Return our cold start beside the peers' and the bare client's, and which heavy packages `import llmcompiler` loads."""
    what = f"from the start of a process to the arrival of its first request, {runs} processes; bytecode is cached"
    bare = first_requests(OPENAI, runs, warm_ups)
    ours, *others = [(peer, first_requests(peer.cold, runs, warm_ups)) for peer in installed()]
    least = min((statistics.median(seconds) for _, seconds in others), default=None)
    return [
        Row("cold start", what, spread(ours[1]), "s", statistics.median(bare), least),
        Row("  openai's client alone", what, spread(bare), "s"),
        *(Row(f"  {peer.name} {peer.version}", what, spread(seconds), "s") for peer, seconds in others),
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
