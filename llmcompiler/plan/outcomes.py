"""Outcome: how a task ended, as frozen data. An error is a record, never a live exception."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmcompiler.plan.values import Json

ErrorKind: TypeAlias = Literal[
    "tool",  # the tool raised, exited, or cancelled itself
    "timeout",  # the attempt outlived its timeout
    "arguments",  # a value handed over does not fit the schema
    "missing_field",  # a ref's path leads nowhere in the value
    "value",  # the tool returned what cannot be JSON data, or what its declared schema forbids
    "crash",  # the tool's process died
    "plan",  # the task was diagnosed and never repaired
    "dropped",  # the plan was cut before its join, so the task was not started
]


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """What went wrong: `kind` is ours, `type` the exception's class name, `message` its text."""

    kind: ErrorKind
    type: str
    message: str

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The task returned `value`."""

    value: Json


@dataclass(frozen=True, slots=True)
class Failed:
    """The task did not give a value, for the reason in `error`."""

    error: ErrorRecord


@dataclass(frozen=True, slots=True)
class Skipped:
    """The task was never started because task `cause`, which it needs, did not succeed."""

    cause: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run ended before the task did."""


Outcome: TypeAlias = Succeeded | Failed | Skipped | Cancelled


def failed(kind: ErrorKind, type: str, message: str) -> Failed:
    """Return a `Failed` outcome."""
    return Failed(ErrorRecord(kind, type, message))
