"""An OpenAI-compatible server on loopback for tests and measurements: scripted replies, timing, faults, a log.

    with LoopbackServer([Reply("Hello", timing=Timing(first_token=0.2, per_token=0.01))]) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="any")

Imports run one way: server - connection - log, script - wire - requests, replies, tokens.
"""

from llmcompiler.testing.server.log import LoggedRequest, Sent
from llmcompiler.testing.server.replies import (
    Cut,
    Drip,
    Fault,
    Inject,
    Reply,
    SplitPackets,
    Stall,
    Status,
    Timing,
    ToolCall,
    Usage,
    error_body,
)
from llmcompiler.testing.server.requests import ChatRequest, RequestError, read_request
from llmcompiler.testing.server.server import LoopbackServer
from llmcompiler.testing.server.tokens import LONGEST_SPACE, count_tokens, tokenize
from llmcompiler.testing.server.wire import sse

__all__ = [
    "LONGEST_SPACE",
    "RequestError",
    "ChatRequest",
    "Cut",
    "Drip",
    "Fault",
    "Inject",
    "LoggedRequest",
    "LoopbackServer",
    "Reply",
    "Sent",
    "SplitPackets",
    "Stall",
    "Status",
    "Timing",
    "ToolCall",
    "Usage",
    "count_tokens",
    "error_body",
    "read_request",
    "sse",
    "tokenize",
]
