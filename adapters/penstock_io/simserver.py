"""The simulated provider on loopback: a small HTTP/1.1 server around `penstock.simulation.server.Server`.

It exists for tests, the demo and `penstock sim`. A connection is one object and a reply one timer: there is no task a
request, so a thousand waiting pictures cost a thousand timers. What is decided about a request is decided when it has
arrived whole; a client that leaves afterwards only misses the answer.

With a time scale the provider lives faster than its clients: a scale of 10 makes a minute's limits refill in six
seconds and a picture of 3 s take 0.3. All that is said on the wire (limits, resets, waits) is in the client's seconds.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from math import isinf
from random import Random
from typing import TypeVar

from attrs import evolve

from penstock.http import HttpCall, HttpReply
from penstock.simulation.server import Planned, Server, ServerSettings, Stats

__all__ = ["SimServer", "serving"]

T = TypeVar("T")

HOST = "127.0.0.1"
PREFIX = "/v1"
LARGEST_HEAD = 64 * 1024
LARGEST_BODY = 64 * 1024 * 1024
BACKLOG = 1024

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
            411: "Length Required", 413: "Content Too Large", 429: "Too Many Requests", 431: "Headers Too Large",
            500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}  # fmt: skip
_LINGER_ZERO = struct.pack("ii", 1, 0)

Headers = tuple[tuple[str, str], ...]


class SimServer:
    """A running provider: `await start()`, then `base_url` is what clients are given, until `await stop()`.

    `settings` are in the provider's own seconds; `time_scale` is how many of them pass in one of ours. `server` is the
    pure provider behind it: while a loop of another thread runs it, reach it through `call`.
    """

    def __init__(
        self,
        settings: ServerSettings | None = None,
        port: int = 0,
        *,
        seed: int = 0,
        time_scale: float = 1.0,
    ) -> None:
        self._zero = time.monotonic()
        faster = evolve(settings or ServerSettings(), epoch=time.time()).faster(time_scale)
        self.server = Server(faster, rng=Random(seed))  # noqa: S311 latencies and faults, not secrets
        self.port = port
        self._listener: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[_Connection] = set()
        self._waiting: list[Callable[[], object]] = []
        self._still: float | None = None
        self._due: deque[Callable[[], object]] = deque()
        self._spare = 0

    @property
    def root_url(self) -> str:
        """Where `/stats` is."""
        return f"http://{HOST}:{self.port}"

    @property
    def base_url(self) -> str:
        """What a client is given: "http://127.0.0.1:PORT/v1"."""
        return self.root_url + PREFIX

    def now(self) -> float:
        """Seconds since it was made; they stand still while it is held."""
        return time.monotonic() - self._zero if self._still is None else self._still

    async def start(self) -> None:
        """Listen on loopback; `port` 0 picks a free one. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._listener = await self._loop.create_server(
            lambda: _Connection(self._handle, self._end, self._connections), HOST, self.port, backlog=BACKLOG
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._listener is not None:
            self._listener.close()
            for connection in list(self._connections):
                connection.drop()
            await self._listener.wait_closed()
            self._listener = None

    def call(self, ask: Callable[[Server], T]) -> T:
        """Ask or change the provider between two requests, from any thread: `call(lambda server: server.stats())`."""
        loop = self._loop
        if loop is None or not loop.is_running() or _runs_here(loop):
            return ask(self.server)
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(ask(self.server))
            except Exception as error:  # noqa: BLE001 whatever `ask` raises is its caller's, in the other thread
                answer.set_exception(error)

        loop.call_soon_threadsafe(run)
        return answer.result(timeout=120)

    def stats(self) -> Stats:
        """The provider's truth, as `GET /stats` says it. From any thread."""
        return self.call(lambda server: server.stats(self.now()))

    def wait(self, until: Callable[[Stats], bool], seconds: float = 120.0) -> bool:
        """Wait in another thread than the provider's until a request makes its stats such; False: not in `seconds`.

        It is asked now and whenever a request has arrived whole: `wait(lambda stats: stats["in_flight"] == 4)`.
        """
        there = threading.Event()

        def look() -> None:
            if until(self.server.stats(self.now())):
                there.set()

        def begin(_: Server) -> None:
            self._waiting.append(look)
            look()

        self.call(begin)
        try:
            return there.wait(seconds)
        finally:
            self.call(lambda _: self._waiting.remove(look))

    def hold(self) -> None:
        """Let its time stand still until `release()`: what arrives is decided and stays out. From any thread.

        Limits do not refill, nothing that takes time is answered, and so `in_flight` is what a test waits for, however
        busy the machine is. What takes no time (a `refusal_delay` of 0) is answered.
        """

        def stop(_: Server) -> None:
            self._still = self.now()

        self.call(stop)

    def release(self, replies: int | None = None) -> None:
        """Go on, and answer what is due; or answer only so many, those that come due first, and stay held."""

        def go(_: Server) -> None:
            if replies is None:
                self._still, self._spare = None, 0
            elif self._still is not None:
                self._spare += replies
            while self._due and (self._still is None or self._spare):
                self._end(self._due.popleft())

        self.call(go)

    def _end(self, end: Callable[[], object]) -> None:
        """A reply is due."""
        if self._still is not None and not self._spare:
            self._due.append(end)
            return
        self._spare -= self._spare > 0
        end()

    def _handle(self, method: str, path: str, headers: Headers, body: bytes) -> Planned:
        path, _, query = path.partition("?")
        if method == "GET" and path == "/stats":
            stats = dict(self.server.stats(self.now()))
            if query == "brief":
                del stats["requests"]
            return Planned(0.0, _plain(200, stats))
        if not path.startswith(PREFIX + "/"):
            return Planned(
                0.0, _plain(404, {"error": {"message": f"the API is under {PREFIX}", "code": "unknown_url"}})
            )
        planned = self.server.reply(HttpCall(method, path[len(PREFIX) :], headers, body), self.now())
        for look in self._waiting:
            look()
        return planned


@contextmanager
def serving(
    settings: ServerSettings | None = None, port: int = 0, *, seed: int = 0, time_scale: float = 1.0
) -> Generator[SimServer, None, None]:
    """Serve from a thread of its own, until the block is left.

    >>> with serving() as sim:
    ...     sim.stats()["received"]
    0
    """
    sim = SimServer(settings, port, seed=seed, time_scale=time_scale)
    ready: Future[Callable[[], object]] = Future()

    async def live() -> None:
        ending = asyncio.Event()
        try:
            await sim.start()
        except OSError as error:
            ready.set_exception(error)
            return
        ready.set_result(partial(asyncio.get_running_loop().call_soon_threadsafe, ending.set))
        await ending.wait()
        await sim.stop()

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="penstock-sim", daemon=True)
    thread.start()
    stop = ready.result(timeout=30)
    try:
        yield sim
    finally:
        stop()
        thread.join(timeout=30)


class _Connection(asyncio.Protocol):
    """One client. Requests are answered one after the other; what arrives meanwhile waits in the buffer."""

    def __init__(
        self,
        handle: Callable[[str, str, Headers, bytes], Planned],
        due: Callable[[Callable[[], object]], None],
        others: set[_Connection],
    ) -> None:
        self._handle = handle
        self._due = due
        self._others = others
        self._buffer = bytearray()
        self._head: tuple[str, str, Headers, int] | None = None
        self._busy = False
        self._keep = True
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 asyncio's promise for a stream protocol
        self._transport = transport
        self._others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 why it left changes nothing
        self._others.discard(self)
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._busy:
            self._advance()

    def drop(self) -> None:
        """Tear the connection down, as a server that dies does."""
        if self._transport is not None:
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._transport.abort()

    def _advance(self) -> None:
        """Answer what is in the buffer, as far as it is whole."""
        if self._head is None and not self._read_head():
            return
        assert self._head is not None  # noqa: S101 read just now
        method, path, headers, length = self._head
        if len(self._buffer) < length:
            return
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        self._busy = True
        self._plan(self._handle(method, path, headers, body))

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > LARGEST_HEAD:
                self._give_up(431)
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        method, _, rest = lines[0].partition(" ")
        path, _, version = rest.partition(" ")
        headers = tuple(
            (name.strip().lower(), value.strip()) for name, _, value in (x.partition(":") for x in lines[1:])
        )
        named = dict(headers)
        length = named.get("content-length", "0")
        if not version.startswith("HTTP/1.") or not (length.isascii() and length.isdigit()):
            self._give_up(400)
        elif "transfer-encoding" in named:
            self._give_up(411)
        elif int(length) > LARGEST_BODY:
            self._give_up(413)
        else:
            self._keep = named.get("connection", "").lower() != "close" and version != "HTTP/1.0"
            self._head = (method, path, headers, int(length))
            if named.get("expect", "").lower() == "100-continue" and self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return True
        return False

    def _plan(self, planned: Planned) -> None:
        if isinf(planned.delay):
            return
        if planned.delay > 0.0:
            self._timer = asyncio.get_running_loop().call_later(planned.delay, self._due, partial(self._end, planned))
        else:
            self._end(planned)

    def _end(self, planned: Planned) -> None:
        self._timer = None
        transport = self._transport
        if transport is None:
            return
        if planned.reply is not None and planned.pieces:
            transport.write(self._head_of(planned.reply, "transfer-encoding: chunked"))
            self._stream(planned, 0, len(planned.reply.body) if planned.cut is None else planned.cut)
            return
        if planned.reply is not None:
            head = self._head_of(planned.reply, f"content-length: {len(planned.reply.body)}")
            transport.writelines((head, planned.reply.body[: planned.cut]))
        self._finish(planned, transport)

    def _stream(self, planned: Planned, place: int, left: int) -> None:
        """Send a piece of a stream, and the next one when it is due; at most `left` bytes of them all."""
        self._timer = None
        transport = self._transport
        if transport is None:
            return
        piece = planned.pieces[place][1][:left]
        if piece:
            transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        left, place = left - len(piece), place + 1
        if left and place < len(planned.pieces):
            after, rest = planned.pieces[place][0], partial(self._stream, planned, place, left)
            self._timer = asyncio.get_running_loop().call_later(after, self._due, rest)
            return
        if not planned.reset:
            transport.write(b"0\r\n\r\n")
        self._finish(planned, transport)

    def _finish(self, planned: Planned, transport: asyncio.Transport) -> None:
        if planned.reset:
            self._reset()
            return
        if not self._keep:
            transport.close()
            return
        self._busy = False
        if self._buffer:
            asyncio.get_running_loop().call_soon(self._advance)

    def _reset(self) -> None:
        # What was written has to leave before the reset, which throws away what has not.
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size():
            self._timer = asyncio.get_running_loop().call_later(0.01, self._reset)
        else:
            self.drop()

    def _head_of(self, reply: HttpReply, framing: str) -> bytes:
        head = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Status')}\r\n"]
        head += [f"{name}: {value}\r\n" for name, value in reply.headers if name != "content-length"]
        head.append(framing + ("\r\n\r\n" if self._keep else "\r\nconnection: close\r\n\r\n"))
        return "".join(head).encode("latin-1", "replace")

    def _give_up(self, status: int) -> None:
        """Answer what cannot be understood, and leave."""
        self._keep = False
        self._busy = True
        self._end(Planned(0.0, _plain(status, {"error": {"message": _REASONS[status], "code": None}})))


def _plain(status: int, content: object) -> HttpReply:
    return HttpReply(status, (("content-type", "application/json"),), json.dumps(content).encode())


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
