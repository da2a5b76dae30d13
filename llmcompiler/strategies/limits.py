"""Limits of a run."""

from dataclasses import dataclass

from llmcompiler.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use. None means no limit.

    parallel_tasks: tasks at once. tasks: tasks in all plans. replans: further plans after the first. seconds: the whole
    run; a best answer may take a little longer. tokens: input and output, as far as the provider says them.
    Raises `UsageError` for values that allow nothing.
    """

    parallel_tasks: int = 32
    tasks: int = 200
    replans: int = 2
    seconds: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("parallel_tasks", 1), ("tasks", 1), ("replans", 0), ("seconds", 0), ("tokens", 1)):
            value = getattr(self, name)
            if value is None and name in ("seconds", "tokens"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value < least:
                raise UsageError(f"limit {name}={value!r} must be a number of at least {least}")
