"""The suite `webshop`: instructions to buy something, the tools of the shop, and WebShop's reward as the score."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from llmcompiler.bench.suites.suite import Case, Oracle
from llmcompiler.bench.suites.webshop.goals import Goal, make_goals, read_label
from llmcompiler.bench.suites.webshop.oracles import ORACLES
from llmcompiler.bench.suites.webshop.products import generate
from llmcompiler.bench.suites.webshop.reward import reward
from llmcompiler.bench.suites.webshop.shop import ItemPage, Purchase, ResultPage, the_shop
from llmcompiler.errors import UsageError
from llmcompiler.execution.limits import Limits
from llmcompiler.models.model import Model
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.strategies.result import RunResult
from llmcompiler.testing.server import ChatRequest
from llmcompiler.toolkit.tool import Tool, tool

DEFAULT_COUNT = 100


class WebShop:
    """One case is one purchase. See the package for what is WebShop's and what is ours."""

    name = "webshop"
    seconds: Mapping[str, float] = MappingProxyType({"search": 0.3, "view": 0.2, "buy": 0.2})
    examples = "webshop"
    limits = Limits()
    options: Mapping[str, Mapping[str, Any]] = {}
    contenders: Sequence[str] = tuple(ORACLES)
    # Seconds of gpt-3.5-turbo: ReAct 5.98, the compiler 10.48, LATS 1066 (another paper's machines).
    published: Mapping[str, float] = MappingProxyType({"react": 1.0, "compiler": 0.57, "tree_search": 0.006})

    def cases(self, folder: Path | None, count: int | None) -> Sequence[Case]:
        """Return the instructions, 100 by default. No data are needed, so `folder` is not looked at.

        Raises `UsageError` if there are fewer than `count`.
        """
        goals = _goals()
        wanted = DEFAULT_COUNT if count is None else count
        if not 1 <= wanted <= len(goals):
            raise UsageError(f"webshop has 1 to {len(goals):,} cases, not {wanted}")
        return [
            Case(id=f"webshop-{at}", question=f"Buy one item for a customer: {goal.text}", label=goal.label)
            for at, goal in enumerate(goals[:wanted])
        ]

    def tools(self, case: Case, model: Model) -> Sequence[Tool[..., Any]]:
        """Return the tools of the shop, the same ones for every case."""
        return (search, view, buy)

    def score(self, case: Case, result: RunResult) -> float:
        """Return the reward of the last purchase of a run, 0 if there was none."""
        item, wish = read_label(case.label)
        for _, record in sorted(result.tasks.items(), reverse=True):
            match record.task.tool, record.outcome:
                case "buy", Succeeded({"bought": str(bought), "options": Mapping() as options}):
                    shop = the_shop()
                    return reward(shop[bought], {key: str(value) for key, value in options.items()}, shop[item], wish)
        return 0.0

    def is_from_tool(self, request: ChatRequest) -> bool:
        """Return False: the shop's tools ask no model."""
        return False

    def oracle(self, contender: str, cases: Sequence[Case]) -> Oracle:
        """Return the ideal model for one contender; `react_flawed` is the one that buys the first result it sees."""
        if contender not in ORACLES:
            raise UsageError(f"webshop has no oracle for {contender!r}; {did_you_mean(contender, list(ORACLES))}")
        return ORACLES[contender]


def webshop_suite() -> WebShop:
    """Return the suite."""
    return WebShop()


@cache
def _goals() -> Sequence[Goal]:
    return make_goals(generate())


@tool(effect="read", expected=0.3, returns=ResultPage)
def search(keywords: str, page: int = 1) -> ResultPage:
    """Search the shop: ten results a page, best first. It knows titles, features and descriptions, but no options."""
    return the_shop().search(keywords, page)


@tool(effect="read", expected=0.2, returns=ItemPage)
def view(item: str) -> ItemPage:
    """Return the page of an item: its price, options with their values, features and description."""
    return the_shop().view(item)


@tool(effect="write", expected=0.2, returns=Purchase)
def buy(item: str, options: dict[str, str] | None = None) -> Purchase:
    """Buy an item with a value for each option, such as {"size": "large"}. View it first. This ends the shopping."""
    return the_shop().buy(item, options or {})
