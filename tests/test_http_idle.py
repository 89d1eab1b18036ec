"""A connection that was idle is not trusted with a paid request: the server may just be closing it."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

from penstock.events import Event, Failed
from penstock.http import HttpCall
from penstock.ids import AttemptId
from penstock.readings import Kind, Reached
from penstock_io._http import KEEPALIVE, AsyncHttp, Exchange, Order, open_async_client
from penstock_io._progress import Progress

REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
POOLS = {"httpx2": "httpcore2._async.http11", "httpx": "httpcore._async.http11"}


class Done:
    """A receiver that wants the end of a reply, whatever it says."""

    def opened(self, status: int, headers: list[tuple[str, str]]) -> Event | None:
        """Nothing to report."""
        del status, headers
        return None

    def feed(self, data: bytes) -> bool:
        """More."""
        return bool(data)

    def news(self) -> list[Event]:
        """Nothing before the end."""
        return []

    def closed(self) -> Event:
        """All of it came."""
        return _failed("all")

    def failed(self, kind: Kind, reached: Reached, detail: str = "") -> Event:
        """No reply."""
        return _failed(f"{kind.value} {reached.value} {detail}")


def _failed(said: str) -> Event:
    return Failed(AttemptId(1), Kind.BROKEN, Reached.READING, said)


class Clock:
    """The time that the library's pool reads, which only a hand moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return 1000.0 + self.ahead


async def connections(clock: Clock, idle: float) -> int:
    """How many connections two paid requests take with so many idle seconds between them."""
    opened = 0
    left = asyncio.Queue[None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                writer.close()
                await writer.wait_closed()
                left.put_nowait(None)
                return
            writer.write(REPLY)

    async def post(client: AsyncHttp, port: int) -> Event:
        order = Order(f"http://127.0.0.1:{port}/v1/images", HttpCall("POST", "/images", (), b""))
        return await Exchange(order, Done(), Progress([False])).arun(client, lambda _: None)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_async_client(f"http://127.0.0.1:{port}/v1") as client:
            assert _failed("all") == await post(client, port)
            clock.ahead += idle
            assert _failed("all") == await post(client, port)
        for _ in range(opened):
            await left.get()
    return opened


@pytest.mark.parametrize("library", POOLS)
@pytest.mark.parametrize(("idle", "expected"), [(0.0, 1), (KEEPALIVE - 1.0, 1), (KEEPALIVE + 0.1, 2), (3600.0, 2)])
def test_an_idle_connection_is_not_used_again(
    library: str, idle: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within four seconds the connection serves again; after them a paid request goes over a new one."""
    if library == "httpx":
        monkeypatch.setitem(sys.modules, "httpx2", None)
    clock = Clock()
    monkeypatch.setattr(import_module(POOLS[library]), "time", SimpleNamespace(monotonic=clock.monotonic))
    assert 4.0 == KEEPALIVE
    assert expected == asyncio.run(connections(clock, idle))
