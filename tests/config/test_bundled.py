"""The bundled configurations: each loads, its examples are plans for its tools, and every_key.yaml names every key."""

import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from llmcompiler._resources import bundled
from llmcompiler.config.choices import OPTIONS, StrategyName
from llmcompiler.config.loading import inspect_config, load_config
from llmcompiler.config.schema import ConfigSection
from llmcompiler.strategies.catalogue import STRATEGIES

FILES = sorted(path for path in bundled("configs").glob("*.yaml") if "." not in path.stem)
EVERY_KEY = bundled("configs") / "every_key.yaml"
OF_OTHERS = {option for options in OPTIONS.values() for option in options} - set(OPTIONS["compiler"])
IN_COMMENTS = {"planner_prompt", "joiner_prompt", "use.langchain", "use.init"} | OF_OTHERS

each_file = pytest.mark.parametrize("file", [pytest.param(path, id=path.stem) for path in FILES])


@each_file
def test_a_bundled_file_is_free_of_mistakes_and_says_every_effect(file: Path) -> None:
    found = inspect_config(file)
    assert (found.problems, found.notes) == ((), ())
    assert [entry.use for entry in found.tools if entry.tool is None or entry.tool.spec.effect == "undeclared"] == []


@each_file
@pytest.mark.filterwarnings("error")
def test_a_bundled_file_makes_an_agent_with_all_of_its_examples(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "LOCAL_API_KEY"):
        monkeypatch.setenv(name, "sk-bundled-0123456789")
    agent = STRATEGIES[load_config(file).strategy].from_config(file)
    assert list(agent.registry) == list(load_config(file).registry)


def keys_of(section: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield the keys of a section and of those within, each once: those of a tool as `tools.name`."""
    for name, field in section.model_fields.items():
        yield f"{path}{name}"
        inner = section_in(field.annotation)
        if inner is not None and not name.endswith("_model"):
            yield from keys_of(inner, f"{path}{name}.")


def section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(section_in, typing.get_args(annotation))), None)


def keys_in(data: object, path: str = "") -> Iterator[str]:
    if isinstance(data, list):
        for item in data:
            yield from keys_in(item, path)
    if isinstance(data, Mapping):
        for name, value in data.items():
            yield f"{path}{name}"
            yield from keys_in(value, f"{path}{name}.")


def test_every_key_of_the_schema_stands_in_every_key_yaml() -> None:
    text = EVERY_KEY.read_text(encoding="utf-8")
    said = {re.sub(r"^(planner|joiner)_model\.", "model.", key) for key in keys_in(yaml.safe_load(text))}
    known = set(keys_of(ConfigSection))
    assert {"tools.use.python", "model.seed", "examples.plan", "tools.cache.size", "limits.seconds"} < known
    missing = known - said
    assert {key.removeprefix("tools.") for key in missing} == IN_COMMENTS
    for key in IN_COMMENTS - {"use.init"}:
        assert key.rpartition(".")[2] in text


def test_a_file_may_name_just_the_strategies_that_there_are() -> None:
    assert typing.get_args(StrategyName) == tuple(STRATEGIES)


def test_every_option_of_a_strategy_is_a_key_with_the_same_default() -> None:
    python_only = {"model", "tools", "base_url", "api_key", "delimiters"}
    common = {"limits", "instructions", "deadlines", "retries", "threads", "processes"}
    assert OPTIONS.keys() <= STRATEGIES.keys()
    for name, strategy in STRATEGIES.items():
        arguments = inspect.signature(strategy).parameters
        own = arguments.keys() - python_only - common
        assert own == set(OPTIONS.get(name, ())), name
        for option in own:
            assert ConfigSection.model_fields[option].default == arguments[option].default, option
