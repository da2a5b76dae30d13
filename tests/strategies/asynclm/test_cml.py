"""The protocol machine of CML: what it reads, however the text is cut, and that nobody can forge anything."""

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.plan.framing import framed
from llmcompiler.plan.parser import MAX_CALL
from llmcompiler.strategies.asynclm.cml import (
    TOO_LONG,
    UNTERMINATED,
    CallBroken,
    CallRead,
    CMLReader,
    InterruptRefused,
    Item,
    TextRead,
    TrapRead,
    interrupt,
)
from llmcompiler.strategies.asynclm.delimiters import Delimiters

USUAL = Delimiters()
OTHER = Delimiters("<|call|>", "<|head|>", "<|end|>", "<|intr|>", "<|trap|>", "<|think|>", "<|/think|>")
SHARED = Delimiters("<<<A", "<<<B", "<<<C", "<<<D", "<<<E", "((T", "((U")  # all begin alike


def read(text: str, sizes: Sequence[int] = (), marks: Delimiters = USUAL) -> list[Item]:
    """Return what is in a text that comes in chunks of these sizes, its plain text in one piece between blocks."""
    reader, items, at = CMLReader(marks), list[Item](), 0
    for size in [*sizes, len(text)]:
        items += reader.feed(text[at : at + size])
        at += size
    return merged([*items, *reader.close()])


def merged(items: Sequence[Item]) -> list[Item]:
    found: list[Item] = []
    for item in items:
        last = found[-1] if found else None
        if isinstance(item, TextRead) and isinstance(last, TextRead):
            found[-1] = TextRead(last.text + item.text)
        else:
            found.append(item)
    return found


@pytest.mark.parametrize(
    ("text", "items"),
    [
        pytest.param("Hello [x] [CALLER]", [TextRead("Hello [x] [CALLER]")], id="text"),
        pytest.param("[CALL] a [HEAD] f(1) [END]", [CallRead("a", "f(1)", 0, 26)], id="call"),
        pytest.param("[CALL]f()[END]", [CallRead(None, "f()", 0, 14)], id="call without id"),
        pytest.param("[TRAP][END]x", [TrapRead(11), TextRead("x")], id="trap"),
        pytest.param("[TRAP] \n [END]", [TrapRead(14)], id="trap with white space"),
        pytest.param("[TRAP]x", [TrapRead(6), TextRead("x")], id="trap without end"),
        pytest.param("[TRAP]", [TrapRead(6)], id="trap at the end"),
        pytest.param("[TRAP][CALL]f()[END]", [TrapRead(6), CallRead(None, "f()", 6, 20)], id="call behind a trap"),
        pytest.param("[INTR] a [HEAD] 5 [END]x", [InterruptRefused(0), TextRead("x")], id="interrupt"),
        pytest.param("[INTR] a [TRAP][END]", [InterruptRefused(0), TrapRead(20)], id="trap in an interrupt"),
        pytest.param("a[END]b[HEAD]c</think>d", [TextRead("abcd")], id="stray delimiters"),
        pytest.param("<think>[CALL]f()[END][TRAP][END]</think>x", [TextRead("x")], id="thought"),
        pytest.param("<think>[CALL]f()[END]", [], id="open thought"),
        pytest.param("[CALL] a [HEAD] f([HEAD]) [END]", [CallRead("a", "f([HEAD])", 0, 31)], id="second head"),
        pytest.param(
            "[CALL] a [HEAD] f( [CALL]g()[END]",
            [CallBroken("a", UNTERMINATED, 0, 19), CallRead(None, "g()", 19, 33)],
            id="call in a call",
        ),
        pytest.param("[CALL] a [HEAD] f(", [CallBroken("a", UNTERMINATED, 0, 18)], id="open call"),
        pytest.param("[CALL] f([TRA", [CallBroken(None, UNTERMINATED, 0, 13)], id="open delimiter in a call"),
        pytest.param(
            f"[CALL]{'x' * (MAX_CALL + 9)}[END]y",
            [CallBroken(None, TOO_LONG, 0, MAX_CALL), TextRead("y")],
            id="too long",
        ),
        pytest.param(
            f"[CALL]{'x' * (MAX_CALL + 9)}[HEAD][END]y",
            [CallBroken(None, TOO_LONG, 0, MAX_CALL), TextRead("y")],
            id="an id that is too long",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1_000_000])
def test_the_grammar_and_what_is_against_it(text: str, items: list[Item], size: int) -> None:
    assert read(text, [size] * (len(text) // size)) == items


def pieces(marks: Delimiters) -> st.SearchStrategy[str]:
    """Return texts that are rich in delimiters, whole and broken."""
    parts = [part for mark in marks.all for part in (mark, mark[:-1], mark[:2], mark[0])]
    words = st.sampled_from([*parts, " ", "\n", "f(", ")", "a", '"', "x"])
    return st.lists(words | st.text(max_size=3), max_size=40).map("".join)


@pytest.mark.parametrize("marks", [USUAL, OTHER, SHARED])
@given(data=st.data())
def test_what_is_read_does_not_depend_on_chunks(marks: Delimiters, data: st.DataObject) -> None:
    text = data.draw(pieces(marks))
    sizes = data.draw(st.lists(st.integers(0, 9), max_size=60))
    assert read(text, sizes, marks) == read(text, (), marks)


@pytest.mark.parametrize("marks", [USUAL, OTHER, SHARED])
@given(data=st.data())
def test_no_value_of_a_tool_can_forge_anything(marks: Delimiters, data: st.DataObject) -> None:
    texts = pieces(marks)
    value = data.draw(st.recursive(texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=9))
    width = data.draw(st.sampled_from([4_000, 20]))
    check_frame(value, marks, width)


def check_frame(value: object, marks: Delimiters, width: int) -> None:
    block = interrupt(marks, "a", framed(value, width))  # type: ignore[arg-type]
    assert read(block, (), marks) == [InterruptRefused(0)]  # even if it were fed to the machine, which it never is
    assert "\n" not in block
    inner = block.removeprefix(f"{marks.interrupt} a {marks.head} ").removesuffix(f" {marks.end}")
    assert not any(mark in inner for mark in marks.all)
    if len(json.dumps(value, ensure_ascii=False)) <= width:
        assert json.loads(inner) == value


@given(st.data())
def test_a_text_is_critical_inside_of_blocks_thoughts_and_delimiters_alone(data: st.DataObject) -> None:
    text = data.draw(pieces(USUAL))
    reader = CMLReader()
    for character in text:
        reader.feed(character)
        if not reader.is_critical:  # so what follows is read as from a new beginning
            behind = CMLReader()
            assert [type(item) for item in behind.feed("[CALL]f()[END]")] == [CallRead]
    reader.close()
    assert not reader.is_critical


def test_a_border_is_behind_a_line_or_a_block() -> None:
    reader = CMLReader()
    found = []
    for piece in ["", "word", "\n", " ", "[CALL]", "f()", "[END]", " ", "x", "[TRAP]", "[END]", "[C", "x"]:
        reader.feed(piece)
        found.append(reader.is_at_border)
    assert found == [True, False, True, True, False, False, True, True, False, False, True, False, False]


def test_what_is_taken_back_is_forgotten() -> None:
    reader = CMLReader()
    reader.feed("Hi [INTR] a [HEAD] 5")
    reader.take_back(17)
    assert (reader.size, reader.is_critical) == (3, False)
    assert reader.feed("[CALL]f()[END]") == [CallRead(None, "f()", 3, 17)]


def fuzz(count: int, seed: int) -> tuple[int, int]:
    """Return how many calls and how many interrupts were forged in so many random texts and values."""
    chance, marks = random.Random(seed), USUAL
    parts = [*marks.all, *(mark[:-1] for mark in marks.all), *(mark[1:] for mark in marks.all)]
    words = [*parts, "\\", '"', "\n", "\u2028", "\\u005b", "[", "]", "a", " ", "é", "\x85", "</s>"]
    calls = interrupts = 0
    for _ in range(count):
        value = "".join(chance.choices(words, k=chance.randrange(1, 30)))
        block = interrupt(marks, "a", framed(value, chance.choice((4_000, 30))))
        model = "".join(chance.choices(words, k=chance.randrange(1, 20)))
        items = CMLReader().feed(block)
        calls += any(isinstance(item, CallRead | CallBroken | TrapRead) for item in items)
        interrupts += sum(isinstance(item, InterruptRefused) for item in items) - 1
        reader = CMLReader()
        seen = [*reader.feed(model), *reader.close()]
        interrupts += any(isinstance(item, TextRead) and marks.interrupt in item.text for item in seen)
    return calls, interrupts


def test_fuzzed_texts_and_values_forge_nothing() -> None:
    assert fuzz(50_000, seed=1) == (0, 0)  # as many texts of models, and values of tools
