"""The engine `local`: a model in this process. Interrupts are appended to the live cache, and only their tokens are read.

It has no deadlines of requests, since nothing is requested: the run's limits of seconds and tokens hold.
"""

from functools import partial

from llmcompiler.errors import InternalError
from llmcompiler.models.local.detokenizing import Detokenizer
from llmcompiler.models.local.host import Decoding
from llmcompiler.models.local.model import LocalModel, room_for
from llmcompiler.models.model import Prompt, Usage
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.engine import Counts, SafePoints
from llmcompiler.strategies.asynclm.masking import Mask, Masks
from llmcompiler.strategies.run import Run


class LocalEngine:
    """Generates with a local model, whose text a mask holds to CML: it cannot write an interrupt or end inside a call.

    The model's `max_tokens` hold for the whole text.
    """

    safe_points: SafePoints = "token"

    def __init__(self, model: LocalModel) -> None:
        self.model = model
        self._masks: dict[Delimiters, Masks] = {}  # they cost some milliseconds each for a large vocabulary

    def begin(self, prompt: Prompt, run: Run, delimiters: Delimiters) -> "LocalGeneration":
        """Return the generation for a prompt, not begun."""
        return LocalGeneration(self, prompt, run, delimiters)

    def masks(self, delimiters: Delimiters) -> Masks:
        """Return the masks for these delimiters; the model must be loaded. It computes."""
        if delimiters not in self._masks:
            checkpoint = self.model.host.checkpoint
            self._masks[delimiters] = Masks(checkpoint.texts, checkpoint.ends, delimiters)
        return self._masks[delimiters]


class LocalGeneration:
    """One text that a local model writes (see `engine.Generation`)."""

    def __init__(self, engine: LocalEngine, prompt: Prompt, run: Run, delimiters: Delimiters) -> None:
        self.counts = Counts()
        self.finish: str | None = None
        self._engine, self._prompt, self._run, self._delimiters = engine, prompt, run, delimiters
        self._work: _Work | None = None
        self._early: list[str] = []  # put in before it has begun
        self._told = 0, 0  # tokens read and sampled that the run knows of
        self._is_stopped = False

    async def read(self) -> str | None:
        """Return the next piece of sampled text, None at its end. Raises a `ModelError`, or `LimitReached` for tokens."""
        if self._is_stopped:
            return None
        self._work = self._work or await self._begin()
        while self.finish is None:
            self.finish = await self._work.step()
            self._count(self._work)
            self._run.check_tokens()
            if text := self._work.say(is_over=self.finish is not None):
                return text
        return None

    def inject(self, text: str, *, drop: int = 0) -> None:
        """Append text, to be read before the next token; `drop` characters of the newest sampled text are taken back."""
        self.finish = None
        if self._work is None:
            self._early.append(text)
        else:
            self._work.inject(text, drop)

    async def pause(self, seconds: float | None) -> None:
        """Keep or drop the cache, by what it was measured to cost to read everything again."""
        if self._work is not None:
            await self._work.decoding.pause(seconds)

    async def stop(self) -> None:
        """End it; the memory of its cache is free once a step that is under way has ended."""
        if self._work is not None:
            self._count(self._work)
        self._work, self._is_stopped = None, True

    async def _begin(self) -> "_Work":
        model = self._engine.model
        host = model.host
        async for _ in host.loading():
            pass
        masks = await host.compute(partial(self._engine.masks, self._delimiters))
        tokens = await host.compute(partial(host.checkpoint.prompt, self._prompt.messages))
        for text in self._early:
            tokens += host.checkpoint.encode_foreign(text, self._delimiters.all)
        room = room_for(host, len(tokens), model.sampling.max_tokens)
        self.counts.requests = 1
        self._run.count(self._prompt.purpose, Usage(1, 0, 0, 0))
        return _Work(Decoding(host, tokens, model.sampling), Mask(masks), room, self._delimiters.all)

    def _count(self, work: "_Work") -> None:
        """Count what has been read and sampled, token by token, so that a limit of the run holds while text is written."""
        done = work.decoding.generation
        read, sampled = done.prefilled + done.recomputed, done.sampled
        self._run.count(self._prompt.purpose, Usage(0, read - self._told[0], sampled - self._told[1], 0))
        self._told = read, sampled
        self.counts.prefilled, self.counts.resent, self.counts.generated = read, done.recomputed, sampled


class _Work:
    """A generation that has begun: its decoding, the text of its tokens, the mask that follows it."""

    def __init__(self, decoding: Decoding, mask: Mask, room: int, marks: tuple[str, ...]) -> None:
        self.decoding = decoding
        self._marks = marks
        self._checkpoint = decoding.checkpoint
        self._mask = mask
        self._room = room
        self._reading = Detokenizer(self._checkpoint.decode)
        self._pieces: list[tuple[int, str]] = []  # tokens and text of what was said since the last injection
        self._silent = 0  # tokens since then, of a character that is not whole
        self._unsaid = ""

    async def step(self) -> str | None:
        """Sample a token. Return why the text ends, None if it goes on."""
        generation, context = self.decoding.generation, self._checkpoint.context
        if generation.sampled >= self._room or (context is not None and generation.length >= context):
            return "length"
        token = await self.decoding.step(self._mask.banned)
        if token in self._checkpoint.ends:
            generation.take_back(1)  # so that the text may go on behind an interrupt
            return "stop"
        self._silent += 1
        self._unsaid = self._reading.feed(token)
        return None

    def say(self, *, is_over: bool) -> str:
        """Return the text that has become whole, and at the end also what has not."""
        text = self._unsaid or (self._reading.close() if is_over else "")
        self._unsaid = ""
        if text:
            self._mask.take(text)
            self._pieces.append((self._silent, text))
            self._silent = 0
        return text

    def inject(self, text: str, drop: int) -> None:
        """Append text, behind what stays if so many characters of the last pieces go."""
        back, stays = self._silent, ""
        while drop > 0:
            if not self._pieces:
                raise InternalError(f"{drop} characters more are taken back than were written since the last injection")
            count, piece = self._pieces.pop()
            back += count
            stays, drop = piece[: max(0, len(piece) - drop)], drop - len(piece)
        tokens = self._checkpoint.encode_foreign(stays + text, self._marks)
        self.decoding.generation.take_back(back)
        self.decoding.generation.inject(tokens)
        self._mask.injected()
        self._reading = Detokenizer(self._checkpoint.decode, behind=tokens)
        self._pieces, self._silent = [], 0
