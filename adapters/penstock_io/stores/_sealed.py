"""What stores elsewhere have in common: pictures sealed in one piece each, and a place that may be out of reach.

A place that did not answer is left alone for a while: a lookup of each of ten thousand keys would otherwise wait for
its time-out, one after another.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from attrs import frozen

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Damage, StoreDamaged, StoreEntry, StoreFault, StoreFigures
from penstock_io.stores._codec import HEAD, Sealed, digest, entry_of, header_length, seal, unseal
from penstock_io.stores._outside import Outside

BEGINNING = 1024
"""Bytes of a sealed picture that as a rule hold its whole header."""


AT_ONCE = 16
"""So many pictures are asked for at once where many are: each question waits for a network."""


@frozen
class Told:
    """What went wrong, in words that may be shown; `gone`: nothing there answers, so that it is left alone a while."""

    words: str
    gone: bool = False


class SealedStore(Outside):
    """Pictures by key at a `place` (its address, as it may be shown), each sealed under a name of its own.

    Pictures of more than `limit` bytes are not kept (None: all are). `clock` gives Unix seconds. What cannot be read or
    written raises `StoreFault`; where nothing answers, nothing is asked for `rest` seconds. A picture that has changed
    is dropped, and raises `StoreDamaged`. Any thread may ask.
    """

    def __init__(self, place: str, *, limit: int | None, rest: float, clock: Callable[[], float]) -> None:
        self.place = place
        self.limit = limit
        self._rest = rest
        self._clock = clock
        self._gone: float | None = None
        self._hits = self._misses = self._faults = self._expired = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place}>"

    # A place

    @abstractmethod
    def _get(self, name: str) -> bytes | None:
        """What is stored under a name, None for nothing."""

    @abstractmethod
    def _beginning(self, name: str, nbytes: int) -> bytes | None:
        """The first bytes of it, as many as there are."""

    @abstractmethod
    def _put(self, name: str, blob: bytes, ttl: float | None) -> None:
        """Store it, instead of what was there; nobody sees a part of it."""

    @abstractmethod
    def _drop(self, name: str) -> bool:
        """Drop it; False: there was nothing."""

    @abstractmethod
    def _names(self) -> Iterator[str]:
        """The names of all that is stored; one may come twice, or be gone."""

    @abstractmethod
    def _told(self, fault: Exception) -> Told | None:
        """What a fault of the place says; None: it is none of the place's."""

    # A store

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """The picture of a key, None for a miss. Raises `StoreFault`."""
        name = digest(key)
        with self._asked():
            try:
                blob = self._get(name)
                sealed = None if blob is None else unseal(key, blob)
            except StoreDamaged as damage:
                self._drop(name)
                raise StoreDamaged(f"{self.place}: a picture was dropped: {damage}") from damage
            if sealed is not None and self._over(sealed.entry):
                self._drop_expired(name)
                sealed = None
        return self._found(sealed)

    def _found(self, sealed: Sealed | None) -> tuple[Meta, bytes] | None:
        if sealed is None:
            self._misses += 1
            return None
        self._hits += 1
        return sealed.entry.meta, sealed.data

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Store a picture, instead of what was stored under its key; `ttl` is in seconds. Raises `StoreFault`."""
        now, name = self._clock(), digest(key)
        with self._asked():
            if self.limit is not None and len(data) > self.limit:
                self._drop(name)
                return
            entry = StoreEntry(key, meta, len(data), now, None if ttl is None else now + ttl)
            try:
                self._put(name, seal(entry, data), ttl)
            except Exception as fault:
                told = self._told(fault)
                if told is not None and not told.gone:
                    self._drop(name)  # what was to be replaced is not to be served any more
                raise

    def lasts(self, key: Key) -> float | None:
        """The seconds until a picture expires; None: it never does; 0.0: it is not there. Raises `StoreFault`."""
        with self._asked():
            entry = self._entry(digest(key))
        if entry is None:
            return 0.0
        return None if entry.expires is None else max(entry.expires - self._clock(), 0.0)

    def held(self, keys: Collection[Key]) -> set[Key]:
        """Those of `keys` that it has. Raises `StoreFault`."""
        asked = list(keys)
        if len(asked) < AT_ONCE:
            return {key for key in asked if self._holds(key)}
        with ThreadPoolExecutor(AT_ONCE, "penstock held") as pool:
            try:
                there = list(pool.map(self._holds, asked))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return {key for key, one in zip(asked, there, strict=True) if one}

    def _holds(self, key: Key) -> bool:
        with self._asked(), suppress(StoreDamaged):
            entry = self._entry(digest(key))
            return entry is not None and not self._over(entry)
        return False

    def figures(self) -> StoreFigures:
        """What it holds, which takes a look at each picture, and what became of it. Raises `StoreFault`."""
        entries = nbytes = 0
        for entry in self.entries():
            entries += 1
            nbytes += entry.nbytes
        return StoreFigures(
            entries=entries,
            nbytes=nbytes,
            hits=self._hits,
            misses=self._misses,
            faults=self._faults,
            expired=self._expired,
        )

    def entries(self) -> Iterator[StoreEntry]:
        """What can be read now, in no particular order; what is damaged is left out. Raises `StoreFault`."""
        for name in self._all():
            entry = None
            with self._asked(), suppress(StoreDamaged):
                entry = self._entry(name)
            if entry is not None and not self._over(entry):
                yield entry

    def delete(self, key: Key) -> bool:
        """Drop a picture; False: there was none. Raises `StoreFault`."""
        name = digest(key)
        with self._asked():
            try:
                entry = self._entry(name)
            except StoreDamaged:
                return self._drop(name)
            return self._drop(name) and entry is not None and not self._over(entry)

    def verify(self) -> Iterator[Damage]:
        """Read everything and tell what is damaged; nothing is dropped. Raises `StoreFault`."""
        for name in self._all():
            with self._asked():
                damage = self._ailment(name)
            if damage is not None:
                yield damage

    # What goes wrong

    @contextmanager
    def _asked(self) -> Generator[None]:
        """Whatever goes wrong is counted, and told in words; a place that does not answer is left alone a while."""
        self._leave_alone()
        try:
            yield
        except StoreFault:
            self._faults += 1
            raise
        except Exception as fault:
            told = self._told(fault)
            if told is None:
                raise
            self._faults += 1
            self._gone = self._clock() if told.gone else None
            raise StoreFault(f"{self.place}: {told.words}") from None  # its own words may hold what is stored
        self._gone = None

    def _leave_alone(self) -> None:
        if self._gone is not None and 0.0 <= self._clock() - self._gone < self._rest:
            self._faults += 1
            raise StoreFault(f"{self.place}: it was out of reach a moment ago, and is left alone")

    def _all(self) -> Iterator[str]:
        """Each name once."""
        with self._asked():
            names = sorted(set(self._names()))
        yield from names

    def _entry(self, name: str) -> StoreEntry | None:
        blob = self._beginning(name, BEGINNING)
        if blob is not None and len(blob) == BEGINNING and HEAD + header_length(blob) > BEGINNING:
            blob = self._beginning(name, HEAD + header_length(blob))
        return None if blob is None else entry_of(blob)

    def _ailment(self, name: str) -> Damage | None:
        try:
            blob = self._get(name)
        except StoreDamaged as damage:
            return Damage(None, str(damage))
        return None if blob is None else _ailment(name, blob)

    def _over(self, entry: StoreEntry) -> bool:
        return entry.expires is not None and entry.expires <= self._clock()

    def _drop_expired(self, name: str) -> None:
        self._drop(name)
        self._expired += 1


def _ailment(name: str, blob: bytes) -> Damage | None:
    """What is wrong with a sealed picture."""
    key: Key | None = None
    try:
        key = entry_of(blob).key
        if digest(key) != name:
            return Damage(key, "it lies under the name of another key")
        unseal(key, blob)
    except StoreDamaged as damage:
        return Damage(key, str(damage))
    return None
