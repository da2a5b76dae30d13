"""Facts about the example tool `search` and about the facts it searches."""

import importlib.util
import json
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

TOOLS = Path(__file__).parents[2] / "tools"


def load(name: str) -> ModuleType:
    """Return the module tools/<name>.py, run afresh."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULES = [load("knowledge")]  # kept, as each owns an open database
search = MODULES[0].search
DATA = json.loads((TOOLS / "facts.json").read_text(encoding="utf-8"))
ENTITIES = DATA["entities"]
BY_NAME = {entity["name"]: entity for entity in ENTITIES}
FACTS = {(entity["name"], field): fact for entity in ENTITIES for field, fact in entity["facts"].items()}
each_kind = pytest.mark.parametrize("kind", sorted({entity["kind"] for entity in ENTITIES}))


def answer(query: str) -> tuple[str, str, Any]:
    found = search(query)
    return found["entity"], found["field"], found["value"]


# --- the facts


def test_there_are_at_least_80_entities_of_many_kinds() -> None:
    assert len(ENTITIES) >= 80
    assert len({entity["kind"] for entity in ENTITIES}) >= 15


def test_no_two_entities_share_a_name_or_an_alias() -> None:
    spoken = [name.casefold() for entity in ENTITIES for name in (entity["name"], *entity["aliases"])]
    assert len(spoken) == len(set(spoken))


def test_every_entity_has_a_kind_a_sentence_and_facts() -> None:
    for entity in ENTITIES:
        assert set(entity) == {"name", "aliases", "kind", "summary", "facts"}
        assert all([entity["kind"], entity["facts"], entity["summary"].endswith(".")]), entity["name"]


def test_every_fact_has_a_value_a_unit_and_a_source_by_name() -> None:
    for place, fact in FACTS.items():
        assert set(fact) == {"value", "unit", "source"}, place
        assert type(fact["value"]) in (int, float, str), place
        assert fact["unit"] is None or fact["unit"] in DATA["units"], place
        assert fact["unit"] is None or not isinstance(fact["value"], str), place
        assert len(fact["source"]) > 2, place
        assert not any(part in fact["source"] for part in ("//", "www", ".org", ".io")), place


def test_every_field_has_its_synonyms_listed() -> None:
    assert {field for _, field in FACTS} <= set(DATA["fields"])


def test_a_year_is_a_whole_number_of_four_digits() -> None:
    fields = {"founded", "year", "birth year", "death year", "completed", "first ascent"}
    years = {place: fact["value"] for place, fact in FACTS.items() if place[1] in fields}
    assert {place: year for place, year in years.items() if type(year) is not int or not 1000 <= year <= 2025} == {}


# --- what is found


@each_kind
def test_every_entity_is_found_by_its_name_and_by_each_alias(kind: str) -> None:
    for entity in (entity for entity in ENTITIES if entity["kind"] == kind):
        for spoken in (entity["name"], *entity["aliases"]):
            for query in (spoken, spoken.upper(), f"{spoken}?", f"Tell me about {spoken}."):
                assert search(query)["entity"] == entity["name"], query


@each_kind
def test_every_field_is_found_in_either_order(kind: str) -> None:
    for (name, field), fact in FACTS.items():
        queries = [f"{name} {field}", f"{field} of {name}", f"What is the {field} of {name}?", f"{name}'s {field}"]
        if BY_NAME[name]["kind"] == kind:
            assert [answer(query) for query in queries] == [(name, field, fact["value"])] * 4


def test_a_fact_is_a_flat_dict_with_its_source_and_a_sentence() -> None:
    assert search("Microsoft market cap") == {
        "entity": "Microsoft",
        "field": "market cap",
        "value": 3_130_000_000_000,
        "unit": "USD",
        "source": "CompaniesMarketCap (end of 2024, rounded)",
        "text": "Microsoft's market cap is 3,130,000,000,000 USD, according to CompaniesMarketCap (end of 2024, rounded).",
    }


def test_a_name_alone_gives_all_facts_and_the_first_as_the_value() -> None:
    found = search("Mount Everest")
    assert list(found) == ["entity", "field", "value", "unit", "source", "text", "kind", "facts"]
    assert (found["field"], found["value"], found["unit"]) == ("height", 8848.86, "m")
    assert (found["kind"], found["text"]) == ("mountain", BY_NAME["Mount Everest"]["summary"])
    assert found["facts"] == BY_NAME["Mount Everest"]["facts"]


def test_an_answer_can_be_changed_without_changing_the_next() -> None:
    search("Mount Everest")["facts"]["height"]["value"] = 0
    assert search("Mount Everest")["facts"]["height"]["value"] == 8848.86


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("How tall is K2?", ("K2", "height", 8611)),
        ("height of mount everest in meters", ("Mount Everest", "height", 8848.86)),
        ("EVEREST elevation", ("Mount Everest", "height", 8848.86)),
        ("Apple market capitalization in US dollars", ("Apple", "market cap", 3_790_000_000_000)),
        ("Microsoft's current market capitalization", ("Microsoft", "market cap", 3_130_000_000_000)),
        ("Who is the CEO of Microsoft?", ("Microsoft", "chief executive", "Satya Nadella")),
        ("Where is Microsoft headquartered?", ("Microsoft", "headquarters", "Redmond")),
        ("How many people does Apple employ?", ("Apple", "employees", 164_000)),
        ("Microsoft revenue 2024", ("Microsoft", "revenue", 245_122_000_000)),
        ("who directed Titanic", ("Titanic", "director", "James Cameron")),
        ("Inception film director", ("Inception", "director", "Christopher Nolan")),
        ("When was Tim Cook born?", ("Tim Cook", "birth year", 1960)),
        ("Where was Tim Cook born?", ("Tim Cook", "birthplace", "Mobile")),
        ("How fast are cheetahs?", ("Cheetah", "top speed", 104)),
        ("How many moons does Jupiter have?", ("Jupiter", "moons", 95)),
        ("distance from Earth to the Moon", ("Moon", "distance from earth", 384_400)),
        ("how long is the Nile", ("Nile", "length", 6650)),
        ("how long is Inception", ("Inception", "running time", 148)),
        ("length of the Amazon", ("Amazon River", "length", 6400)),
        ("Amazon area", ("Amazon Rainforest", "area", 5_500_000)),
        ("Amazon market cap", ("Amazon", "market cap", 2_310_000_000_000)),
        ("Tesla birth year", ("Nikola Tesla", "birth year", 1856)),
        ("Nadella birth year", ("Satya Nadella", "birth year", 1967)),
        ("Brasilia population", ("Brasília", "population", 2_817_381)),
        ("Paris, France population", ("Paris", "population", 2_102_650)),
        ("city of London population", ("London", "population", 8_945_309)),
        ("deepest point of the Pacific Ocean", ("Pacific Ocean", "deepest point", "Mariana Trench")),
        ("tallest mountain in Africa", ("Africa", "highest mountain", "Mount Kilimanjaro")),
        ("How tall is the tallest building in the world?", ("Burj Khalifa", "height", 828)),
        ("largest hot desert", ("Sahara", "area", 9_200_000)),
        ("2001: A Space Odyssey director", ("2001: A Space Odyssey", "director", "Stanley Kubrick")),
        ("population of the capital of France", ("Paris", "population", 2_102_650)),
        ("birth year of the director of Inception", ("Christopher Nolan", "birth year", 1970)),
        ("height of the highest mountain of Japan", ("Mount Fuji", "height", 3776)),
        ("Texas area in km²", ("Texas", "area", 695_662)),
        ('"Everest" OR height*', ("Mount Everest", "height", 8848.86)),
        ("Dune (2021) director", ("Dune", "director", "Denis Villeneuve")),
        ("Austin, Texas population", ("Austin", "population", 961_855)),
        ("Empire State Building height without antenna", ("Empire State Building", "roof height", 381)),
        ("New Jersey people per square kilometer", ("New Jersey", "population density", 488)),
        ("Burj Khalifa Dubai height", ("Burj Khalifa", "height", 828)),
        ("birth year of the first person to walk on the Moon", ("Neil Armstrong", "birth year", 1930)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_question_is_understood_as_people_word_it(query: str, expected: tuple[str, str, Any]) -> None:
    assert answer(query) == expected


def test_one_answer_leads_to_the_next() -> None:
    capitals = {e["name"]: e["facts"]["capital"]["value"] for e in ENTITIES if "capital" in e["facts"]}
    known = {land: capital for land, capital in capitals.items() if capital in BY_NAME}
    assert len(known) >= 25
    for land, capital in known.items():
        assert search(f"{land} capital")["value"] == capital
        assert answer(f"population of the capital of {land}") == answer(f"{capital} population")


@pytest.mark.parametrize("field", ["director", "chief executive", "creator", "highest mountain", "deepest point"])
def test_a_field_that_names_an_entity_names_one_that_is_known(field: str) -> None:
    named = [e["facts"][field]["value"] for e in ENTITIES if field in e["facts"]]
    assert sum(name in BY_NAME for name in named) >= min(len(named), 10)


# --- what is not found


@pytest.mark.parametrize(
    ("query", "reasons"),
    [
        ("population of Atlantis", ["'population of Atlantis'", "nearest names are", "Atlanta"]),
        ("Mount Everst height", ["'Mount Everst height'", "Mount Everest, Mount Elbert, Mount Elbrus"]),
        ("largest desert", ["Sahara, Antarctic Desert"]),
        ("Texas population density", ["known of Texas is its population (people), area (km2)"]),
        ("New Jersey population density per square mile", ["population density (people/km2)"]),
        ("Microsoft profit margin", ["known of Microsoft is its market cap (USD)"]),
        ("Microsoft market cap 1990", ["known of Microsoft"]),
        ("Everest height in feet", ["height (m)"]),
        ("Apple and Microsoft market cap", ["names Apple, Microsoft", "one of them at a time"]),
        ("the height of Everest minus K2", ["names Mount Everest, K2"]),
        ("capital and population of France", ["known of France"]),
        ("Paris, Texas population", ["names Paris, Texas"]),
        ("New Mexico population", ["known of Mexico"]),
        ("Lake Michigan depth", ["known of Michigan"]),
        ("height of the Eiffel Tower in Texas", ["names Eiffel Tower, Texas"]),
        ("who founded Microsoft", ["chief executive"]),
        ("age of Tim Cook", ["birth year"]),
        ("Microsoft revenue in the United States", ["names Microsoft, United States"]),
        ("Apple iPhone sales", ["known of Apple"]),
        ("Microsoft employees in Redmond", ["names Microsoft, Redmond"]),
        ("area of Mongolia", ["Gobi Desert"]),
        ("population of Georgia", ["nearest names are"]),
        ("length of the Grand Canyon", ["Colorado River"]),
        ("longest river of Bangladesh", ["nearest names are"]),
        ("Ford birth year", ["nearest names are"]),
        ("Neil birth year", ["Neil Armstrong"]),
        ("Jersey population", ["New Jersey"]),
        ("Washington population", ["Washington, D.C."]),
        ("Titanic length", ["running time (min)"]),
        ("1", ["nearest names are"]),
        ("surface temperature", ["nearest names are"]),
        ("height", ["nearest names are"]),
        ("what is the", ["nearest names are"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_known_exactly_is_an_error_that_says_what_is_known(query: str, reasons: list[str]) -> None:
    with pytest.raises(LookupError) as caught:
        search(query)
    assert type(caught.value) is LookupError
    assert [reason for reason in reasons if reason not in str(caught.value)] == []


def test_an_unknown_name_is_answered_with_three_nearest_ones() -> None:
    with pytest.raises(LookupError) as caught:
        search("Kilimandscharo height")
    nearest = str(caught.value).split("nearest names are ")[1].split(", ")
    assert len(nearest) == 3
    assert "Mount Kilimanjaro" in nearest


HOSTILE = {
    "empty": "",
    "blank": " \t\n",
    "signs": "!?;:'\"()[]{}*&^%$#@~`|\\/<>,.-_=+",
    "an underscore": "_",
    "a quote": '"',
    "an open quote": '"Everst',
    "an operator": "AND",
    "operators": "Everest AND OR NOT NEAR",
    "a near query": "NEAR(Everest K2, 5)",
    "a column filter": "name : Everst",
    "a column list": "{name aliases} : zzz",
    "a prefix query": "zzz*",
    "a start query": "^zzz",
    "a minus": "- zzz -",
    "a drop": "'; DROP TABLE documents; --",
    "a union": "x' UNION SELECT sql FROM sqlite_master --",
    "a match": 'zzz" OR documents MATCH "a',
    "a null character": "zzz\x00yyy",
    "half a character": "zzz \ud800",
    "a line break": "zzz\r\nyyy",
    "another script": "富士山の高さ",
    "right to left": "\u202eزززز",
    "marks alone": "\u0301\u0302",
    "a ligature": "ﷺ" * 300,
    "a hundred kilobytes": "a" * 100_000,
    "many words": "z " * 150,
    "many different words": " ".join(f"z{i}" for i in range(70)),
    "many quotes": '"' * 300,
    "the same field again": "height depth area " * 15 + "Everest",
    "links in a circle": "France " + "capital country highest mountain height depth " * 6,
    "all fields": "France " + " ".join(list(DATA["fields"])[:25]),
    "a placeholder": "${1.value} height",
    "a path": "../../etc/passwd",
    "a page": "<script>alert(1)</script>",
    "a format": "{0.__class__} %s %n",
}


@pytest.mark.parametrize("query", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_an_ordinary_error(query: str) -> None:
    with pytest.raises((LookupError, ValueError)) as caught:
        search(query)
    assert type(caught.value) in (LookupError, ValueError)
    assert len(str(caught.value)) < 5_000


@given(st.text(max_size=200))
@settings(derandomize=True, max_examples=60)
def test_any_text_gives_a_fact_or_an_ordinary_error(query: str) -> None:
    try:
        assert search(query)["source"]
    except (LookupError, ValueError) as error:
        refusal = error
    else:
        return
    assert type(refusal) in (LookupError, ValueError)


NAMES = {word for entity in ENTITIES for word in entity["name"].split()}
WORDS = sorted(NAMES | set(DATA["fields"]) | {"of", "and", "the", "in"})


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8))
@settings(derandomize=True, max_examples=150)
def test_any_mixture_of_known_words_gives_a_fact_about_something_named(words: list[str]) -> None:
    try:
        found = search(" ".join(words))
    except (LookupError, ValueError):
        return
    assert found["value"] == BY_NAME[found["entity"]]["facts"][found["field"]]["value"]


# --- many threads


def test_many_threads_share_one_library_from_the_first_call_on() -> None:
    module = load("knowledge")
    MODULES.append(module)
    start = threading.Barrier(16)
    found: list[Any] = []

    def ask(name: str) -> None:
        start.wait()
        found.append((module._library(), [module.search(q)["entity"] for q in (name, f"length of the {name}")]))

    rivers = ["Nile", "Rhine", "Seine", "Danube"] * 4
    threads = [threading.Thread(target=ask, args=(river,)) for river in rivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(library) for library, _ in found}) == 1
    assert sorted(names for _, names in found) == sorted([river, river] for river in rivers)


def test_search_is_a_read_tool_with_a_deadline() -> None:
    policy = search.spec.policy
    assert (search.spec.name, search.spec.effect, policy.timeout, policy.expected) == ("search", "read", 10, 0.4)
