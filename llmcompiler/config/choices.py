"""What a file and the arguments of an agent may choose from. Here, so that strategies need not import pydantic's schema."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

StrategyName: TypeAlias = Literal[
    "compiler", "react", "react_careful", "parallel_calls", "rewoo", "skeleton", "tree", "asynclm"
]
DEFAULT_STRATEGY: StrategyName = "compiler"

# Of AsyncLM: its engines, what ends a wait (the first result or the last), and until when calls with effects are held.
EngineName: TypeAlias = Literal["auto", "chat", "completions", "futures", "local"]
Trap: TypeAlias = Literal["any", "all"]
HoldWrites: TypeAlias = Literal["trap", "no"]

# What not every strategy takes, by strategy. Each is a key of the file, and an argument of the strategy's class.
OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "compiler": ("planner_model", "joiner_model", "examples", "planner_prompt", "joiner_prompt", "stream"),
        "parallel_calls": ("early",),
        "rewoo": ("sequential",),
        "skeleton": ("stream",),
        "tree": ("depth", "breadth", "parallel"),
        "asynclm": ("engine", "trap", "hold_writes"),
    }
)


def foreign(strategy: object) -> dict[str, list[str]]:
    """Return the keys that only other strategies take, each with the names of those; none if there is no such strategy."""
    if strategy not in get_args(StrategyName):
        return {}
    users: dict[str, list[str]] = {}
    for name, options in OPTIONS.items():
        for option in options:
            users.setdefault(option, []).append(name)
    return {option: names for option, names in users.items() if strategy not in names}
