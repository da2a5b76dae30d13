"""Ideal models for the shop: one writes plans and joins them, the other acts one step after another.

    compiler     search and LOOKS views, planned at once ─▶ replan ─▶ buy the best ─▶ answer: four requests
    sequential   search ─▶ view ─▶ view ... ─▶ buy the best ─▶ answer: a request each

Neither holds anything of a case: what to want and what there is they read in the request.
"""

from dataclasses import dataclass

from llmcompiler.bench.serving import is_planner
from llmcompiler.bench.suites.webshop.goals import Wish
from llmcompiler.bench.suites.webshop.shopper import Seen, keywords, purchase, report
from llmcompiler.testing.server import ChatRequest, Reply

LOOKS = 5  # items that are looked at before one is bought
ROLLOUTS = 30  # of the tree search, as many as LATS makes (arXiv 2310.04406)


@dataclass(frozen=True, slots=True)
class Planning:
    """Plays planner and joiner: looks at the first `looks` results at once, then buys the best of them."""

    looks: int = LOOKS

    def reply(self, request: ChatRequest) -> Reply:
        """Return a plan to a planner, a decision to a joiner. Raises `LookupError` without an instruction."""
        wish, seen = Wish.read(request.last_user), Seen.read(request.last_user)
        return Reply(self._plan(wish, seen) if is_planner(request) else _decision(seen))

    def _plan(self, wish: Wish, seen: Seen) -> str:
        if seen.viewed:
            calls = [purchase(seen.best(wish), wish)]
        else:
            views = [f"view(${{1.results[{at}].item}})" for at in range(self.looks)]
            calls = [f'search("{keywords(wish)}")', *views]
        return "\n".join(f"{id}. {call}" for id, call in enumerate([*calls, "join()"], seen.results + 1))


def _decision(seen: Seen) -> str:
    if seen.viewed and not seen.has_tried:
        return "Thought: the items were looked at, none is bought yet.\nAction: Replan(buy the item that fits best)"
    return f"Action: Finish({report(seen)})"


@dataclass(frozen=True, slots=True)
class Stepping:
    """Plays ReAct: looks at up to `looks` results one after another, then buys the best.

    until_found: whether the first item that fulfils the whole wish ends the looking.
    """

    looks: int = LOOKS
    until_found: bool = True

    def reply(self, request: ChatRequest) -> Reply:
        """Return the next thought and action. Raises `LookupError` without an instruction."""
        wish, seen = Wish.read(request.last_user), Seen.read(request.last_user)
        thought, action = self._next(wish, seen)
        return Reply(f"Thought: {thought}\nAction: {action}")

    def _next(self, wish: Wish, seen: Seen) -> tuple[str, str]:
        is_enough = bool(seen.failures) or (self.until_found and seen.is_found(wish))
        if not seen.has_tried and not is_enough and len(seen.viewed) < self.looks:
            unseen = [item for item in seen.found if item not in seen.viewed]
            if unseen:
                return "this one may have what is wanted, so I look at it.", f'view("{unseen[0]}")'
            page = f", {seen.pages + 1}" if seen.pages else ""
            return "I search for what is wanted.", f'search("{keywords(wish)}"{page})'
        if seen.viewed and not seen.has_tried:
            return "of those I have seen this one fits best.", purchase(seen.best(wish), wish)
        return "the shopping is over.", f"Finish({report(seen)})"


ORACLES: dict[str, Planning | Stepping] = {
    "compiler": Planning(),
    "compiler_batch": Planning(),
    "react": Stepping(),
    "react_careful": Stepping(),
    "react_flawed": Stepping(looks=1),
    "tree_search": Stepping(looks=ROLLOUTS, until_found=False),
}
