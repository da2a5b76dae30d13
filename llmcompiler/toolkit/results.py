"""Results against what a tool declares of them: the JSON schema of its values, and the field in which it reports errors."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import PydanticUserError, TypeAdapter

from llmcompiler.errors import UsageError
from llmcompiler.plan.outcomes import Failed, Succeeded, failed
from llmcompiler.plan.showing import shown
from llmcompiler.plan.tools import ToolSpec
from llmcompiler.plan.values import Json, path_text
from llmcompiler.toolkit.schema import any_schema_problem, said, validator_of
from llmcompiler.toolkit.shapes import shape_check

MAX_SHOWN = 2_000


class ResultRule:
    """What the results of one tool must be."""

    def __init__(self, schema: Mapping[str, Any] | None, error_field: str | None) -> None:
        self._schema, self._error_field = schema, error_field
        self._fits = shape_check(schema)

    @cached_property
    def _validator(self) -> Any:
        return validator_of(self._schema or {})

    def judge(self, value: Json) -> Succeeded | Failed:
        """Return how an attempt that gave `value` ended: an error that it reports, a misfit, or success."""
        if self._error_field is not None and isinstance(value, dict):
            reported = value.get(self._error_field)
            if reported:  # null, false, 0 and what is empty report nothing
                return failed("tool", "ReportedError", _text(reported))
        try:
            problem = self._problem(value)
        except Exception as error:  # noqa: BLE001  # the schema is the user's: endless, or with a pattern that is none
            problem = f"the schema of its results cannot be applied: {type(error).__name__}: {error}"[:MAX_SHOWN]
        return failed("value", "WrongResult", problem) if problem else Succeeded(value)

    def _problem(self, value: Json) -> str:
        if self._schema is None or (self._fits is not None and self._fits(value)):
            return ""
        error = next(self._validator.iter_errors(value), None)
        if error is None:
            return ""
        place = f"${path_text(tuple(error.absolute_path))}"
        if error.validator == "required":
            missing = next(name for name in error.validator_value if name not in error.instance)
            return f"{place} lacks the field {missing!r} that the tool says it returns"
        return f"{place}: {said(error)}"


def _text(reported: Json) -> str:
    return shown(reported, MAX_SHOWN) if not isinstance(reported, str) or len(reported) > MAX_SHOWN else reported


def rule_of(spec: ToolSpec) -> ResultRule | None:
    """Return the rule for the results of a tool, None if it declares nothing."""
    if spec.returns is None and spec.policy.error_field is None:
        return None
    return ResultRule(spec.returns, spec.policy.error_field)


def returned_schema(returns: Any, name: str) -> Mapping[str, Any] | None:
    """Return the JSON schema that `returns` stands for: a schema, a type, None for none. Raises `UsageError`."""
    if returns is None:
        return None
    if isinstance(returns, Mapping):
        problem = any_schema_problem(returns)
        if problem:
            raise UsageError(f"tool {name}: returns is no JSON schema: {problem}")
        return returns
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(returns)
        return adapter.json_schema()
    except (PydanticUserError, NameError, TypeError) as error:
        text = str(error).partition("\n")[0]
        raise UsageError(
            f"tool {name}: returns={returns!r} is no type that JSON schema can describe: {text}"
        ) from error
