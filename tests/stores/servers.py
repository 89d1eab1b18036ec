"""Real servers for the tests of stores elsewhere: each is a process of ours, ended by its own id."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

TRIES = 10
"""How often another port is tried: between finding one free and taking it somebody else may."""


def missing(what: str) -> None:
    """Skip, or fail where every service has to be there."""
    if os.environ.get("PENSTOCK_REQUIRE_SERVICES"):
        pytest.fail(f"{what} is not installed, and PENSTOCK_REQUIRE_SERVICES is set")
    pytest.skip(f"{what} is not installed")


class Redis:
    """A Redis server that keeps nothing on disk. `url` is by TCP, `local` by a socket of its own."""

    def __init__(self, *, tcp: bool = True) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            missing("redis-server")
        self._program = str(program)
        self.folder = Path(mkdtemp(prefix="penstock-redis-"))
        self.path = self.folder / "s"
        self.port = 0
        self._tcp = tcp
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
