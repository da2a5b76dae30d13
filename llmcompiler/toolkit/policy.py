"""What a tool may be called and how it may be used: the rules that a spec has to keep, whoever made it."""

import math
import re
from typing import cast

from llmcompiler.errors import UsageError
from llmcompiler.plan.tools import Effect, Policy, Rate, ToolSpec

_NAME = re.compile(r"[^\W\d][\w./-]*")


def check_spec(spec: ToolSpec) -> None:
    """Raise `UsageError` for a name, a policy or an effect that cannot be."""
    if not _NAME.fullmatch(spec.name):
        rule = "a name is letters, digits, '_', '.', '-' and '/', and begins with a letter or '_'"
        raise UsageError(f"tool {spec.name!r}: {rule}; give name=, as in tool(name=...)(it)")
    if spec.name.lower() == "join":
        raise UsageError("a tool may not be named join: that word ends a plan")
    _check_policy(spec.name, spec.policy)
    if spec.effect is Effect.WRITE and spec.policy.retries:
        raise UsageError(f"tool {spec.name}: effect write refuses retries, since an attempt may have had its effect")
    if spec.policy.cache and spec.effect is not Effect.READ:
        raise UsageError(f"tool {spec.name}: a cache needs effect read; the effect is {spec.effect}")


def _check_policy(name: str, policy: Policy) -> None:
    for what, seconds in (("timeout", policy.timeout), ("expected", policy.expected)):
        if seconds is not None and not (_is_number(seconds) and seconds > 0):
            raise UsageError(
                f"tool {name}: {what} must be a number of seconds, more than 0, or None; it is {seconds!r}"
            )
    for what, count, least in (("retries", policy.retries, 0), ("concurrency", policy.concurrency, 1)):
        if type(count) is not int and not (count is None and least):
            raise UsageError(f"tool {name}: {what} must be a whole number; it is {count!r}")
        if count is not None and count < least:
            raise UsageError(f"tool {name}: {what} must be {least} or more; it is {count}")
    _check_amounts(name, policy)
    if policy.error_field is not None and not (isinstance(policy.error_field, str) and policy.error_field):
        raise UsageError(f"tool {name}: error_field must be the name of a field; it is {policy.error_field!r}")
    if policy.isolate not in (None, "loop", "thread", "process"):
        raise UsageError(f"tool {name}: isolate {policy.isolate!r} is none of loop, thread, process")


def _check_amounts(name: str, policy: Policy) -> None:
    rate, cache = policy.rate, policy.cache
    if rate is not None and not (
        isinstance(rate, Rate) and type(rate.starts) is int and rate.starts > 0 and _is_time(rate.seconds)
    ):
        raise UsageError(f'tool {name}: rate must be such as "5/s", or Rate(5, 1.0); it is {rate!r}')
    if cache is not None and not (_is_time(cache.ttl) and type(cache.size) is int and cache.size > 0):
        raise UsageError(f"tool {name}: cache needs seconds of more than 0 and a size of 1 or more; it is {cache!r}")


def _is_time(value: object) -> bool:
    return _is_number(value) and 0 < cast("float", value) < math.inf


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
