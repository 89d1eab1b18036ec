"""A store in memory: the least recently used pictures go first when it is full."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from math import inf, sqrt
from time import monotonic

from attrs import frozen

from penstock.ids import Key
from penstock.outcomes import Meta


@frozen
class _Kept:
    meta: Meta
    data: bytes
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
        if kept is None:
            return None
        if kept.until <= self._clock():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.meta, kept.data

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Store a picture, instead of what was stored under its key; `ttl` is in seconds."""
        self._drop(key)
        if len(data) > self.max_bytes:
            return
        self._kept[key] = _Kept(meta, data, inf if ttl is None else self._clock() + ttl)
        self.nbytes += len(data)
        while self.nbytes > self.max_bytes:
            self._drop(next(iter(self._kept)))

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
