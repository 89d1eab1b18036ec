"""Stores that outlive their process: killed while they write, and used by four processes at once."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from subprocess import PIPE, Popen
from time import time

import pytest

from penstock.ids import Key
from penstock.outcomes import Meta
from tests.stores.benches import BENCHES, DURABLE, LEASING
from tests.stores.worker import PICTURES, key, painted, whole

ROOT = Path(__file__).parent.parent.parent
PROCESSES = 4


def begun(name: str, folder: Path, role: str, number: int = 0) -> Popen[str]:
    """A process with a role."""
    command = [sys.executable, "-m", "tests.stores.worker", name, str(folder), role, str(number)]
    return Popen(command, stdout=PIPE, text=True, cwd=ROOT)


def lines(process: Popen[str]) -> list[str]:
    """What it said until its end, which must be a good one."""
    said, _ = process.communicate(timeout=280)
    assert 0 == process.returncode
    return said.splitlines()


@pytest.mark.parametrize("after", [1, 40])
@pytest.mark.parametrize("name", DURABLE)
def test_killed_while_it_writes(name: str, after: int, tmp_path: Path) -> None:
    """Whatever was said to be there is there, or what came later; nothing is half written; it goes on."""
    bench = BENCHES[name](tmp_path)
    with begun(name, tmp_path, "write") as process:
        assert process.stdout is not None
        for _ in range(after):
            process.stdout.readline()
        process.kill()
        said = process.stdout.read().split()
    done = max([after - 1, *map(int, said)])
    store = bench.open(time, None)
    assert [] == list(store.verify())
    for number in range(min(PICTURES, done + 1)):
        found = store.read(key(number))
        assert found is not None
        assert found[0].cost is not None
        assert painted(found[0].cost) == found[1]
        assert found[0].cost >= done - (done - number) % PICTURES
    store.write(Key("next"), Meta(), b"next")
    assert (Meta(), b"next") == store.read(Key("next"))
    assert 0 == store.figures().faults
    store.close()


@pytest.mark.parametrize("name", LEASING)
def test_four_processes_make_each_picture_once_and_then_write_and_read(name: str, tmp_path: Path) -> None:
    """Whoever has the lease makes it, the others find it made. Then all write and read whole ones; no faults."""
    bench = BENCHES[name](tmp_path)
    processes = [begun(name, tmp_path, "use", number) for number in range(PROCESSES)]
    said = Counter(line for one in processes for line in lines(one))
    assert PROCESSES == said.pop(f"right {2 * PICTURES} faults 0", 0)
    assert {f"bought {key(number)}": 1 for number in range(PICTURES)} == said
    store = bench.open(time, None)
    assert {key(number) for number in range(PICTURES)} == {entry.key for entry in store.entries()}
    assert [] == list(store.verify())
    for entry in store.entries():
        found = store.read(entry.key)
        assert found is not None
        assert whole(found[1])
    store.close()
