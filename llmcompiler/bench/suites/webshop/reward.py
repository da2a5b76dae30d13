"""WebShop's reward (arXiv 2207.01206, and its public code), for a product bought with options against a goal.

    reward = type factor * (matched attributes + matched options + (price <= limit)) / (attributes + options + 1)

The rules are WebShop's, written anew, with three stand-ins, named where they stand: for its fuzzy matching, for its tagger
of nouns and for its list of colors. And one cap: bought options are counted, not wanted ones, so an option that nobody
asked for may match as well; what would come to more than 1 is 1 here.
"""

import difflib
import re
from collections.abc import Mapping

from llmcompiler.bench.suites.webshop.goals import Wish
from llmcompiler.bench.suites.webshop.products import Product

FUZZY = 85  # per cent; a match is above it
# The first of these that is a word of an option's value stands for it: "dark navy" is navy.
COLORS = (
    "navy",
    "black",
    "white",
    "grey",
    "red",
    "green",
    "blue",
    "beige",
    "brown",
    "pink",
    "yellow",
    "purple",
    "teal",
)
EXACT = frozenset({"size"})  # options whose values must be the same: "large" is not "x-large"


def reward(bought: Product, options: Mapping[str, str], wanted: Product, wish: Wish) -> float:
    """Return the reward, from 0 to 1: `bought` with `options` for a wish that was made from the product `wanted`."""
    matched = matched_attributes(bought, wish) + matched_options(bought, options, wish) + (bought.price <= wish.price)
    return min(1.0, type_factor(bought, wanted) * matched / (len(wish.attributes) + len(wish.options) + 1))


def type_factor(bought: Product, wanted: Product) -> float:
    """Return 1 for what is of the wanted type, less for what is not, 0 for what shares no noun of the title.

    WebShop has the nouns from spaCy's tagger; here the generator knows them.
    """
    shared = len(bought.nouns & wanted.nouns) / len(wanted.nouns) if wanted.nouns else 0.2
    if shared == 0:
        return 0.0
    if shared < 0.1:
        return 0.1
    categories = set(bought.category.split(" › ")) & set(wanted.category.split(" › "))
    is_alike = bought.query == wanted.query or len(categories) >= 2 or shared > 0.2
    return 1.0 if is_alike else 0.5


def matched_attributes(bought: Product, wish: Wish) -> int:
    """Return how many of the wanted attributes are among the product's, nearly, or stand in its text."""
    return sum(
        any(likeness(own, name) > FUZZY for own in bought.attributes) or _is_in_text(name, bought)
        for name in wish.attributes
    )


def matched_options(bought: Product, options: Mapping[str, str], wish: Wish) -> int:
    """Return how many of the options that were bought match one that is wanted, or stand in the product's text."""
    wanted = [base_color(value) for value in wish.options.values()]
    return sum(
        _is_option(name, base_color(value), wanted) or _is_in_text(base_color(value), bought)
        for name, value in options.items()
    )


def likeness(one: str, other: str) -> float:
    """Return how alike two texts are as sets of words, in per cent; 100 if all words of one are in the other.

    The token set ratio of the fuzzy matching libraries, over difflib's ratio where those take an edit distance.
    """
    first, second = set(one.lower().split()), set(other.lower().split())
    if not first or not second:
        return 0.0
    shared = sorted(first & second)
    if shared and (first <= second or second <= first):
        return 100.0
    forms = [" ".join(form) for form in (shared, shared + sorted(first - second), shared + sorted(second - first))]
    pairs = [(forms[0], forms[1]), (forms[0], forms[2]), (forms[1], forms[2])]
    return 100 * max(difflib.SequenceMatcher(None, *pair, autojunk=False).ratio() for pair in pairs)


def base_color(value: str) -> str:
    """Return the color that a value names, or the value itself: "dark navy" is navy. WebShop has a longer list of them."""
    words = re.findall(r"\w+", value.lower())
    return next((color for color in COLORS if color in words), value.lower())


def _is_option(name: str, value: str, wanted: list[str]) -> bool:
    if name.lower() in EXACT:
        return value in wanted
    return any(likeness(other, value) > FUZZY for other in wanted)


def _is_in_text(words: str, product: Product) -> bool:
    return any(words in text.lower() for text in (product.title, " ".join(product.features), product.description))
