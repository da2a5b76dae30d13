"""What a configuration file may say. pydantic reads it once; `config.py` makes frozen values of it."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from llmcompiler.config.choices import DEFAULT_STRATEGY, EngineName, HoldWrites, StrategyName, Trap
from llmcompiler.execution.limits import Limits
from llmcompiler.execution.requests import Deadlines
from llmcompiler.models.address import server_address
from llmcompiler.models.provider import is_local, provider_and_name
from llmcompiler.plan.tools import Cache, Effect, Rate, Tier
from llmcompiler.prompting import example_set
from llmcompiler.toolkit.amounts import rate_of, seconds_of

_EVERY_REQUEST = frozenset({"model", "messages", "stream", "stream_options", "stop"})
_NAMED = ("temperature", "top_p", "max_tokens", "seed")


def _free(options: dict[str, Any]) -> dict[str, Any]:
    for name in options:
        if name in _EVERY_REQUEST:
            raise ValueError(f"{name} cannot be set here: every request sets it")
        if name in _NAMED:
            raise ValueError(f"{name} is a key of its own; move it out of the options")
    return options


def _url(text: str) -> str:
    parts = urlsplit(server_address(text))
    if parts.username or parts.password:
        raise ValueError("an address may not hold a password; name the variable that holds a key in api_key_env")
    return text


def _variable(text: str) -> str:
    # Not what stands there: it may be the key itself, written into the wrong place.
    if not re.fullmatch(r"([A-Z][A-Z0-9_]*_)?API_KEY", text):
        raise ValueError("expected the name of an environment variable that ends in API_KEY, such as LOCAL_API_KEY")
    return text


def _model_name(text: str) -> str:
    provider_and_name(text)
    return text


Seconds = Annotated[float, BeforeValidator(seconds_of)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    """Strict: no key that is not named here, no conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class ModelSection(_Section):
    """A model by name, and how it is asked."""

    name: Annotated[str, AfterValidator(_model_name)]
    base_url: Annotated[str, AfterValidator(_url)] | None = None
    api_key_env: Annotated[str, AfterValidator(_variable)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Count | None = None
    seed: int | None = None
    options: Annotated[dict[str, Any], AfterValidator(_free)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _served(self) -> "ModelSection":
        if is_local(self.name) and (self.base_url or self.api_key_env):
            raise ValueError(f"{self.name} runs in this process: it has no base_url and no api_key_env")
        return self

    def request_options(self) -> dict[str, Any]:
        """Return the further fields of each request."""
        named = {name: getattr(self, name) for name in _NAMED}
        return {**{name: value for name, value in named.items() if value is not None}, **self.options}


class LimitsSection(_Section):
    """Limits of a run."""

    parallel_tasks: Count = Limits().parallel_tasks
    tasks: Count = Limits().tasks
    replans: CountOrZero = Limits().replans
    seconds: Seconds | None = None
    tokens: Count | None = None

    def limits(self) -> Limits:
        """Return them as the frozen value that runs use."""
        return Limits(**self.model_dump())


class DeadlinesSection(_Section):
    """Deadlines of a model request."""

    first_token: Seconds | None = Deadlines().first_token
    idle: Seconds | None = Deadlines().idle
    total: Seconds | None = Deadlines().total

    def deadlines(self) -> Deadlines:
        """Return them as the frozen value that requests use."""
        return Deadlines(**self.model_dump())


class ExampleSection(_Section):
    """A question, and the plan that an ideal planner writes for it."""

    question: Text
    plan: Text


class CacheSection(_Section):
    """How long and how many values are kept."""

    ttl: Seconds
    size: Count = Cache(1).size


class UseSection(_Section):
    """Where a tool's code is: a function, or a LangChain tool, or a class of one and what to make it with (`init`)."""

    python: Text | None = None
    langchain: Text | None = None
    init: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one(self) -> "UseSection":
        if (self.python is None) == (self.langchain is None):
            raise ValueError("give one of python and langchain")
        if self.init is not None and self.langchain is None:
            raise ValueError("init goes with langchain only")
        return self

    @property
    def code(self) -> str:
        """Return the text that names the code."""
        return self.python or self.langchain or ""


def _coded(value: object) -> object:
    return {"python": value} if isinstance(value, str) else value


def _cached(value: object) -> object:
    return {"ttl": value} if isinstance(value, (str, int, float)) else value


def _used(value: object) -> object:
    return {"use": value} if isinstance(value, str) else value


class ToolSection(_Section):
    """One tool: where its code is, and how it may be used.

    Whatever is not said stays as the code says; null takes a limit or a cache away.
    """

    use: Annotated[UseSection, BeforeValidator(_coded)]
    name: Text | None = None
    description: Text | None = None
    timeout: Seconds | None = None
    retries: CountOrZero = 0
    rate: Annotated[Rate, BeforeValidator(rate_of)] | None = None
    concurrency: Count | None = None
    effect: Annotated[Effect, Field(strict=False)] | None = None
    isolate: Tier | None = None
    expected: Seconds | None = None
    cache: Annotated[CacheSection, BeforeValidator(_cached)] | None = None
    parameters: dict[str, Any] | None = None
    returns: dict[str, Any] | None = None
    error_field: Text | None = None

    @property
    def policy(self) -> dict[str, Any]:
        """Return the fields of the policy that this file sets."""
        named = ("timeout", "retries", "rate", "concurrency", "isolate", "expected", "cache", "error_field")
        said = {name: getattr(self, name) for name in named if name in self.model_fields_set}
        if self.cache is not None:
            said["cache"] = Cache(self.cache.ttl, self.cache.size)
        return said


Model = Annotated[ModelSection, BeforeValidator(_named)]
Examples = Annotated[
    Annotated[str, AfterValidator(example_set), Tag("name")] | Annotated[list[ExampleSection], Tag("pairs")],
    Discriminator(lambda value: "name" if isinstance(value, str) else "pairs"),
]


class ConfigSection(_Section):
    """The whole file."""

    model: Model | None = None
    planner_model: Model | None = None
    joiner_model: Model | None = None
    strategy: StrategyName = DEFAULT_STRATEGY
    examples: Examples | None = None
    instructions: str = ""
    planner_prompt: Text | None = None
    joiner_prompt: Text | None = None
    stream: bool = True
    early: bool = True
    sequential: bool = False
    depth: Count = 3
    breadth: Count = 5
    parallel: bool = True
    engine: EngineName = "auto"
    trap: Trap = "any"
    hold_writes: HoldWrites = "trap"
    limits: LimitsSection = Field(default_factory=LimitsSection)
    deadlines: DeadlinesSection = Field(default_factory=DeadlinesSection)
    model_retries: CountOrZero = 2
    threads: Count = 64
    processes: Count = 8
    tools: list[Annotated[ToolSection, BeforeValidator(_used)]] = Field(default_factory=list)
