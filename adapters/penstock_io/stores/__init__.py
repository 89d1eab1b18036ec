"""Where cached pictures live: what a store must be able to do.

Stores are plain synchronous objects, called from one thread in order. What they raise becomes a miss with a fault.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from penstock.ids import Key, Ref
from penstock.outcomes import Meta

Stored = tuple[Meta, bytes | Ref]
"""A stored picture: what is known of it, and its bytes or a reference that the driver's payloads can read."""


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
