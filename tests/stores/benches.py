"""How the suite makes each store, opens it again and spoils what it holds.

A further store comes in by a class like these and its line in `BENCHES`: everything in `test_conformance.py` and
`test_damage.py` is then claimed of it, too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Protocol

from redis import Redis

from penstock.ids import Key
from penstock_io.stores import Keeping, Store
from penstock_io.stores._codec import digest
from penstock_io.stores.files import INDEX, FilesStore
from penstock_io.stores.memory import MemoryStore, _weight
from penstock_io.stores.near import NearStore
from penstock_io.stores.objects import LeasedObjectStore
from penstock_io.stores.redis import RedisStore
from penstock_io.stores.sqlite import SqliteStore
from penstock_io.stores.tiered import Tier, Tiered
from tests.stores import servers

PATIENCE = 240.0
"""Seconds for another process's write: on a busy machine nobody is told that a store is busy."""

Clock = Callable[[], float]


class Kept(Store, Keeping, Protocol):
    """A store that can be looked through."""


class Evicts(Enum):
    """What makes room in a full store: the least recently used, first of all what has expired, or nothing does."""

    USED = "used"
    EXPIRED = "expired"
    NOTHING = "nothing"


class Bench(Protocol):
    """One kind of store, in a place of its own. `open` gives the same pictures again where they are `durable`.

    `spoil` changes one byte of a stored picture behind the store's back, `cut` takes away the end of one.
    """

    evicts: Evicts
    durable: bool

    def open(self, clock: Clock, max_bytes: int | None) -> Kept:
        """The store, with room for as many pictures of some bytes as a store has that counts only those."""
        ...

    def spoil(self, key: Key) -> None:
        """Change a byte."""
        ...

    def cut(self, key: Key) -> None:
        """Cut its end off."""
        ...


class Memory:
    """Nothing of it outlives it, and nothing can be spoilt."""

    evicts = Evicts.USED
    durable = False
    scale = 130  # what is known of a picture counts, too

    def __init__(self, folder: Path) -> None:
        del folder

    def open(self, clock: Clock, max_bytes: int | None) -> Kept:
        """A new one."""
        return MemoryStore(1 << 30 if max_bytes is None else max_bytes * self.scale, clock=clock)

    def weight(self, key: Key, data: bytes) -> int:
        """What a picture takes of its room."""
        return _weight(key, data)

    def spoil(self, key: Key) -> None:
        """Nobody can."""
        raise NotImplementedError(key)

    cut = spoil


class Sqlite:
    """One database, which has all bytes itself."""

    evicts = Evicts.EXPIRED
    durable = True
    within = 1 << 30

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pictures.sqlite"

    def open(self, clock: Clock, max_bytes: int | None) -> Kept:
        """The file."""
        return SqliteStore(self.path, max_bytes=max_bytes, clock=clock, wait=PATIENCE, within=self.within)

    def spoil(self, key: Key) -> None:
        """Other bytes of the same length."""
        self._change("CAST(substr(data, 1, length(data) - 1) || x'FF' AS BLOB)", key)

    def cut(self, key: Key) -> None:
        """Fewer bytes."""
        self._change("CAST(substr(data, 1, length(data) - 1) AS BLOB)", key)

    def _change(self, data: str, key: Key) -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute(
                f"UPDATE bytes SET data = {data} WHERE id = (SELECT id FROM pictures WHERE key = ?)",  # noqa: S608 - text of ours
                (key.encode(),),
            )


class Mixed(Sqlite):
    """One database, and files beside it for what has more than six bytes."""

    within = 6

    def spoil(self, key: Key) -> None:
        """Other bytes of the same length."""
        flip(named(self.path, self.path.with_name(f"{self.path.name}-files"), key))

    def cut(self, key: Key) -> None:
        """Fewer bytes."""
        shorten(named(self.path, self.path.with_name(f"{self.path.name}-files"), key))


class ByMeaning(Sqlite):
    """One file, whose pictures are found by meaning, too."""

    crowds = False  # what it adds is this process's own

    def open(self, clock: Clock, max_bytes: int | None) -> Kept:
        """The file, with another one of places beside it."""
        return NearStore(super().open(clock, max_bytes), self.path.with_name("near.sqlite"))


class Files:
    """A folder."""

    evicts = Evicts.EXPIRED
    durable = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pictures"

    def open(self, clock: Clock, max_bytes: int | None) -> Kept:
        """The folder."""
        return FilesStore(self.folder, max_bytes=max_bytes, clock=clock, wait=PATIENCE)

    def spoil(self, key: Key) -> None:
        """Other bytes of the same length."""
        flip(named(self.folder / INDEX, self.folder, key))

    def cut(self, key: Key) -> None:
        """Fewer bytes."""
        shorten(named(self.folder / INDEX, self.folder, key))


class Tiers:
    """Little memory before a file."""

    evicts = Evicts.NOTHING
    durable = True

    def __init__(self, folder: Path) -> None:
        self.file = Sqlite(folder)

    def open(self, clock: Clock, max_bytes: int | None) -> Kept:
        """Both."""
        return Tiered(Tier(MemoryStore(1_500, clock=clock), limit=8), self.file.open(clock, max_bytes))

    def spoil(self, key: Key) -> None:
        """In the file."""
        self.file.spoil(key)

    def cut(self, key: Key) -> None:
        """In the file."""
        self.file.cut(key)


class InRedis:
    """A namespace of the one server of this test run, which other processes find by a note in the folder."""

    evicts = Evicts.NOTHING
    durable = True
    leases = False  # by the server's own clock: test_redis.py claims what they promise

    def __init__(self, folder: Path) -> None:
        self.url = noted(folder, lambda: servers.redis().url)
        self.space = f"bench-{digest(Key(str(folder)))}"

    def open(self, clock: Clock, max_bytes: int | None) -> Kept:
        """A client."""
        del max_bytes
        return RedisStore(self.url, namespace=self.space, limit=None, timeout=PATIENCE, clock=clock)

    def spoil(self, key: Key) -> None:
        """Another last byte."""
        self._change(key, lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]))

    def cut(self, key: Key) -> None:
        """No last byte."""
        self._change(key, lambda blob: blob[:-1])

    def _change(self, key: Key, change: Callable[[bytes], bytes]) -> None:
        name = f"{self.space}:{{{digest(key)}}}:picture"
        with Redis.from_url(self.url, socket_timeout=PATIENCE) as plain:
            blob = plain.get(name)
            assert isinstance(blob, bytes)
            plain.set(name, change(blob))


class Objects:
    """A folder of objects."""

    evicts = Evicts.NOTHING
    durable = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "objects"

    def open(self, clock: Clock, max_bytes: int | None) -> Kept:
        """The folder."""
        del max_bytes
        return LeasedObjectStore(self.folder.as_uri(), clock=clock)

    def spoil(self, key: Key) -> None:
        """Another last byte."""
        self._change(key, lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]))

    def cut(self, key: Key) -> None:
        """No last byte."""
        self._change(key, lambda blob: blob[:-1])

    def _change(self, key: Key, change: Callable[[bytes], bytes]) -> None:
        path = self.folder / digest(key)[:2] / digest(key)
        path.write_bytes(change(path.read_bytes()))


class InS3:
    """A bucket of the one server of this test run, which other processes find by a note in the folder."""

    evicts = Evicts.NOTHING
    durable = True
    examples = 5  # each step is many exchanges
    crowds = False  # moto's server fails where two exchanges of one name meet

    def __init__(self, folder: Path) -> None:
        self.url = noted(folder, lambda: json.dumps([f"s3://{servers.s3().bucket()}/p", servers.s3().options]))

    def open(self, clock: Clock, max_bytes: int | None) -> Kept:
        """A client."""
        del max_bytes
        return self._store(clock)

    def spoil(self, key: Key) -> None:
        """Another last byte."""
        self._change(key, lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]))

    def cut(self, key: Key) -> None:
        """No last byte."""
        self._change(key, lambda blob: blob[:-1])

    def _change(self, key: Key, change: Callable[[bytes], bytes]) -> None:
        store = self._store(lambda: 0.0)
        blob = store._get(digest(key))
        assert blob is not None
        store._put(digest(key), change(blob), None)

    def _store(self, clock: Clock) -> LeasedObjectStore:
        url, options = json.loads(self.url)
        return LeasedObjectStore(url, options=options, timeout=PATIENCE, clock=clock)


def noted(folder: Path, begun: Callable[[], str]) -> str:
    """Where a server is: as a note in the folder says, or else as it is begun now."""
    note = folder / "server"
    if not note.exists():
        note.write_text(begun(), encoding="utf-8")
    return note.read_text(encoding="utf-8")


def named(index: Path, folder: Path, key: Key) -> Path:
    """The file of a picture."""
    with closing(sqlite3.connect(index)) as db:
        query = "SELECT name FROM names JOIN pictures USING (id) WHERE key = ?"
        (name,) = db.execute(query, (key.encode(),)).fetchone()
    return FilesStore(folder).file(name.decode())


def flip(path: Path) -> None:
    """Change a byte of a file."""
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def shorten(path: Path) -> None:
    """Take the last byte of a file."""
    path.write_bytes(path.read_bytes()[:-1])


BENCHES: dict[str, Callable[[Path], Bench]] = {
    "memory": Memory,
    "sqlite": Sqlite,
    "mixed": Mixed,
    "near": ByMeaning,
    "files": Files,
    "tiered": Tiers,
    "redis": InRedis,
    "objects": Objects,
    "s3": InS3,
}
"""Every store by name; each is given an empty folder."""

DURABLE = sorted(name for name in BENCHES if name != "memory")
"""Those that outlive their process."""

LEASING = sorted(name for name in DURABLE if getattr(BENCHES[name], "crowds", True))
"""Those that several processes may use at once, one of which can say that it makes a picture."""

SPOILT = sorted(name for name in DURABLE if name != "tiered")
"""Those that raise where a picture is damaged, because nobody else may have it."""
