"""Goals: what a customer wants, the instruction that says it, and how that is read again."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from llmcompiler.bench.suites.webshop.products import SEED, Product

OPENINGS = ("i am looking for", "i need", "i want to buy", "find me")
WANTED = 2  # attributes that a goal names
PRICE_STEP = 10  # dollars
NEXT_STEPS = 4  # above the price of the product; the limit is the greater of two of them, as in WebShop

_INSTRUCTION = re.compile(
    rf"(?:{'|'.join(OPENINGS)}) an? (?P<type>.+?) that is (?P<attributes>.+?), with (?P<options>.+), "
    r"and price lower than (?P<price>[\d.]+) dollars"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an instruction says: all that a shopper knows. price: in dollars, the most that may be paid."""

    type: str
    attributes: tuple[str, ...]
    options: Mapping[str, str]
    price: float

    @classmethod
    def read(cls, instruction: str) -> Self:
        """Return what an instruction says. Raises `LookupError` if there is none in the text."""
        found = _INSTRUCTION.search(instruction)
        if found is None:
            raise LookupError(f"no instruction of the shop stands in {instruction[:200]!r}")
        options = dict(option.split(": ", 1) for option in found["options"].split(", and "))
        attributes = tuple(found["attributes"].split(" and "))
        return cls(type=found["type"], attributes=attributes, options=options, price=float(found["price"]))

    def say(self, opening: str) -> str:
        """Return the instruction."""
        options = ", and ".join(f"{name}: {value}" for name, value in self.options.items())
        article = "an" if self.type[0] in "aeiou" else "a"
        return (
            f"{opening} {article} {self.type} that is {' and '.join(self.attributes)}, with {options}, "
            f"and price lower than {self.price:.2f} dollars"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A wish, and the product that it was made from, which fulfils it; `text` is the instruction."""

    item: str
    text: str
    wish: Wish

    @property
    def label(self) -> str:
        """The goal as JSON, for the case's label."""
        return json.dumps({"item": self.item, **asdict(self.wish)})


def read_label(label: str) -> tuple[str, Wish]:
    """Return the product's id and the wish of a goal that was written by `Goal.label`."""
    said = json.loads(label)
    item = said.pop("item")
    return item, Wish(**{**said, "attributes": tuple(said["attributes"])})


def make_goals(products: Sequence[Product], seed: int = SEED) -> Sequence[Goal]:
    """Return a goal a product, in shuffled order."""
    rng = random.Random(seed)
    return tuple(_goal(rng, product) for product in rng.sample(products, len(products)))


def _goal(rng: random.Random, product: Product) -> Goal:
    lowest = int(product.price // PRICE_STEP) + 1
    limits = [PRICE_STEP * step for step in range(lowest, lowest + NEXT_STEPS)]
    wish = Wish(
        type=product.type,
        attributes=tuple(rng.sample(product.attributes, WANTED)),
        options={name: rng.choice(values) for name, values in product.options.items()},
        price=float(max(rng.sample(limits, 2))),
    )
    return Goal(item=product.id, text=wish.say(rng.choice(OPENINGS)), wish=wish)
