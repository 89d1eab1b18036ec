"""Real servers for the tests of stores elsewhere: each is a process of ours, ended by its own id."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from threading import Event, Thread
from typing import cast
from urllib.request import Request, urlopen

import pytest
import redis as plain

TRIES = 10
"""How often another port is tried: between finding one free and taking it somebody else may."""


def missing(what: str) -> None:
    """Skip, or fail where every service has to be there."""
    if os.environ.get("PENSTOCK_REQUIRE_SERVICES"):
        pytest.fail(f"{what} is not installed, and PENSTOCK_REQUIRE_SERVICES is set")
    pytest.skip(f"{what} is not installed")


class Redis:
    """A Redis server that keeps nothing on disk. `url` is by TCP, `local` by a socket of its own."""

    def __init__(self, *, tcp: bool = True, cluster: bool = False) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            missing("redis-server")
        self._program = str(program)
        self.folder = Path(mkdtemp(prefix="penstock-redis-"))
        self.path = self.folder / "s"
        self.port = 0
        self._tcp = tcp
        self._cluster = cluster
        self.bus = 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it listens by TCP."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def local(self) -> str:
        """Where it listens on this machine alone: nobody else can take that."""
        return f"unix://{self.path}?db=0"

    def start(self) -> None:
        """Until it is ready."""
        for _ in range(TRIES):
            self.port = free_port() if self._tcp else 0
            if self._started():
                return
        raise AssertionError("no redis-server could be started")

    def _started(self) -> bool:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.path)]
        options += ["--save", "", "--appendonly", "no", "--dir", str(self.folder), "--daemonize", "no"]
        if self._cluster:
            self.bus = free_port()
            options += ["--cluster-enabled", "yes", "--cluster-port", str(self.bus)]
            options += ["--cluster-node-timeout", "600000"]  # on a busy machine nobody is taken for gone
        process = subprocess.Popen([self._program, *options], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if any("eady to accept connections" in line for line in process.stdout):
            self._process = process
            return True
        process.stdout.close()
        process.wait()
        return False

    def stop(self) -> None:
        """Until it is gone. A second time does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def freeze(self) -> None:
        """It takes connections and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """It, and its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Cluster:
    """Three Redis servers that share the slots between them."""

    def __init__(self) -> None:
        self.servers = [Redis(cluster=True) for _ in range(3)]
        clients = [plain.Redis(port=server.port) for server in self.servers]
        for client, (first, last) in zip(clients, ((0, 5460), (5461, 10922), (10923, 16383)), strict=True):
            asked(client, "CLUSTER", "ADDSLOTSRANGE", first, last)
        for server in self.servers[1:]:
            asked(clients[0], "CLUSTER", "MEET", "127.0.0.1", server.port, server.bus)
        while not all(_agrees(client) for client in clients):
            Event().wait(0.05)  # they tell each other when they like
        for client in clients:
            client.close()

    @property
    def url(self) -> str:
        """Where the first one listens."""
        return self.servers[0].url

    def remove(self) -> None:
        """All of them."""
        for server in self.servers:
            server.remove()


def asked(client: plain.Redis, *command: str | int) -> object:
    """What a server says."""
    return cast("Callable[..., object]", client.execute_command)(*command)


def _agrees(client: plain.Redis) -> bool:
    """Whether a server knows who has which slots, and that all are there."""
    slots = asked(client, "CLUSTER", "SLOTS")
    return "cluster_state:ok" in str(asked(client, "CLUSTER", "INFO")) and isinstance(slots, list) and len(slots) == 3


class S3:
    """moto's server: somebody else's idea of S3."""

    def __init__(self) -> None:
        if find_spec("moto") is None or find_spec("flask") is None:
            missing("moto")
        self._buckets = count()
        self._process: subprocess.Popen[str] | None = None
        program = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        self._process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        running = (line.partition("Running on ")[2].strip() for line in self._process.stderr if "Running on " in line)
        self.url = next(running)
        self._drain = Thread(target=self._process.stderr.read, daemon=True)
        self._drain.start()

    @property
    def options(self) -> dict[str, str]:
        """What a client has to be told."""
        known = {"access_key_id": "one", "secret_access_key": "secret", "region": "us-east-1"}
        return {"endpoint": self.url, "virtual_hosted_style_request": "false", **known}

    def bucket(self) -> str:
        """A new one."""
        name = f"bucket-{next(self._buckets)}"
        request = Request(f"{self.url}/{name}", method="PUT")  # noqa: S310 - http, to our own server
        with urlopen(request, timeout=240.0):  # noqa: S310 - as above
            return name

    def stop(self) -> None:
        """Until it is gone. A second time does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self._drain.join()
            assert process.stderr is not None
            process.stderr.close()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@cache
def redis() -> Redis:
    """One server for all tests of this process that leave it as it is."""
    server = Redis()
    atexit.register(server.remove)
    return server


@cache
def s3() -> S3:
    """One server for all tests of this process."""
    server = S3()
    atexit.register(server.stop)
    return server
