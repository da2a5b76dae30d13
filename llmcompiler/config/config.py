"""Config: what a configuration file comes to, as frozen values and a registry of tools."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmcompiler.config.choices import OPTIONS, EngineName, HoldWrites, Trap
from llmcompiler.config.schema import ConfigSection, ModelSection
from llmcompiler.errors import UsageError
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines, ModelRetries
from llmcompiler.models.model import Model
from llmcompiler.models.provider import is_local, model_of
from llmcompiler.toolkit.registry import Registry

Role = Literal["model", "planner_model", "joiner_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A model by name, where it is served, in which variable its key is, and further fields of each request.

    The key in `OPENAI_API_KEY` is not sent to a `base_url` that a file names, unless the file asks for that variable.
    """

    name: str
    base_url: str | None = None
    api_key_env: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, *, name: str | None = None, base_url: str | None = None, api_key: str | None = None) -> Model:
        """Return the model; what is given here takes the place of what the file says. Raises `UsageError`."""
        key = api_key
        if key is None and base_url is None:
            key = self._key()
        return model_of(name or self.name, base_url=base_url or self.base_url, api_key=key, options=self.options)

    def _key(self) -> str | None:
        if self.api_key_env is None:
            return "none" if self.base_url else None
        key = os.environ.get(self.api_key_env)
        if not key:
            raise UsageError(f"the model {self.name} takes its key from {self.api_key_env}, which is not set")
        return key


def model_choice(section: ModelSection | None) -> ModelChoice | None:
    """Return the choice that a section of the file makes."""
    if section is None:
        return None
    return ModelChoice(
        name=section.name,
        base_url=section.base_url,
        api_key_env=section.api_key_env,
        options=section.request_options(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole of a file. `examples` is a name, or pairs of question and plan; None where the file says nothing."""

    path: Path
    strategy: str
    model: ModelChoice | None
    planner_model: ModelChoice | None
    joiner_model: ModelChoice | None
    examples: str | tuple[tuple[str, str], ...] | None
    instructions: str
    planner_prompt: str | None
    joiner_prompt: str | None
    stream: bool
    early: bool
    sequential: bool
    depth: int
    breadth: int
    parallel: bool
    engine: EngineName
    trap: Trap
    hold_writes: HoldWrites
    limits: Limits
    deadlines: Deadlines
    retries: ModelRetries
    threads: int
    processes: int
    registry: Registry

    @property
    def common(self) -> dict[str, Any]:
        """Return the options that every strategy takes, by name."""
        named = ("limits", "instructions", "deadlines", "retries", "threads", "processes")
        return {name: getattr(self, name) for name in named}

    @property
    def own(self) -> dict[str, Any]:
        """Return the options that not every strategy takes, but this one does, by name."""
        return {name: getattr(self, name) for name in OPTIONS.get(self.strategy, ())}

    @property
    def names_server(self) -> bool:
        """Return whether the file says where its model is, or with which key it is asked."""
        model = self.model
        return model is not None and bool(model.base_url or model.api_key_env or is_local(model.name))

    def make_model(
        self,
        role: Role,
        *,
        name: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
    ) -> Model:
        """Return the model for a role; what is given here takes the place of what the file says. Raises `UsageError`."""
        choice: ModelChoice | None = getattr(self, role) or self.model
        if choice is None and name is None:
            raise UsageError(f'{self.path} names no model; add a line such as `model: "openai:gpt-4.1-mini"`')
        return (choice or ModelChoice(name=name or "")).make(name=name, base_url=base_url, api_key=api_key)


def config_of(path: Path, section: ConfigSection, registry: Registry) -> Config:
    """Return the frozen values of a file that was read without problems."""
    examples = section.examples
    return Config(
        path=path,
        strategy=section.strategy,
        model=model_choice(section.model),
        planner_model=model_choice(section.planner_model),
        joiner_model=model_choice(section.joiner_model),
        examples=tuple((pair.question, pair.plan) for pair in examples) if isinstance(examples, list) else examples,
        instructions=section.instructions,
        planner_prompt=section.planner_prompt,
        joiner_prompt=section.joiner_prompt,
        stream=section.stream,
        early=section.early,
        sequential=section.sequential,
        depth=section.depth,
        breadth=section.breadth,
        parallel=section.parallel,
        engine=section.engine,
        trap=section.trap,
        hold_writes=section.hold_writes,
        limits=section.limits.limits(),
        deadlines=section.deadlines.deadlines(),
        retries=ModelRetries(retries=section.model_retries),
        threads=section.threads,
        processes=section.processes,
        registry=registry,
    )
