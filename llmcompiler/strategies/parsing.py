"""parse_plan: the public reading of a whole plan text."""

from collections.abc import Iterable

from llmcompiler.errors import UsageError
from llmcompiler.passes.parse import read_plan
from llmcompiler.plan.plan import Plan
from llmcompiler.toolkit.registry import Registry, registry_of


def parse_plan(text: str, *, tools: Registry | Iterable[object] | None = None, known: Iterable[int] = ()) -> Plan:
    """Return the plan in `text`; with tools, arguments are bound to names and checked against their schemas.

    `known` are ids of earlier tasks that refs may name. Raises `NotAPlan` if nothing is readable and `PlanError`, with
    all diagnostics, if anything is wrong. A text without a join gives a plan that is not `complete`.
    """
    if not isinstance(text, str):
        raise UsageError(f"a plan is text, not {type(text).__name__}")
    return read_plan(text, None if tools is None else registry_of(tools).checks(), known)
