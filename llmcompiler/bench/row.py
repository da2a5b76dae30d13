"""Row: one figure or a few that belong together, with what they are held against."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, TypeAlias

Source: TypeAlias = Literal["measured", "computed", "cited"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of measurements.

    what: how it was measured, in a sentence. figures: by name (`median`, `worst`, ...), all in `unit`; the first one is
    held against `limit`. bound: the least possible, or what the same run measured as a yardstick, in `unit`. limit: the
    most that is good enough, or the least if `at_least`; None: nothing is asked. source: `measured` here and now,
    `computed` by a model of the thing, or `cited` from what others have published.
    """

    name: str
    what: str
    figures: Mapping[str, float]
    unit: str
    bound: float | None = None
    limit: float | None = None
    at_least: bool = False
    source: Source = "measured"

    @property
    def figure(self) -> float:
        """Return the figure that counts."""
        return next(iter(self.figures.values()))

    @property
    def ratio(self) -> float | None:
        """Return the figure over the bound."""
        return self.figure / self.bound if self.bound else None

    @property
    def is_ok(self) -> bool | None:
        """Return whether the figure is within the limit; None if there is no limit."""
        if self.limit is None:
            return None
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "figures": dict(self.figures), "ratio": self.ratio, "is_ok": self.is_ok}


def spread(values: Sequence[float]) -> Mapping[str, float]:
    """Return the figures of a wall: what it usually is, and at worst."""
    return {"median": median(values), "worst": max(values)}


def costs(values: Sequence[float]) -> Mapping[str, float]:
    """Return the figures of a cost: the least of several, since others on the machine can only add to it, and the usual."""
    return {"least": min(values), "median": median(values)}


def fewer(runs: int) -> int:
    """Return how often a slow measure runs, of the runs that were asked for: a third of them."""
    return max(1, runs // 3)


Measure: TypeAlias = Callable[[int], list[Row]]  # takes the number of counted runs that was asked for


def cited(name: str, figures: Mapping[str, float], unit: str) -> Row:
    """Return a row of what others have published; `name` says who, and about what."""
    return Row(name, "published by others, not measured here", figures, unit, source="cited")
