"""Agent: the face that all strategies share. A strategy adds its options, and says how it answers one question."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from llmcompiler.execution.executors import Executors
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries
from llmcompiler.execution.workshop import Workshop
from llmcompiler.journal.events import Event
from llmcompiler.models.model import Connected, Model
from llmcompiler.strategies import runner
from llmcompiler.strategies.result import RunResult
from llmcompiler.strategies.run import Means, Run
from llmcompiler.toolkit.registry import Registry, registry_of
from llmcompiler.toolkit.tool import Tool

if TYPE_CHECKING:
    from llmcompiler.config.config import Config
    from llmcompiler.config.loading import AllowCode
    from llmcompiler.strategies.runnable import AgentRunnable


class Agent(ABC):
    """Answers questions with models and tools: `run`, `arun`, `astream`, `as_runnable`, `from_config`, `close`."""

    strategy: ClassVar[str]  # its name, in events, in YAML and on the command line

    def __init__(
        self,
        tools: Registry | Iterable[object],
        models: Sequence[Model],
        *,
        limits: Limits | None,
        deadlines: Deadlines | None,
        retries: ModelRetries | None,
        threads: int,
        processes: int,
    ) -> None:
        self.registry = registry_of(tools)
        self._models = tuple(models)
        self._means = Means(
            workshop=Workshop(self.registry, Executors(threads=threads, processes=processes)),
            own_tools=self._own_tools,
            limits=limits or Limits(),
            deadlines=deadlines or Deadlines(),
            retries=retries or ModelRetries(),
            secrets=frozenset(secret for model in models for secret in getattr(model, "secrets", ())),
        )

    @classmethod
    def from_config(
        cls,
        config: "str | Path | Config",
        *,
        allow_code: "AllowCode" = (),
        model: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
    ) -> Self:
        """Return the agent that a YAML file describes (README, "Tools in YAML"), or a `Config` that was loaded from one.

        allow_code: folders and packages from which the file may import tools. model, base_url, api_key: in place of what
        the file says. Raises `ConfigError`, which holds every problem of the file, or another `UsageError`.
        """
        from llmcompiler.config.loading import config_for  # 100 ms, for those who have a file

        said = config_for(cls.strategy, config, allow_code)
        return cls._configured(said, {"name": model, "base_url": base_url, "api_key": api_key})

    @classmethod
    def _configured(cls, said: "Config", given: dict[str, str | None]) -> Self:
        """Return the agent for a configuration; `given` takes the place of what it says of models."""
        make: Any = cls  # a strategy's own arguments are not those of this class
        agent: Self = make(said.make_model("model", **given), said.registry, **said.common, **said.own)
        return agent

    @abstractmethod
    def _start(self, run: Run) -> runner.Play:
        """Return how this strategy answers the question of a run."""

    def _own_tools(self, run: Run) -> Sequence[Tool[..., Any]]:
        """Return the tools that this strategy itself brings into a run."""
        return ()

    def run(self, question: str) -> RunResult:
        """Return the result. Works inside a running event loop too (Jupyter). Raises `RunFailed` without an answer."""
        return runner.run_sync(self.arun(question))

    async def arun(self, question: str) -> RunResult:
        """Return the result. Raises `RunFailed` if there is no answer. Cancelling it cancels the run."""
        return await runner.arun(question, self.strategy, self._means, self._start)

    def astream(self, question: str) -> AsyncGenerator[Event, None]:
        """Yield events as they happen; the last one, `RunEnded`, carries the result. Leaving cancels the run."""
        return runner.astream(question, self.strategy, self._means, self._start)

    def as_runnable(self) -> "AgentRunnable":
        """Return this agent as a LangChain `Runnable`: a question or `{"question": ...}` in, the answer's text out."""
        from llmcompiler.strategies.runnable import AgentRunnable  # langchain_core: most of a second

        return AgentRunnable(self)

    def close(self) -> None:
        """Release idle processes, and connections of the models as soon as they are idle. Takes 0.2 s at most.

        Nothing of an agent that is not closed keeps the interpreter from exiting.
        """
        self._means.workshop.executors.close()
        for model in self._models:
            if isinstance(model, Connected):
                model.release()
