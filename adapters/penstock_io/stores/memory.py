"""A store in memory: the least recently used pictures go first when it is full."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from math import inf, sqrt
from time import monotonic

from attrs import frozen

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Damage, StoreEntry, StoreFigures


@frozen
class _Kept:
    meta: Meta
    data: bytes
    stored: float
    until: float


@frozen
class _Place:
    scope: str
    vector: tuple[float, ...]


class MemoryStore:
    """Pictures by key, at most `max_bytes` of them (bytes), the least recently used going first.

    The bytes object that was written is the one that is read: nothing is copied. A picture larger than the whole store
    is not kept. `clock` gives absolute monotonic seconds, for what is stored with a time to live.
    """

    def __init__(self, max_bytes: int = 256 << 20, *, clock: Callable[[], float] = monotonic) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._places: dict[Key, _Place] = {}
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
        self._drop(key)
        if len(data) > self.max_bytes:
            return
        now = self._clock()
        self._kept[key] = _Kept(meta, data, now, inf if ttl is None else now + ttl)
        self.nbytes += len(data)
        while self.nbytes > self.max_bytes:
            self._drop(next(iter(self._kept)))
            self._evictions += 1

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
        for key, kept in list(self._kept.items()):
            if kept.until > now:
                yield StoreEntry(key, kept.meta, len(kept.data), kept.stored, None if kept.until == inf else kept.until)

    def delete(self, key: Key) -> bool:
        """Drop a picture; False: there was none."""
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
        length = sqrt(sum(x * x for x in vector))
        if key in self._kept and length > 0:
            self._places[key] = _Place(scope, tuple(x / length for x in vector))

    def near(self, scope: str, vector: tuple[float, ...], threshold: float) -> tuple[Meta, bytes, float] | None:
        """The nearest picture of `scope` with its cosine, if that is at least `threshold`."""
        length = sqrt(sum(x * x for x in vector))
        best, nearest = threshold, None
        for key, place in list(self._places.items()):
            if place.scope != scope or len(place.vector) != len(vector) or not length:
                continue
            score = sum(a * b for a, b in zip(place.vector, vector, strict=True)) / length
            if score >= best:
                best, nearest = score, key
        found = None if nearest is None else self.read(nearest)
        return None if found is None else (*found, best)

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        self._places.pop(key, None)
        if kept is not None:
            self.nbytes -= len(kept.data)
