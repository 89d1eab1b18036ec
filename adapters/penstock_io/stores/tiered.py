"""Stores behind each other: what is near and small first, what is far and large last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import RLock
from typing import TypeVar, cast

from attrs import field, frozen

from penstock.cache.policy import shorter
from penstock.errors import UsageError
from penstock.ids import Key, Ref
from penstock.outcomes import Meta
from penstock_io.stores import (
    Damage,
    Holding,
    Keeping,
    Lasting,
    Leasing,
    Marking,
    Store,
    Stored,
    StoreEntry,
    StoreFault,
    StoreFigures,
    words,
)

_T = TypeVar("_T")


def _unheard(said: str) -> None:
    """Nobody listens."""
    del said


@frozen
class Tier:
    """A store in its place. What has more than `limit` bytes stays out of it (None: nothing does).

    `ttl` bounds, in seconds, how long a copy lives here that was promoted from a tier that cannot say how long its
    picture lasts (None: such copies are not made). `fresh` is for how many seconds whatever lies here is believed,
    where others may change what is behind it (None: as long as it lasts): of pictures nobody changes any.
    """

    store: Store = field(repr=False)
    limit: int | None = None
    ttl: float | None = 300.0
    fresh: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.limit is not None and not isinstance(cast("object", self.store), Keeping):
            raise UsageError("a tier with a limit needs a store that can delete what a larger picture replaces")
        if self.fresh is not None and not self.fresh > 0:
            raise UsageError(f"fresh must be above 0 seconds, not {self.fresh}")

    def takes(self, data: bytes) -> bool:
        """Whether these bytes are not too many for it."""
        return self.limit is None or len(data) <= self.limit


class Tiered:
    """Pictures by key in several stores: `Tiered(hot, warm, cold)`, each a store or a `Tier` of one.

    A read asks one after the other and leaves a copy in those before the one that had it, which lasts no longer than
    what it was made of. A write goes to all. What a tier raises is counted as its fault and is a miss of this tier
    alone, which `heard` is told in words; only where a picture could be written nowhere it is raised. Leases are those
    of the last tier that has any: it is the one that most processes share.
    """

    def __init__(self, *tiers: Store | Tier, heard: Callable[[str], object] = _unheard) -> None:
        if not tiers:
            raise UsageError("Tiered takes stores: Tiered(MemoryStore(), SqliteStore('pictures.sqlite'))")
        self.tiers = tuple(tier if isinstance(tier, Tier) else Tier(tier) for tier in tiers)
        if self.tiers[-1].fresh is not None:
            raise UsageError("the last tier has nothing behind it that could be fresher")
        leasing = [able for able in self._able() if isinstance(able, Leasing)]
        self._leases = leasing[-1] if leasing else None
        self._heard = heard
        self._turn = RLock()
        self._promoting = RLock()
        self._changing = self._changes = 0
        self._faults = [0] * len(self.tiers)
        self._hits = self._misses = 0

    def __repr__(self) -> str:
        return f"<Tiered {', '.join(repr(tier.store) for tier in self.tiers)}>"

    @property
    def inline(self) -> bool:
        """Whether all of them may be asked on an event loop."""
        return all(tier.store.inline for tier in self.tiers)

    def read(self, key: Key) -> Stored | None:
        """The picture of a key from the first tier that has it, None for a miss. Raises nothing that a tier raised."""
        begun = self._changes  # before `_changing`, which rises first
        quiet = not self._changing
        for place, tier in enumerate(self.tiers):
            found: Stored | None = self._try(place, partial(tier.store.read, key), None)
            if found is not None:
                self._count(hit=True)
                if quiet:
                    self._promote(key, found, place, begun)
                return found
        self._count(hit=False)
        return None

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Store a picture in each tier that takes it, last tier first; `ttl` is in seconds. Raises `StoreFault`."""
        with self._change():
            written = [self._put(place, key, meta, data, ttl) for place in reversed(range(len(self.tiers)))]
        if not any(written):
            raise StoreFault("a picture could be stored in no tier")

    def mark(self, key: Key, meta: Meta, ref: Ref) -> bool:
        """Note `meta` in the tiers that hold the bytes of `ref`; False: there are others, which need the bytes."""
        marked = [isinstance(able, Marking) and able.mark(key, meta, ref) for able in self._able()]
        return all(marked)

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """Take or renew the lease on a key; None: `name` has it, or no tier has leases. Raises what the tier raises."""
        return None if self._leases is None else self._leases.claim(key, name, seconds)

    def give_back(self, key: Key, name: str) -> None:
        """End a lease of `name`'s. Raises what the tier raises."""
        if self._leases is not None:
            self._leases.give_back(key, name)

    def lasts(self, key: Key) -> float | None:
        """Seconds that a picture has left in the tier that keeps it longest; None: no end is known.

        Raises nothing that a tier raised.
        """
        longest = 0.0
        for place in range(len(self.tiers)):
            left = self._left(place, key, None)
            if left is None:
                return None
            longest = max(longest, left)
        return longest

    def held(self, keys: Collection[Key]) -> set[Key]:
        """Those of `keys` that a tier has; all of them where one cannot say. Raises nothing that a tier raised."""
        found: set[Key] = set()
        for place, able in enumerate(self._able()):
            left = set(keys) - found
            if left:
                found |= self._try(place, partial(able.held, left), set[Key]()) if isinstance(able, Holding) else left
        return found

    def figures(self) -> StoreFigures:
        """Hits, misses and faults of the tiers together; entries of the fullest; bytes of all."""
        each = [self._try(place, able.figures, StoreFigures()) for place, able in self._keeping()]
        bounds = [one.max_bytes for one in each]
        return StoreFigures(
            entries=max((one.entries for one in each), default=0),
            nbytes=sum(one.nbytes for one in each),
            max_bytes=None if None in bounds else sum(bound or 0 for bound in bounds),
            hits=self._hits,
            misses=self._misses,
            faults=sum(self._faults),
            evictions=sum(one.evictions for one in each),
            expired=sum(one.expired for one in each),
        )

    def faults(self) -> tuple[int, ...]:
        """How often each tier failed, in their order."""
        return tuple(self._faults)

    def entries(self) -> Iterator[StoreEntry]:
        """What can be read now, each key once, as the last tier that lists it has it: those before it have copies."""
        known: set[Key] = set()
        for _, able in reversed(self._keeping()):
            for entry in able.entries():
                if entry.key not in known:
                    known.add(entry.key)
                    yield entry

    def delete(self, key: Key) -> bool:
        """Drop a picture from all tiers; False: none had it. Raises what a tier raises, after all were asked."""
        found, fault = False, None
        with self._change():
            for _, able in self._keeping():
                try:
                    found = able.delete(key) or found
                except (StoreFault, OSError) as raised:
                    fault = raised
        if fault is not None:
            raise fault
        return found

    def verify(self) -> Iterator[Damage]:
        """What is damaged in any tier."""
        for _, able in self._keeping():
            yield from able.verify()

    def close(self) -> None:
        """Close all tiers."""
        for _, able in self._keeping():
            able.close()

    def _able(self) -> list[object]:
        return [tier.store for tier in self.tiers]

    def _keeping(self) -> list[tuple[int, Keeping]]:
        return [(place, able) for place, able in enumerate(self._able()) if isinstance(able, Keeping)]

    def _try(self, place: int, work: Callable[[], _T], otherwise: _T) -> _T:
        """What a tier says, or what stands for it where it fails."""
        try:
            return work()
        except Exception as fault:  # noqa: BLE001 - a third party's store may raise anything; the next tier is asked
            with self._turn:
                self._faults[place] += 1
            with suppress(Exception):  # who listens has faults of his own
                self._heard(words(fault))
            return otherwise

    def _put(self, place: int, key: Key, meta: Meta, data: bytes, ttl: float | None) -> bool:
        """Write to a tier; whatever goes wrong there, it shall not go on with what it had before."""
        tier = self.tiers[place]

        def write() -> bool:
            tier.store.write(key, meta, data, shorter(ttl, tier.fresh))
            return True

        if tier.takes(data) and self._try(place, write, otherwise=False):
            return True
        able: object = tier.store
        if isinstance(able, Keeping):
            self._try(place, partial(able.delete, key), otherwise=False)
        return False

    @contextmanager
    def _change(self) -> Generator[None]:
        """While tiers are changed, what was read of them is not copied: it may be what they had before."""
        with self._promoting:
            self._changing += 1
            self._changes += 1
        try:
            yield
        finally:
            with self._promoting:
                self._changing -= 1

    def _promote(self, key: Key, found: Stored, place: int, begun: int) -> None:
        """Leave copies in the tiers before the one that had it, unless anything was changed since `begun`."""
        meta, data = found
        if not place or not isinstance(data, bytes):
            return
        for before, tier in enumerate(self.tiers[:place]):
            ttl = self._left(place, key, tier.ttl or 0.0)
            noting: object = tier.store
            if (ttl is None or ttl > 0) and tier.takes(data) and not isinstance(noting, Marking):
                with self._promoting:
                    if self._changes == begun:
                        self._try(before, partial(tier.store.write, key, meta, data, shorter(ttl, tier.fresh)), None)

    def _left(self, place: int, key: Key, otherwise: float | None) -> float | None:
        """How long a tier's picture lasts; `otherwise` where it cannot tell."""
        able: object = self.tiers[place].store
        if not isinstance(able, Lasting):
            return otherwise
        nothing: float | None = 0.0
        return self._try(place, partial(able.lasts, key), nothing)

    def _count(self, *, hit: bool) -> None:
        with self._turn:
            self._hits += hit
            self._misses += not hit
