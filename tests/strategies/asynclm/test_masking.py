"""The mask: what it lets come is CML, whatever the tokens are."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.masking import Grammar, Mask, Masks, Place

GRAMMAR = Grammar(Delimiters())
CALLS = ["[CALL]", "[HEAD]", "[END]", "[INTR]", "[TRAP]"]
# Delimiters whole, split and fused with their neighbours, names, noise; the last one ends a text.
TEXTS = [
    *CALLS, *"[]()CALHEDINTRP ax1_\n.", "[[", "][", "]\n", "\n[", "[C", "ALL]", "[IN", "TR", "TR]", "R]", "HEAD",
    "[EN", "D]", "D] ", "[END][",
    "[CALL] x", " [HEAD]", "x [HEAD] f(", ")[END]", "[TRAP][END]", "[TRAP][END] on", "<think>", "</think>",
    "é", "", "<eos>",
]  # fmt: skip
END = len(TEXTS) - 1
MASKS = Masks(TEXTS, {END}, Delimiters())


@pytest.mark.parametrize(
    "text",
    [
        "Let me see. [CALL] florist [HEAD] search('tulips') [END] [CALL] note('x') [END]\n[TRAP][END]",
        "an [index] and a [[nested] one",
        "[CALL]x[HEAD]f()[END]",
        "<think>[CALL] a [HEAD] [END] [TRAP] no</think> yes",
        "thoughts that the prompt began</think> so",
        "[CALL] größe [HEAD] f() [END]",
        "[CALL] f([1, [2]]) [END]",
    ],
)
def test_cml_may_come_in_whatever_pieces(text) -> None:
    for size in (1, 2, 3, 7, len(text)):
        place = Place()
        for start in range(0, len(text), size):
            place = GRAMMAR.after(place, text[start : start + size])
            assert place is not None, text[: start + size]
        assert place == GRAMMAR.after(Place(), text)


@pytest.mark.parametrize(
    "text",
    [
        "[INTR]",
        "so [INTR]",
        "[CALL] a [HEAD] f('[INTR]') [END]",
        "<think>[INTR]",
        "[HEAD]",
        "[END]",
        "[CALL] a [CALL]",
        "[CALL] a [TRAP]",
        "[CALL] a [HEAD] f() [HEAD]",
        "[CALL] [HEAD]",
        "[CALL] two words [HEAD]",
        "[CALL] 1st [HEAD]",
        "[CALL] f(x) [HEAD]",
        "[CALL] <think>",
        "[TRAP] [END]",
        "[TRAP]x",
        "[TRAP][E ",
        "[TRAP][END]x",  # in one token: what is behind a trap was written before anything could be put in
    ],
)
def test_what_is_no_cml_may_not(text) -> None:
    assert GRAMMAR.after(Place(), text) is None


def walk(choices):
    """Return the text that a model writes which takes the `choices`-th of the tokens that the mask allows."""
    mask, text = Mask(MASKS), ""
    for choice in choices:
        allowed = [id for id, is_banned in enumerate(mask.banned()) if not is_banned]
        token = allowed[choice % len(allowed)]
        if token == END:
            break
        mask.take(TEXTS[token])
        text += TEXTS[token]
    return text


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_no_choice_of_allowed_tokens_leaves_cml(choices) -> None:
    text = walk(choices)
    assert "[INTR]" not in text
    spoken = re.sub(r"<think>.*?(</think>|$)", " ", text, flags=re.DOTALL)
    calls = r"\[CALL\](\s*[^\W\d]\w*\s*\[HEAD\])?((?!\[(CALL|HEAD|END|INTR|TRAP)\]).)*\[END\]|\[TRAP\]\[END\]"
    rest = re.sub(calls, " ", spoken, flags=re.DOTALL)
    unended = re.sub(r"(\[CALL\](?!.*\[END\]).*|\[TRAP\](\[(E(ND?)?)?)?)$", "", rest, flags=re.DOTALL)
    assert not any(delimiter in unended for delimiter in CALLS), text


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_the_mask_is_what_the_grammar_says_of_each_token(choices) -> None:
    place = GRAMMAR.after(Place(), walk(choices)) or Place()
    banned = MASKS.at(place)
    for token, text in enumerate(TEXTS[:END]):
        assert banned[token] == (not text or GRAMMAR.after(place, text) is None), (place, text)


@pytest.mark.parametrize(
    ("text", "may_end"),
    [("so", True), ("<think>so", True), ("[CALL] a", False), ("[CALL] a [HEAD] f(", False), ("[TRAP]", False)],
)
def test_a_text_does_not_end_inside_of_a_call(text, may_end) -> None:
    mask = Mask(MASKS)
    mask.take(text)
    assert (not mask.banned()[END]) is may_end


def test_what_was_put_in_ends_a_delimiter_that_had_begun() -> None:
    mask = Mask(MASKS)
    mask.take("so [IN")
    assert mask.banned()[TEXTS.index("TR]")]
    mask.injected()
    assert not mask.banned()[TEXTS.index("TR]")]


def test_delimiters_may_overlap_with_themselves() -> None:
    delimiters = Delimiters(call="#a#ab", head="#a|", end="<<<e", interrupt="<<i", trap="<t>")
    texts = ["#", "a", "b", "|", "<", "e", "i", "x"]
    mask = Mask(Masks(texts, (), delimiters))
    mask.take("#a#a")
    assert [bool(banned) for banned in mask.banned()] == [text == "|" for text in texts]  # a head where no call is
    mask.take("b")
    mask.take("<<<<")
    assert [bool(banned) for banned in mask.banned()] == [text == "i" for text in texts]
