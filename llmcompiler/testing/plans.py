"""Hypothesis strategies: plans, texts that look like plans, and ways to cut a text into chunks.

`plans()` gives legal plans over every kind of value; `plan_texts()` gives what models write on a bad day. Needs `hypothesis`.
"""

import string
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from llmcompiler.plan.plan import Plan
from llmcompiler.plan.tasks import MAX_ID, Task
from llmcompiler.plan.values import Ref, Step, Value, joined

__all__ = ["chunkings", "chunks_of", "plan_texts", "plans", "steps", "tasks", "texts", "values"]

TOOLS = ("search", "weather", "calculate", "web.search", "web-search", "math/add", "joiner", "f")
PARAMETERS = ("query", "city", "n", "true", "_x", "größe")
_SPECIAL = "$$$\"'\\{}[]()<>,:;#=.*_-+0123456789 \t\r\n“”„‟‘’‚‛\u00a0\u200b\ufeff\u2028\x00\x7f\U0001f600é"
_LETTERS = string.ascii_letters + string.digits + "_"


def texts(max_size: int = 12) -> st.SearchStrategy[str]:
    """Return strings over all of Unicode but surrogates, rich in what the plan language gives a meaning to."""
    characters = st.one_of(st.sampled_from(_SPECIAL), st.characters(exclude_categories=["Cs"]))
    phrases = st.sampled_from(
        ["$1", "${1}", "$$", "$1 million", '${2["a b"]}', "join()", "1. f(", "\n2. g()", "it's", '"""', "Thought: "]
    )
    return st.one_of(st.text(characters, max_size=max_size), st.lists(phrases | characters, max_size=4).map("".join))


def steps() -> st.SearchStrategy[tuple[Step, ...]]:
    """Return paths: names, places and keys of every kind; no dunder names."""
    names = st.text(_LETTERS, min_size=1, max_size=6) | texts(6)
    places = st.integers(-999_999_999, 999_999_999)
    return st.lists(names.filter(lambda name: not name.startswith("__")) | places, max_size=4).map(tuple)


def values(ids: Sequence[int] = ()) -> st.SearchStrategy[Value]:
    """Return arguments of every kind; refs name one of `ids`."""
    whole = st.integers() | st.integers(-(10**399), 10**399)
    floats = st.floats(allow_nan=False, allow_infinity=False)
    leaves: st.SearchStrategy[Any] = st.one_of(st.none(), st.booleans(), whole, floats, texts())
    if ids:
        refs = st.builds(Ref, st.sampled_from(ids), steps())
        leaves |= refs | st.lists(texts(6) | refs, max_size=4).map(joined)
    return st.recursive(leaves, _containers, max_leaves=8)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4).map(tuple) | st.dictionaries(texts(6), inner, max_size=3)


def tasks(id: int, ids: Sequence[int] = ()) -> st.SearchStrategy[Task]:
    """Return tasks numbered `id` whose refs name some of `ids`."""
    lines = texts(20).map(_thought_line).filter(bool)
    return st.builds(
        Task,
        st.just(id),
        st.sampled_from(TOOLS),
        st.lists(values(ids), max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(PARAMETERS), values(ids), max_size=3),
        st.lists(lines, max_size=2).map("\n".join),
    )


def _thought_line(text: str) -> str:
    blanks = "\u200b\u200c\u200d\u2060\ufeff"
    line = text.replace("\n", " ")
    while line != line.strip().strip(blanks):
        line = line.strip().strip(blanks)
    return line


@st.composite
def plans(draw: st.DrawFn, max_size: int = 6, known: Iterable[int] = ()) -> Plan:
    """Return legal plans: ids in any order with gaps, refs to earlier tasks and to `known` ids."""
    earlier = sorted(known)
    free = st.integers(1, 12) | st.integers(1, MAX_ID)
    ids = draw(st.lists(free.filter(lambda id: id not in earlier), max_size=max_size, unique=True))
    read = [draw(tasks(id, [*earlier, *ids[:count]])) for count, id in enumerate(ids)]
    return Plan(tuple(read), complete=not read or draw(st.booleans()))


# Texts that look like plans

_HEADS = (
    "{}. ",
    "{}. ",
    "{}. ",
    "{}) ",
    "**{}.** ",
    "- {}. ",
    "* {}. ",
    "> {}. ",
    "${} = ",
    "${{{}}} = ",
    "{}.",
    "  {}. ",
    "; {}. ",
)
_IDS = ("1", "2", "3", "4", "5", "1", "2", "3", "7", "10", "0", "-1", "1.5", "007", "１", "1000000")
_STRINGS = (
    '"a"', "'a'", '"""a\n2. f()"""', "'''b'''", "“a”", "‘a’", "“a\"", "'it's'", '"say "hi" now"', '"a" "b"', '"a" + "b"', "r'\\d'",
    'f"{x}"', 'b"x"', '"a\\"b"', '"a\\\n1. f()"', '"', "'", '"""', '""', "''", '"costs $1"', '"$1"', '"${1}"', '"${1.name}"', '"${1["k"]}"',
    '"$$1"', '"$99"', '"$0"', '"${x}"', '"$ 1"', '"$1 million"', '"a, b) c"', '"line\nbreak"', '"\\u00e9\\x41\\N{DOLLAR SIGN}1"', '"\\',
)  # fmt: skip
_VALUES = (
    "1", "-2", "3.5", "1e3", "1_000", "0x1f", ".5", "1.", "1__0", "1e999", "true", "None", "null", "False", "x", "x y", "$1", "$2", "${3}",
    "$1.name", '$1["k"]', "${1.a[0]}", "$1[-1]", "$1.__class__", "$1._id", "$0", "$9", "$", "$1*2", "-$1", "f(1)", "$1.lower()", "()", "(1,)",
    "(1)", "(1, 2)", "[]", "[1, 2,]", "[1, 2", "[$1, [true]]", "{}", '{"a": 1}', '{"a": $1, "a": 2}', '{"$1": 1}', "{a: 1}", "# note\n", "[x for x in $1]",
)  # fmt: skip
_LINES = (
    "", " ", "Thought: I need $1 first.", "**Thought:** now", "Thought:", "- Thought: x)", "Here is the plan:", "```", "```python", "1. Search the web",
    "# comment (x)", "done (really)", "join()", "join($1, $2)", "9. join()", "9. join()<END_OF_PLAN>", "join(", "JOIN()", "join )", ")", "1)", "{}",
)  # fmt: skip
_ENDS = ("\n", "\n", "\n", "\r\n", "\n\n", " # note (x)\n", "; ", " ", "", ")\n", ",\n")


def _calls() -> st.SearchStrategy[str]:
    named = st.sampled_from(["query=", "n = ", "query==", ""]).flatmap(
        lambda name: _arguments().map(lambda value: name + value)
    )
    inside = st.lists(_arguments() | named, max_size=3).flatmap(
        lambda given: st.sampled_from([", ", ",", " , ", ",\n  ", " "]).map(lambda comma: comma.join(given))
    )
    head = st.tuples(st.sampled_from(_HEADS), st.sampled_from(_IDS), st.sampled_from([*TOOLS, "ｆ", "_f", "f "]))
    heads = head.map(lambda parts: parts[0].format(parts[1]) + parts[2] + "(")
    return st.tuples(heads, inside, st.sampled_from([")", ")", ")", ")", "\n)", "", "))", ",)"])).map("".join)


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
