"""Processes with clients of their own on one store: each picture is bought once, by one of them, for all."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from redis import Redis

from penstock.simulation.server import Latency, ServerSettings
from penstock_io.simserver import SimServer, serving
from tests.stores.benches import BENCHES, LEASING, PATIENCE, InRedis, Sqlite
from tests.stores.buyer import PICTURES

ROOT = Path(__file__).parent.parent.parent
PROCESSES = 4
HELD = 5
"""Pictures that a process has out when it is killed."""


class Buyer:
    """One process."""

    def __init__(self, name: str, folder: Path, base_url: str, first: int, count: int) -> None:
        options = [name, str(folder), base_url, str(first), str(count)]
        command = [sys.executable, "-m", "tests.stores.buyer", *options]
        self.process = Popen(command, stdout=PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        self._lines = (json.loads(line) for line in self.process.stdout)

    def sends(self) -> int:
        """How many pictures the next exchange is for."""
        return next(int(line["sent"]) for line in self._lines if "sent" in line)

    def result(self) -> dict[str, Any]:
        """The next result."""
        return next(line for line in self._lines if "status" in line)

    def results(self) -> list[dict[str, Any]]:
        """All that are left; it ended well."""
        left = [line for line in self._lines if "status" in line]
        assert 0 == self.process.wait()
        return left

    def kill(self) -> None:
        """At once. A second time does nothing."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A provider that counts."""
    with serving(ServerSettings(latency=Latency(0.1, 0.0))) as running:
        yield running


@pytest.fixture
def nobody() -> Iterator[str]:
    """A provider that takes what is sent and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@pytest.fixture
def buyers() -> Iterator[list[Buyer]]:
    """Whoever is begun is ended."""
    begun: list[Buyer] = []
    yield begun
    for one in begun:
        one.kill()


def bought_once(sim: SimServer, results: list[dict[str, Any]], pictures: int = PICTURES) -> None:
    """Each of so many once, paid once, and the same for everybody."""
    books = sim.call(lambda server: server.books)
    assert [1] * pictures == list(books.executed_by_identity().values())
    assert books.billed == sum(result["charge"] for result in results)
    digests: dict[int, set[str]] = {}
    for result in results:
        digests.setdefault(result["number"], set()).add(result["digest"])
    assert dict.fromkeys(digests, 1) == {number: len(found) for number, found in digests.items()}


@pytest.mark.parametrize("name", LEASING)
def test_four_processes_buy_each_picture_once(name: str, tmp_path: Path, sim: SimServer, buyers: list[Buyer]) -> None:
    """All want the same pictures at the same time, each in another order: one buys, the others wait and find it."""
    BENCHES[name](tmp_path)
    buyers += [Buyer(name, tmp_path, sim.base_url, 3 * number, PICTURES) for number in range(PROCESSES)]
    results = [result for buyer in buyers for result in buyer.results()]
    assert PROCESSES * PICTURES == len(results)
    assert {"completed", "cached"} >= {result["status"] for result in results}
    assert PICTURES == sum(result["charge"] > 0 for result in results)
    bought_once(sim, results)


@pytest.mark.parametrize("name", ["redis", "sqlite"])
def test_a_killed_process_is_waited_for_until_its_leases_are_over(
    name: str, tmp_path: Path, sim: SimServer, nobody: str, buyers: list[Buyer]
) -> None:
    """What it had out is bought by one of the others when its time is over, and not before; all else once, at once."""
    bench = BENCHES[name](tmp_path)
    buyers.append(Buyer(name, tmp_path, nobody, 0, HELD))
    killed = buyers[0]
    assert HELD == sum(killed.sends() for _ in range(HELD))
    buyers += [Buyer(name, tmp_path, sim.base_url, 3 * number, PICTURES) for number in range(1, PROCESSES)]
    results = [buyer.result() for buyer in buyers[1:] for _ in range(PICTURES - HELD)]
    killed.kill()
    assert set(range(HELD, PICTURES)) == {result["number"] for result in results}
    bought_once(sim, results, PICTURES - HELD)
    assert leases_over(bench) >= HELD
    results += [result for buyer in buyers[1:] for result in buyer.results()]
    assert (PROCESSES - 1) * PICTURES == len(results)
    bought_once(sim, results)


def leases_over(bench: object) -> int:
    """The time of all leases is over; how many there were."""
    if isinstance(bench, InRedis):
        with Redis.from_url(bench.url, socket_timeout=PATIENCE) as plain:
            names = list(plain.scan_iter(f"{bench.space}:*:lease"))
            return sum(bool(plain.pexpire(name, 0)) for name in names)
    assert isinstance(bench, Sqlite)
    with closing(sqlite3.connect(bench.path, timeout=PATIENCE)) as db, db:
        return db.execute("UPDATE leases SET until = 0").rowcount
