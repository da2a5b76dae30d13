"""One connection of the loopback server: HTTP/1.1 by h11, and the playing of one response after another.

A response is played by one `asyncio.Task`; the protocol's callbacks run beside it, so that a client that leaves is
noticed whatever the response is waiting for. What is due is collected and written before the next wait.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import assert_never

import h11

from llmcompiler.testing.server.log import Log
from llmcompiler.testing.server.script import Finish, Pause, Repeat, Send, Step
from llmcompiler.testing.server.wire import Piece


@dataclass(frozen=True, slots=True)
class Incoming:
    """A whole HTTP request and when its last byte came, in seconds of `time.monotonic()`."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What to play: chunk i is due at `first_due + i * per_token`, in seconds of `time.monotonic()`."""

    status: int
    headers: Sequence[tuple[str, str]]
    steps: Sequence[Step]
    first_due: float = 0.0
    per_token: float = 0.0
    packet_size: int | None = None
    index: int | None = None  # of the request in the log; None: not logged

    def due(self, piece: Piece) -> float:
        """Return when `piece` may be sent; 0.0 for one that waits for nothing."""
        return 0.0 if piece.index is None else self.first_due + piece.index * self.per_token


class Connection(asyncio.Protocol):
    """A client's connection, from the first byte to the last; it stands in `peers` while it is open."""

    def __init__(self, answer: Callable[[Incoming], Response], log: Log, peers: "set[Connection]") -> None:
        self._answer, self._log, self._peers = answer, log, peers
        self._http = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._playing: tuple[Response, asyncio.Task[None]] | None = None
        self._ready: list[Piece] = []
        self._has_begun = False

    def stop(self) -> None:
        """Drop the connection at once; that is not the client's doing and is not logged as such."""
        if self._playing is not None:
            self._playing[1].cancel()
            self._playing = None
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the peers."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers.add(self)

    def data_received(self, data: bytes) -> None:
        """Read on, and begin to answer once a request is complete."""
        at = monotonic()
        self._http.receive_data(data)
        self._read(at)

    def eof_received(self) -> None:
        """Let the connection close; one that is being answered is dropped at once."""
        if self._playing is not None:  # whoever closes the sending half only is taken to have left, too
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the peers; a response being played ends here and the client is noted as gone."""
        self._peers.discard(self)
        self._may_write.set()
        if self._playing is not None:
            response, task = self._playing
            self._log.left(response.index, monotonic())
            task.cancel()

    def pause_writing(self) -> None:
        """Hold the response until the client has read some of it."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Let the response go on."""
        self._may_write.set()

    # From bytes to a request.

    def _read(self, at: float) -> None:
        while self._playing is None and not self._transport.is_closing():
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                return self._refuse(error)
            match event:
                case h11.Request():
                    self._request = event
                    self._body.clear()
                    if self._http.they_are_waiting_for_100_continue:
                        self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
                case h11.Data():
                    self._body += event.data
                case h11.EndOfMessage():
                    self._begin(at)
                case _:  # more bytes are needed, or the client has closed
                    return None
        return None

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        self._log.surprise(f"a client sent what is not HTTP/1.1: {error}")
        self._write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self._transport.close()

    def _begin(self, at: float) -> None:
        assert self._request is not None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._request.headers}
        path = self._request.target.decode("latin-1").partition("?")[0]
        response = self._answer(Incoming(at, self._request.method.decode("latin-1"), path, headers, bytes(self._body)))
        self._has_begun = False
        self._playing = response, asyncio.get_running_loop().create_task(self._play_safely(response))

    # From steps to bytes.

    async def _play_safely(self, response: Response) -> None:
        try:
            finish = await self._play(response)
        except Exception as error:  # noqa: BLE001 - a header HTTP does not allow, or a mistake of ours: tell, do not hang
            self._log.surprise(f"the response could not be sent: {error!r}")
            finish = Finish("close")
        self._playing = None
        self._end(finish)

    async def _play(self, response: Response) -> Finish:
        for step in response.steps:
            match step:
                case Send(piece):
                    if response.due(piece) > monotonic():
                        await self._flush(response)
                        await _sleep_until(response.due(piece))
                    self._ready.append(piece)
                case Pause(seconds):
                    await self._flush(response)
                    await _pause(seconds)
                case Repeat(seconds, data):
                    await self._flush(response)
                    await self._repeat(response, seconds, data)
                case Finish():
                    await self._flush(response, step)
                    return step
                case _:
                    assert_never(step)
        raise AssertionError("a response needs a Finish")

    async def _repeat(self, response: Response, seconds: float, data: bytes) -> None:
        start = monotonic()
        for number in count(1):
            await _sleep_until(start + number * seconds)
            self._ready.append(Piece(None, data))
            await self._flush(response)

    async def _flush(self, response: Response, finish: Finish | None = None) -> None:
        """Log and write what is ready, the headers before it; with `finish` also what ends the response."""
        if not self._ready and (finish is None or (not finish.headers and not self._has_begun)):
            if finish is not None:
                self._log.dropped(response.index, monotonic())
            return
        pieces, self._ready = self._ready, []
        self._log.sent(response.index, monotonic(), pieces, last=finish is not None)
        packets = self._packets(response, b"".join(piece.data for piece in pieces))
        if finish is not None and finish.how == "end":
            packets[-1] += self._http.send(h11.EndOfMessage()) or b""
        for packet in packets:
            self._write(packet)
            if len(packets) > 1:
                await asyncio.sleep(0)  # hand each to the kernel on its own
            await self._may_write.wait()

    def _packets(self, response: Response, body: bytes) -> list[bytes]:
        """Return what goes into each write: headers not sent yet, then `body` in HTTP chunks."""
        head = b""
        if not self._has_begun:
            self._has_begun = True
            head = self._http.send(h11.Response(status_code=response.status, headers=list(response.headers))) or b""
        size = response.packet_size or max(len(body), 1)
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        chunks = [self._http.send(h11.Data(part)) or b"" for part in parts]
        if response.packet_size is not None:
            return [head, *chunks] if head else chunks or [b""]
        return [head + b"".join(chunks)]

    def _end(self, finish: Finish) -> None:
        if finish.how == "reset":  # a linger time of 0 turns the close into a reset
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
        elif finish.how == "close" or self._http.our_state is not h11.DONE:
            self._transport.close()
        else:
            self._http.start_next_cycle()
            self._read(monotonic())

    def _write(self, data: bytes | None) -> None:
        if data and not self._transport.is_closing():
            self._transport.write(data)


async def _sleep_until(due: float) -> None:
    await asyncio.sleep(due - monotonic())


async def _pause(seconds: float | None) -> None:
    if seconds is None:
        await asyncio.get_running_loop().create_future()
    else:
        await _sleep_until(monotonic() + seconds)
