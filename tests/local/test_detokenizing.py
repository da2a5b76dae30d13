"""From tokens to text, piece by piece."""

import pytest

from llmcompiler.models.local.costs import PrefillCost
from llmcompiler.models.local.detokenizing import Detokenizer
from llmcompiler.testing.checkpoint import make_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def pieces_of(tokenizer, tokens):
    reading = Detokenizer(tokenizer.decode)
    return [*map(reading.feed, tokens), reading.close()]


@pytest.mark.parametrize("text", ["search('K2')", "Größe: 8611 m – höher", "山の高さ 🏔️ 👩‍👩‍👧", " a  b\n\n c "])
def test_the_pieces_are_the_text_and_no_character_comes_in_parts(tokenizer, text) -> None:
    pieces = pieces_of(tokenizer, tokenizer.encode(text))
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_bytes_that_are_no_character_are_held_back_a_while_and_then_shown(tokenizer) -> None:
    broken = tokenizer.encode("é")[:1] * 30
    pieces = pieces_of(tokenizer, broken)
    assert "\ufffd" in "".join(pieces)
    assert "".join(pieces) == tokenizer.decode(broken)


def test_what_is_held_back_comes_at_the_end(tokenizer) -> None:
    *_, last = pieces_of(tokenizer, [*tokenizer.encode("ab"), tokenizer.encode("é")[0]])
    assert last == "\ufffd"


def test_the_cost_of_a_prefill_is_estimated_on_the_dear_side() -> None:
    cost = PrefillCost()
    assert cost.of(100) is None
    cost.measured(100, 1.0)
    cost.measured(10, 0.5)  # a shorter one says less
    assert [cost.of(50), cost.of(100), cost.of(200)] == [0.5, 1.0, 4.0]


def test_a_tokenizer_may_be_made_that_cuts_text_as_it_is_told() -> None:
    told = make_tokenizer(texts=["the height of K2: 8611"], pieces=r" ?\w+|.")
    pieces = ["the", " height", " of", " K2", ":", " 8611"]
    assert [told.decode([token]) for token in told.encode("".join(pieces))] == pieces
    assert told.decode(told.encode("K2 is Größe")) == "K2 is Größe"
