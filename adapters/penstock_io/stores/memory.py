"""A store in memory: the least recently used pictures go first when it is full."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from math import inf
from threading import RLock
from time import monotonic

from attrs import frozen

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Damage, StoreEntry, StoreFigures
from penstock_io.stores._places import Places, Spot, unit

MOST = 20_000
"""So many pictures can be found by meaning."""

_BESIDES = 600
"""Bytes that a picture takes besides its own and its key's: what is known of it, and its place in the list."""


@frozen
class _Kept:
    meta: Meta
    data: bytes
    stored: float
    until: float


class MemoryStore:
    """Pictures by key in at most `max_bytes`, the least recently used going first.

    That counts their keys and what is known of them, too, `_BESIDES` each: a million empty ones are not nothing. The
    bytes object that was written is the one that is read: nothing is copied. A picture larger than the whole store is
    not kept. `clock` gives absolute monotonic seconds, for what is stored with a time to live. Threads may share it.
    """

    def __init__(self, max_bytes: int = 256 << 20, *, clock: Callable[[], float] = monotonic) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._clock = clock
        self._lock = RLock()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._places = Places(MOST)
        self._hits = self._misses = self._evictions = self._expired = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._kept)} pictures, {self.nbytes} of {self.max_bytes} bytes>"

    @property
    def inline(self) -> bool:
        """It may be asked on an event loop."""
        return True

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """The picture of a key, None for a miss."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.until <= self._clock():
                self._drop(key)
                self._expired += 1
                kept = None
            if kept is None:
                self._misses += 1
                return None
            self._hits += 1
            self._kept.move_to_end(key)
            return kept.meta, kept.data

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Store a picture, instead of what was stored under its key; `ttl` is in seconds."""
        with self._lock:
            self._drop(key)
            if _weight(key, data) > self.max_bytes:
                return
            now = self._clock()
            self._kept[key] = _Kept(meta, data, now, inf if ttl is None else now + ttl)
            self.nbytes += _weight(key, data)
            while self.nbytes > self.max_bytes:
                self._drop(next(iter(self._kept)))
                self._evictions += 1

    def lasts(self, key: Key) -> float | None:
        """The seconds until a picture expires; None: it never does; 0.0: it is not there."""
        kept = self._kept.get(key)
        if kept is None:
            return 0.0
        return None if kept.until == inf else max(kept.until - self._clock(), 0.0)

    def held(self, keys: Collection[Key]) -> set[Key]:
        """Those of `keys` that it has."""
        now = self._clock()
        return {key for key in keys if (kept := self._kept.get(key)) is not None and kept.until > now}

    def figures(self) -> StoreFigures:
        """What it holds, expired pictures that nobody asked for among it."""
        return StoreFigures(
            entries=len(self._kept),
            nbytes=self.nbytes,
            max_bytes=self.max_bytes,
            hits=self._hits,
            misses=self._misses,
            evictions=self._evictions,
            expired=self._expired,
        )

    def entries(self) -> Iterator[StoreEntry]:
        """What can be read now, the least recently used first; its times are those of the clock."""
        now = self._clock()
        with self._lock:
            all_of_it = list(self._kept.items())
        for key, kept in all_of_it:
            if kept.until > now:
                yield StoreEntry(key, kept.meta, len(kept.data), kept.stored, None if kept.until == inf else kept.until)

    def delete(self, key: Key) -> bool:
        """Drop a picture; False: there was none."""
        with self._lock:
            kept = self._kept.get(key)
            self._drop(key)
        return kept is not None and kept.until > self._clock()

    def verify(self) -> Iterator[Damage]:
        """Nothing in memory is damaged."""
        return iter(())

    def close(self) -> None:
        """It has nothing open, and keeps what it holds."""

    def place(self, key: Key, scope: str, vector: tuple[float, ...]) -> None:
        """Remember where in `scope` a stored picture lies; one that is not stored lies nowhere."""
        direction = unit(vector)
        with self._lock:
            if key in self._kept and direction is not None:
                self._places.put(key, Spot(scope, direction))

    def near(self, scope: str, vector: tuple[float, ...], threshold: float) -> tuple[Meta, bytes, float] | None:
        """The nearest picture that may pass for one of `scope`, with its cosine, if that is at least `threshold`."""
        with self._lock:
            for key, score in self._places.nearest(scope, vector, threshold):
                found = self.read(key)
                if found is not None:
                    return (*found, score)
        return None

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        self._places.forget(key)
        if kept is not None:
            self.nbytes -= _weight(key, kept.data)


def _weight(key: Key, data: bytes) -> int:
    """The bytes that a picture takes here."""
    return len(data) + len(key) + _BESIDES
