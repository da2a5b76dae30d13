"""Every error that leaves this package, by whose fault it is.

LLMCompilerError
├── UsageError             the caller: wrong option, wrong tool definition; also a ValueError
│   ├── ConfigError        a configuration file with mistakes (`.problems`, each with its place)
│   └── SessionEnded       an interrupt that came after the end of its session
├── PlanError              the model: a plan with diagnostics (`.diagnostics`, `.text`)
│   └── NotAPlan           nothing readable at all, even after one repair
├── JoinError              the model: a joiner reply without a readable action (`.text`)
├── ModelError             the model's server (`.status`, `.retry_after`)
│   ├── ModelTimeout       connect, first token, idle or total deadline (`.which`)
│   ├── ModelUnavailable   connection refused or lost, 429, 5xx: worth another try
│   ├── StreamCut          the stream ended before it said it was finished (`.text` came)
│   ├── AuthenticationFailed, ContextTooLong, BadModelRequest
├── LimitReached           a limit of the run (`.limit`)
├── NoProgress             a replan that adds nothing new, a model that repeats itself
├── RunFailed              a run without an answer (`.result`; `__cause__` says why)
└── InternalError          us: please report
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmcompiler.config.documents import Problem
    from llmcompiler.plan.diagnostics import Diagnostic
    from llmcompiler.strategies.result import RunResult


class LLMCompilerError(Exception):
    """The base of every error of this package."""


class UsageError(LLMCompilerError, ValueError):
    """The caller asked for something that cannot be."""


class ConfigError(UsageError):
    """A configuration file cannot be used; `problems` holds everything that is wrong with it."""

    def __init__(self, message: str, *, problems: Sequence["Problem"] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class SessionEnded(UsageError):
    """An interrupt came too late: its session has ended, so nobody would read it. From outside this cannot be foreseen."""


class PlanError(LLMCompilerError):
    """A plan cannot be taken as it is; `diagnostics` holds everything that is wrong with `text`."""

    def __init__(self, message: str, *, diagnostics: Sequence["Diagnostic"] = (), text: str = "") -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)
        self.text = text


class NotAPlan(PlanError):
    """The planner's text holds no task and no join; `text` is what it said."""


class JoinError(LLMCompilerError):
    """The joiner's reply holds no readable action; `text` is what it said."""

    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class ModelError(LLMCompilerError):
    """A request to the model failed. `status` is the HTTP status, None where there was none.

    `retry_after` is what the server asks for, in seconds. `retried` says that the model's own client has tried again
    already, so nobody else does.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.retried = False


class ModelTimeout(ModelError):
    """A deadline of a model request passed: `which` is connect, first token, idle or total."""

    def __init__(self, message: str, *, which: str) -> None:
        super().__init__(message)
        self.which = which


class ModelUnavailable(ModelError):
    """The server could not be reached, is overloaded or failed."""


class StreamCut(ModelError):
    """The stream broke off; `text` came before."""

    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class AuthenticationFailed(ModelError):
    """The server refused the key."""


class ContextTooLong(ModelError):
    """The prompt is longer than the model can read."""


class BadModelRequest(ModelError):
    """The server refused the request itself."""


class LimitReached(LLMCompilerError):
    """A limit of the run was reached; `limit` names it."""

    def __init__(self, message: str, *, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class NoProgress(LLMCompilerError):
    """A further plan or call added nothing new, so another one would not either."""


class RunFailed(LLMCompilerError):
    """The run ended without an answer. `result` holds what was done; `__cause__` is the reason."""

    def __init__(self, message: str, *, result: "RunResult") -> None:
        super().__init__(message)
        self.result = result


class InternalError(LLMCompilerError):
    """A rule that this package keeps was broken inside it. Please report it with the text of this error."""
