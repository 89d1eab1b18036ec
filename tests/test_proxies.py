"""Pictures that are downloaded through a proxy: the tunnel goes to the address, the certificate is of the name."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Generator
from contextlib import ExitStack, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
import trio

from penstock.events import Fetched
from penstock.ids import AttemptId
from penstock_io._fetching import Fetching
from penstock_io._http import PROXIED, AsyncHttp, SyncHttp, open_async_client, open_client
from penstock_io._payloads import Payloads
from penstock_io._progress import Progress
from penstock_io._receive import Download
from penstock_io._trust import NamedTrust, trust
from tests.test_fetching import PNG, Site
from tests.test_trust import certified

LIBRARIES = ("httpx", "httpx2")
WAYS = ("threads", "asyncio", "trio")


def relay(source: socket.socket, sink: socket.socket) -> None:
    """Hand bytes on until there are no more."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class Tunnels(BaseHTTPRequestHandler):
    """Opens tunnels, as proxies do."""

    def do_CONNECT(self) -> None:
        """Connect to whom the request names."""
        assert isinstance(self.server, Proxy)
        self.server.asked.append(self.path)
        if self.server.closed:
            self.send_error(403)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            back = Thread(target=relay, args=(there, self.connection))
            back.start()
            relay(self.connection, there)
            back.join()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


class Proxy(ThreadingHTTPServer):
    """Remembers whom tunnels were asked to; one that is `closed` opens none."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = False
        super().__init__(("127.0.0.1", 0), Tunnels)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[tuple[Site, Proxy]]:
    """Somebody who serves pictures over https as cdn.example, whom everybody trusts, and a proxy in the environment."""
    path = certified(tmp_path, "cdn.example")
    with ExitStack() as stack:
        site, proxy = stack.enter_context(Site()), stack.enter_context(Proxy())
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(path)
        site.socket = served.wrap_socket(site.socket, server_side=True)
        for one in (site, proxy):
            thread = Thread(target=one.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(one.shutdown)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        yield site, proxy


def fetched(way: str, host: str, site: Site, api: str, given: SyncHttp | None = None) -> bytes | str:
    """What a download over https gives: bytes, or why there are none. `given` is a client of the user's own."""
    payloads = Payloads()
    url = f"https://{host}:{site.server_port}/a"
    making = partial(Fetching, url, api, Download(AttemptId(1), payloads), Progress([False]))
    exchange = making(look=lambda _host, _port: ["127.0.0.1"], judge=lambda _: True)

    async def ask(client: AsyncHttp) -> object:
        async with client:
            return await exchange.arun(client, lambda _: None)

    if way == "threads":
        with open_client(api) if given is None else given as client:
            ended: object = exchange.run(client, lambda _: None)
    elif way == "asyncio":
        ended = asyncio.run(ask(open_async_client(api)))
    else:
        ended = trio.run(ask, open_async_client(api))
    assert isinstance(ended, Fetched)
    return payloads.read(ended.files[0]) if ended.files else str(ended.fault)


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The HTTP library that is there."""
    if request.param == "httpx":
        monkeypatch.setitem(sys.modules, "httpx2", None)
    return str(request.param)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_picture_through_a_proxy(places: tuple[Site, Proxy], library: str, way: str, scheme: str) -> None:
    """It is had: the proxy is asked for the address that was judged, the server for the name."""
    site, proxy = places
    assert PNG == fetched(way, "cdn.example", site, f"{scheme}://127.0.0.1:1/v1")
    assert [f"127.0.0.1:{site.server_port}"] == proxy.asked
    assert [f"cdn.example:{site.server_port}"] == [headers["host"] for _, headers in site.asked]
    assert library in sys.modules


@pytest.mark.parametrize("way", WAYS)
def test_another_name_than_the_certificates(places: tuple[Site, Proxy], library: str, way: str) -> None:
    """Whoever is at the address cannot pass for somebody else: nothing is asked of him."""
    site, _ = places
    fault = fetched(way, "other.example", site, "https://127.0.0.1:1/v1")
    assert isinstance(fault, str)
    assert ("tls" in fault, "other.example" in fault, "proxy" in fault, library) == (True, True, False, library)
    assert [] == site.asked


def test_a_client_of_ones_own_that_cannot_is_said_to_be(places: tuple[Site, Proxy]) -> None:
    """The message names the cause and what to do; nothing is asked of who was not known to be the right one."""
    site, _ = places
    fault = fetched("threads", "cdn.example", site, "https://127.0.0.1:1/v1", httpx.Client(timeout=None))  # noqa: S113 - as a driver's
    assert isinstance(fault, str)
    assert PROXIED in fault
    assert [] == site.asked


def test_a_proxy_that_opens_no_tunnel(places: tuple[Site, Proxy], library: str) -> None:
    """It is a fault, and nothing was sent."""
    site, proxy = places
    proxy.closed = True
    fault = fetched("threads", "cdn.example", site, "https://127.0.0.1:1/v1")
    assert isinstance(fault, str)
    assert ("connect" in fault, [], library) == (True, site.asked, library)


def test_trust_is_named_where_there_is_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the library's own stays its own affair, and what is made for a proxy trusts whom the library trusts."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert trust("https://a.example/v1", httpx.create_ssl_context) is True
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert trust("https://a.example/v1") is True
    made = trust("https://a.example/v1", httpx.create_ssl_context)
    assert isinstance(made, NamedTrust)
    assert httpx.create_ssl_context().cert_store_stats() == made.cert_store_stats()
    assert made.check_hostname
