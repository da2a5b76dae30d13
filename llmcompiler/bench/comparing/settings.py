"""What was fixed before any strategy was compared: how fast models and tools are, and what tokens cost.

A change here makes new figures incomparable with old ones; it belongs into a commit of its own, with its reason.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from types import MappingProxyType

from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.testing.server import Timing


@dataclass(frozen=True, slots=True)
class Profile:
    """How fast a model is; `resembles` says which setting."""

    name: str
    timing: Timing
    resembles: str


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile(
                "hosted_slow", Timing(0.8, 0.03), "a large hosted model of late 2023, as in the paper: 33 tokens/s"
            ),
            Profile("hosted_fast", Timing(0.3, 0.01), "a small hosted model of today: 100 tokens/s"),
            Profile("local", Timing(0.06, 0.025, 0.0005), "a model on one GPU: 40 tokens/s, reads 2,000 tokens/s"),
        )
    }
)
DEFAULT_PROFILE = "hosted_fast"


def profile_of(name: str) -> Profile:
    """Return a profile. Raises `UsageError` with the nearest names."""
    if name not in PROFILES:
        raise UsageError(f"there is no profile {name!r}; {did_you_mean(name, list(PROFILES))}")
    return PROFILES[name]


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens, by the provider's list; cached input is counted as input."""

    input: float
    output: float

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """Return the dollars for so many tokens."""
        return (self.input * input_tokens + self.output * output_tokens) / 1e6


PRICES: Mapping[str, Price] = MappingProxyType(
    {
        "gpt-4.1": Price(2.0, 8.0),
        "gpt-4.1-mini": Price(0.4, 1.6),
        "gpt-4.1-nano": Price(0.1, 0.4),
        "gpt-4o": Price(2.5, 10.0),
        "gpt-4o-mini": Price(0.15, 0.6),
        "gpt-4-turbo-1106": Price(10.0, 30.0),  # the paper's models, at the prices of 2023
        "gpt-4-0613": Price(30.0, 60.0),
        "gpt-3.5-turbo-1106": Price(1.0, 2.0),
    }
)
ORACLE_PRICE = "gpt-4.1-mini"  # what an oracle's tokens are priced as

SPREAD = (
    0.5  # sigma of the lognormal tool times: the slowest of eight takes about 1.8 x the mean, as the paper's searches
)


def price_of(model: str | None) -> Price | None:
    """Return the price of a model told as `openai:NAME`, at a URL or not, of the oracle for None; None if unlisted."""
    if model is None:
        return PRICES[ORACLE_PRICE]
    return PRICES.get(model.partition(" ")[0].rpartition(":")[2])


def tool_seconds(mean: float, call: str) -> float:
    """Return how long a call takes: lognormal around `mean` seconds, the same for the same call wherever it is made."""
    place = (int.from_bytes(hashlib.sha256(call.encode()).digest()[:8], "big") + 0.5) / 2**64
    return mean * math.exp(SPREAD * NormalDist().inv_cdf(place) - SPREAD**2 / 2)
