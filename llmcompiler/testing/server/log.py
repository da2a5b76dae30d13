"""What the loopback server notes down: each request, and what was sent for it when.

The loop's thread writes, any thread reads; one lock guards both. A thing is noted *before* its bytes are handed to the
kernel, so whoever has seen an answer finds it in the log. All times are seconds of `time.monotonic()`.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from llmcompiler.testing.server.replies import Reply
from llmcompiler.testing.server.requests import ChatRequest
from llmcompiler.testing.server.wire import Piece


@dataclass(frozen=True, slots=True)
class Sent:
    """Text of the model (of a tool call its name, then its arguments) and when it was sent; if streamed, one chunk."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as the server saw it.

    `at`: its last byte had come. `reply`: what the script had for it; None: nothing, it was answered with HTTP 500.
    `headers`: by lower-case name. `first_sent_at`: the first byte of the response went out. `finished_at`: the last one
    did, or the server dropped the connection itself. `disconnected_at`: the client left before that. `body_bytes`: the
    bytes of the body sent so far, without HTTP's framing.
    """

    index: int
    at: float
    request: ChatRequest
    headers: Mapping[str, str]
    reply: Reply | None
    sent: tuple[Sent, ...] = ()
    first_sent_at: float | None = None
    finished_at: float | None = None
    disconnected_at: float | None = None
    body_bytes: int = 0

    @property
    def text(self) -> str:
        """All text sent so far."""
        return "".join(sent.text for sent in self.sent)


class Log:
    """The requests of one server in the order of their arrival, and what nobody expected."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[LoggedRequest] = []
        self._sent: list[list[Sent]] = []
        self._unexpected: list[str] = []

    @property
    def requests(self) -> list[LoggedRequest]:
        """Return the requests as they stand now."""
        with self._changed:
            for index, sent in enumerate(self._sent):
                if len(sent) > len(self._requests[index].sent):
                    self._requests[index] = replace(self._requests[index], sent=tuple(sent))
            return list(self._requests)

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def unexpected(self) -> list[str]:
        """Return what happened that the script did not foresee, a line each."""
        with self._changed:
            return list(self._unexpected)

    def wait_until(self, condition: Callable[[list[LoggedRequest]], object], timeout: float) -> bool:
        """Return whether `condition` of the requests came true within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(condition(self.requests)), timeout)

    def arrived(self, *, at: float, request: ChatRequest, headers: Mapping[str, str], reply: Reply | None) -> int:
        """Note a request and return its index."""
        with self._changed:
            index = len(self._requests)
            self._requests.append(LoggedRequest(index, at, request, MappingProxyType(dict(headers)), reply))
            self._sent.append([])
            self._changed.notify_all()
            return index

    def sent(self, index: int | None, at: float, pieces: Iterable[Piece], *, last: bool) -> None:
        """Note that `pieces` of the response to request `index` go out `at` this time; `last`: nothing follows."""
        if index is None:
            return
        with self._changed:
            size = 0
            for piece in pieces:
                size += len(piece.data)
                if piece.text:
                    self._sent[index].append(Sent(at, piece.text))
            before = self._requests[index]
            first = at if before.first_sent_at is None else before.first_sent_at
            finished = at if last else None
            self._requests[index] = replace(
                before, first_sent_at=first, finished_at=finished, body_bytes=before.body_bytes + size
            )
            self._changed.notify_all()

    def dropped(self, index: int | None, at: float) -> None:
        """Note that the server drops the connection itself."""
        self._end(index, finished_at=at)

    def left(self, index: int | None, at: float) -> None:
        """Note that the client left; nothing is noted once the response is finished."""
        self._end(index, disconnected_at=at)

    def surprise(self, what: str) -> None:
        """Note what nobody expected."""
        with self._changed:
            self._unexpected.append(what)
            self._changed.notify_all()

    def _end(
        self, index: int | None, *, finished_at: float | None = None, disconnected_at: float | None = None
    ) -> None:
        if index is None:
            return
        with self._changed:
            before = self._requests[index]
            if before.finished_at is None and before.disconnected_at is None:
                self._requests[index] = replace(before, finished_at=finished_at, disconnected_at=disconnected_at)
            self._changed.notify_all()
