"""A small knowledge base over SQLite's full-text index: `search` gives one fact, or all facts about one entity.

    query ─▶ words ─▶ the entity it names, else the one it describes ─▶ the field it asks for ─▶ one fact

Invariant: an answer is about what was asked, all of it. Every word of a query is a filler, or part of the entity or
field that answers it, or says where that entity lies; else `search` raises, since a wrong number that looks right is
worse than none: "Microsoft revenue in Texas" has no answer. The facts are in `facts.json`, read once per process.
"""

import difflib
import functools
import json
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmcompiler import tool

Phrase = tuple[str, ...]

LONGEST_QUERY = 300  # characters: the longest wording of the tests has 60
LONGEST_PHRASE = 8  # words in the name of an entity or a field
MOST_FIELDS = 3  # in one query, each a link to the next; without a cap the ways to link them explode

# "Washington" may be a city or a state, and "Jersey" is not New Jersey: a part of their names is not enough.
WHOLE_NAMES = frozenset({"city", "country", "state", "continent", "island"})
# Facts that a query may mention to say which entity it means: "Paris, France", "Dune (2021)".
TELLING = ("country", "continent", "state", "city", "ocean", "director", "creator", "year", "occupation")
# Words that ask for a place, a time or a person; the first group may also be decoration ("the city of Paris").
LENIENT = frozenset({"year", "city"})
QUESTIONS = LENIENT | {"who", "when", "where"}


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing that facts are known about; `telling` holds the stems that name it or say which one is meant."""

    name: str
    kind: str
    summary: str
    facts: Mapping[str, Mapping[str, Any]]
    phrases: frozenset[Phrase]
    text: Phrase  # all words said about it
    telling: frozenset[str]


@dataclass(frozen=True, slots=True)
class Library:
    """All entities, the phrases that name them and their fields, words that ask nothing, and the full-text index."""

    entities: tuple[Entity, ...]
    names: Mapping[Phrase, Entity]
    fields: Mapping[Phrase, tuple[str, ...]]
    units: Mapping[str, frozenset[str]]
    fillers: frozenset[str]
    index: sqlite3.Connection

    def find(self, words: Iterable[str]) -> list[Entity]:
        """Return the entities with every one of `words` in their text, best match first."""
        # Words hold letters and digits only, so nothing in a quoted word can be an operator of the query language.
        quoted = " ".join(f'"{word}"' for word in dict.fromkeys(words))
        if not re.search(r"[^\W\d]", quoted):
            return []  # a number alone says nothing about what is meant
        sql = "SELECT rowid FROM documents WHERE documents MATCH ? ORDER BY rank, rowid"
        with _lock:
            rows = self.index.execute(sql, (quoted,)).fetchall()
        return [self.entities[rowid] for (rowid,) in rows]


@dataclass(frozen=True, slots=True)
class Question:
    """A query, read: its words, the phrases in it that name entities and fields, and the words left over."""

    text: str
    words: Phrase
    named: tuple[Phrase, ...]
    asked: tuple[Phrase, ...]
    rest: Phrase


@dataclass(frozen=True, slots=True)
class Hit:
    """A field of an entity, or the whole entity (`field` is None); `known` holds stems that a query may have in it."""

    entity: Entity
    field: str | None
    known: frozenset[str]


_lock = threading.Lock()  # one connection serves all threads, and facts.json is read once


@tool(effect="read", timeout=10, expected=0.4)
def search(query: str) -> dict[str, Any]:
    """Return one fact ("Microsoft market cap", "height of K2"), or all facts about one entity ("Mount Everest").

    The result has entity, field, value, unit, source and text; for an entity alone also kind and facts, and then value
    is that of its first field. Name one entity in a query. Values are in the unit given (m, km, km2, kg, USD, people).
    Raises LookupError, naming the nearest entities or the known fields, and ValueError for an empty or very long query.
    """
    library = _library()
    question = _read(library, query)
    for entities in _candidates(library, question):
        hits = [hit for entity in entities if (hit := _hit(library, entity, question)) is not None]
        if len(hits) == 1:
            return _answer(hits[0])
    raise LookupError(_reason(library, question))


def _answer(hit: Hit) -> dict[str, Any]:
    """Return `hit` as the plain dict that a plan can refer into."""
    entity = hit.entity
    field = hit.field or next(iter(entity.facts))
    fact = entity.facts[field]
    answer = {"entity": entity.name, "field": field, **{key: fact[key] for key in ("value", "unit", "source")}}
    if hit.field is None:
        facts = {name: dict(known) for name, known in entity.facts.items()}
        return answer | {"text": entity.summary, "kind": entity.kind, "facts": facts}
    value, unit = fact["value"], fact["unit"]
    # A year has no unit, so it stays free of separators.
    shown = f"{value:,} {unit}" if isinstance(value, int) and unit else f"{value} {unit or ''}".rstrip()
    return answer | {"text": f"{entity.name}'s {field} is {shown}, according to {fact['source']}."}


def _read(library: Library, query: str) -> Question:
    """Return `query` taken apart; raise ValueError if it is too long or holds no word."""
    if len(query) > LONGEST_QUERY:
        raise ValueError(f"the query has {len(query):,} characters; at most {LONGEST_QUERY} are read: name one entity")
    words = _words(query)
    if not words:
        raise ValueError(f"the query {query!r} holds no word; name an entity, such as 'Mount Everest'")
    phrases: list[Phrase] = []
    while (position := sum(map(len, phrases))) < len(words):
        ends = range(position + LONGEST_PHRASE, position, -1)
        known = (p for end in ends if (p := words[position:end]) in library.names or p in library.fields)
        phrases.append(next(known, words[position : position + 1]))
    named = tuple(phrase for phrase in phrases if phrase in library.names)
    asked = dict.fromkeys(phrase for phrase in phrases if phrase in library.fields and phrase not in library.names)
    rest = tuple(phrase[0] for phrase in phrases if phrase not in library.names and phrase not in library.fields)
    return Question(query, words, named, tuple(asked), rest)


def _candidates(library: Library, question: Question) -> Iterator[list[Entity]]:
    """Yield groups of entities that `question` may be about, the surest group first."""
    yield list({library.names[phrase].name: library.names[phrase] for phrase in question.named}.values())
    words = tuple(word for word in question.words if word not in library.fillers)
    asked = {word for phrase in question.asked for word in phrase}
    yield _sharing(library, tuple(word for word in words if word not in asked))
    # A description says what kind of thing it means: "the largest hot desert" is one, "the area of Mongolia" is none.
    # What it asks for is no part of it, but a superlative is: "How tall is the tallest building in the world?".
    said = _stems(question.words)
    for field in ((), *(phrase for phrase in question.asked if not phrase[0].endswith("est"))):
        found = library.find(word for word in words if word not in field)
        yield [replace(e, telling=_stems(e.text)) for e in found if _stems(_words(e.kind)) <= said]


def _sharing(library: Library, words: Phrase) -> list[Entity]:
    """Return the entities whose names begin with `words`, as rivers' do ("the Amazon"), or end so, as people's do."""
    size = len(words) or LONGEST_PHRASE
    fit: dict[str, Entity] = {}
    for phrase, entity in library.names.items():
        part = phrase[-size:] if entity.kind == "person" else phrase[:size]
        if part == words and entity.kind not in WHOLE_NAMES:
            fit[entity.name] = entity
    return list(fit.values())


def _hit(library: Library, entity: Entity, question: Question) -> Hit | None:
    """Return what `question` asks about `entity`; None if it asks for anything that is not known."""
    said = {word for phrase in question.asked for word in phrase}
    strict = tuple(phrase for phrase in question.asked if " ".join(phrase) not in LENIENT)
    hit = _follow(library, entity, question.asked) or _follow(library, entity, strict)
    if hit is None and said <= QUESTIONS:  # "Who is Tim Cook?" asks for all that is known
        hit = Hit(entity, None, entity.telling)
    if hit is None or (len(question.asked) > 1 and "and" in question.words):
        return None  # "capital and population of France" are two questions, "population of the capital" is one
    fact = hit.entity.facts[hit.field or next(iter(hit.entity.facts))]
    known = hit.known | said | _stems(_words(fact["source"])) | library.units.get(fact["unit"], frozenset())
    known |= library.fillers
    return hit if all(word in known or _stem(word) in known for word in question.words) else None


def _follow(library: Library, entity: Entity, asked: Sequence[Phrase]) -> Hit | None:
    """Return the field of `entity` that all of `asked` mean, or that of the entity one of its fields names."""
    # "The highest mountain in the world" describes Everest; only phrases that it has fields for, or lacks, ask.
    asks = [p for p in asked if _known(library, entity, p) or not _stems(p) <= _stems(entity.text)]
    if not asks:
        return Hit(entity, None, entity.telling)
    common = [field for field in _known(library, entity, asks[0]) if all(field in library.fields[p] for p in asks)]
    if common:
        return Hit(entity, common[0], entity.telling)
    for phrase in asks if 1 < len(asks) <= MOST_FIELDS else ():
        others = [other for other in asks if other is not phrase]
        for field in _known(library, entity, phrase):
            linked = library.names.get(_words(str(entity.facts[field]["value"])))
            hit = _follow(library, linked, others) if linked and linked is not entity else None
            if hit and hit.field:
                return Hit(hit.entity, hit.field, hit.known | entity.telling)
    return None


def _known(library: Library, entity: Entity, phrase: Phrase) -> list[str]:
    """Return the fields of `entity` that `phrase` may mean."""
    return [field for field in library.fields[phrase] if field in entity.facts]


def _reason(library: Library, question: Question) -> str:
    """Return why `question` has no answer, and what could be asked instead."""
    named = list(dict.fromkeys(library.names[phrase].name for phrase in question.named))
    if len(named) > 1:
        return f"cannot answer {question.text!r}: it names {', '.join(named)}; search for one of them at a time"
    if named:
        facts = library.names[question.named[0]].facts
        fields = ", ".join(f"{field} ({fact['unit']})" if fact["unit"] else field for field, fact in facts.items())
        return f"cannot answer {question.text!r}: what is known of {named[0]} is its {fields}"
    return f"nothing is known that answers {question.text!r}; the nearest names are {_nearest(library, question)}"


def _nearest(library: Library, question: Question) -> str:
    """Return the names of the three entities that come nearest to `question`: by what is said of them, by spelling."""
    words = [word for word in question.words if word not in library.fillers]
    wanted = " ".join(word for word in words if word in question.rest) or " ".join(question.words)
    spoken = {" ".join(phrase): entity.name for entity in library.entities for phrase in entity.phrases}
    close = difflib.get_close_matches(wanted[:60], spoken, n=len(spoken), cutoff=0.0)
    names = [entity.name for entity in library.find(words) or library.find(wanted.split())]
    names += [spoken[phrase] for phrase in close]
    return ", ".join(list(dict.fromkeys(names))[:3])


def _words(text: str) -> Phrase:
    """Return the words of `text`: lower case, no accents, no possessive, letters and digits only."""
    plain = unicodedata.normalize("NFKD", text.casefold()).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    bare = "".join(character for character in plain if not unicodedata.combining(character))
    return tuple(re.findall(r"[^\W_]+", re.sub(r"'s\b", "", bare)))


def _stem(word: str) -> str:
    """Return `word` without the ending of a plural."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _stems(words: Iterable[str]) -> frozenset[str]:
    """Return the stems of `words`."""
    return frozenset(map(_stem, words))


def _with_plurals(phrases: Iterable[str]) -> list[Phrase]:
    """Return `phrases` as words, each also in the plural."""
    plain = [_words(phrase) for phrase in phrases]
    return plain + [(*phrase[:-1], phrase[-1] + ending) for phrase in plain for ending in ("s", "es")]


def _library() -> Library:
    """Return the library of this process; the first call builds it, in some 20 ms."""
    with _lock:
        return _load()


@functools.cache
def _load() -> Library:
    """Return the library that facts.json holds."""
    data = json.loads(Path(__file__).with_name("facts.json").read_text(encoding="utf-8"))
    fields: dict[Phrase, tuple[str, ...]] = {}
    for name, synonyms in data["fields"].items():
        for phrase in _with_plurals([name, *synonyms]):
            fields[phrase] = (*fields.get(phrase, ()), name)
    fields |= {(word,): tuple(meant) for word, meant in data["question_words"].items()}
    entities = tuple(_entity(record) for record in data["entities"])
    # Later entries win: a whole name beats a plural, and a field's own word ("moons") is never the plural of a name.
    names = {p: e for e in entities for p in _with_plurals(" ".join(q) for q in e.phrases) if p not in fields}
    names |= {phrase: entity for entity in entities for phrase in entity.phrases}
    units = {unit: frozenset(w for s in synonyms for w in _words(s)) for unit, synonyms in data["units"].items()}
    fillers = frozenset(data["fillers"].split())
    return Library(entities, names, fields, units, fillers, _index(entities))


def _entity(record: Mapping[str, Any]) -> Entity:
    """Return the entity that one record of facts.json describes."""
    spoken = [_words(name) for name in (record["name"], *record["aliases"])]
    phrases = frozenset(spoken) | {phrase[1:] for phrase in spoken if phrase[0] == "the"}
    names = [record["name"], *record["aliases"], record["kind"]]
    said = [str(fact["value"]) for fact in record["facts"].values() if isinstance(fact["value"], str)]
    # A company is at home in one country and sells in many: "in Japan" does not tell which company is meant.
    where = [str(record["facts"][f]["value"]) for f in TELLING if f in record["facts"] and record["kind"] != "company"]
    text, telling = _words(" ".join([*names, record["summary"], *said])), _stems(_words(" ".join([*names, *where])))
    return Entity(record["name"], record["kind"], record["summary"], record["facts"], phrases, text, telling)


def _index(entities: Sequence[Entity]) -> sqlite3.Connection:
    """Return an in-memory full-text index; the row id of a document is the entity's place."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("CREATE VIRTUAL TABLE documents USING fts5(text, tokenize='porter unicode61')")
    rows = ((place, " ".join(entity.text)) for place, entity in enumerate(entities))
    connection.executemany("INSERT INTO documents (rowid, text) VALUES (?, ?)", rows)
    return connection
