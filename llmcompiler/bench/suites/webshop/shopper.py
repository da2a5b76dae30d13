"""What an ideal shopper knows: the instruction, and whatever pages stand in the request. It never sees the goal.

A result is shown to models as one line of JSON (`joiner.describe`), behind an arrow or `Observation:`, or in a message of
its own; the kind of page is told by its keys.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from llmcompiler.bench.suites.webshop.goals import Wish

_LINE = re.compile(r"^(?:   ->|Observation:) (?P<said>.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a request shows: items that searches found, pages of items that were viewed, what was bought, what failed.

    results: how many there are of any kind. has_tried: whether something was to be bought, with success or without.
    """

    results: int
    found: tuple[str, ...]
    pages: int  # of what searches found
    viewed: Mapping[str, Mapping[str, Any]]
    has_tried: bool
    bought: Mapping[str, Any] | None
    failures: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what the results in a text say."""
        return cls._of([found["said"] for found in _LINE.finditer(text)], has_tried="buy(" in text)

    @classmethod
    def in_messages(cls, messages: Sequence[Mapping[str, Any]]) -> Self:
        """Return what the results of native calls say."""
        made = [call["function"]["name"] for message in messages for call in message.get("tool_calls") or ()]
        said = [message["content"] for message in messages if message["role"] == "tool"]
        return cls._of(said, has_tried="buy" in made)

    @classmethod
    def _of(cls, said: Sequence[str], *, has_tried: bool) -> Self:
        failures = tuple(line for line in said if not line.startswith("{"))
        pages = [json.loads(line) for line in said if line.startswith("{")]
        lists = [page["results"] for page in pages if "results" in page]
        return cls(
            results=len(said),
            found=tuple(dict.fromkeys(result["item"] for results in lists for result in results)),
            pages=len(lists),
            viewed={page["item"]: page for page in pages if "item" in page},
            has_tried=has_tried,
            bought=next((page for page in pages if "bought" in page), None),
            failures=failures,
        )

    def best(self, wish: Wish) -> Mapping[str, Any]:
        """Return the page of the viewed item that fulfils most of a wish, the earlier one of equals."""
        return max(self.viewed.values(), key=lambda page: fulfilled(page, wish))

    def is_found(self, wish: Wish) -> bool:
        """Return whether an item that fulfils all of a wish was viewed."""
        whole = len(wish.attributes) + len(wish.options) + 2
        return any(fulfilled(page, wish) == whole for page in self.viewed.values())


def fulfilled(page: Mapping[str, Any], wish: Wish) -> int:
    """Return how much of a wish an item fulfils, as its page says: type, price, attributes and options each count one."""
    text = "\n".join((page["title"], *page["features"], page["description"])).lower()
    named = sum(name in text for name in (wish.type, *wish.attributes))
    return named + int(page["price"] <= wish.price) + len(choice(page, wish))


def choice(page: Mapping[str, Any], wish: Wish) -> dict[str, str]:
    """Return the wanted options as far as an item has them."""
    return {name: value for name, value in wish.options.items() if value in page["options"].get(name, ())}


def keywords(wish: Wish) -> str:
    """Return what to search for."""
    return " ".join((wish.type, *wish.attributes))


def purchase(page: Mapping[str, Any], wish: Wish) -> str:
    """Return the call that buys an item."""
    return f"buy({json.dumps(page['item'])}, {json.dumps(choice(page, wish))})"


def report(seen: Seen) -> str:
    """Return the answer for the customer: what was bought, or why nothing was."""
    if seen.bought is None:
        return f"Nothing was bought: {'; '.join(seen.failures) or 'no item was found'}"
    return f"Bought {seen.bought['title']} ({seen.bought['bought']})"
