"""All suites by name. Each is imported when it is asked for.

`game24:3` is Game of 24 with a tree that keeps three states of each level instead of five: fewer nodes.
"""

from importlib import import_module

from llmcompiler.bench.suites.suite import Suite
from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean

SUITES = (
    "parallelqa",
    "hotpotqa",
    "movie",
    "game24",
    "webshop",
    "bfcl",
)  # each a module or package here, with a function NAME_suite

SIZED = ("game24",)
LARGEST = 20


def suite_of(name: str) -> Suite:
    """Return a suite. Raises `UsageError` with the nearest names."""
    kind, colon, size = name.partition(":")
    if kind not in SUITES:
        raise UsageError(f"there is no suite {name!r}; {did_you_mean(name, [*SUITES, 'overhead', 'fetch'])}")
    if colon and not (kind in SIZED and size.isascii() and size.isdigit() and 1 <= int(size) <= LARGEST):
        sized = ", ".join(f"{each}:1 to {each}:{LARGEST}" for each in SIZED)
        raise UsageError(f"there is no suite {name!r}; suites of a size: {sized}")
    make = getattr(import_module(f"llmcompiler.bench.suites.{kind}"), f"{kind}_suite")
    suite: Suite = make(int(size)) if colon else make()
    return suite
