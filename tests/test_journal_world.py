"""The engine over a real journal that dies anywhere: by kill or loss of power, in life after life of one folder."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
from attrs import define, field
from hypothesis import given, settings

from penstock.commands import Command, ReadCache, Record, Release, Send, WriteCache
from penstock.config import Budget, Config, Credential
from penstock.entries import Intent, Published, Settled
from penstock.events import CacheRead, Hit, Miss, Recorded
from penstock.ids import AttemptId, Handle, Key, Ref
from penstock.simulation.server import Latency, Server, ServerSettings, parse_faults
from penstock.simulation.world import Delays, World
from penstock.work import Demand, Target, Work
from penstock_io.journal import Journal, peek
from tests.failing import DEATH, Died, FailingDisk

QUOTE, COST = 1000, 900
ROWS = 12
FAULTS = "500=0.1,reset=0.1,truncated=0.05"


def work(number: int) -> Work:
    """A row: one picture, or two of which a neighbour wants one as well."""
    keys = (f"k{number}", f"k{number + 1}") if number % 4 == 0 else (f"k{number}",)
    target = Target("default", "m", tuple(map(Key, keys)), Demand(1, 1, 100), QUOTE, COST)
    return Work((target,), Handle(number))


def picture(key: Key) -> bytes:
    """What a key's picture is."""
    return b"\x89PNG\r\n\x1a\n" + key.encode() * 5


@define
class Promises:
    """What was answered, over all lives."""

    settled: set[Key] = field(factory=set[Key])
    shown: dict[str, Key] = field(factory=dict[str, Key])
    intents: set[tuple[int, AttemptId]] = field(factory=set[tuple[int, AttemptId]])


class DiskWorld(World):
    """A world whose journal and store are a folder's, pictures in memory or in a sink's files."""

    def __init__(self, journal: Journal, server: Server, promises: Promises, seed: int) -> None:
        config = Config((Credential("k"),), store=True, journal=True, budget=Budget((("run", 60 * QUOTE),)))
        opening = journal.balances()
        super().__init__(config, server, rng=Random(seed), delays=Delays(journal=0.01, store=0.01), opening=opening)
        self.journal = journal
        self.promises = promises
        self.waiting: list[Record] = []
        self.bought: dict[AttemptId, tuple[Key, ...]] = {}

    def _perform(self, command: Command) -> None:
        match command:
            case Record():
                self.waiting.append(command)
                return
            case WriteCache():
                return
            case Release():
                self.flush()
                self.journal.release(command.refs)
            case _:
                pass
        super()._perform(command)

    def flush(self) -> None:
        """One group."""
        records, self.waiting = self.waiting, []
        written = self.journal.append([command.entry for command in records])
        for command, one in zip(records, written, strict=True):
            entry = command.entry
            if one.fault is None and isinstance(entry, Settled):
                self.promises.settled.update(key for key, ref in zip(entry.keys, entry.refs, strict=True) if ref)
            elif one.fault is None and isinstance(entry, Published):
                self.promises.shown |= {ref[2:]: key for ref, key in zip(one.files, entry.keys, strict=True) if ref}
            elif one.fault is None and isinstance(entry, Intent):
                assert self.promises.settled.isdisjoint(entry.keys)
                self.promises.intents.add((self.journal.run, entry.attempt))
                self.bought[entry.attempt] = entry.keys
            self.later(self.delays.journal, Recorded(command.record, one.files, one.fault))

    def step(self) -> bool:
        """What a step recorded is one group, as a worker gathers it."""
        more = super().step()
        self.flush()
        return more or bool(self._events)

    def _send(self, send: Send) -> None:
        keys = list(self.bought[send.attempt])
        made = iter(keys)

        def ref(prefix: str) -> Ref:
            data = picture(next(made))
            if prefix != "b" or len(data) % 2:
                return self.journal.payloads.keep(data)
            path = self.journal.folder / "held" / f".tmp-sink-{self.journal.payloads.number()}"
            path.write_bytes(data)
            return self.journal.payloads.keep_file(path)

        self.ref = ref  # type: ignore[method-assign] # whose pictures a reply has is known only here
        super()._send(send)

    def _read(self, command: ReadCache) -> None:
        self.flush()
        found = [self.journal.look_up(key) for key in command.keys]
        answers = tuple(Miss(command.claim) if one is None else Hit(*one) for one in found)
        self.later(self.delays.store, CacheRead(command.read, answers))


def lose_power(disk: FailingDisk, old: Path, new: Path, rng: Random) -> None:
    """Any subset of what was not synced is gone, cut off or garbage; the log may end in a torn frame."""
    shutil.copytree(old, new)
    for sub in ("held", "images"):
        for path in (old / sub).glob("*"):
            copy, data = new / sub / path.name, path.read_bytes()
            if path in disk.loose and rng.random() < 0.5:
                copy.unlink()
            elif path.stat().st_ino not in disk.synced:
                torn = data[: rng.randrange(len(data) + 1)]
                copy.unlink()
                copy.write_bytes(torn if rng.random() < 0.5 else rng.randbytes(len(data)))
    mirror = new / "journal.mirror"
    if mirror.exists():
        data = mirror.read_bytes()
        mirror.write_bytes(data[: rng.randrange(len(data) + 1)])
    log = new / "journal.sqlite-wal"
    if log.exists() and log.stat().st_size:
        with log.open("ab") as file:
            file.write(rng.randbytes(rng.choice((0, 1, 24, 4120))))


def check(journal: Journal, promises: Promises, bill: int) -> None:
    """Nothing answered is lost, what is open is told, and the books are not below the provider's bill."""
    orphans = {(one.run, one.attempt) for one in journal.orphans()}
    ended = {(run, at) for run, at in journal._db.execute("SELECT run, attempt FROM attempts WHERE ending IS NOT NULL")}
    assert promises.intents <= orphans | ended
    for run, attempt in sorted(orphans):
        promises.settled.update(journal.resolve(run, attempt))
    for key in promises.settled:
        found = journal.look_up(key)
        assert found is not None
        assert picture(key) == journal.payloads.read(found[1])
    for name, key in promises.shown.items():
        assert picture(key) == (journal.folder / name).read_bytes()
    total = journal.balances().total
    assert bill <= total.charged + total.maybe
    assert 0 == total.unknown


def live(journal: Journal, server: Server, promises: Promises, seed: int) -> None:
    """One run of the batch, to its end or to its death."""
    check(journal, promises, server.books.billed)
    world = DiskWorld(journal, server, promises, seed)
    shown = {key for files in journal.account().shown.values() for key in files}
    rows = [work(number) for number in range(ROWS)]
    world.run(row for row in rows if not shown.issuperset(row.targets[0].keys))
    world.close()
    while world.step():
        pass
    assert world.engine.snapshot().at_rest


def die(folder: Path, later: Path, life: tuple[int, bool], server: Server, promises: Promises, rng: Random) -> None:
    """A life until its disk's operation after `life[0]` more; what it leaves is copied before anything is closed."""
    left, power = life
    disk = FailingDisk(links=rng.random() < 0.5)
    folder.mkdir(exist_ok=True)
    disk.synced = {path.stat().st_ino for path in folder.rglob("*")}
    disk.arm(left, DEATH)
    journal: Journal | None = None
    with suppress(Died):
        journal = Journal.open(folder, disk=disk)
        live(journal, server, promises, rng.randrange(1000))
    if power:
        lose_power(disk, folder, later, rng)
    else:
        shutil.copytree(folder, later)
    if journal is not None:
        disk.dead = True
        with suppress(Died):
            journal.close()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), deaths=st.lists(st.tuples(st.integers(3, 110), st.booleans()), min_size=1, max_size=4)
)
def test_a_batch_that_dies_anywhere_keeps_its_promises(seed: int, deaths: list[tuple[int, bool]]) -> None:
    """Killed or without power at any operation of the disk, life after life: nothing answered is lost or paid twice."""
    server = Server(ServerSettings(latency=Latency(0.05, 0.3), faults=parse_faults(FAULTS)), rng=Random(seed))
    promises, rng = Promises(), Random(seed)
    with TemporaryDirectory(prefix="penstock-world-") as home:
        for number, life in enumerate(deaths):
            die(Path(home) / str(number), Path(home) / str(number + 1), life, server, promises, rng)
        folder = Path(home) / str(len(deaths))
        with Journal.open(folder) as journal:
            live(journal, server, promises, seed)
        with Journal.open(folder) as journal:
            check(journal, promises, server.books.billed)
        assert None is peek(folder).holder
