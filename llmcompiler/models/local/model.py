"""A model in this process as a `Model`: for every strategy that asks for streamed text."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any

from llmcompiler.errors import BadModelRequest, ContextTooLong, UsageError
from llmcompiler.models.local.calls import CallForm, CallText
from llmcompiler.models.local.checkpoint import Checkpoint
from llmcompiler.models.local.detokenizing import Detokenizer
from llmcompiler.models.local.generation import Sampling
from llmcompiler.models.local.host import Decoding, Host, host_of
from llmcompiler.models.model import Chunk, Prompt, Usage
from llmcompiler.models.stopping import StopStrings
from llmcompiler.plan.diagnostics import did_you_mean


class LocalModel:
    """A causal language model of transformers, in this process.

    name: a folder, or a name on the hub, from which it is downloaded on first use. options: temperature (0, the likeliest
    token, unless said), top_p (1), max_tokens (1024), seed. Loading begins at once, in the background. It calls tools
    natively if its chat template knows how. Raises `UsageError` where the extra `local` is not installed, the folder does
    not exist or an option is not known.
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
        reading = _Reading(host.checkpoint, prompt, await self._call_form(prompt))
        tokens = await host.compute(partial(host.checkpoint.prompt, prompt.messages, prompt.tools))
        room = room_for(host, len(tokens), self.sampling.max_tokens)
        decoding = Decoding(host, tokens, self.sampling)
        while reading.finish is None and decoding.generation.sampled < room:
            chunk = reading.feed(await decoding.step())
            if chunk.has_content:
                yield chunk
        yield replace(reading.close(), usage=Usage(1, len(tokens), decoding.generation.sampled, 0))

    async def _call_form(self, prompt: Prompt) -> CallForm | None:
        if not prompt.tools:
            return None
        checkpoint = self.host.checkpoint
        form = await self.host.compute(lambda: checkpoint.call_form)
        if form is None:
            raise BadModelRequest(
                f"{self} cannot call tools natively: its chat template knows no tools, or writes calls in no form that can "
                "be read; use another strategy or model"
            )
        return form

    def release(self) -> None:
        """Let go of the weights; their memory is free once nobody else uses them."""
        self._host = None


class _Reading:
    """One reply as its tokens come: text up to a stop string, and calls. `finish` says why it has ended, once it has."""

    def __init__(self, checkpoint: Checkpoint, prompt: Prompt, form: CallForm | None) -> None:
        self.finish: str | None = None
        self._ends = checkpoint.ends
        self._text = Detokenizer(partial(checkpoint.decode_reply, marks=form.marks if form else ""))
        self._stopping = StopStrings(prompt.stop)
        self._calls = CallText(form) if form else None

    def feed(self, token: int) -> Chunk:
        """Return what a token adds."""
        if token in self._ends:
            self.finish = "stop"
            return Chunk()
        return self._read(self._text.feed(token))

    def close(self) -> Chunk:
        """Return the last chunk, which says why the reply has ended."""
        finish = self.finish or "length"
        rest = Chunk() if self._stopping.has_stopped else self._read(self._text.close(), is_over=True)
        called = finish == "stop" and self._calls is not None and self._calls.calls
        return replace(rest, finish="tool_calls" if called else finish)

    def _read(self, text: str, *, is_over: bool = False) -> Chunk:
        text = self._stopping.feed(text) + (self._stopping.held if is_over else "")
        if self._stopping.has_stopped:
            self.finish = "stop"
        if self._calls is None:
            return Chunk(text)
        said = self._calls.feed(text)
        if not (is_over or self._stopping.has_stopped):
            return said
        rest = self._calls.close()
        return Chunk(said.text + rest.text, calls=said.calls + rest.calls)


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
