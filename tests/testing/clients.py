"""Clients of the loopback server."""

import http.client
import json
from typing import Any

import openai

from llmcompiler.testing.server import (
    LoopbackServer,
    ToolCall,
)

TEXT = "héllo wörld, 😀 and more\nof the same text"
SEARCH = ToolCall("search", '{"query": "Everest height in metres"}', "call_1")
ADD = ToolCall("add", '{"a": 1, "b": 2}', "call_2")
CHUNK = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How high is Everest?"}]


def chat(sdk: openai.OpenAI, server: LoopbackServer, **options: Any) -> Any:
    client = sdk.with_options(base_url=server.base_url, timeout=options.pop("timeout", 5))
    return client.chat.completions.create(model="m", **{"messages": QUESTION, **options})


def streamed(sdk: openai.OpenAI, server: LoopbackServer, **options: Any) -> list[Any]:
    return list(chat(sdk, server, stream=True, **options))


def texts(chunks: list[Any]) -> list[str]:
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices or []]  # None in an unknown event
    return [delta.content for delta in deltas if delta is not None and delta.content]


def connect(server: LoopbackServer) -> http.client.HTTPConnection:
    host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    return http.client.HTTPConnection(host, int(port), timeout=5)


def post(connection: http.client.HTTPConnection, *, path: str = "/v1/chat/completions", **options: Any) -> None:
    connection.request("POST", path, json.dumps({"model": "m", "messages": QUESTION, "stream": True, **options}))


def body(server: LoopbackServer, **options: Any) -> tuple[bytes, bool]:
    """Return the bytes of the body and whether the response was ended properly."""
    connection = connect(server)
    try:
        post(connection, **options)
        return connection.getresponse().read(), True
    except http.client.IncompleteRead as error:
        return error.partial, False
    finally:
        connection.close()


def wire(request: dict[str, Any], *headers: str) -> bytes:
    data = json.dumps(request).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: x", f"content-length: {len(data)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + data
