"""The HTTP seam against raw sockets on loopback.

Every way to fail is really provoked, in three ways of waiting and over both libraries.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import httpx
import httpx2
import pytest
import trio

from penstock.errors import UsageError
from penstock.events import Event, Failed, Opened
from penstock.http import HttpCall
from penstock.ids import AttemptId
from penstock.readings import Kind, Reached
from penstock_io._http import KEEPALIVE, Exchange, Order, open_async_client, open_client
from penstock_io._progress import Progress

ATTEMPT = AttemptId(1)
WAYS = ["threads", "asyncio", "trio"]
LIBRARIES = ["httpx2", "httpx"]
SECRET = "sk-never-shown"
REQUEST = HttpCall("POST", "/images", (("content-type", "application/json"),), b'{"prompt": "a"}')
LONG = 60.0
"""Seconds after which something hangs, however busy the machine is."""

BIG = HttpCall("POST", "/images", (), bytes(64 << 20))
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\n"
Script = Callable[[socket.socket, threading.Event], None]

# httpx (not httpx2) leaves the iterator of a request's body to the garbage collector, of which trio warns
LEFT_OVER = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Server:
    """One script for every connection; `over` ends the scripts that wait."""

    def __init__(self, script: Script, backlog: int = 16) -> None:
        self.over = threading.Event()
        self.heard: list[bytes] = []
        self.connections = 0
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def accept(self) -> None:
        """Serve until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._script(connection, self.over)
            except OSError:
                return

    def close(self) -> None:
        """End the scripts that wait, and take no more connections."""
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def join(self) -> None:
        """Wait for the scripts."""
        for thread in self._threads:
            thread.join()


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """A server, until the end of the block."""
    server = Server(script)
    thread = threading.Thread(target=server.accept)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
        server.join()


def more(connection: socket.socket) -> bytes:
    """More of a request."""
    data = connection.recv(1 << 20)
    if not data:
        raise ConnectionError("the client went away")
    return data


def read_request(connection: socket.socket) -> bytes:
    """A whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += more(connection)
    return head + b"\r\n\r\n" + body


def reset(connection: socket.socket) -> None:
    """End a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Notes:
    """A receiver that writes down what it is told."""

    def __init__(self, enough: int = 1 << 30, *, tells: bool = False) -> None:
        self._tells = tells
        self.opens: list[int] = []
        self.data = b""
        self.failures: list[tuple[Kind, Reached]] = []
        self.details: list[str] = []
        self._enough = enough

    def opened(self, status: int, headers: list[tuple[str, str]]) -> Event | None:
        """Note the status."""
        assert all(isinstance(name, str) for name, _ in headers)
        self.opens.append(status)
        return Opened(ATTEMPT, status)

    def feed(self, data: bytes) -> bool:
        """Note the bytes."""
        self.data += data
        return len(self.data) < self._enough

    def news(self) -> list[Event]:
        """Say how many bytes there are by now."""
        return [Opened(ATTEMPT, len(self.data))] if self._tells else []

    def closed(self) -> Event:
        """Say that all is there."""
        if len(self.data) >= self._enough:
            return self.failed(Kind.TOO_LARGE, Reached.READING)
        return Opened(ATTEMPT, 299)

    def failed(self, kind: Kind, reached: Reached, detail: str = "") -> Event:
        """Note the failure."""
        self.failures.append((kind, reached))
        self.details.append(detail)
        return Failed(ATTEMPT, kind, reached)


DONE = Opened(ATTEMPT, 299)


class Watched(Progress):
    """Says when a stage was reached."""

    def __init__(self, stage: Reached | None = None) -> None:
        super().__init__([False])
        self.there = threading.Event()
        self.stage = stage

    def hear(self, name: str, info: Mapping[str, object]) -> None:
        """Hear, and say when it is there."""
        super().hear(name, info)
        if self.reached is self.stage:
            self.there.set()


def make_client(way: str, library: str) -> Any:
    """A client that trusts nobody."""
    module: Any = {"httpx2": httpx2, "httpx": httpx}[library]
    kind = module.Client if way == "threads" else module.AsyncClient
    return kind(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), timeout=None, trust_env=False)


def make_order(way: str, port: int, call: HttpCall = REQUEST, *, scheme: str = "http", connect: float = 60.0) -> Order:
    """An order for a server of this test."""
    url = f"{scheme}://127.0.0.1:{port}/v1{call.path}"
    return Order(url, call, SECRET, connect=connect, alone=way == "threads")


def run(way: str, library: str, exchange: Exchange, abort: threading.Event | None = None) -> tuple[Event, list[Event]]:
    """One exchange in one way of waiting, broken off once `abort` is set; what it ended with and what it reported."""
    reports: list[Event] = []
    if way == "threads":
        return _run_thread(library, exchange, abort, reports), reports
    if way == "asyncio":
        return asyncio.run(_run_asyncio(library, exchange, abort, reports)), reports
    return trio.run(_run_trio, library, exchange, abort, reports), reports


def _run_thread(library: str, exchange: Exchange, abort: threading.Event | None, reports: list[Event]) -> Event:
    pool = ThreadPoolExecutor(1)
    try:
        with make_client("threads", library) as client:
            future = pool.submit(exchange.run, client, reports.append)
            if abort is not None:
                assert abort.wait(LONG)
                if exchange.progress.stop():
                    return exchange.answer()
            return future.result(LONG)
    finally:
        pool.shutdown(wait=abort is None)  # one that hangs in a handshake ends when the server does


async def _run_asyncio(library: str, exchange: Exchange, abort: threading.Event | None, reports: list[Event]) -> Event:
    async with make_client("asyncio", library) as client:
        task = asyncio.create_task(exchange.arun(client, reports.append))
        if abort is not None:
            assert await asyncio.to_thread(abort.wait, LONG)
            task.cancel()
        await asyncio.wait([task], timeout=LONG)
        return exchange.answer() if task.cancelled() else task.result()


async def _run_trio(library: str, exchange: Exchange, abort: threading.Event | None, reports: list[Event]) -> Event:
    async with make_client("trio", library) as client, trio.open_nursery() as nursery:
        nursery.start_soon(exchange.arun, client, reports.append)
        if abort is not None:
            assert await trio.to_thread.run_sync(abort.wait, LONG)
            nursery.cancel_scope.cancel()
    return exchange.answer()


def fail(way: str, library: str, order: Order, progress: Progress | None = None) -> tuple[Kind, Reached]:
    """How an exchange fails."""
    notes = Notes()
    run(way, library, Exchange(order, notes, progress or Progress([False])))
    (failure,) = notes.failures
    return failure


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """How it is waited."""
    return str(request.param)


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    """Over which library."""
    return str(request.param)


def answer(connection: socket.socket, over: threading.Event) -> None:
    """Answer as one should."""
    del over
    read_request(connection)
    connection.sendall(HEAD + b"0123456789")


def test_a_reply_is_read_to_its_end(way: str, library: str) -> None:
    """Opened is reported at once, the body goes to the receiver, the receiver's event ends the exchange."""
    notes = Notes()
    with serving(answer) as server:
        event, reports = run(way, library, Exchange(make_order(way, server.port), notes, Progress([False])))
    assert DONE == event
    assert [Opened(ATTEMPT, 200)] == reports
    assert b"0123456789" == notes.data
    assert [] == notes.failures


def test_news_is_reported_as_it_comes(way: str, library: str) -> None:
    """What a receiver makes of each piece is reported before the server says more, and nothing after it had enough."""
    told = threading.Event()

    def script(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(HEAD + b"01234")
        if told.wait(LONG):
            connection.sendall(b"56789")
        del over

    class Heard(Notes):
        def news(self) -> list[Event]:
            told.set()
            return super().news()

    notes = Heard(tells=True)
    with serving(script) as server:
        event, reports = run(way, library, Exchange(make_order(way, server.port), notes, Progress([False])))
    assert (DONE, b"0123456789") == (event, notes.data)
    assert [Opened(ATTEMPT, size) for size in (200, 5, 10)] == reports
    brief = Notes(5, tells=True)
    with serving(answer) as server:
        event, reports = run(way, library, Exchange(make_order(way, server.port), brief, Progress([False])))
    assert Failed(ATTEMPT, Kind.TOO_LARGE, Reached.READING) == event
    assert 2 == len(reports)


def test_what_is_sent(way: str, library: str) -> None:
    """The credential is a bearer token, the body is the call's, and only the thread driver closes its connection."""
    heard: list[bytes] = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        heard.append(read_request(connection))
        connection.sendall(HEAD + b"0123456789")

    with serving(script) as server:
        run(way, library, Exchange(make_order(way, server.port), Notes(), Progress([False])))
    head, _, body = heard[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"post /v1/images http/1.1" == lines[0]
    assert f"authorization: bearer {SECRET}".encode() in lines
    assert b"accept-encoding: identity" in lines
    assert (way == "threads") == (b"connection: close" in lines)
    assert REQUEST.body == body


def test_the_secret_is_not_shown() -> None:
    """Neither an order nor what goes wrong with it shows the credential."""
    order = make_order("asyncio", 1)
    assert SECRET not in repr(order)
    assert ("authorization", f"Bearer {SECRET}") in order.headers()


def test_a_signed_url_is_not_logged(way: str, library: str, caplog: pytest.LogCaptureFixture) -> None:
    """The line that the libraries log of each request keeps the path of its URL; the signature is cut off."""
    signed = HttpCall("GET", "/a.png?sig=never-shown#never-shown", (("content-length", "0"),))
    with caplog.at_level("INFO"), serving(answer) as server:
        run(way, library, Exchange(make_order(way, server.port, signed), Notes(), Progress([False])))
    (line,) = [record.getMessage() for record in caplog.records if record.name == library]
    assert f'HTTP Request: GET http://127.0.0.1:{server.port}/v1/a.png "HTTP/1.1 200 OK"' == line


def test_a_name_that_is_not_known(way: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not resolve is DNS, and nothing was reached."""

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    order = Order("http://no.such.host.invalid/v1/images", REQUEST, SECRET, alone=way == "threads")
    client = make_client(way, library)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    notes = Notes()
    exchange = Exchange(order, notes, Progress([False]))
    if way == "threads":
        exchange.run(client, lambda _: None)
    else:
        runner: Callable[[], object] = (
            (lambda: asyncio.run(exchange.arun(client, lambda _: None)))
            if way == "asyncio"
            else (lambda: trio.run(exchange.arun, client, lambda _: None))
        )
        runner()
    assert [(Kind.DNS, Reached.NOTHING)] == notes.failures
    assert ["no.such.host.invalid:80: Name or service not known"] == notes.details


def test_a_port_where_nobody_listens(way: str, library: str) -> None:
    """A refused connection is CONNECT, and nothing was reached."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    notes = Notes()
    run(way, library, Exchange(make_order(way, port), notes, Progress([False])))
    assert [(Kind.CONNECT, Reached.NOTHING)] == notes.failures
    assert [f"127.0.0.1:{port}: {os.strerror(errno.ECONNREFUSED)}"] == notes.details


@contextmanager
def deaf() -> Iterator[int]:
    """A port whose queue of connections is full: a further one is neither taken nor refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        yield port
        for each in waiting:
            each.close()


def test_a_connection_that_takes_too_long(way: str, library: str) -> None:
    """The time-out to connect is kept, and nothing was reached."""
    with deaf() as port:
        assert (Kind.TIMEOUT, Reached.NOTHING) == fail(way, library, make_order(way, port, connect=0.3))


def test_a_server_that_does_not_speak_tls(way: str, library: str) -> None:
    """A failed handshake is TLS; the connection stood, no byte of the request had left."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(script) as server:
        order = make_order(way, server.port, scheme="https")
        assert (Kind.TLS, Reached.CONNECTED) == fail(way, library, order)


def test_a_handshake_that_takes_too_long(way: str, library: str) -> None:
    """The time-out to connect covers the handshake, too; one that comes before the connection stands is another one."""

    def script(_: socket.socket, over: threading.Event) -> None:
        over.wait()

    ended = (Kind.TIMEOUT, Reached.NOTHING)
    with serving(script) as server:
        while ended == (Kind.TIMEOUT, Reached.NOTHING):  # this machine was busy elsewhere
            ended = fail(way, library, make_order(way, server.port, scheme="https", connect=0.5))
    assert (Kind.TIMEOUT, Reached.CONNECTED) == ended


@LEFT_OVER
def test_a_reset_in_the_middle_of_the_request(way: str, library: str) -> None:
    """What was cut off while sending is BROKEN at SENDING, or at SENT where all of it was handed to the loop first."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(1000)
        reset(connection)

    with serving(script) as server:
        kind, reached = fail(way, library, make_order(way, server.port, BIG))
    assert kind is Kind.BROKEN
    assert reached in {Reached.SENDING, Reached.SENT}


@pytest.mark.parametrize("gently", [True, False])
def test_a_server_that_goes_away_instead_of_answering(way: str, library: str, *, gently: bool) -> None:
    """A connection closed or reset after the whole request is BROKEN at SENT."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        if not gently:
            reset(connection)

    with serving(script) as server:
        assert (Kind.BROKEN, Reached.SENT) == fail(way, library, make_order(way, server.port))


@pytest.mark.parametrize("gently", [True, False])
def test_a_reply_that_is_cut_off(way: str, library: str, *, gently: bool) -> None:
    """A body that ends before its length, or with a reset, is BROKEN at READING."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.sendall(HEAD + b"0123")
        if not gently:
            reset(connection)

    notes = Notes()
    with serving(script) as server:
        run(way, library, Exchange(make_order(way, server.port), notes, Progress([False])))
    assert [(Kind.BROKEN, Reached.READING)] == notes.failures


def test_a_server_that_does_not_speak_http(way: str, library: str) -> None:
    """Garbage instead of a head is BROKEN at SENT: whoever answered may have executed."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

    with serving(script) as server:
        assert (Kind.BROKEN, Reached.SENT) == fail(way, library, make_order(way, server.port))


def test_a_reply_that_is_too_large(way: str, library: str) -> None:
    """When the receiver has enough, the exchange is broken off and the receiver says with what."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        while True:
            connection.sendall(bytes(100_000))

    notes = Notes(enough=1_000_000)
    with serving(script) as server:
        run(way, library, Exchange(make_order(way, server.port), notes, Progress([False])))
    assert [(Kind.TOO_LARGE, Reached.READING)] == notes.failures


def test_a_header_that_cannot_be_sent(way: str, library: str) -> None:
    """A request that the library does not write never left, whatever it is that it says."""
    order = Order("http://127.0.0.1:1/v1", HttpCall("POST", "/", (("x", "\u2603"),)), alone=way == "threads")
    assert (Kind.CONNECT, Reached.NOTHING) == fail(way, library, order)
    with serving(answer) as server:
        call = HttpCall("POST", "/", (("x", "a\r\nb: c"),))
        assert (Kind.CONNECT, Reached.CONNECTED) == fail(way, library, make_order(way, server.port, call))


def test_a_redirect_is_an_answer(way: str, library: str) -> None:
    """A redirect is not followed: the credential goes nowhere else, and nothing is paid twice."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")

    notes = Notes()
    with serving(script) as server:
        run(way, library, Exchange(make_order(way, server.port), notes, Progress([False])))
    assert [307] == notes.opens
    assert [] == notes.failures


def hush(connection: socket.socket, over: threading.Event) -> None:
    """Say and read nothing."""
    del connection
    over.wait()


def hush_after_reading(connection: socket.socket, over: threading.Event) -> None:
    """Take the request and say nothing."""
    read_request(connection)
    over.wait()


def hush_in_the_body(connection: socket.socket, over: threading.Event) -> None:
    """Begin to answer and stop."""
    read_request(connection)
    connection.sendall(HEAD + b"0123")
    over.wait()


def hush_in_a_body_without_end(connection: socket.socket, over: threading.Event) -> None:
    """The same, of a body that ends with its connection."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n0123")
    over.wait()


@LEFT_OVER
@pytest.mark.parametrize(
    ("stage", "script", "call", "scheme"),
    [
        (Reached.CONNECTED, hush, REQUEST, "https"),
        (Reached.SENDING, hush, BIG, "http"),
        (Reached.SENT, hush_after_reading, REQUEST, "http"),
        (Reached.READING, hush_in_the_body, REQUEST, "http"),
        (Reached.READING, hush_in_a_body_without_end, REQUEST, "http"),
    ],
    ids=lambda value: value.value if isinstance(value, Reached) else None,
)
def test_breaking_off(way: str, library: str, stage: Reached, script: Script, call: HttpCall, scheme: str) -> None:
    """An exchange that stalls is broken off promptly at every stage and says how far it got.

    The server still holds its end, so only our side can have ended it.
    """
    progress, notes = Watched(stage), Notes()
    with serving(script) as server:
        order = make_order(way, server.port, call, scheme=scheme, connect=LONG)
        event, _ = run(way, library, Exchange(order, notes, progress), abort=progress.there)
    assert Failed(ATTEMPT, Kind.ABORTED, stage) == event
    assert (Kind.ABORTED, stage) == notes.failures[0]


def test_a_connection_that_is_being_closed_is_left_alone() -> None:
    """Its number may be that of another exchange's connection when the system is asked to shut it down."""

    class Stream:
        def get_extra_info(self, name: str) -> socket.socket | None:
            return ours if name == "socket" else None

    for closing in (False, True):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            progress = Progress([False])
            progress.begin()
            progress.hear("connection.connect_tcp.complete", {"return_value": Stream()})
            progress.hear("http11.send_request_headers.started", {})
            if closing:
                progress.hear("http11.response_closed.started", {})
            assert not progress.stop()
            theirs.setblocking(False)
            if closing:
                with pytest.raises(BlockingIOError):
                    theirs.recv(1)
            else:
                assert b"" == theirs.recv(1)


def test_breaking_off_while_connecting(way: str, library: str) -> None:
    """One that is broken off while it connects has reached nothing."""
    progress, started = Progress([True]), threading.Event()
    started.set()
    with deaf() as port:
        order = make_order(way, port, connect=10.0)  # a thread that connects cannot be interrupted
        event, _ = run(way, library, Exchange(order, Notes(), progress), abort=started)
    assert Failed(ATTEMPT, Kind.ABORTED, Reached.NOTHING) == event


def test_a_thread_that_was_stopped_while_it_connected_sends_nothing() -> None:
    """An Abort answered at once is a promise: when the connection stands after all, no byte goes over it."""
    connecting, go = threading.Event(), threading.Event()
    heard: SimpleQueue[bytes] = SimpleQueue()

    class Slow(Progress):
        def hear(self, name: str, info: Mapping[str, object]) -> None:
            super().hear(name, info)
            if name.endswith("connect_tcp.started"):
                connecting.set()
                assert go.wait(LONG)

    def script(connection: socket.socket, _: threading.Event) -> None:
        heard.put(connection.recv(1000))

    exchange_progress = Slow([False])
    with serving(script) as server, ThreadPoolExecutor(1) as pool, make_client("threads", "httpx2") as client:
        exchange = Exchange(make_order("threads", server.port), Notes(), exchange_progress)
        future = pool.submit(exchange.run, client, lambda _: None)
        assert connecting.wait(LONG)
        assert exchange_progress.stop()
        assert Failed(ATTEMPT, Kind.ABORTED, Reached.NOTHING) == exchange.answer()
        go.set()
        assert Failed(ATTEMPT, Kind.ABORTED, Reached.NOTHING) == future.result(LONG)
        assert b"" == heard.get(timeout=LONG)


def test_one_that_never_began_has_reached_nothing() -> None:
    """An exchange that was stopped before its thread began never asks the library."""
    exchange = Exchange(make_order("threads", 1), Notes(), Progress([False]))
    assert exchange.progress.stop()
    with make_client("threads", "httpx2") as client:
        assert Failed(ATTEMPT, Kind.ABORTED, Reached.NOTHING) == exchange.run(client, lambda _: None)


def test_a_transport_that_tells_nothing_may_have_sent(library: str) -> None:
    """Without trace events nobody knows whether the request left: what fails then is never taken for unsent."""
    module = {"httpx2": httpx2, "httpx": httpx}[library]

    def broken(_: object) -> object:
        raise module.ReadError("gone")

    client = module.Client(transport=module.MockTransport(broken))
    exchange = Exchange(make_order("threads", 1), Notes(), Progress([False]))
    assert Failed(ATTEMPT, Kind.BROKEN, Reached.SENDING) == exchange.run(client, lambda _: None)
    exchange = Exchange(make_order("threads", 1), Notes(), Progress([False]))
    exchange.progress.begin()
    assert Failed(ATTEMPT, Kind.ABORTED, Reached.SENDING) == exchange.answer()


def test_idle_connections_are_not_used_again(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that are opened here keep idle connections shorter than servers do, have no limit and no time-out."""
    if library == "httpx":
        monkeypatch.setitem(__import__("sys").modules, "httpx2", None)
    with open_client("http://127.0.0.1:1/v1") as client:
        assert library == type(client).__module__.partition(".")[0]
        transport: Any = client._transport  # there is no public way to ask
        assert KEEPALIVE == transport._pool._keepalive_expiry
        assert client.timeout.read is None
        assert not client.follow_redirects
    assert library == type(open_async_client("http://127.0.0.1:1/v1")).__module__.partition(".")[0]


def test_a_connection_is_used_again(library: str) -> None:
    """Under asyncio the second exchange takes the connection of the first; how far it gets is known all the same."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        answer(connection, _)
        read_request(connection)
        reset(connection)

    async def main(port: int) -> list[Event]:
        traced = [False]
        async with make_client("asyncio", library) as client:
            return [
                await Exchange(make_order("asyncio", port), Notes(), Progress(traced)).arun(client, lambda _: None)
                for _ in range(2)
            ]

    with serving(script) as server:
        events = asyncio.run(main(server.port))
        assert 1 == server.connections
    assert [DONE, Failed(ATTEMPT, Kind.BROKEN, Reached.SENT)] == events


@pytest.mark.parametrize("opener", [open_client, open_async_client])
def test_without_a_library(opener: Callable[[str], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installed penstock alone is told what else there is to install, and sees no traceback of an import."""
    monkeypatch.setitem(sys.modules, "httpx2", None)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(UsageError, match=r"no HTTP library: pip install 'penstock\[cli\]'"):
        opener("https://pictures.example")
