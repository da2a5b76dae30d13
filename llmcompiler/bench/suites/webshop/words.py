"""The words that products are made of, read from `words.yaml`."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

Options: TypeAlias = Mapping[str, tuple[str, ...]]


class Group(BaseModel):
    """Types of products that are found by the same query and have the same kinds of options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    query: str
    types: tuple[str, ...]
    options: Options
    parts: tuple[str, ...]
    places: tuple[str, ...]


class Department(BaseModel):
    """Groups whose products share a set of attributes; each attribute has the words with which a page explains it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    attributes: Mapping[str, str]
    groups: tuple[Group, ...]


class Words(BaseModel):
    """All of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    brands: tuple[str, ...]
    remarks: tuple[str, ...]
    departments: tuple[Department, ...]


@cache
def the_words() -> Words:
    """Return the words, read once a process."""
    import yaml

    return Words.model_validate(yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8")))
