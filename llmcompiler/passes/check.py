"""The check of one task against its tool: the tool exists, the arguments bind, the literals fit the schema."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from llmcompiler.plan.diagnostics import Diagnostic, Span, did_you_mean
from llmcompiler.plan.parser import TaskRead
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.tools import Problem, Tools, ToolSpec
from llmcompiler.plan.values import Ref, Text, Value

_AMOUNT = re.compile(r" (?:thousand|million|billion|trillion)\b|[.,]\d")


def check_task(read: TaskRead, tools: Tools) -> tuple[Task, list[Diagnostic]]:
    """Return the task with all its arguments bound to names, and what is wrong with it."""
    task = read.task
    spec = tools.specs.get(task.tool)
    if spec is None:
        remedy = did_you_mean(task.tool, list(tools.specs))
        return task, [_error("unknown_tool", f"there is no tool {task.tool!r}", _name_span(read), remedy, task.id)]
    if not task.args and not task.kwargs and not spec.required:
        return task, []
    kwargs, spans, wrong = _bind(read, spec)
    if not wrong:
        wrong = [_problem(problem, spans, read, spec) for problem in tools.check(task.tool, kwargs)]
    return (replace(task, args=(), kwargs=kwargs) if task.args else task), wrong


def _bind(read: TaskRead, spec: ToolSpec) -> tuple[Mapping[str, Value], dict[str, Span], list[Diagnostic]]:
    task, names = read.task, list(spec.properties)
    wrong: list[Diagnostic] = []
    kwargs: dict[str, Value] = dict(zip(names, task.args, strict=False))
    spans = dict(zip(names, read.arg_spans, strict=False))
    if len(task.args) > len(names):
        said = f"{task.tool} takes {len(names)} arguments, {len(task.args)} are given"
        wrong.append(_error("too_many_arguments", said, read.arg_spans[len(names)], signature(spec), task.id))
    for name, span in read.kwarg_spans:
        if name in kwargs:
            said = f"argument {name!r} is given by position and by keyword"
            wrong.append(_error("repeated_argument", said, span, signature(spec), task.id))
        elif name not in spec.properties and not spec.is_open:
            said = f"{task.tool} has no argument {name!r}"
            wrong.append(_error("unknown_argument", said, span, did_you_mean(name, names), task.id))
        kwargs[name], spans[name] = task.kwargs[name], span
    for name in spec.required:
        if name not in kwargs:
            said = f"{task.tool} needs the argument {name!r}"
            wrong.append(_error("missing_argument", said, read.span, signature(spec), task.id))
    return kwargs, spans, wrong


def text_references(task: Task, span: Span) -> list[Diagnostic]:
    """Return a lint note for each ref in a string that reads like an amount of money, as `$1 million` does."""
    notes = []
    for text in (text for value in task.values() for text in _texts(value)):
        for part, after in pairwise(text.parts):
            if isinstance(part, Ref) and part.literal == f"${part.id}" and _AMOUNT.match(str(after)):
                said = f"'{part}' looks like money but is the outcome of task {part.id}; write $$ for a dollar sign"
                notes.append(Diagnostic("text_reference", said, span, severity="note", task_id=task.id))
    return notes


def _texts(value: Value) -> Iterator[Text]:
    match value:
        case Text():
            yield value
        case tuple():
            yield from (text for item in value for text in _texts(item))
        case Mapping():
            yield from (text for item in value.values() for text in _texts(item))


def _problem(problem: Problem, spans: Mapping[str, Span], read: TaskRead, spec: ToolSpec) -> Diagnostic:
    span = spans.get(problem.parameter or "", read.span)
    where = f"argument {problem.parameter!r}: " if problem.parameter else ""
    return _error("wrong_type", f"{where}{problem.message}", span, signature(spec), read.task.id)


def _error(code: str, message: str, span: Span, remedy: str, task_id: int) -> Diagnostic:
    return Diagnostic(code, message, span, remedy, task_id=task_id)


def _name_span(read: TaskRead) -> Span:
    return Span(read.span.start, min(read.span.end, read.span.start + len(f"{read.task.id}. {read.task.tool}")))


def signature(spec: ToolSpec) -> str:
    """Return `name(parameter: type, other: type = default)`, as the planner prompt shows it."""
    return f"{spec.name}({', '.join(_parameter(spec, name) for name in spec.properties)})"


def _parameter(spec: ToolSpec, name: str) -> str:
    schema = spec.properties[name]
    text = f"{name}: {type_text(schema)}"
    if name in spec.required:
        return text
    has_default = isinstance(schema, Mapping) and "default" in schema
    return f"{text} = {_literal(schema['default'])}" if has_default else f"{text} (optional)"


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def type_text(schema: object) -> str:
    """Return a short name for a JSON schema: `string`, `list of number`, `"a" or "b"`, `any`."""
    if not isinstance(schema, Mapping):
        return "any"
    if "enum" in schema:
        return " or ".join(_literal(choice) for choice in schema["enum"])
    if "const" in schema:
        return _literal(schema["const"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(type_text(option) for option in schema[union]))
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(map(str, kind))
    if kind == "array" and "items" in schema:
        return f"list of {type_text(schema['items'])}"
    return {"array": "list"}.get(kind, str(kind))
