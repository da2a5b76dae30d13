"""Hypothesis strategies: plans, texts that look like plans, and ways to cut a text into chunks. Needs `hypothesis`.

`plans()` gives legal plans over every kind of value; `plan_texts()` gives what models write on a bad day.
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from llmcompiler.plan.plan import Plan
from llmcompiler.plan.tasks import MAX_ID, Task
from llmcompiler.plan.values import Ref, Step, Value, joined, map_refs

__all__ = ["chunkings", "chunks_of", "plan_texts", "plans", "steps", "texts", "values"]

TOOLS = ("search", "weather", "calculate", "web.search", "web-search", "math/add", "joiner", "f")
PARAMETERS = ("query", "city", "n", "true", "_x", "größe")
_SPECIAL = "$$$\"'\\{}[]()<>,:;#=.*_-+0123456789 \t\r\n“”„‟‘’‚‛\u00a0\u200b\ufeff\u2028\x00\x7f\U0001f600é"
_LETTERS = string.ascii_letters + string.digits + "_"


@cache
def texts(max_size: int = 12) -> st.SearchStrategy[str]:
    """Return strings over all of Unicode but surrogates, rich in what the plan language gives a meaning to."""
    characters = st.one_of(st.sampled_from(_SPECIAL), st.characters(exclude_categories=["Cs"]))
    phrases = st.sampled_from(
        ["$1", "${1}", "$$", "$1 million", '${2["a b"]}', "join()", "1. f(", "\n2. g()", "it's", '"""', "Thought: "]
    )
    return st.one_of(st.text(characters, max_size=max_size), st.lists(phrases | characters, max_size=4).map("".join))


@cache
def steps() -> st.SearchStrategy[tuple[Step, ...]]:
    """Return paths: names, places and keys of every kind; no dunder names."""
    names = st.text(_LETTERS, min_size=1, max_size=6) | texts(6)
    places = st.integers(-999_999_999, 999_999_999)
    return st.lists(names.filter(lambda name: not name.startswith("__")) | places, max_size=4).map(tuple)


def values() -> st.SearchStrategy[Value]:
    """Return arguments of every kind; refs name ids from 1 to 9."""
    return _values


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4).map(tuple) | st.dictionaries(texts(6), inner, max_size=3)


_whole = st.integers(-999, 999) | st.integers(-(10**390), 10**390)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_refs = st.builds(Ref, st.integers(1, 9), steps())
_mixed = st.lists(texts(6) | _refs, max_size=4).map(joined)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _whole | _floats | texts() | _refs | _mixed, _containers, max_leaves=5
)


def _thought_line(text: str) -> str:
    line = text.replace("\n", " ")
    while line != (stripped := line.strip().strip("\u200b\u200c\u200d\u2060\ufeff")):
        line = stripped
    return line


_tasks = st.builds(
    Task,
    st.integers(1, 12) | st.integers(1, MAX_ID),
    st.sampled_from(TOOLS),
    st.lists(_values, max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(PARAMETERS), _values, max_size=3),
    st.lists(texts(20).map(_thought_line).filter(bool), max_size=2).map("\n".join),
)


@st.composite
def plans(draw: st.DrawFn, max_size: int = 5, known: Sequence[int] = ()) -> Plan:
    """Return legal plans: ids in any order with gaps, refs to earlier tasks and to `known` ids."""
    drafts = draw(st.lists(_tasks, max_size=max_size, unique_by=lambda task: task.id))
    read: list[Task] = []
    for draft in drafts:
        if draft.id not in known:
            read.append(_bound(draft, [*known, *(task.id for task in read)]))
    return Plan(tuple(read), complete=not read or draw(st.booleans()))


def _bound(task: Task, ids: Sequence[int]) -> Task:
    """Return the task with each ref bound to one of `ids`, or turned into text where there is none."""

    def bind(ref: Ref) -> Ref | str:
        return replace(ref, id=ids[ref.id % len(ids)]) if ids else "$"

    kwargs = {name: map_refs(value, bind) for name, value in task.kwargs.items()}
    return replace(task, args=tuple(map_refs(value, bind) for value in task.args), kwargs=kwargs)


# Texts that look like plans


def _fragments(table: str) -> list[str]:
    """Return the pieces of a table: ¦ stands between them, ⏎ for a newline in one."""
    return [piece.replace("⏎", "\n") for line in table.strip().splitlines() for piece in line.split(" ¦ ")]


_HEADS = _fragments(
    "{}.  ¦ {}.  ¦ {}.  ¦ {})  ¦ **{}.**  ¦ - {}.  ¦ * {}.  ¦ > {}.  ¦ ${} =  ¦ ${{{}}} =  ¦   {}.  ¦ ; {}.  ¦ {}."
)
_IDS = _fragments("1 ¦ 2 ¦ 3 ¦ 4 ¦ 5 ¦ 1 ¦ 2 ¦ 3 ¦ 7 ¦ 10 ¦ 0 ¦ -1 ¦ 1.5 ¦ 007 ¦ １ ¦ 1000000")
_STRINGS = _fragments(
    r"""
"a" ¦ 'a' ¦ “a” ¦ ‘a’ ¦ “a" ¦ 'it's' ¦ "say "hi" now" ¦ "a" "b" ¦ "a" + "b" ¦ "" ¦ '' ¦ " ¦ ' ¦ ''' ¦ "\
'''a⏎2. f()''' ¦ r'\d' ¦ f"{x}" ¦ b"x" ¦ "a\"b" ¦ "a\⏎1. f()" ¦ "a, b) c" ¦ "line⏎break" ¦ "\u00e9\x41\N{DOLLAR SIGN}1"
"costs $1" ¦ "$1" ¦ "${1}" ¦ "${1.name}" ¦ "${1["k"]}" ¦ "$$1" ¦ "$99" ¦ "$0" ¦ "${x}" ¦ "$ 1" ¦ "$1 million"
"""
)
_VALUES = _fragments(
    """
1 ¦ -2 ¦ 3.5 ¦ 1e3 ¦ 1_000 ¦ 0x1f ¦ .5 ¦ 1. ¦ 1__0 ¦ 1e999 ¦ true ¦ None ¦ null ¦ False ¦ x ¦ x y ¦ # note⏎
$1 ¦ $2 ¦ ${3} ¦ $1.name ¦ $1["k"] ¦ ${1.a[0]} ¦ $1[-1] ¦ $1.__class__ ¦ $1._id ¦ $0 ¦ $9 ¦ $ ¦ $1*2 ¦ -$1 ¦ $1.lower()
f(1) ¦ () ¦ (1,) ¦ (1) ¦ (1, 2) ¦ [] ¦ [1, 2,] ¦ [1, 2 ¦ [$1, [true]] ¦ [x for x in $1]
{} ¦ {"a": 1} ¦ {"a": $1, "a": 2} ¦ {"$1": 1} ¦ {a: 1}
"""
)
_LINES = _fragments(
    """
Thought: I need $1 first. ¦ **Thought:** now ¦ Thought: ¦ - Thought: x) ¦ Here is the plan: ¦ ``` ¦ ```python ¦ # comment (x)
1. Search the web ¦ done (really) ¦ ) ¦ 1) ¦ {} ¦ ⏎
join() ¦ join($1, $2) ¦ 9. join() ¦ 9. join()<END_OF_PLAN> ¦ join( ¦ JOIN() ¦ join )
"""
)
_ENDS = ["\n", "\n", "\n", "\r\n", "\n\n", " # note (x)\n", "; ", " ", "", ")\n", ",\n"]


@cache
def _calls() -> st.SearchStrategy[str]:
    named = st.tuples(st.sampled_from(["query=", "n = ", "query==", ""]), _arguments()).map("".join)
    commas = st.sampled_from([", ", ",", " , ", ",\n  ", " "])
    inside = st.builds(str.join, commas, st.lists(_arguments() | named, max_size=3))
    numbers = st.builds(str.format, st.sampled_from(_HEADS), st.sampled_from(_IDS))
    names = st.sampled_from([*TOOLS, "ｆ", "_f", "f "])
    return st.tuples(numbers, names, st.just("("), inside, st.sampled_from([*")" * 5, "\n)", "", "))", ",)"])).map(
        "".join
    )


@cache
def _arguments() -> st.SearchStrategy[str]:
    return st.sampled_from(_STRINGS) | st.sampled_from(_VALUES) | texts().map(lambda text: f'"{text}"')


@st.composite
def plan_texts(draw: st.DrawFn) -> str:
    """Return plan-like texts: lines of calls, thoughts and prose, then a few deletions, doublings, swaps and strays."""
    lines = st.tuples(_calls() | st.sampled_from(_LINES), st.sampled_from(_ENDS)).map("".join)
    text = draw(st.sampled_from(["", "", "\ufeff", "Sure!\n"])) + "".join(draw(st.lists(lines, max_size=6)))
    for change in draw(st.lists(st.sampled_from(_CHANGES), max_size=3)):
        text = change(text, draw(st.integers(0, len(text))), draw(st.integers(0, 9)))
    return text


def _delete(text: str, at: int, size: int) -> str:
    return text[:at] + text[at + size :]


def _double(text: str, at: int, size: int) -> str:
    return text[: at + size] + text[at:]


def _stray(text: str, at: int, which: int) -> str:
    return text[:at] + "\"'()\n$\\#“{"[which] + text[at:]


def _swap_lines(text: str, at: int, size: int) -> str:
    lines = text.split("\n")
    one, other = at % len(lines), (at + size) % len(lines)
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def _cut(text: str, at: int, size: int) -> str:
    return text[:at]


_CHANGES: tuple[Callable[[str, int, int], str], ...] = (_delete, _double, _stray, _stray, _swap_lines, _cut)


# Chunks


def chunks_of(text: str, size: int) -> list[str]:
    """Return `text` in pieces of `size` characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]


@st.composite
def chunkings(draw: st.DrawFn, text: str) -> list[str]:
    """Return pieces of any size, empty ones too, that make up `text`."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
