"""An OpenAI-compatible server on loopback, in a thread of its own, that answers from a script and logs what it sent.

    Connection ── Incoming ──▶ LoopbackServer: read_request, choose a Reply, pieces, script ── Response ──▶ Connection

It serves POST /v1/chat/completions, POST /v1/completions and GET /v1/models to any API key. Chunks are sent on absolute
deadlines, counted from the arrival of the request: one that is late is followed at once by those due by then, so
nothing drifts.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from llmcompiler.testing.server.connection import Connection, Incoming, Response
from llmcompiler.testing.server.log import Log, LoggedRequest
from llmcompiler.testing.server.replies import Reply, Status, Timing, error_body
from llmcompiler.testing.server.requests import CHAT, COMPLETIONS, MODELS, ChatRequest, RequestError, read_request
from llmcompiler.testing.server.script import Finish, Send, script
from llmcompiler.testing.server.wire import Piece, drip, models_body, pieces, status_body

_AT_ONCE = Timing()
_BACKLOG = 4096  # connections that may wait to be accepted; the system may allow fewer
_CLOSE_SECONDS = 5.0  # longer than any close takes, unless a callable of the script hangs


class LoopbackServer:
    """A context manager: listening inside `with`, gone after it, with whatever its clients were doing.

    `replies` is a sequence, used in the order in which requests arrive, or a callable that returns the reply to a
    request; it runs on the server's thread and must not block. A text stands for `Reply(text)`. A request that the
    script has nothing for gets an HTTP 500 that says so, and `assert_consumed` tells. `timing` is for replies without
    their own; by default all is sent at once. `models` are the names that GET /v1/models lists; any name is answered.
    """

    def __init__(
        self,
        replies: Sequence[Reply | str] | Callable[[ChatRequest], Reply | str],
        *,
        timing: Timing = _AT_ONCE,
        host: str = "127.0.0.1",
        models: Sequence[str] = ("loopback",),
    ) -> None:
        if isinstance(replies, str):
            raise TypeError("replies must be a list or a callable, not one text: put it into a list")
        self._replies = replies if callable(replies) else tuple(replies)
        self._timing, self._host, self._models = timing, host, tuple(models)
        self._used = 0
        self._created = int(time.time())  # of all responses: one server, one time, so that bodies can be compared
        self._log = Log()
        self._peers: set[Connection] = set()
        self._port = 0
        self._running: tuple[threading.Thread, asyncio.AbstractEventLoop, asyncio.Event] | None = None

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL, "http://127.0.0.1:PORT/v1"."""
        if not self._port:
            raise RuntimeError("the server listens only inside `with server:`")
        return f"http://{self._host}:{self._port}/v1"

    @property
    def requests(self) -> list[LoggedRequest]:
        """The requests that arrived so far, in that order, as they stand now; later reading gives newer records."""
        return self._log.requests

    @property
    def connections(self) -> int:
        """How many connections are open at this moment."""
        return len(self._peers)

    def wait_until(
        self, condition: Callable[[list[LoggedRequest]], object], timeout: float = 5.0
    ) -> list[LoggedRequest]:
        """Block until `condition` of the requests is true and return them; TimeoutError after `timeout` seconds.

        From a coroutine call it through `asyncio.to_thread`. It serves for what a client cannot see, such as that the
        server has noticed its leaving.
        """
        if not self._log.wait_until(condition, timeout):
            raise TimeoutError(f"not so within {timeout} s; the log says {self.requests}")
        return self.requests

    def assert_consumed(self) -> None:
        """Raise AssertionError if replies were not asked for or requests came that the script has nothing for."""
        problems = self._log.unexpected
        if not callable(self._replies):
            unused = enumerate(self._replies[self._used :], self._used)
            problems += [f"reply {number} was never asked for: {_short(reply)}" for number, reply in unused]
        if problems:
            raise AssertionError("the script and the requests differ:\n  " + "\n  ".join(problems))

    def __enter__(self) -> Self:
        if self._port:
            raise RuntimeError("a LoopbackServer serves once: make another")
        listener = socket.create_server((self._host, 0))
        self._port = listener.getsockname()[1]
        # Not from the policy in force: a test may have put a loop with virtual time there.
        loop, stopping = asyncio.SelectorEventLoop(), asyncio.Event()
        thread = threading.Thread(
            target=self._run, args=(loop, listener, stopping), name="loopback-server", daemon=True
        )
        self._running = thread, loop, stopping
        thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is None:
            return
        thread, loop, stopping = self._running
        self._running = None
        loop.call_soon_threadsafe(stopping.set)
        thread.join(_CLOSE_SECONDS)
        if thread.is_alive():
            raise RuntimeError(f"the server did not stop within {_CLOSE_SECONDS} s: does its callable block?")

    def _run(self, loop: asyncio.AbstractEventLoop, listener: socket.socket, stopping: asyncio.Event) -> None:
        try:
            loop.run_until_complete(self._serve(loop, listener, stopping))
        finally:
            loop.close()

    async def _serve(self, loop: asyncio.AbstractEventLoop, listener: socket.socket, stopping: asyncio.Event) -> None:
        server = await loop.create_server(self._connect, sock=listener, backlog=_BACKLOG)
        await stopping.wait()
        server.close()
        # Left are cancelled responses, closing transports, and connections accepted a moment ago that become peers yet.
        while (others := asyncio.all_tasks() - {asyncio.current_task()}) or self._peers:
            for peer in list(self._peers):
                peer.stop()
            await asyncio.wait(others, timeout=0.05) if others else await asyncio.sleep(0)

    def _connect(self) -> Connection:
        return Connection(self._answer, self._log, self._peers)

    def _answer(self, incoming: Incoming) -> Response:
        if self._running is None:  # closing: a crowd of requests must not hold it up
            return Response(503, (), (Finish("close", headers=False),))
        match incoming.method, incoming.path:
            case "POST", path if path in (CHAT, COMPLETIONS):
                return self._answer_request(incoming)
            case "GET", path if path == MODELS:
                return _at_once(200, models_body(self._models))
        return self._refuse(incoming, 404, f"there is no {incoming.method} {incoming.path} here")

    def _answer_request(self, incoming: Incoming) -> Response:
        try:
            request = read_request(incoming.path, incoming.body)
        except RequestError as error:
            return self._refuse(incoming, 400, str(error))
        reply: Reply | None = None
        try:
            reply = self._choose(request)
            return self._respond(incoming, request, reply)
        except Exception as error:  # noqa: BLE001 - the script is the user's code, its mistakes must reach the user
            what = (
                f"no reply for request {len(self._log)} ({request.last_user[:60]!r}): {type(error).__name__}: {error}"
            )
        self._log.surprise(what)
        index = self._log.arrived(at=incoming.at, request=request, headers=incoming.headers, reply=None)
        return _at_once(500, status_body(Status(500, body=error_body(what))), index)

    def _choose(self, request: ChatRequest) -> Reply:
        if callable(self._replies):
            reply = self._replies(request)
        elif self._used < len(self._replies):
            reply = self._replies[self._used]
            self._used += 1
        else:
            raise LookupError(f"the script has {len(self._replies)} replies, all used")
        return Reply(reply) if isinstance(reply, str) else reply

    def _respond(self, incoming: Incoming, request: ChatRequest, reply: Reply) -> Response:
        number, created = len(self._log), self._created
        body = pieces(request, reply, number=number, created=created)
        steps = script(body, reply.faults, lambda text: drip(request, text, number=number, created=created))
        timing = reply.timing or self._timing
        reading = timing.per_prompt_token * request.prompt_tokens if timing.per_prompt_token else 0.0
        kind = "text/event-stream; charset=utf-8" if request.stream and reply.status is None else "application/json"
        return Response(
            status=200 if reply.status is None else reply.status.code,
            headers=_headers(kind, number, reply),
            steps=steps,
            first_due=incoming.at + timing.first_token + reading,
            per_token=timing.per_token,
            packet_size=reply.packet_size,
            index=self._log.arrived(at=incoming.at, request=request, headers=incoming.headers, reply=reply),
        )

    def _refuse(self, incoming: Incoming, code: int, why: str) -> Response:
        self._log.surprise(f"{incoming.method} {incoming.path}: {why}")
        return _at_once(code, status_body(Status(code, body=error_body(why, kind="invalid_request_error"))))


def _at_once(code: int, body: bytes, index: int | None = None) -> Response:
    return Response(code, [("content-type", "application/json")], (Send(Piece(None, body)), Finish()), index=index)


def _headers(kind: str, number: int, reply: Reply) -> list[tuple[str, str]]:
    """Return the response's headers; those of the reply and of its status replace ours."""
    theirs = [*reply.headers, *(reply.status.headers if reply.status else ())]
    names = {name.lower() for name, _ in theirs}
    ours = [("content-type", kind), ("x-request-id", f"req-{number:06d}")]
    return [*(header for header in ours if header[0] not in names), *theirs]


def _short(reply: Reply | str) -> str:
    text = repr(reply)
    return text if len(text) <= 120 else text[:117] + "..."
