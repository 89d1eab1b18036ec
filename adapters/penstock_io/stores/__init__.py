"""Where cached pictures live: what a store must be able to do, and what it may be able to do besides.

Stores are plain synchronous objects, called from one thread in order. What they raise becomes a miss with a fault: a
store that is damaged, full or out of reach costs a picture, never a request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol, runtime_checkable

from attrs import frozen

from penstock.errors import PenstockError
from penstock.ids import Key, Ref
from penstock.outcomes import Meta

Stored = tuple[Meta, bytes | Ref]
"""A stored picture: what is known of it, and its bytes or a reference that the driver's payloads can read."""


class StoreFault(PenstockError):
    """What went wrong with a store, in words that hold no payload and no secret: they are shown."""


class StoreDamaged(StoreFault):
    """A stored picture, or a whole store, is not what was written."""


def words(fault: Exception) -> str:
    """What a store raised, in one line: its own words may hold a payload or a secret, so few faults' are repeated."""
    if isinstance(fault, StoreFault):
        return str(fault)
    said = fault.strerror if isinstance(fault, OSError) else None
    return type(fault).__name__ + (f": {said}" if said else "")


@runtime_checkable
class Store(Protocol):
    """Pictures by key."""

    @property
    def inline(self) -> bool:
        """Whether it may be asked on an event loop."""
        ...

    def read(self, key: Key) -> Stored | None:
        """The picture of a key, None for a miss."""
        ...

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Store a picture; `ttl` is in seconds, None for ever."""
        ...


@runtime_checkable
class Near(Protocol):
    """A store that can look up by meaning, too."""

    def place(self, key: Key, scope: str, vector: tuple[float, ...]) -> None:
        """Remember where in `scope` a stored picture lies."""
        ...

    def near(self, scope: str, vector: tuple[float, ...], threshold: float) -> tuple[Meta, bytes | Ref, float] | None:
        """The nearest picture of `scope` with its cosine, if that is at least `threshold`."""
        ...


@runtime_checkable
class Marking(Protocol):
    """A store that may already hold what a reference names, and then only notes what is known of it."""

    def mark(self, key: Key, meta: Meta, ref: Ref) -> bool:
        """Note `meta` if the bytes of `ref` are stored under `key`; False: they have to be written."""
        ...


@runtime_checkable
class Leasing(Protocol):
    """A store of several processes, in which one of them can say that it makes a picture while the others wait.

    A lease is over after its time, however its holder ended; it says nothing of whether the picture is there.
    """

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """Take the lease on a key for `seconds`, or renew it; None: `name` has it now.

        Otherwise another has it, and the answer is the seconds until that ends (above 0).
        """
        ...

    def give_back(self, key: Key, name: str) -> None:
        """End a lease of `name`'s; one that is another's, or nobody's, stays as it is."""
        ...


@runtime_checkable
class Lasting(Protocol):
    """A store that can say how long a picture lasts, so that copies of it last no longer."""

    def lasts(self, key: Key) -> float | None:
        """The seconds until a picture expires; None: it never does; 0.0: it is not there."""
        ...


@runtime_checkable
class Holding(Protocol):
    """A store that can say what it has without reading it: neither a hit nor a miss, and nothing was used."""

    def held(self, keys: Collection[Key]) -> set[Key]:
        """Those of `keys` whose pictures are there. Raises what the store raises."""
        ...


@frozen
class StoreFigures:
    """What a store holds and what became of it. `nbytes` counts pictures, `max_bytes` None is no bound.

    In memory they are counted with their keys and what is known of them.

    `hits`, `misses`, `faults` (damaged or unreachable: misses, too) are of this object; `evictions` (dropped to make
    room) and `expired` of the store, where it remembers them longer.
    """

    entries: int = 0
    nbytes: int = 0
    max_bytes: int | None = None
    hits: int = 0
    misses: int = 0
    faults: int = 0
    evictions: int = 0
    expired: int = 0


@frozen
class StoreEntry:
    """A stored picture without its bytes. `stored` and `expires` (None: never) are seconds of the store's clock.

    That is Unix time for whatever outlives its process.
    """

    key: Key
    meta: Meta
    nbytes: int
    stored: float
    expires: float | None = None


@frozen
class Damage:
    """Something in a store that is not what was written: `what` it is, and whose (None: nobody knows)."""

    key: Key | None
    what: str


@runtime_checkable
class Keeping(Protocol):
    """A store that can be looked through. All of it may raise `StoreFault` or `OSError`."""

    def figures(self) -> StoreFigures:
        """What it holds, and what became of it."""
        ...

    def entries(self) -> Iterator[StoreEntry]:
        """What can be read now, in no particular order; others may write meanwhile."""
        ...

    def delete(self, key: Key) -> bool:
        """Drop a picture; False: there was none."""
        ...

    def verify(self) -> Iterator[Damage]:
        """Read everything and tell what is damaged; nothing is dropped."""
        ...

    def close(self) -> None:
        """Give back what it has open. A second time does nothing."""
        ...


@runtime_checkable
class Tidying(Protocol):
    """A store in which something may be left that nobody needs any more: files that no picture names, old leases."""

    def litter(self) -> int:
        """How much of that there is; nothing is changed."""
        ...

    def tidy(self) -> int:
        """Take it away: how many."""
        ...
