"""Forcing: a model in this process that writes what it is told to. Its passes, its cache and what it reads are real."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from llmcompiler.models.local.checkpoint import Checkpoint

# Takes all that the model has read, as text, and returns what it writes next, before it ends its text.
GoesOn: TypeAlias = Callable[[str], str]

_BY_FAR = 1e6  # added to a logit: no other token comes near, but one that is banned stays banned


@dataclass(slots=True)
class Given:
    """What a model was given to read, as seen at its door: texts begun from an empty cache, and tokens.

    tokens: all but those that it had just chosen itself, which are `own`.
    """

    texts: int = 0
    tokens: int = 0
    own: int = 0


@contextmanager
def forced(checkpoint: Checkpoint, goes_on: GoesOn) -> Iterator[Given]:
    """Let a checkpoint write what `goes_on` says, as long as this is open; yield what it is given to read meanwhile.

    `goes_on` is asked behind all that is put before the model: a prompt, each piece of a long one, an interrupt. In between
    the model follows what it said. One text at a time. A mask holds as ever: what it bans does not come.
    """
    forcing, model = _Forcing(checkpoint, goes_on), checkpoint.model
    hooks = (
        model.register_forward_pre_hook(forcing.before, with_kwargs=True),
        model.get_output_embeddings().register_forward_hook(forcing.after),
    )
    try:
        yield forcing.given
    finally:
        for hook in hooks:
            hook.remove()


class _Forcing:
    def __init__(self, checkpoint: Checkpoint, goes_on: GoesOn) -> None:
        self.given = Given()
        self._checkpoint, self._goes_on = checkpoint, goes_on
        self._end = checkpoint.tokenizer.eos_token_id
        self._read: list[int] = []  # tokens that are in the cache
        self._ahead = [self._end]  # tokens that are still to be written, the next one last

    def before(self, _model: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        """Take what the model is given to read."""
        tokens, length = kwargs["input_ids"][0].tolist(), kwargs["cache"].get_seq_length()
        own = int(length > 0 and tokens[0] == self._ahead[-1])
        self.given.texts += length == 0
        self.given.tokens += len(tokens) - own
        self.given.own += own
        self._read[length:] = tokens
        if own and len(tokens) == 1:
            self._ahead.pop()
        else:
            text = self._goes_on(self._checkpoint.decode(self._read))
            self._ahead = [self._end, *reversed(self._checkpoint.encode(text))]

    def after(self, _head: Any, _read: Any, logits: Any) -> None:
        """Favour the next token."""
        logits[..., self._ahead[-1]] += _BY_FAR
