"""What the transport tests share: one prompt, a model and an agent at a loopback server, and the bytes of a reply."""

import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tenacity import wait_none

from llmcompiler import LLMCompiler, ModelRetries, OpenAIModel, tool
from llmcompiler.execution.requests import Deadlines, stream_reply
from llmcompiler.models.model import Chunk, Message, Prompt
from llmcompiler.testing.server import ChatRequest, LoopbackServer, Reply, Status

PROMPT = Prompt((Message("user", "How high is Everest?"),))
AT_ONCE = ModelRetries(retries=2, wait=wait_none())
ANSWER = "Thought: enough.\nAction: Finish(8849 m)"
KEY = "sk-transport-0123456789"


def model_at(server: LoopbackServer, **options: Any) -> OpenAIModel:
    return OpenAIModel("m", base_url=server.base_url, api_key=KEY, **options)


async def ask(
    model: OpenAIModel, *, deadlines: Deadlines | None = None, retries: ModelRetries = AT_ONCE
) -> tuple[str, list[Chunk]]:
    """Return the text of one reply, and its chunks."""
    chunks = [chunk async for chunk in stream_reply(model, PROMPT, deadlines or Deadlines(), retries)]
    return "".join(chunk.text for chunk in chunks), chunks


def raw(*parts: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return a reply whose body is exactly these bytes."""
    kind = ("content-type", "text/event-stream; charset=utf-8")
    return Reply(fault=Status(200, (kind, *headers), b"".join(parts)))


def body_of(url: str, request: Mapping[str, Any]) -> bytes:
    """Return the bytes with which a server answers `request`."""
    data = json.dumps(dict(request)).encode()
    head = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/chat/completions", data, head), timeout=5) as response:
        body: bytes = response.read()
        return body


def is_planner(request: ChatRequest) -> bool:
    return "<END_OF_PLAN>" in request.stop


def desk(plan: Callable[[], Reply | str], answer: Reply | str = ANSWER) -> Callable[[ChatRequest], Reply | str]:
    """Return a script that answers planners by `plan()` and joiners by `answer`."""
    return lambda request: plan() if is_planner(request) else answer


@dataclass
class World:
    """Two tools with a memory: `look` reads, `save` writes."""

    looked: list[str] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)

    def agent(self, server: LoopbackServer, **options: Any) -> LLMCompiler:
        """Return an agent with these tools."""

        @tool(effect="read")
        async def look(query: str) -> str:
            self.looked.append(query)
            return query.upper()

        @tool(effect="write")
        async def save(text: str) -> str:
            self.saved.append(text)
            return "saved"

        options = {"retries": AT_ONCE, "examples": (), **options}
        return LLMCompiler(model_at(server), [look, save], **options)
