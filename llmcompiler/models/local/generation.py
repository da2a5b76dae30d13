"""One text in the making: its tokens, the cache of what the model has read of them, and the choice of the next one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from llmcompiler.errors import ModelError
from llmcompiler.models.local.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch

# Returns a byte for each token, 1 for one that may not come next. Called in the host's thread.
Banned: TypeAlias = Callable[[], bytearray]

_AT_ONCE = 512  # tokens that are read in one go: in between others have their turn, and a cancellation is heard
_WORTH_DROPPING = 0.1  # of a wait


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; temperature 0 takes the likeliest. max_tokens: how many at most."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int | None = None


class Generation:
    """The tokens of one text, and how far the model has read them. What reads or chooses is for the host's thread.

    `prefilled` counts given tokens (the prompt, what was injected) that were read, each once; `sampled` those that the model
    chose; `recomputed` those read once more because the cache had been dropped.
    """

    def __init__(self, checkpoint: Checkpoint, prompt: Sequence[int], sampling: Sampling) -> None:
        self.prefilled = self.sampled = self.recomputed = 0
        self._checkpoint, self._sampling = checkpoint, sampling
        self._tokens = list(prompt)
        self._read = self._furthest = 0  # tokens in the cache; tokens that have ever been in it
        self._is_last_sampled = False
        self._cache: Any = None
        self._logits: torch.Tensor | None = None  # behind the newest token that was read
        self._seconds: float | None = 0.0  # of reading from nothing; None once that has been measured
        self._random = checkpoint.generator(sampling.seed) if sampling.temperature else None

    @property
    def length(self) -> int:
        """Return how many tokens there are: prompt, injected and sampled."""
        return len(self._tokens)

    @property
    def has_backlog(self) -> bool:
        """Return whether so much is unread that it is better read piece by piece, with `catch_up`."""
        return len(self._tokens) - self._read > _AT_ONCE

    @property
    def is_cached(self) -> bool:
        """Return whether a cache is kept."""
        return self._cache is not None

    def inject(self, tokens: Sequence[int]) -> None:
        """Append tokens after the newest one. They are read with it in the next step, and nothing is read again."""
        self._tokens += tokens

    def take_back(self, count: int) -> None:
        """Remove the newest tokens, sampled ones. What was not read yet costs nothing; else the cache is dropped."""
        if count:
            del self._tokens[-count:]
            self._is_last_sampled = False
        if len(self._tokens) < self._read:
            self.drop()
            self._furthest = len(self._tokens)

    def pause(self, seconds: float | None) -> bool:
        """Return whether the cache is kept for a wait of so many seconds, None for one of unknown length.

        It is dropped where to read everything once more was measured to take less than a tenth of the wait: the memory is
        then free for others, and the wait grows hardly longer.
        """
        cost = self._checkpoint.cost.of(len(self._tokens))
        if seconds is None or cost is None or cost > seconds * _WORTH_DROPPING:
            return True
        self.drop()
        return False

    def drop(self) -> None:
        """Give up the cache: its memory is free, and the next step reads everything once more."""
        self._cache = None
        self._read, self._seconds = 0, 0.0

    def catch_up(self) -> None:
        """Read one piece of the backlog."""
        self._feed(min(_AT_ONCE, len(self._tokens) - self._read))

    def logits(self) -> "torch.Tensor":
        """Return the logits of the next token, in float32, having read what is unread."""
        while self.has_backlog:
            self.catch_up()
        if self._read < len(self._tokens):
            self._feed(len(self._tokens) - self._read)
        assert self._logits is not None
        return self._logits

    def step(self, banned: Banned | None = None) -> int:
        """Choose the next token, append it and return it. Raises `ModelError` if every token is banned."""
        token = self._choose(self.logits(), banned and banned())
        self._tokens.append(token)
        self.sampled += 1
        self._is_last_sampled = True
        return token

    def _feed(self, count: int) -> None:
        """Let the model read the next `count` tokens."""
        started = time.perf_counter()
        end = self._read + count
        self._logits, self._cache = self._checkpoint.forward(self._tokens[self._read : end], self._cache)
        self._measure(time.perf_counter() - started, end)
        again = max(0, min(self._furthest, end) - self._read)
        self.recomputed += again
        if count > again:
            self.prefilled += count - again - self._is_last_sampled
            self._is_last_sampled = False
        self._read, self._furthest = end, max(self._furthest, end)

    def _measure(self, seconds: float, end: int) -> None:
        if self._seconds is not None:
            self._seconds += seconds
            if end == len(self._tokens):
                self._checkpoint.cost.measured(end, self._seconds)
                self._seconds = None

    def _choose(self, logits: "torch.Tensor", banned: bytearray | None) -> int:
        import torch

        if banned is not None:
            ban = torch.frombuffer(banned, dtype=torch.bool).to(logits.device)
            logits = logits.masked_fill(ban, -torch.inf)
        if torch.isneginf(logits.max()):
            raise ModelError("the model has no token with which its text may go on: all are banned here")
        if self._random is None:
            return int(logits.argmax())
        return int(torch.multinomial(self._likely(logits), 1, generator=self._random))

    def _likely(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Return the probabilities of the tokens, those beyond the top p set to 0."""
        chances = (logits / self._sampling.temperature).softmax(-1)
        if self._sampling.top_p < 1.0:
            ordered, places = chances.sort(descending=True)
            is_beyond = ordered.cumsum(-1) - ordered >= self._sampling.top_p
            chances = chances.index_fill(-1, places[is_beyond], 0.0)
        return chances
