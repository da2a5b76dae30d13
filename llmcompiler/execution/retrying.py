"""Waits between attempts, by tenacity's strategies. The timer belongs to whoever retries; nothing sleeps here."""

from tenacity import RetryCallState, wait_exponential, wait_random
from tenacity.wait import wait_base

TOOL_WAIT: wait_base = wait_exponential(multiplier=0.25, max=30) + wait_random(0, 0.25)
MODEL_WAIT: wait_base = wait_exponential(multiplier=0.5, max=20) + wait_random(0, 0.25)


def seconds_before_next(wait: wait_base, attempt: int, error: BaseException) -> float:
    """Return how long to wait after attempt number `attempt` (from 1) has failed with `error`."""
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = attempt
    state.set_exception((type(error), error, None))
    return max(0.0, float(wait(state)))
