"""All suites by name. Each is imported when it is asked for."""

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


def suite_of(name: str) -> Suite:
    """Return a suite. Raises `UsageError` with the nearest names."""
    if name not in SUITES:
        raise UsageError(f"there is no suite {name!r}; {did_you_mean(name, [*SUITES, 'overhead', 'fetch'])}")
    suite: Suite = getattr(import_module(f"llmcompiler.bench.suites.{name}"), f"{name}_suite")()
    return suite
