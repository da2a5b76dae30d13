"""What `llmcompiler check` tells of a configuration, as rows of text and as JSON data."""

from collections import Counter
from collections.abc import Iterator
from textwrap import shorten
from typing import Any

from llmcompiler.config.config import Config, ModelChoice
from llmcompiler.config.documents import Problem
from llmcompiler.config.loading import Inspection, ToolFound
from llmcompiler.config.schema import ConfigSection
from llmcompiler.models.provider import is_local
from llmcompiler.passes.check import signature
from llmcompiler.plan.tools import Effect, Policy
from llmcompiler.toolkit.tool import Tool

_PLAIN = Policy()


def verdict(found: Inspection) -> str:
    """Return in a few words what is wrong."""
    kinds = Counter(problem.kind for problem in found.problems)
    texts = {"mistake": "mistake{}", "not_allowed": "tool{} from code that is not allowed"}
    parts = [
        f"{kinds[kind]} {text.format('s' if kinds[kind] > 1 else '')}" for kind, text in texts.items() if kinds[kind]
    ]
    return ", ".join(parts) or "no mistakes"


def settings(config: Config) -> Iterator[tuple[str, str]]:
    """Yield what a file says beside its tools, as (key, text)."""
    if config.model is not None:
        yield "model", _model_text(config.model)
    yield "strategy", config.strategy
    for name, value in config.own.items():
        if value != ConfigSection.model_fields[name].default:
            yield name, _option_text(value)
    named = ("parallel_tasks", "tasks", "replans", "seconds", "tokens")
    limits = {name: getattr(config.limits, name) for name in named}
    yield "limits", ", ".join(f"{name} {_short(limit)}" for name, limit in limits.items() if limit is not None)


def _option_text(value: object) -> str:
    match value:
        case ModelChoice():
            return _model_text(value)
        case tuple():
            return f"{len(value)} of its own"
        case bool():
            return str(value).lower()
        case str():
            return shorten(value, 60, placeholder=" …")
    return str(value)


def _model_text(choice: ModelChoice) -> str:
    parts = [choice.name, *(f"{name} {_short(value)}" for name, value in choice.options.items())]
    if is_local(choice.name):
        return f"{', '.join(parts)}; in this process"
    if choice.base_url:
        parts.append(f"at {choice.base_url}")
    key = choice.api_key_env or ("" if choice.base_url else "OPENAI_API_KEY")
    return f"{', '.join(parts)}; {f'its key is in {key}' if key else 'no key is sent'}"


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def tool_row(tool: Tool[..., Any]) -> tuple[str, str, str]:
    """Return a tool's signature, its effect, and what of its policy is not the default."""
    return signature(tool.spec), str(tool.spec.effect), ", ".join(_policy(tool))


def _policy(tool: Tool[..., Any]) -> Iterator[str]:
    policy = tool.spec.policy
    yield tool.tier
    if policy.timeout != _PLAIN.timeout:
        yield "no timeout" if policy.timeout is None else f"timeout {policy.timeout:g} s"
    if policy.retries:
        yield f"retries {policy.retries}"
    if policy.rate:
        yield f"rate {policy.rate}"
    if policy.concurrency:
        yield f"concurrency {policy.concurrency}"
    if policy.expected:
        yield f"expected {policy.expected:g} s"
    if policy.cache:
        yield f"cache {policy.cache.ttl:g} s"


def undeclared(found: Inspection) -> list[str]:
    """Return the names of the tools whose effect nobody has declared."""
    tools = [entry.tool for entry in found.tools if entry.tool is not None]
    return [tool.spec.name for tool in tools if tool.spec.effect is Effect.UNDECLARED]


def as_json(found: Inspection) -> dict[str, Any]:
    """Return an inspection as JSON data."""
    return {
        "file": str(found.path),
        "problems": [_problem(problem) for problem in found.problems],
        "notes": [_problem(note) for note in found.notes],
        "settings": {} if found.config is None else dict(settings(found.config)),
        "tools": [_tool(entry) for entry in found.tools],
        "undeclared": undeclared(found),
    }


def _problem(problem: Problem) -> dict[str, Any]:
    line, column = problem.place
    return {"line": line, "column": column, "kind": problem.kind, "message": problem.message}


def _tool(entry: ToolFound) -> dict[str, Any]:
    said = {"use": entry.use, "line": entry.place.line}
    if entry.tool is None:
        return said
    return said | dict(zip(("signature", "effect", "policy"), tool_row(entry.tool), strict=True))
