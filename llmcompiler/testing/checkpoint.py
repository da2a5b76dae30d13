"""A checkpoint for models in this process: a small Llama with random weights, and a byte-level tokenizer.

Made here in about a second, with the extra `local` and no download. What it writes is noise; what that costs is real.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmcompiler.models.local.checkpoint import no_progress_bar

REPLY = "<|assistant|>"  # stands behind a prompt; the model goes on from there

_SENTENCES = [
    'Thought: I need both numbers first.\n1. search("Microsoft market cap")\n2. join()',
    "[CALL] florist [HEAD] search(query='flowers') [END] [INTR] florist [HEAD] tulips [END] [TRAP] [END]",
    "The heights of K2 and of Mount Everest in metres: 8611 and 8849.",
]
CALL = (
    '<tool_call>{"name": "',
    '", "arguments": ',
    "}</tool_call>",
)  # around the name and the arguments of a native call
_TEMPLATE = (
    "{% if tools %}<|tools|>{{ tools | tojson }}{{ eos_token }}{% endif %}"
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}"
    "{% for call in message.tool_calls or [] %}"
    + "{{ call.function.name }}".join(CALL[:2])
    + "{{ call.function.arguments | tojson }}"
    + CALL[2]
    + "{% endfor %}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}" + REPLY + "{% endif %}"
)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute in one thread, as long as this is open.

    A model as small as these gains nothing by more of them, and on a busy machine they wait for each other.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def make_tokenizer(special: Sequence[str] = (), texts: Sequence[str] = _SENTENCES, pieces: str | None = None) -> Any:
    """Return a tokenizer that knows every byte, and writes each of `special` as one token.

    It has learnt some hundred tokens of `texts`. With `pieces`, a pattern, every piece of `texts` is one token: what else it
    is given it cuts at the same places, and further where it does not know a piece.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pieces is None)
    if pieces is not None:
        split = pre_tokenizers.Split(Regex(pieces), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, tokenizer.pre_tokenizer])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400 if pieces is None else 100_000,
        special_tokens=["<eos>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", chat_template=_TEMPLATE)


def make_checkpoint(folder: Path, tokenizer: Any = None, context: int = 4096) -> Path:
    """Write a checkpoint into a folder, the same each time; return the folder.

    tokenizer: one that was made here, that of `make_tokenizer()` unless said. context: how many tokens the model reads.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizer or make_tokenizer()
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 8,  # as many have it: more rows than tokens
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        initializer_range=0.5,  # so that contexts matter to what comes next
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    with no_progress_bar():
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
