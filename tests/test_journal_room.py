"""A disk that fills up, or may only be read: what is out is kept, nothing new is begun, and later it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from penstock.entries import Entry, Intent, Lane, Settled
from penstock.ids import AttemptId, CallId, JobId, Key, Ref
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import Purpose
from penstock_io.batch.stopping import Exit
from penstock_io.cli.main import main
from penstock_io.journal import Disk, Journal, JournalUnusable, repair
from penstock_io.simserver import SimServer, serving
from tests.batching import folder_for, table

MB = 1 << 20
MOUNT = "/usr/bin/mount"


def intent(number: int) -> Intent:
    """A request for one picture."""
    key, parts = Key(f"key-{number}"), ((JobId(number), (0,)),)
    lane = Lane("k", "m")
    return Intent(AttemptId(number), CallId(number), Purpose.GENERATE, "op", lane, (key,), parts, (("run",),), 10, 1.0)


def settled(journal: Journal, number: int, nbytes: int) -> Settled:
    """Its picture."""
    ref = journal.payloads.keep(b"\x89PNG\r\n\x1a\n" + bytes(nbytes - 8))
    return Settled(AttemptId(number), (Key(f"key-{number}"),), (ref,), None, 8, 2.0)


class Small(Disk):
    """A disk of so many bytes, of which pictures take theirs."""

    def __init__(self, size: int) -> None:
        self.left = size

    def write(self, path: Path, data: bytes) -> None:
        """Full is full."""
        if len(data) > self.left:
            raise OSError(28, os.strerror(28), str(path))
        self.left -= len(data)
        super().write(path, data)

    def sync(self, path: Path) -> None:
        """A file that a reply was written to; each is said to be of 1 MB."""
        if self.left < MB:
            raise OSError(28, os.strerror(28), str(path))
        self.left -= MB
        super().sync(path)

    def free(self, path: Path) -> int | None:
        """What is left."""
        del path
        return self.left


def test_intents_are_refused_while_there_is_room_for_what_is_out(tmp_path: Path) -> None:
    """Pictures of 2 MB on a disk of 20: intents stop in time, every picture that is out is kept; later it goes on."""
    disk = Small(20 * MB)
    sent, kept = 0, 0
    with Journal.open(tmp_path, disk=disk) as journal:
        refused: str | None = None
        while refused is None:
            batch: list[Entry] = [intent(sent + 1), intent(sent + 2)]
            ends: list[Entry] = [settled(journal, n, 2 * MB) for n in range(kept + 1, sent + 1)]
            answers = journal.append([*batch, *ends])
            assert [None] * len(ends) == [one.fault for one in answers[2:]]
            kept = sent
            refused = answers[0].fault
            assert refused == answers[1].fault
            sent += 0 if refused else 2
        assert refused.startswith("journal: No space left on device")
        assert (8, 8, 8 * 8) == (sent, kept, journal.balances().total.charged)
        disk.left += 10 * MB
        assert None is journal.append([intent(sent + 1)])[0].fault
        assert None is journal.append([Settled(AttemptId(9), (Key("key-9"),), (Ref(""),), None, 8, 2.0)])[0].fault


def test_a_disk_of_unknown_size_is_written(tmp_path: Path) -> None:
    """Where nobody knows how much is free, nothing is refused."""

    class Unknown(Disk):
        def free(self, path: Path) -> int | None:
            return Disk.free(self, path / "nowhere")

    with Journal.open(tmp_path, disk=Unknown()) as journal:
        assert None is journal.append([intent(1)])[0].fault


def test_a_batch_on_a_disk_that_fills_loses_nothing(tmp_path: Path, sim: SimServer) -> None:
    """The run halts with the cause and has every picture that was executed; with room, the same command ends it."""
    folder = folder_for(tmp_path / "out", sim)
    rows = table(12)
    small = Small(10 * MB)
    ended = folder.run(rows, disk=small)
    assert Exit.HALTED == ended.code
    assert "no room left" in ended.message
    executed = sim.stats()["executed"]
    assert executed == folder.statuses().count("completed") < 12
    small.left = 100 * MB
    assert Exit.ALL == folder.run(rows, disk=small).code
    assert 12 == sim.stats()["executed"]


@pytest.fixture
def sim() -> Generator[SimServer]:
    """A provider that answers at once."""
    with serving(ServerSettings(latency=Latency(0.01, 0.0))) as server:
        yield server


@pytest.fixture
def mount(tmp_path: Path) -> Generator[Path]:
    """A real disk of 10 MB; skips where there may be none."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or not Path(MOUNT).exists():
        pytest.skip("only root on Linux mounts")
    command = [MOUNT, "-t", "tmpfs", "-o", "size=10m", "penstock-test", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["/usr/bin/umount", "-l", str(place)], check=True)


def test_a_real_disk_that_fills(mount: Path) -> None:
    """Pictures of 1 MB on a disk of 10: what was answered is there, and the journal is whole."""
    kept = 0
    with Journal.open(mount / "out") as journal:
        while None is journal.append([intent(kept + 1)])[0].fault:
            (answer,) = journal.append([settled(journal, kept + 1, MB)])
            assert None is answer.fault
            kept += 1
    assert kept > 2
    with pytest.raises(OSError, match="No space"):
        (mount / "ballast").write_bytes(bytes(12 * MB))
    with pytest.raises(JournalUnusable, match="no room left on its disk"):
        Journal.open(mount / "out")
    (mount / "ballast").unlink()
    with Journal.open(mount / "out") as journal:
        assert (8 * kept, []) == (journal.balances().total.charged, journal.orphans())
        assert [True] * kept == [journal.look_up(Key(f"key-{n}")) is not None for n in range(1, kept + 1)]


def test_a_disk_that_may_only_be_read(mount: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused in words, can be looked at, and nothing in it is taken for damage."""
    with Journal.open(mount / "out") as journal:
        journal.append([intent(1)])
    subprocess.run([MOUNT, "-o", "remount,ro", str(mount)], check=True)
    for opens in (Journal.open, repair):
        with pytest.raises(JournalUnusable, match="mounted read-only"):
            opens(mount / "out")
    assert 0 == main(["status", str(mount / "out")])
    assert "1" in capsys.readouterr().out
