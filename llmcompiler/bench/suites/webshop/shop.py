"""The shop: what a customer can search, look at and buy. It keeps no state, so that branches may run side by side.

| WebShop | here |
|---|---|
| `search[keywords]`, `click[Next >]` | `search(keywords, page)`: the 50 best products, ten a page |
| `click[item]`, then `click[Description]`, `click[Features]` | `view(item)`: all of an item's page at once |
| `click[value]` for each option, `click[Buy Now]` | `buy(item, options)` |
| `click[< Prev]`, `click[Back to Search]` | nothing: there is no page that one is on |

As there, an item may be bought with fewer options than it has, which only costs reward; the list of its attributes, which
the reward knows, is not shown, but its features and its description say them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from llmcompiler.bench.suites.webshop.products import Product, generate
from llmcompiler.bench.suites.webshop.ranking import Ranking
from llmcompiler.plan.diagnostics import did_you_mean

FOUND = 50  # results of a search, at most
PER_PAGE = 10


@dataclass(frozen=True, slots=True)
class Result:
    """A line of a page of results. price: dollars."""

    item: str
    title: str
    price: float


@dataclass(frozen=True, slots=True)
class ResultPage:
    """One page of what a search found; `total` counts all pages."""

    page: int
    total: int
    results: list[Result]


@dataclass(frozen=True, slots=True)
class ItemPage:
    """What is to be read about an item. price: dollars; options: the values of each."""

    item: str
    title: str
    price: float
    options: dict[str, list[str]]
    features: list[str]
    description: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was bought. price: dollars."""

    bought: str
    title: str
    price: float
    options: dict[str, str]


class Shop:
    """Products, and the index that finds them."""

    def __init__(self, products: Sequence[Product]) -> None:
        self._products = tuple(products)
        self._by_id = {product.id: product for product in products}
        self._ranking = Ranking([product.text for product in products])

    def __getitem__(self, item: str) -> Product:
        """Return a product. Raises `LookupError`, naming the nearest ids."""
        found = self._by_id.get(item.strip().upper())
        if found is None:
            remedy = did_you_mean(item.strip().upper(), list(self._by_id)) or "take one that a search returned"
            raise LookupError(f"there is no item {item[:80]!r}; {remedy}")
        return found

    def search(self, keywords: str, page: int = 1) -> ResultPage:
        """Return a page of results, numbered from 1. Raises `ValueError` for no keywords, or a page that is not there."""
        if not keywords.strip():
            raise ValueError('the keywords are empty; say what to look for, such as "navy rain boot"')
        found = self._ranking.best(keywords, FOUND)
        pages = max(1, math.ceil(len(found) / PER_PAGE))
        if not 1 <= page <= pages:
            raise ValueError(f"there is no page {page}; for these keywords there are pages 1 to {pages}")
        here = [self._products[at] for at in found[(page - 1) * PER_PAGE : page * PER_PAGE]]
        results = [Result(product.id, product.title, product.price) for product in here]
        return ResultPage(page, len(found), results)

    def view(self, item: str) -> ItemPage:
        """Return an item's page. Raises `LookupError` for an item that is not there."""
        product = self[item]
        options = {name: list(values) for name, values in product.options.items()}
        features = list(product.features)
        return ItemPage(product.id, product.title, product.price, options, features, product.description)

    def buy(self, item: str, options: Mapping[str, str]) -> Purchase:
        """Return the purchase, with the options as the shop writes them.

        Raises `LookupError` for an item, and `ValueError` for an option or a value, that is not there.
        """
        product = self[item]
        chosen = dict(_choice(product, name, value) for name, value in options.items())
        return Purchase(product.id, product.title, product.price, chosen)


def _choice(product: Product, name: str, value: str) -> tuple[str, str]:
    known = {option.lower(): option for option in product.options}
    option = known.get(name.strip().lower())
    if option is None:
        said = ", ".join(product.options) or "(none)"
        raise ValueError(f"item {product.id} has no option {name[:80]!r}; its options are: {said}")
    values = {value.lower(): value for value in product.options[option]}
    if value.strip().lower() not in values:
        said = ", ".join(product.options[option])
        raise ValueError(f"item {product.id} is not to be had in {option} {value[:80]!r}, only in: {said}")
    return option, values[value.strip().lower()]


@cache
def the_shop() -> Shop:
    """Return the shop of the benchmark, made once a process."""
    return Shop(generate())
