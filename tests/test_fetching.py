"""Downloads go to the provider and to public addresses, on every redirect, with nobody's credential."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address
from threading import Thread

import httpx
import httpx2
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from penstock.events import Fetched
from penstock.ids import AttemptId
from penstock_io._addresses import public
from penstock_io._fetching import HOPS, Fetching, Refused, askable, goal_of
from penstock_io._http import AsyncHttp, SyncHttp
from penstock_io._payloads import Payloads
from penstock_io._progress import Progress
from penstock_io._receive import Download

PNG = b"\x89PNG\r\n\x1a\n bytes"
WAYS = ["httpx2", "httpx", "asyncio", "trio"]

OURS = """0.0.0.0 0.1.2.3 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1
172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.9 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1
64:ff9b::10.0.0.1 64:ff9b::7f00:1 64:ff9b:1::808:808 100::1 2001::1 2001:db8::1 2002:7f00:1::1 2002:808:808::1 3fff::1
fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 2600::1%1 fec0::1 ff02::1 5f00::1 127.1 0x7f.0.0.1 2130706433 localhost
""".split()
ANYBODYS = """1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0
198.17.0.1 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2001:200::1 2001:4860:4860::8888 2606:4700::1111
2a00:1450::1""".split()


@pytest.mark.parametrize("text", [*OURS, ""])
def test_an_address_of_somebodys_own(text: str) -> None:
    """Private, local, reserved, and whatever leads there in another guise, is nobody's to reach; nor what is none."""
    assert not public(text)


@pytest.mark.parametrize("text", ANYBODYS)
def test_an_address_of_anybodys(text: str) -> None:
    """What stands beside the borders of the table is public."""
    assert public(text)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_the_table_against_the_library(number: int, prefix: str) -> None:
    """What Python's own table calls private, multicast or reserved is refused, and so is the same inside of IPv6."""
    four = IPv4Address(number)
    if not four.is_global or four.is_multicast or four.is_reserved:
        assert not public(str(four))
    assert public(str(four)) == public(str(IPv6Address(int(IPv6Address(prefix)) | number)))


@given(st.integers(0, 2**128 - 1))
def test_what_is_not_global_in_ipv6(number: int) -> None:
    """The same for IPv6 as a whole."""
    six = IPv6Address(number)
    if not six.is_global or six.is_multicast or six.is_link_local or six.sixtofour:
        assert not public(str(six)) or six.exploded.startswith("0064:ff9b:0000")


# Where a URL leads


def test_a_url_of_the_providers_own() -> None:
    """It is reached by the name that the API has, whatever the rest of the URL pretends."""
    goal = goal_of("HTTP://LOCALHOST:80/a.png?sig=1#x", "http://localhost/v1", secure=False)
    assert ("http://localhost/a.png?sig=1", True) == (goal.url, goal.own)
    assert "sig" not in repr(goal)


@pytest.mark.parametrize(
    "url",
    ["ftp://x/a", "//x/a", "a.png", "", "http://", "http://u:p@x/a", "https://x:99999/", "https://[::1", "http://é/"],
)
def test_a_url_that_is_none(url: str) -> None:
    """It is refused before anybody is looked up."""
    assert not askable(url, "http://api.example/v1")
    with pytest.raises(Refused, match="the picture's URL"):
        goal_of(url, "http://api.example/v1", secure=False)


def test_https_never_down_to_http() -> None:
    """Unless the API itself is there."""
    assert not askable("http://cdn.example/a.png", "https://api.example/v1")
    assert askable("https://cdn.example/a.png", "http://api.example/v1")
    assert goal_of("http://api.example/a", "http://api.example/v1", secure=True).own


# Over sockets


class Pictures(BaseHTTPRequestHandler):
    """Serves a picture at /a, and redirects to what stands behind /to/."""

    def do_GET(self) -> None:
        """Remember what was asked."""
        assert isinstance(self.server, Site)
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        onward = self.path.startswith("/to/")
        self.send_response(302 if onward else 200)
        if onward:
            self.send_header("location", self.path.removeprefix("/to/"))
        self.send_header("content-length", "0" if onward else str(len(PNG)))
        self.end_headers()
        self.wfile.write(b"" if onward else PNG)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


class Site(ThreadingHTTPServer):
    """Remembers what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), Pictures)


@pytest.fixture
def sites() -> Generator[tuple[Site, Site]]:
    """The provider, and somebody else."""
    with ExitStack() as stack:
        made = (stack.enter_context(Site()), stack.enter_context(Site()))
        for one in made:
            thread = Thread(target=one.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(one.shutdown)
        yield made


def look(host: str, port: int) -> list[str]:
    """Two names: of a site in the open, and of one at home, which is at the same place."""
    del port
    return {"cdn.example": ["10.9.9.9", "127.0.0.1"], "home.example": ["192.168.0.1"]}[host]


def fetched(way: str, url: str, api: Site) -> tuple[bytes | str, list[str]]:
    """What a download gives, its bytes or its fault, and which addresses were looked up. Loopback counts as public."""
    payloads, base = Payloads(), f"http://127.0.0.1:{api.server_port}/v1"
    looked: list[str] = []

    def looking(host: str, port: int) -> list[str]:
        looked.append(host)
        return look(host, port)

    download = Download(AttemptId(1), payloads)
    judge = {"127.0.0.1": True}.get
    making = partial(Fetching, url, base, download, Progress([False]), look=looking)
    exchange = making(judge=lambda text: bool(judge(text)))
    own = {"authorization": "Bearer sk-mine", "cookie": "a=b", "x-mine": "1"}

    async def ask(client: AsyncHttp) -> object:
        async with client:
            return await exchange.arun(client, lambda _: None)

    if way in {"asyncio", "trio"}:
        client = partial(ask, httpx2.AsyncClient(headers=own, params={"key": "mine"}))
        ended = asyncio.run(client()) if way == "asyncio" else trio.run(client)
    else:
        there: SyncHttp = (httpx2 if way == "httpx2" else httpx).Client(headers=own, params={"key": "mine"})
        with there:
            ended = exchange.run(there, lambda _: None)
    assert isinstance(ended, Fetched)
    return (payloads.read(ended.files[0]) if ended.files else str(ended.fault)), looked


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_elsewhere_in_public(sites: tuple[Site, Site], way: str) -> None:
    """It is had from the address that was judged, by its name, with nothing of the client's own."""
    api, cdn = sites
    assert (PNG, ["cdn.example"]) == fetched(way, f"http://cdn.example:{cdn.server_port}/a?sig=1", api)
    ((path, headers),) = cdn.asked
    assert ("/a?sig=1", f"cdn.example:{cdn.server_port}") == (path, headers["host"])
    assert {"host", "user-agent", "accept-encoding", "connection"} == set(headers)


@pytest.mark.parametrize("way", WAYS)
def test_each_redirect_is_judged(sites: tuple[Site, Site], way: str) -> None:
    """The provider leads to a public place, which leads back; what leads home, or on for ever, is a fault."""
    api, cdn = sites
    own, far = f"http://127.0.0.1:{api.server_port}", f"http://cdn.example:{cdn.server_port}"
    assert (PNG, ["cdn.example"]) == fetched(way, f"{own}/to/{far}/to/{own}/a", api)
    assert ["/a"] == [path for path, _ in api.asked][1:]
    api.asked.clear()
    cdn.asked.clear()
    fault, looked = fetched(way, f"{own}/to/http://home.example:{cdn.server_port}/a", api)
    assert "neither the provider nor public" in str(fault)
    assert (["home.example"], []) == (looked, cdn.asked)
    fault, _ = fetched(way, f"{own}/" + "to//" * (HOPS + 1) + "a", api)
    assert f"more than {HOPS} times" in str(fault)


def test_a_host_without_an_address(sites: tuple[Site, Site]) -> None:
    """It is a fault that names the host and nothing else of the URL."""

    def nobody(host: str, port: int) -> list[str]:
        raise OSError(host, port)

    download = Download(AttemptId(1), Payloads())
    base = f"http://127.0.0.1:{sites[0].server_port}/v1"
    exchange = Fetching("http://cdn.example/a?sig=1", base, download, Progress([False]), look=nobody)
    with httpx2.Client() as client:
        ended = exchange.run(client, lambda _: None)
    assert Fetched(AttemptId(1), fault="cdn.example has no address") == ended


def test_what_was_broken_off_goes_no_further(sites: tuple[Site, Site]) -> None:
    """Whoever stops it while a name is looked up hears that nothing was begun, and nobody is asked."""
    progress, (api, cdn) = Progress([False]), sites

    def stopping(host: str, port: int) -> list[str]:
        assert progress.stop()
        return [host, str(port), "127.0.0.1"]

    base, url = f"http://127.0.0.1:{api.server_port}/v1", f"http://cdn.example:{cdn.server_port}/a"
    download = Download(AttemptId(1), Payloads())
    exchange = Fetching(url, base, download, progress, look=stopping, judge=lambda text: text == "127.0.0.1")
    with httpx2.Client() as client:
        ended = exchange.run(client, lambda _: None)
    assert isinstance(ended, Fetched)
    assert "aborted" in (ended.fault or "")
    assert [] == cdn.asked
