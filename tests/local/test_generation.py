"""Generations: one cache from the prompt to the end, into which text is injected."""

import pytest

from llmcompiler.errors import ModelError
from llmcompiler.models.local.generation import Generation, Sampling

PROMPT = "The heights of K2 and of Mount Everest"
INTERRUPT = "[INTR] florist [HEAD] tulips [END]"


def uncached_logits(checkpoint, tokens):
    import torch

    with torch.inference_mode():
        return checkpoint.model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]


def begin(checkpoint, text=PROMPT, **sampling):
    return Generation(checkpoint, checkpoint.encode(text), Sampling(**sampling))


def steps(generation, count):
    return [generation.step() for _ in range(count)]


@pytest.fixture
def fed(checkpoint):
    """How many tokens the model was given, request by request."""
    counts = []
    handle = checkpoint.model.register_forward_pre_hook(
        lambda _, __, kwargs: counts.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    yield counts
    handle.remove()


def test_what_is_generated_with_the_cache_is_what_is_generated_without(checkpoint) -> None:
    tokens = checkpoint.encode(PROMPT)
    for _ in range(40):
        tokens.append(int(uncached_logits(checkpoint, tokens).argmax()))
    generated = steps(begin(checkpoint), 40)
    assert generated == tokens[-40:]
    assert len(set(generated)) > 5


def test_to_inject_gives_the_logits_of_a_full_prefill(checkpoint) -> None:
    generation, tokens = begin(checkpoint), checkpoint.encode(PROMPT)
    worst = 0.0
    for _ in range(3):
        tokens += steps(generation, 7)
        interrupt = checkpoint.encode(INTERRUPT)
        generation.inject(interrupt)
        tokens += interrupt
        difference = (generation.logits() - uncached_logits(checkpoint, tokens)).abs().max().item()
        worst = max(worst, difference)
    assert worst <= 1e-3
    assert str(generation.logits().dtype) == "torch.float32"


def test_only_the_prompt_the_interrupts_and_each_sampled_token_are_read_each_once(checkpoint, fed) -> None:
    generation = begin(checkpoint)
    steps(generation, 5)
    generation.inject(checkpoint.encode(INTERRUPT))
    generation.inject(checkpoint.encode(" and more"))
    steps(generation, 5)
    prompt, interrupts = (
        len(checkpoint.encode(PROMPT)),
        len(checkpoint.encode(INTERRUPT) + checkpoint.encode(" and more")),
    )
    assert fed == [prompt, 1, 1, 1, 1, 1 + interrupts, 1, 1, 1, 1]
    assert (generation.prefilled, generation.sampled, generation.recomputed) == (prompt + interrupts, 10, 0)
    assert generation.length == prompt + interrupts + 10


def test_a_long_prompt_is_read_in_pieces_and_gives_the_same(checkpoint, fed) -> None:
    text = PROMPT * 80
    tokens = checkpoint.encode(text)
    generation = begin(checkpoint, text)
    assert generation.has_backlog
    difference = (generation.logits() - uncached_logits(checkpoint, tokens)).abs().max().item()
    assert difference <= 1e-3
    assert max(fed[:-1]) == 512
    assert sum(fed[:-1]) == generation.prefilled == len(tokens)


def test_a_dropped_cache_is_read_once_more_and_changes_nothing(checkpoint) -> None:
    kept, dropped = begin(checkpoint), begin(checkpoint)
    assert steps(kept, 6) == steps(dropped, 6)
    dropped.drop()
    assert (kept.is_cached, dropped.is_cached) == (True, False)
    for generation in (kept, dropped):
        generation.inject(checkpoint.encode(INTERRUPT))
    assert steps(kept, 10) == steps(dropped, 10)
    assert dropped.prefilled == kept.prefilled
    assert (kept.recomputed, dropped.recomputed) == (0, len(checkpoint.encode(PROMPT)) + 5)  # the 6th was not read yet


@pytest.mark.parametrize(
    ("wait", "is_kept"),
    [
        pytest.param(None, True, id="of unknown length"),
        pytest.param(0.0, True, id="none"),
        pytest.param(3600.0, False, id="an hour"),
    ],
)
def test_a_cache_is_kept_unless_the_wait_is_long_beside_reading_it_again(checkpoint, wait, is_kept) -> None:
    generation = begin(checkpoint)
    steps(generation, 3)
    assert generation.pause(wait) is is_kept
    assert generation.is_cached is is_kept


def test_banned_tokens_never_come(checkpoint) -> None:
    free = steps(begin(checkpoint), 20)
    banned = bytearray(checkpoint.model.config.vocab_size)
    for token in free:
        banned[token] = 1
    generation = begin(checkpoint)
    assert not {generation.step(lambda: banned) for _ in range(50)} & set(free)


def test_banned_tokens_never_come_by_chance_either(checkpoint) -> None:
    banned = bytearray(b"\x01") * checkpoint.model.config.vocab_size
    allowed = {3, 50, 200}
    for token in allowed:
        banned[token] = 0
    generation = begin(checkpoint, temperature=5.0, seed=1)
    assert {generation.step(lambda: banned) for _ in range(60)} == allowed


def test_a_mask_that_allows_nothing_is_told(checkpoint) -> None:
    with pytest.raises(ModelError, match="no token"):
        begin(checkpoint).step(lambda: bytearray(b"\x01") * checkpoint.model.config.vocab_size)


@pytest.mark.parametrize("back", [1, 4])
def test_what_was_taken_back_was_never_there(checkpoint, back) -> None:
    generation, tokens = begin(checkpoint), checkpoint.encode(PROMPT)
    tokens += steps(generation, 6)[:-back]
    generation.take_back(back)
    generation.inject(checkpoint.encode(INTERRUPT))
    tokens += checkpoint.encode(INTERRUPT)
    assert (generation.logits() - uncached_logits(checkpoint, tokens)).abs().max().item() <= 1e-3
    assert generation.length == len(tokens)
    assert generation.prefilled == len(checkpoint.encode(PROMPT) + checkpoint.encode(INTERRUPT))
    assert generation.recomputed == (0 if back == 1 else len(tokens) - len(checkpoint.encode(INTERRUPT)))


def test_the_same_seed_chooses_the_same_and_another_one_does_not(checkpoint) -> None:
    one, same, other = (steps(begin(checkpoint, temperature=1.0, seed=seed), 20) for seed in (1, 1, 2))
    assert one == same != other


def test_top_p_leaves_the_likeliest_alone_where_it_is_small(checkpoint) -> None:
    greedy = steps(begin(checkpoint), 20)
    assert steps(begin(checkpoint, temperature=1.0, top_p=1e-6, seed=3), 20) == greedy
