"""Turn a reply to a request into the bytes an OpenAI-compatible server would send. Pure: no socket, no clock.

    request, reply ── say() ──▶ Said: what is left after stop strings and max_tokens ── pieces() ──▶ [Piece]

A streamed reply of n chunks is n + 1 pieces: one a chunk, then the finish event, the usage event and `[DONE]` together.
Any other answer is one piece.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from llmcompiler.testing.server.replies import Reply, Status, ToolCall, Usage, error_body
from llmcompiler.testing.server.requests import ChatRequest
from llmcompiler.testing.server.tokens import count_tokens, first_tokens, tokenize

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a body, due with chunk `index` (None: as soon as the request is there), and the model's text in them.

    The text of a tool call is its name, then its arguments.
    """

    index: int | None
    data: bytes
    text: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a reply comes to once the request's stop strings and max_tokens have cut it; `usage` is None if not told."""

    chunks: tuple[str, ...]
    tool_calls: tuple[ToolCall, ...]
    finish: str
    usage: Mapping[str, Any] | None

    @property
    def text(self) -> str:
        """The text without the calls."""
        return "".join(self.chunks)


def sse(data: Mapping[str, Any] | str, *, name: str | None = None) -> bytes:
    """Return `data` as one server-sent event (a mapping as JSON), under `name` if there is one."""
    payload = data.encode() if isinstance(data, str) else _json(data)
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + payload + b"\n\n"


def say(request: ChatRequest, reply: Reply) -> Said:
    """Return what `reply` says to `request`: a stop string and what follows it are cut off, and so are spare tokens."""
    text, why = _cut(reply.text, request.stop, request.max_tokens)
    chunks = tokenize(text) if reply.chunks is None else _shorten(reply.chunks, len(text))
    calls: tuple[ToolCall, ...] = ()
    if why is None and reply.tool_calls:
        if request.prompt is not None:
            raise ValueError("a raw completion has no tool calls: script this reply as text")
        left = None if request.max_tokens is None else request.max_tokens - count_tokens(text)
        calls, why = _cut_calls(reply.tool_calls, left)
    finish = reply.finish or why or ("tool_calls" if calls else "stop")
    return Said(tuple(chunks), calls, finish, _usage(request, reply, text, calls))


def pieces(request: ChatRequest, reply: Reply, *, number: int = 0, created: int = 0) -> list[Piece]:
    """Return the body that answers `request`, in pieces; `number` goes into its id, `created` is seconds since 1970."""
    if reply.status is not None:
        return [Piece(None, status_body(reply.status))]
    said, envelope = say(request, reply), Envelope(request, number, created)
    return _streamed(envelope, said) if request.stream else [_whole(envelope, said)]


def drip(request: ChatRequest, text: str | None, *, number: int = 0, created: int = 0) -> bytes:
    """Return one keep-alive for a reply to `request`: with `text` a chunk of it, else what a client skips."""
    if not request.stream:
        return b" " if text is None else text.encode()
    if text is None:
        return b": keep-alive\n\n"
    envelope = Envelope(request, number, created)
    return envelope.event(envelope.delta(text))


def status_body(status: Status) -> bytes:
    """Return the body of an error response, the usual one of its code unless the status has its own."""
    match status.body:
        case str() as text:
            return text.encode()
        case bytes() as raw:
            return raw
        case None:
            return _json(_usual_error(status.code))
    return _json(status.body)


def models_body(names: Sequence[str]) -> bytes:
    """Return the answer to GET /v1/models."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "llmcompiler"} for name in names]
    return _json({"object": "list", "data": models})


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all bodies and events of one response share: id, time, model, and the form of the endpoint."""

    request: ChatRequest
    number: int
    created: int

    def body(self, choices: Sequence[Mapping[str, Any]], usage: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return a whole body, or the data of one event if the request asked for a stream."""
        chat, chunk = self.request.prompt is None, self.request.stream
        kind = ("chat.completion.chunk" if chunk else "chat.completion") if chat else "text_completion"
        name = f"{'chatcmpl' if chat else 'cmpl'}-{self.number:06d}"
        head = {"id": name, "object": kind, "created": self.created, "model": self.request.model}
        return {**head, "choices": choices, "usage": usage}

    def event(self, choice: Mapping[str, Any], finish: str | None = None) -> bytes:
        """Return the event with this one choice; every event but the one for usage says `"usage": null`."""
        return sse(self.body([{"index": 0, **choice, "logprobs": None, "finish_reason": finish}], None))

    def delta(self, text: str) -> dict[str, Any]:
        """Return the part of a choice that carries `text`."""
        return {"delta": {"content": text}} if self.request.prompt is None else {"text": text}


def _whole(envelope: Envelope, said: Said) -> Piece:
    texts = [said.text, *(part for call in said.tool_calls for part in (call.name, call.arguments))]
    if envelope.request.prompt is None:
        calls = [_call(call) for call in said.tool_calls]
        message = {"role": "assistant", "content": said.text if said.text or not calls else None, "refusal": None}
        choice: dict[str, Any] = {"message": {**message, "tool_calls": calls} if calls else message}
    else:
        choice = {"text": said.text}
    body = envelope.body([{"index": 0, **choice, "logprobs": None, "finish_reason": said.finish}], said.usage)
    chunks = len(said.chunks) + sum(1 + count_tokens(call.arguments) for call in said.tool_calls)
    return Piece(max(chunks - 1, 0), _json(body), "".join(texts))


def _streamed(envelope: Envelope, said: Said) -> list[Piece]:
    chat = envelope.request.prompt is None
    head = envelope.event({"delta": {"role": "assistant", "content": ""}}) if chat else b""
    tail = envelope.event({"delta": {}} if chat else {"text": ""}, said.finish)
    if envelope.request.wants_usage and said.usage is not None:
        tail += sse(envelope.body([], said.usage))
    found = []
    for index, (text, choice) in enumerate(_choices(envelope, said)):
        found.append(Piece(index, head + envelope.event(choice), text))
        head = b""
    return [*found, Piece(max(len(found) - 1, 0), head + tail + DONE)]


def _choices(envelope: Envelope, said: Said) -> Iterator[tuple[str, dict[str, Any]]]:
    for text in said.chunks:
        yield text, envelope.delta(text)
    for index, call in enumerate(said.tool_calls):
        start = _call(ToolCall(call.name, "", call.id))
        yield call.name, {"delta": {"tool_calls": [{"index": index, **start}]}}
        for part in tokenize(call.arguments):
            yield part, {"delta": {"tool_calls": [{"index": index, "function": {"arguments": part}}]}}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _cut(text: str, stops: Sequence[str], limit: int | None) -> tuple[str, str | None]:
    """Return what is left of `text` and why it was cut; the stop string that is complete first wins."""
    limited = text if limit is None else first_tokens(text, limit)
    places = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    if places and min(places)[0] <= len(limited):
        return text[: min(places)[1]], "stop"
    return limited, "length" if len(limited) < len(text) else None


def _cut_calls(calls: Sequence[ToolCall], left: int | None) -> tuple[tuple[ToolCall, ...], str | None]:
    """Return the calls that `left` tokens have room for, the last one perhaps cut in its arguments; a name is one."""
    kept: list[ToolCall] = []
    for call in calls:
        arguments = call.arguments
        if left is not None:
            if left < 1:
                return tuple(kept), "length"
            arguments = first_tokens(arguments, left - 1)
            left -= 1 + count_tokens(arguments)
        kept.append(ToolCall(call.name, arguments, call.id))
        if len(arguments) < len(call.arguments):
            return tuple(kept), "length"
    return tuple(kept), None


def _shorten(chunks: Sequence[str], length: int) -> list[str]:
    """Return the first `length` characters of `chunks`; empty chunks stay where they were, unless cut off."""
    kept, left = list[str](), length
    for chunk in chunks:
        if left < len(chunk):
            return [*kept, chunk[:left]] if left else kept
        kept.append(chunk)
        left -= len(chunk)
    return kept


def _usage(request: ChatRequest, reply: Reply, text: str, calls: Sequence[ToolCall]) -> Mapping[str, Any] | None:
    usage = reply.usage
    if usage == "count":
        said = count_tokens(text) + sum(1 + count_tokens(call.arguments) for call in calls)
        usage = Usage(request.prompt_tokens, said)
    if not isinstance(usage, Usage):
        return usage
    record = {"total_tokens": usage.prompt_tokens + usage.completion_tokens, **asdict(usage)}
    cached = record.pop("cached_tokens")
    return record if cached is None else {**record, "prompt_tokens_details": {"cached_tokens": cached}}


def _usual_error(code: int) -> dict[str, Any]:
    match code:
        case 400 | 413:
            return error_body("The request was refused.", kind="invalid_request_error")
        case 401:
            return error_body("Incorrect API key provided.", kind="invalid_request_error", code="invalid_api_key")
        case 429:
            return error_body("Rate limit reached.", kind="requests", code="rate_limit_exceeded")
        case 500:
            return error_body("The server had an error while processing your request.")
        case 503:
            return error_body("The engine is currently overloaded.", kind="service_unavailable_error")
    known = code in HTTPStatus.__members__.values()
    return error_body(HTTPStatus(code).phrase if known else f"HTTP {code}", kind="api_error")


def _json(data: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate is no UTF-8, yet a JSON escape can carry it
        return json.dumps(data).encode()
