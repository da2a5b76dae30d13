"""The ground of real time: the loopback server in a process of its own, which plays every script."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from llmcompiler.bench.asynclm.contenders import Contender
from llmcompiler.bench.asynclm.ground import Costs
from llmcompiler.bench.asynclm.script import Cell, Script
from llmcompiler.bench.comparing.endpoint import Borrowed
from llmcompiler.bench.serving import ServerProcess
from llmcompiler.models.model import Model
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.strategies.asynclm.chat import ChatEngine
from llmcompiler.strategies.asynclm.completions import CompletionsEngine
from llmcompiler.strategies.asynclm.engine import Engine
from llmcompiler.strategies.runner import run_sync
from llmcompiler.testing.server import ChatRequest, LoggedRequest, Reply, Timing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Oracle:
    """What the server's process plays: a request says in `user` which script it belongs to, and in which take of it."""

    scripts: Mapping[str, Script]
    timing: Timing  # of no account: each reply has its own

    def reply(self, request: ChatRequest) -> Reply:
        """Return what the ideal model says, at the pace of its script. Raises `LookupError` for a session unknown."""
        script = self.scripts[str(request.raw.get("user")).rpartition("#")[0]]
        said, pace = script.ideal.say(request), script.pace
        is_cached = script.keeps_cache and said.unread > 0
        unread = said.unread or script.unread
        first = pace.per_token + unread * pace.per_read_token + (0.0 if is_cached else pace.first_token)
        # No usage: to count 10,000 tokens takes longer than to write one.
        return Reply(chunks=said.tokens, tool_calls=said.calls, timing=Timing(first, pace.per_token), usage=None)


@contextmanager
def served(scripts: Mapping[str, Script]) -> Iterator["Served"]:
    """Yield the ground on which these scripts are played, by the names of their sessions."""
    with ServerProcess(Oracle(scripts, Timing())) as server:
        model = OpenAIModel("ideal", base_url=server.base_url, api_key="none")
        try:
            yield Served(server, model)
        finally:
            model.release()


class Served:
    """A `Ground`. CML goes over chat, or over raw completions where what was read before is cached."""

    name = "server"
    at_once = 4

    def __init__(self, server: ServerProcess, model: OpenAIModel) -> None:
        self._server, self._model = server, model
        self._takes = count()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns."""
        return run_sync(work)

    def cell(self, asked: Cell, prompt_tokens: int = 0, joiner_tokens: int = 0) -> Cell:
        """Return what was asked for."""
        return asked

    def voice(self, key: str, script: Script, contender: Contender) -> "ServedVoice":
        """Return who plays a script."""
        user = f"{key}#{next(self._takes)}"
        model = self._model.with_fields({"user": user})
        speaker: Model | Engine = Borrowed(model)
        if contender.wire == "cml":
            speaker = CompletionsEngine(model) if script.keeps_cache else ChatEngine(model)
        return ServedVoice(self._server, user, script, speaker)


@dataclass(frozen=True, slots=True)
class ServedVoice:
    """A `Voice`."""

    server: ServerProcess
    user: str
    script: Script
    speaker: Model | Engine

    async def costs(self) -> Costs:
        """Return what the session has cost, as the server logged it."""
        requests = await asyncio.to_thread(self.server.requests_of, self.user)
        return costs_of(requests, self.script)


def costs_of(requests: Sequence[LoggedRequest], script: Script) -> Costs:
    """Return what the requests of a session have cost: of a stream that the client has left, what was sent."""
    costs, per_token = Costs(), script.pace.per_token
    for request in requests:
        times = [sent.at for sent in request.sent] or [request.disconnected_at or request.at]
        reading = max(0.0, times[0] - request.at - (per_token if request.sent else 0.0))
        costs.starting += 0.0 if costs.requests else reading
        costs.injecting += reading if costs.requests else 0.0
        costs.generating += times[-1] - times[0] + (per_token if request.sent else 0.0)
        costs.requests += 1
        costs.tokens_out += len(request.sent)
        unread = script.ideal.say(request.request).unread
        costs.tokens_in += unread if script.keeps_cache and unread else request.request.prompt_tokens
    return costs
