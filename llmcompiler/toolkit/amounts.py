"""Amounts as people write them: durations such as `2m` and rates such as `5/s`."""

import re
from math import isfinite

from llmcompiler.errors import UsageError
from llmcompiler.plan.tools import Rate

_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_SECONDS = re.compile(rf"(\d{{1,12}}(?:\.\d+)?) ?({'|'.join(_UNITS)})", re.ASCII)
_RATE = re.compile(rf"(\d{{1,12}}) ?/ ?(\d{{1,12}}(?:\.\d+)?)? ?({'|'.join(_UNITS)})", re.ASCII)


def seconds_of(said: object) -> float:
    """Return the seconds in a number or in a text such as `250ms`, `10s`, `2m`, `1h`. Raises `UsageError` for others."""
    if type(said) in (int, float) and isfinite(said) and said > 0:  # type: ignore[arg-type, operator]
        return float(said)  # type: ignore[arg-type]
    found = _SECONDS.fullmatch(said.strip()) if isinstance(said, str) else None
    if found is None or not float(found[1]):
        raise UsageError(f'expected seconds, or a text such as "10s", "2m" or "1h", more than 0; found {said!r}')
    return float(found[1]) * _UNITS[found[2]]


def rate_of(said: object) -> Rate:
    """Return the rate in a text such as `5/s`, `100/min` or `10/30s`. Raises `UsageError` for others."""
    found = _RATE.fullmatch(said.strip()) if isinstance(said, str) else None
    if found is None or not int(found[1]) or not float(found[2] or 1):
        raise UsageError(f'expected a rate such as "5/s", "100/min" or "10/30s"; found {said!r}')
    return Rate(int(found[1]), float(found[2] or 1) * _UNITS[found[3]])
