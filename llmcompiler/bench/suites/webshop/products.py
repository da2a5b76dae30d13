"""The products of the shop, generated from a seed: the same seed gives the same products, on any machine."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from llmcompiler.bench.suites.webshop.words import Department, Group, Options, the_words

SEED = 233  # the one with which WebShop shuffles its goals
PRODUCTS_OF_A_TYPE = 10  # of 100 types: 1,000 products, as in WebShop's small set
ATTRIBUTES = 5  # of a product, out of the eight of its department
TITLED = 2  # attributes that stand in the title; the others are found on the page alone
LETTERS = "0123456789BCDFGHJKLMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What is known of a product; its page shows all but `type`, `query`, `category`, `attributes` and `nouns`.

    query: what it was found by when the shop was filled; category: from the department down, parted by ` › `;
    nouns: those of its title. The reward compares them. price: dollars.
    """

    id: str
    title: str
    type: str
    query: str
    category: str
    attributes: tuple[str, ...]
    options: Options
    price: float
    features: tuple[str, ...]
    description: str
    nouns: frozenset[str]

    @property
    def text(self) -> str:
        """Everything that a search looks through."""
        return "\n".join((self.title, *self.features, self.description))


def generate(seed: int = SEED) -> Sequence[Product]:
    """Return the products, those of one type together."""
    rng = random.Random(seed)
    return tuple(
        _product(rng, department, group, type)
        for department in the_words().departments
        for group in department.groups
        for type in group.types
        for _ in range(PRODUCTS_OF_A_TYPE)
    )


def _product(rng: random.Random, department: Department, group: Group, type: str) -> Product:
    words = the_words()
    brand, part, place = rng.choice(words.brands), rng.choice(group.parts), rng.choice(group.places)
    attributes = tuple(rng.sample(list(department.attributes), ATTRIBUTES))
    features = [f"{name.capitalize()}: {department.attributes[name]}" for name in attributes]
    named = f"{brand} {type} with {part} for {place}, {', '.join(attributes[:TITLED])}"
    said = f"The {brand} {type} is made for {place} and comes with {part}."
    return Product(
        id="B0" + "".join(rng.choices(LETTERS, k=8)),
        title=" ".join(word if word in ("with", "for", "to") else word.capitalize() for word in named.split()),
        type=type,
        query=group.query,
        category=f"{department.name} › {group.name} › {type.title()}",
        attributes=attributes,
        options=_some(rng, group.options),
        price=rng.randrange(500, 9_000) / 100,
        features=tuple(rng.sample(features, len(features))),
        description=" ".join((said, *rng.sample(words.remarks, 2))),
        nouns=frozenset(f"{brand} {type} {part} {place}".lower().split()),
    )


def _some(rng: random.Random, options: Options) -> Mapping[str, tuple[str, ...]]:
    """Return, of each option, about half of the values, in their order."""
    kept = {name: set(rng.sample(values, max(2, len(values) // 2))) for name, values in options.items()}
    return MappingProxyType(
        {name: tuple(value for value in values if value in kept[name]) for name, values in options.items()}
    )
