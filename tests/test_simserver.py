"""The simulated provider on loopback: real sockets, real resets, and the command that serves it."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from typing import Any

import pytest

from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock_io.cli import sim as command
from penstock_io.cli.parsing import Parser
from penstock_io.simserver import SimServer, serving

QUICK = ServerSettings(latency=Latency(0.02, 0.0), refusal_delay=0.0)
BODY = json.dumps({"model": "gpt-image-2", "prompt": "a lake", "size": "1024x1024", "quality": "low"}).encode()
LONG = 120.0
"""Seconds after which whoever still waits is taken to wait for ever."""

COMMAND = "import sys; from argparse import ArgumentParser; from penstock_io.cli import sim; p = ArgumentParser(); \
sim.add_parser(p.add_subparsers()); a = p.parse_args(); sys.exit(a.run(a))"


@pytest.fixture
def provider() -> Iterator[SimServer]:
    """A provider of 20 ms a picture."""
    with serving(QUICK) as sim:
        yield sim


def request(body: bytes = BODY, key: str = "key", path: str = "/v1/images/generations", more: str = "") -> bytes:
    """A request as bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


def connected(sim: SimServer) -> closing[http.client.HTTPConnection]:
    """A connection that is kept alive until the block ends."""
    return closing(http.client.HTTPConnection("127.0.0.1", sim.port, timeout=LONG))


def post(connection: http.client.HTTPConnection, key: str = "key") -> tuple[int, Any]:
    """One picture over a connection: status and body."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request("POST", "/v1/images/generations", BODY, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_who_waits_for_requests_is_told_when_they_are_there(provider: SimServer) -> None:
    """By the request itself, at once where it was there before, and when the time is over."""
    assert not provider.wait(lambda stats: stats["received"] == 1, 0.0)
    with ThreadPoolExecutor(1) as pool, connected(provider) as connection:
        waiting = pool.submit(provider.wait, lambda stats: stats["received"] == 2)
        for _ in range(2):
            assert 200 == post(connection)[0]
        assert waiting.result(60)
    assert provider.wait(lambda stats: stats["received"] == 2, 0.0)


def test_what_is_held_stays_out_until_it_is_released(provider: SimServer) -> None:
    """No reply comes and no time passes; so many are let go, or all that are due, and then time goes on."""
    provider.release()
    provider.hold()
    with ThreadPoolExecutor(5) as pool, ExitStack() as stack:
        asked = [pool.submit(post, stack.enter_context(connected(provider))) for _ in range(5)]
        assert provider.wait(lambda stats: stats["in_flight"] == 5)
        assert provider.now() == provider.now()
        until(lambda: provider.call(lambda _: len(provider._due)) == 5)
        assert not any(one.done() for one in asked)
        provider.release(2)
        assert [200, 200] == [one.result()[0] for _, one in zip(range(2), as_completed(asked), strict=False)]
        assert (2, 5) == (sum(one.done() for one in asked), provider.stats()["in_flight"])
        provider.release()
        assert [200] * 5 == [one.result()[0] for one in asked]
        assert provider.now() < provider.now()
    assert (5, 5) == (provider.stats()["executed"], provider.stats()["peak"])


def assert_alive(sim: SimServer) -> None:
    """The server still makes pictures."""
    with connected(sim) as connection:
        assert 200 == post(connection)[0]


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another thread is about to do; each look asks that thread, and so gives it its turn."""
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end


def drain(sock: socket.socket, data: bytearray) -> None:
    """Read until the other side ends, or breaks off."""
    while chunk := sock.recv(65536):
        data += chunk


def raw(sim: SimServer) -> socket.socket:
    """A bare socket."""
    return socket.create_connection(("127.0.0.1", sim.port), timeout=LONG)


def test_pictures_over_one_connection(provider: SimServer) -> None:
    """A connection serves one request after the other, and the books know each."""
    with connected(provider) as connection:
        for _ in range(3):
            status, body = post(connection)
            assert 200 == status
            assert body["data"][0]["b64_json"].startswith("iVBOR")
    stats = provider.stats()
    assert (3, 3) == (stats["executed"], stats["pictures"])
    assert [{"": 3}] == [each["calls"] for each in stats["requests"].values()]


def test_stats_and_models_are_served(provider: SimServer) -> None:
    """`/stats` at the root is JSON and wants no key; `?brief` leaves the requests out."""
    found = {}
    with connected(provider) as connection:
        post(connection)
        for path in ("/stats", "/stats?brief", "/v1/models", "/nowhere"):
            connection.request("GET", path)
            answer = connection.getresponse()
            found[path] = answer.status, json.loads(answer.read())
    assert found["/stats"] == (200, json.loads(json.dumps(provider.stats())))
    assert "requests" not in found["/stats?brief"][1]
    assert "gpt-image-2" in [each["id"] for each in found["/v1/models"][1]["data"]]
    assert 404 == found["/nowhere"][0]


def test_reset_is_real_and_paid(provider: SimServer) -> None:
    """An injected reset tears the TCP connection down after the picture was made."""
    provider.call(lambda server: server.inject("reset", "reset_early"))
    for executed in (1, 1):
        with raw(provider) as sock:
            sock.sendall(request())
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        assert executed == provider.stats()["executed"]


def test_truncated_reply_breaks_off(provider: SimServer) -> None:
    """An injected truncation announces the whole length, sends half of it, and resets."""
    provider.call(lambda server: server.inject("truncated"))
    with raw(provider) as sock:
        sock.sendall(request())
        data = bytearray()
        with pytest.raises(ConnectionResetError):
            drain(sock, data)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))[15:])
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) <= length // 2


def test_stall_never_answers(provider: SimServer) -> None:
    """A stalled request is executed, the connection stays open, and nothing comes."""
    provider.call(lambda server: server.inject("stall"))
    with raw(provider) as sock:
        sock.sendall(request())
        until(lambda: provider.stats()["executed"] == 1 and provider.stats()["in_flight"] == 0)
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)


def test_client_that_leaves_has_paid(provider: SimServer) -> None:
    """A request whose client is gone before the answer is executed and billed all the same."""
    with raw(provider) as sock:
        sock.sendall(request())
    until(lambda: provider.stats()["executed"] == 1)
    assert 0 < provider.stats()["billed"]
    assert_alive(provider)


def test_request_in_pieces_and_in_a_row(provider: SimServer) -> None:
    """Bytes may come one at a time, and two requests may come at once; answers keep their order."""
    with raw(provider) as sock:
        for byte in request(b"{}", more="expect: 100-continue\r\n"):
            sock.sendall(bytes((byte,)))
        sock.sendall(request() + request(b"{", more="connection: close\r\n"))
        data = bytearray()
        drain(sock, data)
    statuses = [part[:3] for part in data.split(b"HTTP/1.1 ")[1:]]
    assert [b"100", b"400", b"200", b"400"] == statuses


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413),
        (b"x" * 70_000, 431),
    ],
)
def test_what_is_no_request(provider: SimServer, data: bytes, status: int) -> None:
    """Garbage gets one error and the connection ends; the server lives on."""
    with raw(provider) as sock:
        sock.sendall(data)
        answer = sock.recv(65536)
    assert f"HTTP/1.1 {status} ".encode() == answer[:13]
    assert_alive(provider)


def test_time_scale_speeds_the_provider_up() -> None:
    """At a scale of 100 a limit of 60 a minute, full after 60 s, is full after 0.6 s, and says so."""
    settings = ServerSettings(ServerLimits(rpm=60, burst=1 / 30), Latency(1.0, 0.0))
    with serving(settings, time_scale=100.0) as sim, connected(sim) as connection:
        statuses = [post(connection)[0] for _ in range(3)]
        assert [200, 200] == statuses[:2]
        connection.request("POST", "/v1/images/generations", BODY, {"authorization": "Bearer other"})
        answer = connection.getresponse()
        answer.read()
    told = [answer.headers[f"x-ratelimit-{word}-requests"] for word in ("limit", "reset")]
    assert ["6000", "10ms"] == told


async def _flood(port: int, clients: int, each: int) -> None:
    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for _ in range(each):
            writer.write(request(key=str(number)))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(client(number) for number in range(clients)))


def test_hundreds_of_connections_at_once() -> None:
    """Two hundred clients of five pictures each are all served, each with its own bucket, at the same time."""
    with serving(QUICK) as sim, ThreadPoolExecutor(1) as pool:
        sim.hold()
        flood = pool.submit(asyncio.run, _flood(sim.port, 200, 5))
        assert sim.wait(lambda stats: stats["in_flight"] == 200)
        sim.release()
        flood.result()
        stats = sim.stats()
    assert (1000, 200) == (stats["executed"], len(stats["credentials"]))
    assert 200 == stats["peak"]


def test_port_in_use_is_an_error(provider: SimServer) -> None:
    """A port that is taken raises, in the thread of whoever asked."""
    with pytest.raises(OSError, match=r"in use|10048"), serving(port=provider.port):
        pass


def test_leaving_stops_it() -> None:
    """After the block nothing listens any more, and a stalled client is let go."""
    with serving(QUICK) as sim:
        sim.call(lambda server: server.inject("stall"))
        sock = raw(sim)
        sock.sendall(request())
        until(lambda: sim.stats()["executed"] == 1)
    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    sock.close()
    with pytest.raises(ConnectionRefusedError):
        raw(sim)
    assert 1 == sim.stats()["executed"]


def test_what_is_asked_in_the_other_thread_may_raise(provider: SimServer) -> None:
    """An error of the function that `call` runs comes back to the caller, and the server goes on."""
    with pytest.raises(ValueError, match="unknown fault"):
        provider.call(lambda server: server.inject("nonsense"))
    assert_alive(provider)


# The command


def parsed(*arguments: str) -> argparse.Namespace:
    """The arguments as the command line gives them."""
    parser = Parser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["sim", *arguments])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_serves_until_it_is_told(number: signal.Signals) -> None:
    """Its first line is the base URL, it obeys its options, and a signal ends it with 0."""
    arguments = ["sim", "--port", "0", "--rpm", "1", "--latency", "0.01", "--faults", "503=0"]
    with subprocess.Popen([sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        port = int(url.removeprefix("http://127.0.0.1:").removesuffix("/v1"))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
        statuses = [post(connection)[0] for _ in range(2)]
        connection.close()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats") as answer:
            stats = json.loads(answer.read())
        process.send_signal(number)
        assert 0 == process.wait(LONG)
    assert [200, 429] == statuses
    assert {"requests": 1} == stats["rejected"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rpm", "0"),
        ("--burst", "-1"),
        ("--time-scale", "0"),
        ("--max-concurrency", "0"),
        ("--sigma", "-1"),
        ("--latency", "nan"),
    ],
)
def test_command_refuses_what_cannot_be(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Limits of nothing and latencies that are no numbers end with 2 and a line that says so."""
    args = parsed(*arguments)
    assert 2 == args.run(args)
    assert capsys.readouterr().err.startswith("penstock: error: ")


def test_a_port_that_is_taken_is_an_error_with_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """No number of the system's, but which port, what is wrong with it and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        args = parsed("--port", str(taken.getsockname()[1]))
        assert 2 == args.run(args)
    told = f"--port {args.port} is in use: name another one, or leave it out (a free one is taken)\n"
    assert f"penstock: error: {told}" == capsys.readouterr().err


def test_command_refuses_a_port_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 2 and says which there are."""
    with pytest.raises(SystemExit) as ending:
        parsed("--port", "99999")
    assert 2 == ending.value.code
    assert "65535" in capsys.readouterr().err


def test_command_refuses_unknown_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """A fault nobody knows ends with 2 and the names of those there are."""
    with pytest.raises(SystemExit) as ending:
        parsed("--faults", "typo=0.1")
    assert 2 == ending.value.code
    assert "truncated" in capsys.readouterr().err
