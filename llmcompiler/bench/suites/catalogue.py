"""All suites by name. Each is imported when it is asked for."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from llmcompiler.bench.suites.suite import Suite
from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean

_PLACES: Mapping[str, str] = MappingProxyType(
    {
        "parallelqa": "parallelqa:PARALLELQA",
        "hotpotqa": "hotpotqa:HOTPOTQA",
        "movie": "movie:MOVIE",
    }
)
SUITES = tuple(_PLACES)


def suite_of(name: str) -> Suite:
    """Return a suite. Raises `UsageError` with the nearest names."""
    if name not in _PLACES:
        raise UsageError(f"there is no suite {name!r}; {did_you_mean(name, [*SUITES, 'overhead', 'fetch'])}")
    module, _, attribute = _PLACES[name].partition(":")
    suite: Suite = getattr(import_module(f"llmcompiler.bench.suites.{module}"), attribute)
    return suite
