"""What a refused HTTP request means, whichever client of the model's server made it."""

import email.utils
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from llmcompiler.errors import AuthenticationFailed, BadModelRequest, ContextTooLong, ModelError, ModelUnavailable

_MAX_SAID = 500


def refused(where: str, status: int, error: Exception) -> ModelError:
    """Return the typed error for an HTTP status; `error` is the client's, with `body` and `response` where it has them."""
    body = getattr(error, "body", None)
    message = f"{where}: HTTP {status}: {_said(body, error)}"
    if status in (401, 403):
        return AuthenticationFailed(message, status=status)
    if status == 413 or "context_length" in str(body) or "maximum context length" in str(body):
        return ContextTooLong(message, status=status)
    if status in (408, 409, 429) or status >= 500:
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        return ModelUnavailable(message, status=status, retry_after=_retry_after(headers))
    return BadModelRequest(message, status=status)


def _said(body: Any, error: Exception) -> str:
    said = body.get("message") if isinstance(body, Mapping) else None
    return str(said or error)[:_MAX_SAID]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as a number or as a date."""
    said = headers.get("retry-after", "").strip()
    if not said:
        return None
    with suppress(ValueError):
        return max(0.0, float(said))
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    return None
