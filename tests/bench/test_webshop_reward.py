"""WebShop's reward, counted by hand: the type factor, attributes, options and the price."""

from dataclasses import replace
from typing import Any

import pytest

from llmcompiler.bench.suites.webshop.goals import Wish
from llmcompiler.bench.suites.webshop.products import Product
from llmcompiler.bench.suites.webshop.reward import base_color, likeness, reward, type_factor

LAMP = Product(
    id="B0LAMP",
    title="Marlow Floor Lamp with Shelf for Library, Easy to Clean",
    type="floor lamp",
    query="living room furniture",
    category="Home & Kitchen › Living Room › Floor Lamp",
    attributes=("easy to clean", "energy saving"),
    options={"color": ("dark navy", "white"), "size": ("large", "x-large")},
    price=39.5,
    features=("Easy to clean: a damp cloth is enough", "Energy saving: two watts"),
    description="It stands by itself and is dimmable.",
    nouns=frozenset({"marlow", "floor", "lamp", "shelf", "library"}),
)
WISH = Wish(
    type="floor lamp",
    attributes=("easy to clean", "energy saving"),
    options={"color": "navy", "size": "large"},
    price=40.0,
)
RIGHT = {"color": "dark navy", "size": "large"}


@pytest.mark.parametrize(
    ("bought", "options", "expected"),
    [
        pytest.param({}, RIGHT, 5 / 5, id="all"),
        pytest.param({"price": 40.0}, RIGHT, 5 / 5, id="a price at the limit"),
        pytest.param({"price": 40.01}, RIGHT, 4 / 5, id="a price above it"),
        pytest.param({}, {}, 3 / 5, id="no option chosen"),
        pytest.param({}, {"color": "white", "size": "large"}, 4 / 5, id="another color"),
        pytest.param({}, {"color": "dark navy", "size": "x-large"}, 4 / 5, id="sizes must be the same"),
        pytest.param({"attributes": ()}, RIGHT, 5 / 5, id="attributes that only the features name"),
        pytest.param({"attributes": (), "features": ()}, RIGHT, 4 / 5, id="an attribute that only the title names"),
        pytest.param(
            {"attributes": (), "features": (), "title": "Lamp", "description": "It is energy saving."},
            RIGHT,
            4 / 5,
            id="an attribute that only the description names",
        ),
        pytest.param(
            {"attributes": ("energy savings",), "features": (), "title": "Lamp"}, RIGHT, 4 / 5, id="nearly an attribute"
        ),
        pytest.param({"attributes": ("saving",), "features": ()}, RIGHT, 5 / 5, id="a part of an attribute"),
        pytest.param({"description": "Also in white."}, {"color": "white"}, 4 / 5, id="an option that the text names"),
        pytest.param(
            {"description": "Sold in white."}, {**RIGHT, "shade": "white"}, 1.0, id="more options than wanted, capped"
        ),
        pytest.param(
            {"query": "cameras", "category": "Electronics", "nouns": frozenset({"library", "camera"})},
            RIGHT,
            0.5,
            id="another type that shares a noun of five",
        ),
        pytest.param({"nouns": frozenset({"camera"})}, RIGHT, 0.0, id="nothing shared"),
    ],
)
def test_the_reward_is_counted_by_the_formula(bought: dict[str, Any], options: dict[str, str], expected: float) -> None:
    assert reward(replace(LAMP, **bought), options, LAMP, WISH) == pytest.approx(expected)


ELSEWHERE = {"query": "cameras", "category": "Electronics › Cameras › Tripod"}
ELEVEN = frozenset("abcdefghijk")


@pytest.mark.parametrize(
    ("bought", "wanted", "expected"),
    [
        pytest.param({"nouns": frozenset("a")}, {}, 1.0, id="the same query"),
        pytest.param({"query": "cameras", "nouns": frozenset("a")}, {}, 1.0, id="two levels of the category"),
        pytest.param({**ELSEWHERE, "nouns": frozenset("ab")}, {}, 1.0, id="more than a fifth of the nouns"),
        pytest.param({**ELSEWHERE, "nouns": frozenset("a")}, {}, 0.5, id="a fifth of them"),
        pytest.param(
            {"query": "cameras", "category": "Home & Kitchen › Bath › Soap Dish", "nouns": frozenset("a")},
            {},
            0.5,
            id="one level of the category",
        ),
        pytest.param({"nouns": frozenset("a")}, {"nouns": ELEVEN}, 0.1, id="less than a tenth, of the same query"),
        pytest.param({"nouns": frozenset("z")}, {}, 0.0, id="none of them, of the same query"),
        pytest.param(ELSEWHERE, {"nouns": frozenset()}, 0.5, id="nothing to compare"),
    ],
)
def test_the_type_factor_steps_down_with_what_is_shared(
    bought: dict[str, Any], wanted: dict[str, Any], expected: float
) -> None:
    base = replace(LAMP, nouns=frozenset("abcde"))
    assert type_factor(replace(base, **bought), replace(base, **wanted)) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("navy", "dark navy", 100.0),
        ("Navy", "navy", 100.0),
        ("abcd", "abcx", 75.0),
        ("easy to clean", "clean to easy", 100.0),
        ("energy saving", "energy savings", 100 * 26 / 27),
        ("red", "blue", 100 * 2 / 7),
        ("", "navy", 0.0),
        ("", "", 0.0),
    ],
)
def test_likeness_is_that_of_sets_of_words(one: str, other: str, expected: float) -> None:
    assert likeness(one, other) == pytest.approx(expected)
    assert likeness(other, one) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "color"), [("Dark Navy", "navy"), ("2 pieces", "2 pieces"), ("Tan", "tan"), ("redwood", "redwood")]
)
def test_a_color_is_known_by_its_base(value: str, color: str) -> None:
    assert base_color(value) == color
