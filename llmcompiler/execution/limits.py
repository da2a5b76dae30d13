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
        for name, least in (("parallel_tasks", 1), ("tasks", 1), ("replans", 0), ("tokens", 1)):
            value = getattr(self, name)
            if not (type(value) is int and value >= least) and not (value is None and name == "tokens"):
                raise UsageError(f"limit {name}={value!r} must be a whole number of at least {least}")
        seconds = self.seconds
        if seconds is not None and not (type(seconds) in (int, float) and seconds > 0):
            raise UsageError(f"limit seconds={seconds!r} must be a number of more than 0, or None")
