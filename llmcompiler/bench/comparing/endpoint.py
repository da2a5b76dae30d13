"""Where the models of a comparison are: oracles behind the loopback server, or one real endpoint for all."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from llmcompiler.bench.comparing.contenders import Contender
from llmcompiler.bench.serving import ServerProcess
from llmcompiler.bench.suites.suite import Case, Oracle
from llmcompiler.models.model import Chunk, Model, Prompt, Usage
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.testing.server import ChatRequest, LoggedRequest, Reply, Timing


class Endpoint(Protocol):
    """Gives each run its model, and tells afterwards what it was sent."""

    def model(self, contender: Contender, case: Case) -> Model:
        """Return the model for one run."""
        ...

    def requests(self, contender: Contender, case: Case) -> list[LoggedRequest] | None:
        """Return the log of the latest run of a contender on a case; None where there is no log."""
        ...

    def release(self) -> None:
        """Let go of the connections."""
        ...


@dataclass(frozen=True, slots=True)
class Oracles:
    """Plays each contender's oracle to that contender; a request says in `user` which run it belongs to."""

    by_contender: Mapping[str, Oracle]
    timing: Timing

    def reply(self, request: ChatRequest) -> Reply:
        """Return what the contender's oracle says."""
        contender = str(request.raw.get("user")).partition("/")[0]
        return self.by_contender[contender].reply(request)


@contextmanager
def oracles(by_contender: Mapping[str, Oracle], timing: Timing) -> Iterator[Endpoint]:
    """Yield the endpoint behind which the oracles play, in a process of their own."""
    with ServerProcess(Oracles(by_contender, timing)) as server:
        yield _Oracular(server, OpenAIModel("oracle", base_url=server.base_url, api_key="none"))


class _Oracular:
    def __init__(self, server: ServerProcess, model: OpenAIModel) -> None:
        self._server, self._model = server, model
        self._told: dict[str, int] = {}

    def model(self, contender: Contender, case: Case) -> Model:
        return self._model.with_fields({"user": _user(contender, case)})

    def requests(self, contender: Contender, case: Case) -> list[LoggedRequest] | None:
        user = _user(contender, case)
        requests = self._server.requests_of(user)[self._told.get(user, 0) :]
        self._told[user] = self._told.get(user, 0) + len(requests)
        return requests

    def release(self) -> None:
        self._model.release()


def _user(contender: Contender, case: Case) -> str:
    return f"{contender.name}/{case.id}"


@dataclass(frozen=True, slots=True)
class Real:
    """One real model for every run."""

    shared: Model

    def model(self, contender: Contender, case: Case) -> Model:
        """Return the model."""
        return self.shared

    def requests(self, contender: Contender, case: Case) -> list[LoggedRequest] | None:
        """Return None: a real endpoint keeps its log to itself."""
        return None

    def release(self) -> None:
        """Let go of the connections, where they are ours."""
        if isinstance(self.shared, OpenAIModel):
            self.shared.release()


class Borrowed:
    """A model that its agent may ask and not close: the runs of a comparison share their connections."""

    def __init__(self, model: Model) -> None:
        self.secrets: frozenset[str] = getattr(model, "secrets", frozenset())
        self._model = model

    def __str__(self) -> str:
        return str(self._model)

    def stream(self, prompt: Prompt) -> AsyncIterator[Chunk | str]:
        """Return the reply."""
        return self._model.stream(prompt)


class Counted:
    """A model that counts what is used of it: for tools that ask one themselves, which no run's usage tells of."""

    def __init__(self, model: Model) -> None:
        self.usage = Usage(0, 0, 0, 0)
        self._model = model

    async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk | str]:
        """Yield the reply, counting."""
        said = Usage()
        async for chunk in self._model.stream(prompt):
            if isinstance(chunk, Chunk) and chunk.usage:
                said = chunk.usage
            yield chunk
        self.usage += said
