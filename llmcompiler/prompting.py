"""Prompts of the compiler: strict templates, the tools as the planner sees them, examples with their plans.

A template names its slots as `{{slot}}`; a slot that nobody fills, and a text that no slot takes, are errors.
"""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from llmcompiler._resources import bundled
from llmcompiler.errors import PlanError, UsageError
from llmcompiler.passes.check import signature, type_text
from llmcompiler.passes.parse import read_plan
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.plan.plan import Plan
from llmcompiler.plan.tools import Effect
from llmcompiler.toolkit.registry import Registry

Example: TypeAlias = tuple[str, str]
Examples: TypeAlias = str | Sequence[tuple[str, str | Plan]] | None

_SLOT = re.compile(r"\{\{(\w+)\}\}")


def fill(template: str, **values: str) -> str:
    """Return the template with its slots filled. Raises `UsageError` for a slot without a value or a text without a slot."""
    slots = set(_SLOT.findall(template))
    unknown, unused = sorted(slots - set(values)), sorted(name for name in set(values) - slots if values[name])
    if unknown or unused:
        what = f"unknown slots {', '.join(unknown)}" if unknown else f"no slot for {', '.join(unused)}"
        raise UsageError(f"a template has {what}; its slots are {', '.join(f'{{{{{name}}}}}' for name in values)}")
    return _SLOT.sub(lambda slot: values[slot[1]], template).strip() + "\n"


def bundled_prompt(name: str) -> str:
    """Return a bundled template, such as `compiler/planner`."""
    return (bundled("prompts") / f"{name}.md").read_text(encoding="utf-8")


def planner_system(template: str | None, registry: Registry, examples: Iterable[Example], instructions: str) -> str:
    """Return the planner's system prompt, by a template or the bundled one. Raises `UsageError` as `fill` does."""
    return fill(
        template or bundled_prompt("compiler/planner"),
        tools=describe_tools(registry) or "(none)",
        instructions=instructions,
        examples=show_examples(list(examples)),
    )


def joiner_system(template: str | None, replan_rule: str, instructions: str) -> str:
    """Return the joiner's system prompt, by a template or the bundled one. Raises `UsageError` as `fill` does."""
    return fill(template or bundled_prompt("compiler/joiner"), replan_rule=replan_rule, instructions=instructions)


def describe_tools(registry: Registry) -> str:
    """Return one entry a tool: signature, description, and its effect where there is one."""
    return "\n".join(_describe(registry, name) for name in registry)


def _describe(registry: Registry, name: str) -> str:
    spec = registry[name].spec
    text = " ".join(spec.description.split())
    effect = f" [effect: {spec.effect}]" if spec.effect not in (Effect.READ, Effect.UNDECLARED) else ""
    gives = f" -> {_shape(spec.returns)}" if spec.returns is not None else ""
    lines = [f"- {signature(spec)}{gives}{': ' + text if text else ''}{effect}"]
    for key, schema in spec.properties.items():
        shape = _shape(schema)
        said = ", ".join(filter(None, ("" if shape == type_text(schema) else shape, _said(schema))))
        lines += [f"  {key}: {said}"] if said else []
    definitions = {**spec.parameters.get("$defs", {}), **(spec.returns or {}).get("$defs", {})}
    lines += [f"  {key}: {_shape(schema)}" for key, schema in definitions.items()]
    return "\n".join(lines)


def _shape(schema: object) -> str:
    """Return what data of a schema looks like, with the fields of objects; definitions by their names."""
    match schema:
        case {"properties": Mapping() as fields, **others}:
            required: Any = others.get("required", ())
            return f"{{{', '.join(_field(key, field, key in required) for key, field in fields.items())}}}"
        case {"items": items}:
            return f"list of {_shape(items)}"
        case {"anyOf": list(options)} | {"oneOf": list(options)}:
            return " or ".join(dict.fromkeys(map(_shape, options)))
    return type_text(schema)


def _field(key: str, schema: object, is_required: bool) -> str:
    notes = ", ".join(filter(None, ("" if is_required else "optional", _said(schema))))
    return f'"{key}": {_shape(schema)}{f" ({notes})" if notes else ""}'


def _said(schema: object) -> str:
    return " ".join(str(schema.get("description", "")).split()) if isinstance(schema, Mapping) else ""


def load_examples(examples: Examples) -> list[Example]:
    """Return (question, plan) pairs: given ones, or those of a file `prompts/examples/NAME.plan`."""
    if examples is None:
        return []
    if not isinstance(examples, str):
        return [_pair(example) for example in examples]
    return read_examples(bundled("prompts") / "examples" / f"{example_set(examples)}.plan")


def example_set(name: str) -> str:
    """Return the name of a bundled set of examples. Raises `UsageError` if there is none of that name."""
    names = sorted(found.stem for found in (bundled("prompts") / "examples").glob("*.plan"))
    if name not in names:
        raise UsageError(f"there are no examples named {name!r}; {did_you_mean(name, names)}")
    return name


def _pair(example: object) -> Example:
    match example:
        case (str(question), str() | Plan() as plan):
            return question, str(plan)
    raise UsageError(f"an example is a pair of a question and a plan, not {example!r}"[:300])


def read_examples(path: Path) -> list[Example]:
    """Return the pairs of an example file: blocks parted by `---`, each a `Question:` line and a plan."""
    pairs = []
    for block in path.read_text(encoding="utf-8").split("\n---\n"):
        head, _, plan = block.strip().partition("\n")
        pairs.append((head.removeprefix("Question:").strip(), plan.strip()))
    return pairs


def usable_examples(examples: Iterable[Example], registry: Registry, *, warn: bool) -> list[Example]:
    """Return the examples that are legal with these tools; leave out the others, with a warning each if `warn`."""
    usable = []
    for question, plan in examples:
        problem = example_problem(plan, registry)
        if problem is None:
            usable.append((question, plan))
        elif warn:
            said = f"example {question[:60]!r} is left out, since it is no plan for these tools: {str(problem)[:300]}"
            warnings.warn(said, stacklevel=4)
    return usable


def example_problem(plan: str, registry: Registry) -> PlanError | None:
    """Return why a plan is not legal with these tools, None if it is."""
    try:
        read_plan(plan, registry.checks())
    except PlanError as error:
        return error
    return None


def show_examples(examples: Sequence[Example]) -> str:
    """Return the examples as they stand in the prompt, or nothing."""
    if not examples:
        return ""
    return "\nExamples:\n\n" + "\n\n".join(f"Question: {question}\n{plan}" for question, plan in examples)
