"""OpenAI's chat completions, streamed, at any base URL (vLLM, Ollama, llama.cpp, proxies).

The SDK makes the request; the event stream is read here, because a broken event must be skipped and counted rather than
end the answer, and because the SDK's own reading costs 100 us a chunk. The SDK's retries are off: there is one retry layer.
"""

import asyncio
import copy
import os
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmcompiler.errors import ModelTimeout, ModelUnavailable, StreamCut, UsageError
from llmcompiler.models.address import server_address
from llmcompiler.models.event_stream import EventStream
from llmcompiler.models.failures import refused
from llmcompiler.models.model import Chunk, Message, Prompt, ToolCall
from llmcompiler.plan.tools import ToolSpec

if TYPE_CHECKING:
    import openai

CONNECT_SECONDS = 5.0
# Options that are no fields of the request, by the names that a call of the SDK has for them, and the SDK itself.
_OF_THE_SDK = {"extra_headers": "headers", "extra_query": "params", "timeout": "timeout"}


class OpenAIModel:
    """A model behind OpenAI's chat completions.

    name: the model. base_url, api_key: the environment's `OPENAI_BASE_URL` and `OPENAI_API_KEY` unless given; servers that
    want no key get a placeholder. connect: seconds until a connection must stand. options: further request fields, such as
    `temperature`. Raises `UsageError` if neither a key nor a base URL is known, or the URL is no address of a server.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        connect: float = CONNECT_SECONDS,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.skipped_events = 0
        self._base_url = _checked(base_url, "base_url") or _checked(
            os.environ.get("OPENAI_BASE_URL"), "OPENAI_BASE_URL"
        )
        key = (api_key or os.environ.get("OPENAI_API_KEY") or "").strip()  # one read from a file ends in a newline
        self._key = key or ("none" if self._base_url else "")
        if not self._key:
            raise UsageError(
                f"no key for the model openai:{name}: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, "
                "or pass base_url= or api_key= (--base-url on the command line); `llmcompiler demo` runs without either"
            )
        if not (self._key.isascii() and self._key.isprintable()):
            raise UsageError(f"the key for the model openai:{name} holds characters that a header cannot carry")
        self._connect = connect
        said = dict(options or {})
        self._call_options: Any = {ours: said.pop(name) for name, ours in _OF_THE_SDK.items() if name in said}
        beside = said.pop("extra_body", None) or {}
        self._fields = {**said, **beside}
        _import_soon()
        # Connections belong to the event loop that opened them.
        self._clients: dict[asyncio.AbstractEventLoop, _Client] = {}

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r}, base_url={self._base_url!r})"

    def __str__(self) -> str:
        return f"openai:{self.name}" + (f" at {self._base_url}" if self._base_url else "")

    def with_fields(self, fields: Mapping[str, Any]) -> "OpenAIModel":
        """Return this model with further request fields, such as `user`; the two share their connections."""
        other = copy.copy(self)
        other._fields = {**self._fields, **fields}
        return other

    @property
    def secrets(self) -> frozenset[str]:
        """Return the key, so that it can be kept out of every text that is shown."""
        return frozenset({self._key}) - {"none"}

    def stream(self, prompt: Prompt) -> AsyncIterator[Chunk]:
        """Yield the reply; the last chunk carries usage if the server said it. Raises a `ModelError`."""
        return self._reply("/chat/completions", said_in(prompt), prompt.stop)

    def complete(self, text: str, stop: tuple[str, ...] = ()) -> AsyncIterator[Chunk]:
        """Yield how the model goes on with a text as it stands, by raw completions; otherwise as `stream`."""
        # Unless told otherwise, servers end a raw completion after 16 tokens; null lets it be as long as it can.
        return self._reply("/completions", {"prompt": text, "max_tokens": None}, stop)

    async def _reply(self, path: str, said: Mapping[str, Any], stop: tuple[str, ...]) -> AsyncGenerator[Chunk, None]:
        import openai  # 350 ms, needed only here

        client = await self._client()
        events = EventStream()
        client.enter()
        try:
            # Not `chat.completions.create`: it searches each of its parameters for something to convert, takes by name only
            # what OpenAI's own servers know, and costs a quarter of the whole request.
            stream = await client.sdk.post(
                path,
                cast_to=object,
                body=self._body(said, stop),
                options=self._call_options,
                stream=True,
                stream_cls=openai.AsyncStream[object],
            )
            async with stream:
                async for data in stream.response.aiter_bytes():
                    for chunk in events.feed(data):
                        yield chunk
                    if events.error is not None and not events.is_finished:
                        raise StreamCut(f"{self}: the server reports an error in its stream: {events.error}")
        except openai.APITimeoutError as error:
            raise ModelTimeout(f"{self}: no connection within {self._connect} s", which="connect") from error
        except openai.APIStatusError as error:
            raise refused(str(self), error.status_code, error) from error
        except openai.APIConnectionError as error:
            raise ModelUnavailable(f"{self}: {error.__cause__ or error}") from error
        except Exception as error:  # the transport's own errors, while the reply is read
            if type(error).__module__.partition(".")[0] not in ("httpx2", "httpcore2", "httpx", "httpcore"):
                raise
            if not events.is_finished:
                raise StreamCut(f"{self}: the stream broke off: {error or type(error).__name__}") from error
        finally:
            self.skipped_events += events.skipped
            client.leave()
        if not events.is_finished:
            unread = f"; {events.skipped} events could not be read" if events.skipped else ""
            raise StreamCut(f"{self}: the stream ended before it said that it was finished{unread}")

    def release(self) -> None:
        """Let go of all connections: each event loop closes its own, those in use once their replies have ended.

        Returns at once, in any thread. Whoever asks again gets new ones; without this they are closed when the loop ends.
        """
        for loop, client in list(self._clients.items()):
            try:
                loop.call_soon_threadsafe(client.release)
            except RuntimeError:  # it was closed, and its connections with it
                self._clients.pop(loop, None)
                client.let_go()

    async def _client(self) -> "_Client":
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            import openai

            timeout = openai.Timeout(None, connect=self._connect)
            sdk = openai.AsyncOpenAI(api_key=self._key, base_url=self._base_url, timeout=timeout, max_retries=0)
            client = self._clients[loop] = _Client(sdk, self._clients)
            await client.begin()
        return client

    def _body(self, said: Mapping[str, Any], stop: tuple[str, ...]) -> dict[str, Any]:
        body = {"model": self.name, **said, "stream": True, "stream_options": {"include_usage": True}}
        if stop:
            body["stop"] = list(stop)
        return {**body, **self._fields}


def said_in(prompt: Prompt) -> dict[str, Any]:
    """Return the messages and the tools of a prompt as chat completions take them."""
    said: dict[str, Any] = {"messages": [_message(message) for message in prompt.messages]}
    if prompt.tools:
        said["tools"] = [function_of(spec) for spec in prompt.tools]
    return said


def function_of(spec: ToolSpec) -> dict[str, Any]:
    """Return a tool as chat completions take it."""
    parameters = {"type": "object", "properties": {}, **spec.parameters}
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": parameters},
    }


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    return {"role": message.role, "content": message.text or None, "tool_calls": [_call(c) for c in message.calls]}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _nobody_asks(sdk: "openai.AsyncOpenAI") -> None:
    """Nobody has a client any more but its guard, which closes it."""


class _Client:
    """The SDK's client on one event loop, closed when it was released and no reply is read any more, or with its loop."""

    def __init__(
        self, sdk: "openai.AsyncOpenAI", clients: "MutableMapping[asyncio.AbstractEventLoop, _Client]"
    ) -> None:
        self.sdk = sdk
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._replies = 0
        self._is_released = False
        self._guard = self._until_closed()
        # A model that nobody has any more may be garbage together with its connections. Each would close its socket then,
        # and when the guard closes the client, take what is watched under its number out of the loop: another's socket by
        # now, which nobody would hear of again. What is held from outside is no garbage, and is closed in order.
        self._hold = weakref.finalize(self, _nobody_asks, sdk)
        self._hold.atexit = False
        self._closing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Make sure that the connections are closed with the loop."""
        await anext(self._guard)

    async def _until_closed(self) -> AsyncGenerator[None, None]:
        # asyncio.run ends the async generators of a loop before it closes it: the one chance to close connections there.
        try:
            yield
        finally:
            self._forget()
            await self._close()

    def enter(self) -> None:
        """A reply begins."""
        self._replies += 1

    def leave(self) -> None:
        """A reply is over."""
        self._replies -= 1
        self._close_if_unused()

    def release(self) -> None:
        """Serve no further replies. Called on the loop."""
        self._forget()
        self._is_released = True
        self._close_if_unused()

    def let_go(self) -> None:
        """Leave the connections to the garbage collector: their loop is closed, so nothing else can end them."""
        self._hold.detach()

    def _forget(self) -> None:
        if self._clients.get(self._loop) is self:
            del self._clients[self._loop]

    def _close_if_unused(self) -> None:
        if self._is_released and not self._replies:
            self._close()

    def _close(self) -> "asyncio.Task[None]":
        """Close the connections; return the task that does it, also the second time."""
        if self._closing is None:
            self._closing = asyncio.Task(self.sdk.close(), loop=self._loop)
            # Not in asyncio's register: at its end asyncio.run would cancel it half way. The guard waits for it.
            asyncio.tasks._unregister_task(self._closing)
        return self._closing


def _checked(base_url: str | None, where: str) -> str | None:
    """Return an address that is one, None where none is given. Raises `UsageError`, which names where it was given."""
    try:
        return server_address(base_url) if base_url else None
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _import_soon() -> None:
    """Import the SDK in a thread, while prompts are built: it takes a third of a second."""
    if "openai" not in sys.modules:
        threading.Thread(target=import_module, args=("openai",), name="llmcompiler import", daemon=True).start()
