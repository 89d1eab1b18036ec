"""The leases of one client: which keys of a store of several processes are its own to make.

In the store a lease has the client's name, so that the client is never kept waiting by itself; here it has the names of
the lookups that took it, and is given back with the last of them.

An engine asks for a lease that lasts as long as an exchange may, which is minutes. In the store it is a short one that
is renewed while the process lives: of a process that was killed the others wait for a minute, and nobody cleans up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from math import inf
from pathlib import Path
from socket import gethostname
from uuid import uuid4

from attrs import define, field

from penstock.ids import Key, ReadId
from penstock_io.stores import Leasing

FIRST, LONGEST, GROWTH = 0.1, 2.0, 1.5
"""Seconds until what another process makes is looked for again: at first, at most, and by what they grow each time."""

MOST = 10_000
"""Keys of which it is known how long they have been waited for; beyond that the waits begin anew."""

SPAN, BEAT = 60.0, 15.0
"""Seconds for which a lease is taken in the store, and after which it is renewed there."""


@define
class _Held:
    """A lease that is ours: the lookups that need it, until when they were promised it, until when the store knows."""

    reads: set[ReadId] = field(factory=set[ReadId])
    promised: float = 0.0
    ends: float = 0.0


class Leases:
    """Takes and gives back the leases of one client on a store. `clock` gives absolute monotonic seconds.

    With `beats` somebody calls `beat` when it is `due`. A `folder` that one process holds at a time gives the name: its
    next run goes on with the leases of one that was killed.
    """

    def __init__(
        self, store: Leasing, clock: Callable[[], float], *, beats: bool = False, folder: Path | None = None
    ) -> None:
        self.name = uuid4().hex if folder is None else _named(folder)
        self._store = store
        self._clock = clock
        self._span = SPAN if beats else inf
        self._held: dict[Key, _Held] = {}
        self._waits: dict[Key, float] = {}
        self._next = inf

    def claim(self, key: Key, read: ReadId, seconds: float) -> float | None:
        """Take the lease on a key for a lookup; None: it is ours now. Else when to look again (absolute seconds)."""
        now, span = self._clock(), min(seconds, self._span)
        left = self._store.claim(key, self.name, span)
        if left is None:
            held = self._held.setdefault(key, _Held())
            held.reads.add(read)
            held.promised, held.ends = max(held.promised, now + seconds), now + span
            if self._span < inf:
                self._next = min(self._next, now + BEAT)
            self.found(key)
            return None
        if len(self._waits) >= MOST:
            self._waits.clear()
        wait = self._waits.get(key, FIRST)
        self._waits[key] = min(LONGEST, wait * GROWTH)
        return self._clock() + min(left, wait)

    def found(self, key: Key) -> None:
        """What was waited for is there, or is waited for no more."""
        self._waits.pop(key, None)

    def holds(self, key: Key, read: ReadId) -> bool:
        """Whether this lookup has taken the lease on a key."""
        held = self._held.get(key)
        return held is not None and read in held.reads

    def give_back(self, key: Key, read: ReadId) -> None:
        """A lookup needs its lease no more; one that holds none changes nothing. Raises what the store raises."""
        held = self._held.get(key)
        if held is None or read not in held.reads:
            return
        held.reads.discard(read)
        if not held.reads:
            del self._held[key]
            self._store.give_back(key, self.name)

    def due(self) -> float | None:
        """Seconds until `beat` is to be called; None: only another lease makes it due."""
        return None if self._next == inf else max(0.0, self._next - self._clock())

    def beat(self) -> None:
        """Renew in the store what is promised for longer; at a fault of the store's it is tried again next time."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + BEAT if self._held else inf
        with suppress(Exception):  # whatever a third party's store raises: leases may end, and are looked at before use
            for key, held in self._held.items():
                if held.ends < held.promised and held.ends - now <= self._span - BEAT and now < held.promised:
                    span = min(self._span, held.promised - now)
                    lost = self._store.claim(key, self.name, span) is not None
                    held.promised, held.ends = (held.ends, held.ends) if lost else (held.promised, now + span)

    def close(self) -> None:
        """Give back whatever is left: the client is over. At the first fault the rest is left to end by itself."""
        held, self._held = list(self._held), {}
        with suppress(Exception):  # the store may be gone, and leases end by themselves
            for key in held:
                self._store.give_back(key, self.name)


def _named(folder: Path) -> str:
    """A name that a folder on this machine always gives."""
    return sha256(f"{gethostname()}\0{folder.resolve()}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
