"""Engine: the seam between a session and whatever generates text.

A session reads sampled text piece by piece, and decides when something is put in. It does so one call after another: it
never injects, pauses or stops while a `read` is under way (a `read` may be cancelled, and then only `stop` may follow).
"""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from llmcompiler.models.model import Prompt, Usage
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.run import Run

SafePoints: TypeAlias = Literal["token", "line"]


@dataclass(slots=True)
class Counts:
    """What a generation has cost so far, in tokens. None where the provider did not say; never guessed as 0.

    prefilled: read by the model: the prompt, injected text, and `resent`: what it had read or written before, and was
    sent once more. generated: sampled by the model.
    """

    requests: int = 0
    prefilled: int | None = 0
    resent: int | None = 0
    generated: int | None = 0

    def request(self, usage: Usage | None, again: int | None) -> int | None:
        """Count a request of which `again` tokens were sent once more; return how many it has read and written."""
        usage = usage or Usage()
        self.requests += 1
        self.prefilled = _sum(self.prefilled, usage.input_tokens)
        self.resent = _sum(self.resent, again)
        self.generated = _sum(self.generated, usage.output_tokens)
        return _sum(usage.input_tokens, usage.output_tokens)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


@runtime_checkable
class Generation(Protocol):
    """One text that a model writes, with what is put into it. The session alone holds it.

    finish: why the model ended its text (`stop`, `length`, ...), None while it has not. `inject` lets it go on after that.
    """

    counts: Counts
    finish: str | None

    async def read(self) -> str | None:
        """Return the next piece of *sampled* text, not empty; None at the end of the text. Raises a `ModelError`."""
        ...

    def inject(self, text: str, *, drop: int = 0) -> None:
        """Append `text` after all text so far; the model reads it before it writes its next token. Called at safe points.

        drop: so many characters of sampled text, the last that were read, are taken back first, as if never written (what
        came in one piece with a trap, or an interrupt that the model made up).
        """
        ...

    async def pause(self, seconds: float | None) -> None:
        """Write nothing until the next `inject`; it is expected in `seconds`, None if nobody knows."""
        ...

    async def stop(self) -> None:
        """End it, and release what it holds. Nothing but `counts` may be used any more; a second call does nothing."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Makes generations. A model that is itself an engine is used as one by `AsyncLM(engine="auto")`.

    safe_points: between which pieces text may be put in, outside of calls: anywhere (`token`), or after a line or a call
    only (`line`), where that costs a request, and where a word would be cut.
    """

    safe_points: SafePoints

    def begin(self, prompt: Prompt, run: Run, delimiters: Delimiters) -> Generation:
        """Return the generation for a prompt, not begun. `run` counts its usage, and has its limits and deadlines."""
        ...
