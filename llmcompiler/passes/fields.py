"""Fields: refs to a part of a result that the tool says it never returns.

Only what is plainly not there is diagnosed: a field of what is no object, an index of what is no list, a name that a closed
object lacks. An open object may have any field.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from llmcompiler.plan.diagnostics import Diagnostic, Span, did_you_mean
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.tools import ToolSpec
from llmcompiler.plan.values import Ref, path_text, refs

_UNIONS = frozenset({"anyOf", "oneOf", "allOf", "not", "if", "$dynamicRef", "patternProperties", "propertyNames"})


def unknown_fields(task: Task, given: int, producer: ToolSpec, span: Span) -> Iterator[Diagnostic]:
    """Yield an error for each ref of `task` to a part of task `given` that its tool cannot return."""
    if producer.returns is None:
        return
    for ref in (ref for value in task.values() for ref in refs(value) if ref.id == given and ref.path):
        found = _lacking(ref, producer.returns)
        if found is not None:
            said, remedy = found
            yield Diagnostic("unknown_field", f"{ref}: {said}", span, remedy, task_id=task.id)


def _lacking(ref: Ref, root: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what is wrong and a remedy, or None if the path may lead somewhere."""
    schema: Any = root
    for count, step in enumerate(ref.path):
        schema = _resolved(schema, root)
        if not isinstance(schema, Mapping) or schema.keys() & _UNIONS:
            return None
        place = f"${ref.id}{path_text(ref.path[:count])}"
        wanted = "object" if isinstance(step, str) else "array"
        kinds = _kinds(schema)
        if kinds and wanted not in kinds:
            has = "fields" if wanted == "object" else "items by number"
            return f"{place} is of type {' or '.join(kinds)}, which has no {has}", f"use {place}"
        if isinstance(step, int):
            schema = None if "prefixItems" in schema else schema.get("items")
        elif step in schema.get("properties", {}):
            schema = schema["properties"][step]
        elif schema.get("additionalProperties", True) is False:
            names = list(schema.get("properties", {}))
            return f"{place} never has a field {step!r}", did_you_mean(step, names)
        else:
            schema = schema.get("additionalProperties", True)
    return None


def _resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    for _ in range(10):  # a definition may lead to another one, or back to itself
        ref = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(ref, str):
            return schema
        schema = root.get("$defs", {}).get(ref.removeprefix("#/$defs/"))
    return None


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)
