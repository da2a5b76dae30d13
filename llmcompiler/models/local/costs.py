"""What it costs to read a context once more, as measured. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class PrefillCost:
    """Estimates the seconds of a prefill from the longest one that was measured.

    The cost of n tokens grows faster than n and at most with its square. Of these two the dearer one is taken, so that the
    estimate errs on the side of keeping a cache.
    """

    tokens: int = 0
    seconds: float = 0.0

    def measured(self, tokens: int, seconds: float) -> None:
        """Take a prefill from nothing into account."""
        if tokens >= self.tokens:
            self.tokens, self.seconds = tokens, seconds

    def of(self, tokens: int) -> float | None:
        """Return the estimated seconds for so many tokens, None before anything was measured."""
        if not self.tokens:
            return None
        ratio = tokens / self.tokens
        return self.seconds * max(ratio, ratio * ratio)
