"""ScriptedEngine: an engine of AsyncLM whose text is written down in advance, on the loop's clock."""

import asyncio
from collections.abc import Iterable, Sequence

from llmcompiler.models.model import Prompt, Usage
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.engine import Counts, SafePoints
from llmcompiler.strategies.run import Run
from llmcompiler.testing.server.tokens import count_tokens, tokenize


class ScriptedEngine:
    """Writes its texts in order, each to an end of the text; an injection lets it go on. Keeps the prompts it was given.

    texts: each is cut into tokens, unless it is a list of pieces. per_token: seconds before each piece. first_token: seconds
    before the first piece, and per_injection those before the first one after each injection, beside it.
    """

    def __init__(
        self,
        texts: Iterable[str | Sequence[str]],
        *,
        per_token: float = 0.0,
        first_token: float = 0.0,
        per_injection: float = 0.0,
        safe_points: SafePoints = "token",
    ) -> None:
        self.safe_points = safe_points
        self.prompts: list[Prompt] = []
        self.generations: list[ScriptedGeneration] = []
        self._texts = [list(tokenize(text)) if isinstance(text, str) else list(text) for text in texts]
        self._seconds = (per_token, first_token, per_injection)

    def begin(self, prompt: Prompt, run: Run, delimiters: Delimiters) -> "ScriptedGeneration":
        """Return a generation that writes the next texts; what an earlier one left of its text is never written."""
        self.prompts.append(prompt)
        generation = ScriptedGeneration(prompt, run, self._texts, self._seconds)
        self.generations.append(generation)
        return generation


class ScriptedGeneration:
    """A text being written. `injected` are the texts that were put in, `text` is all of it, with them."""

    def __init__(self, prompt: Prompt, run: Run, texts: list[list[str]], seconds: tuple[float, float, float]) -> None:
        read = sum(count_tokens(message.text) for message in prompt.messages)
        self.counts = Counts(requests=1, prefilled=read)
        self.finish: str | None = None
        self.text = ""
        self.injected: list[str] = []
        self._prompt, self._run, self._texts = prompt, run, texts
        self._per_token, self._pause, self._per_injection = seconds
        self._is_over = False

    async def read(self) -> str | None:
        """Return the next piece; `AssertionError` if there is no text left."""
        if self.finish is not None:
            return None
        if not self._texts:
            raise AssertionError(f"no text is scripted any more; it was {self.text[-200:]!r}")
        if not self._texts[0]:
            self._texts.pop(0)
            self.finish = "stop"
            return None
        await asyncio.sleep(self._pause + self._per_token)
        self._pause = 0.0
        piece = self._texts[0].pop(0)
        self.text += piece
        self.counts.generated = (self.counts.generated or 0) + 1
        return piece

    def inject(self, text: str, *, drop: int = 0) -> None:
        """Put text in."""
        self.text = self.text[: len(self.text) - drop] + text
        self.injected.append(text)
        self.counts.prefilled = (self.counts.prefilled or 0) + count_tokens(text)
        self.finish, self._pause = None, self._per_injection

    async def pause(self, seconds: float | None) -> None:
        """Wait for an injection."""

    async def stop(self) -> None:
        """Tell the run what it has used."""
        if not self._is_over:
            self._is_over = True
            if self.finish is None and self._texts:
                self._texts.pop(0)
            self._run.count(self._prompt.purpose, Usage(1, self.counts.prefilled, self.counts.generated, 0))
