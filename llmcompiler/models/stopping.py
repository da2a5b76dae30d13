"""Stop strings, kept here for models that do not keep them themselves. Pure."""

from collections.abc import Sequence


class StopStrings:
    """Reads a reply up to the first of its stop strings, however it is cut into pieces.

    `has_stopped` says that one has come: what follows is no longer read. `held` is what may be the beginning of one.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.has_stopped = False
        self.held = ""
        self._stops = tuple(stop for stop in stops if stop)

    def feed(self, text: str) -> str:
        """Return what can no longer belong to a stop string."""
        text = self.held + text
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.has_stopped, self.held = True, ""
            return text[: min(places)]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self.held = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a stop string."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
