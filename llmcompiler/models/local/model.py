"""A model in this process as a `Model`: for every strategy that asks for streamed text."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from llmcompiler.errors import ContextTooLong, UsageError
from llmcompiler.models.local.detokenizing import Detokenizer
from llmcompiler.models.local.generation import Sampling
from llmcompiler.models.local.host import Decoding, Host, host_of
from llmcompiler.models.model import Chunk, Prompt, Usage
from llmcompiler.models.stopping import StopStrings
from llmcompiler.plan.diagnostics import did_you_mean


class LocalModel:
    """A causal language model of transformers, in this process.

    name: a folder, or a name on the hub, from which it is downloaded on first use. options: temperature (0, the likeliest
    token, unless said), top_p (1), max_tokens (1024), seed. Loading begins at once, in the background. Tools that a prompt
    offers are not shown to it: it answers in text. Raises `UsageError` where the extra `local` is not installed, the folder
    does not exist or an option is not known.
    """

    def __init__(self, name: str, *, options: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.sampling = sampling_of(name, options or {})
        self._host: Host | None = host_of(name)

    def __repr__(self) -> str:
        return f"LocalModel({self.name!r})"

    def __str__(self) -> str:
        return f"local:{self.name}"

    @property
    def host(self) -> Host:
        """Return what holds the weights; they are loaded again if they were released."""
        if self._host is None or self._host.has_failed:
            self._host = host_of(self.name)
        return self._host

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """Yield the reply, empty chunks while the model is loaded; the last one carries usage. Raises a `ModelError`."""
        host = self.host
        async for _ in host.loading():
            yield Chunk()
        tokens = await host.compute(partial(host.checkpoint.prompt, prompt.messages))
        room = room_for(host, len(tokens), self.sampling.max_tokens)
        decoding = Decoding(host, tokens, self.sampling)
        reading, stopping = Detokenizer(host.checkpoint.decode_reply), StopStrings(prompt.stop)
        finish = "length"
        for _ in range(room):
            token = await decoding.step()
            if token in host.checkpoint.ends:
                finish = "stop"
                break
            text = stopping.feed(reading.feed(token))
            if text:
                yield Chunk(text)
            if stopping.has_stopped:
                finish = "stop"
                break
        rest = "" if stopping.has_stopped else stopping.feed(reading.close()) + stopping.held
        yield Chunk(rest, Usage(1, len(tokens), decoding.generation.sampled, 0), finish)

    def release(self) -> None:
        """Let go of the weights; their memory is free once nobody else uses them."""
        self._host = None


def sampling_of(name: str, options: Mapping[str, Any]) -> Sampling:
    """Return how a model is sampled. Raises `UsageError` for an option that it does not have."""
    known = [field.name for field in fields(Sampling)]
    for option in options:
        if option not in known:
            raise UsageError(f"local:{name} has no option {option!r}; {did_you_mean(option, known)}")
    return Sampling(**options)


def room_for(host: Host, given: int, wanted: int) -> int:
    """Return how many tokens may be sampled after `given` ones. Raises `ContextTooLong` if none may."""
    context = host.checkpoint.context
    if context is None:
        return wanted
    if given >= context:
        raise ContextTooLong(f"local:{host.name}: the prompt has {given} tokens, and the model reads {context}")
    return min(wanted, context - given)
