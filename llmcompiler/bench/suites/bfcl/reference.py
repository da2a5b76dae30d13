"""The reference of a row: the expected calls, all of them independent, with the first acceptable value that fits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmcompiler.bench.suites.bfcl.functions import parameters_of
from llmcompiler.bench.suites.bfcl.rows import LEFT_OUT, Expected, Row
from llmcompiler.plan.printer import print_tasks
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Json, Value
from llmcompiler.toolkit.schema import validator_of


def reference_plan(row: Row) -> str:
    """Return the plan that an ideal planner writes for a row, up to its join."""
    return print_tasks(reference_tasks(row))


def reference_tasks(row: Row) -> list[Task]:
    """Return the expected calls as tasks, numbered from 1.

    What may be left out is left out, unless the function's document requires it.
    """
    calls = enumerate(row.expected, 1)
    return [Task(id, call.function, kwargs=dict(_arguments(call, row))) for id, call in calls]


def _arguments(call: Expected, row: Row) -> Iterator[tuple[str, Value]]:
    parameters = parameters_of(row.functions[call.function], row)
    for name, acceptable in call.arguments.items():
        if LEFT_OUT not in acceptable or name in parameters["required"]:
            examples = [_example(answer) for answer in acceptable if answer != LEFT_OUT] or [LEFT_OUT]
            yield name, _frozen(_chosen(examples, parameters["properties"][name]))


def _chosen(examples: Sequence[Json], schema: Mapping[str, Any]) -> Json:
    """Return the first of the acceptable values that the tool takes; the first of all if it takes none."""
    if len(examples) == 1:
        return examples[0]
    validator = validator_of(schema)
    return next((value for value in examples if validator.is_valid(value)), examples[0])


def _example(answer: Json) -> Json:
    """Return a value for an acceptable one: in a dict each key has a list of acceptable values of its own."""
    if isinstance(answer, list):
        return [_example(item) for item in answer]
    if isinstance(answer, dict):
        return {key: values[0] for key, values in answer.items() if isinstance(values, list) and LEFT_OUT not in values}
    return answer


def _frozen(value: Json) -> Value:
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
