"""The leases of one client: which keys of a store of several processes are its own to make.

In the store a lease has the client's name, so that the client is never kept waiting by itself; here it has the names of
the lookups that took it, and is given back with the last of them. A lease that was lost (its process was killed) is
over after its time; nobody has to clean up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from penstock.ids import Key, ReadId
from penstock_io.stores import Leasing

FIRST, LONGEST, GROWTH = 0.1, 2.0, 1.5
"""Seconds until what another process makes is looked for again: at first, at most, and by what they grow each time."""

MOST = 10_000
"""Keys of which it is known how long they have been waited for; beyond that the waits begin anew."""


class Leases:
    """Takes and gives back the leases of one client on a store. `clock` gives absolute monotonic seconds."""

    def __init__(self, store: Leasing, clock: Callable[[], float]) -> None:
        self.name = uuid4().hex
        self._store = store
        self._clock = clock
        self._held: dict[Key, set[ReadId]] = {}
        self._waits: dict[Key, float] = {}

    def claim(self, key: Key, read: ReadId, seconds: float) -> float | None:
        """Take the lease on a key for a lookup; None: it is ours now. Else when to look again (absolute seconds)."""
        left = self._store.claim(key, self.name, seconds)
        if left is None:
            self._held.setdefault(key, set()).add(read)
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
        return read in self._held.get(key, ())

    def give_back(self, key: Key, read: ReadId) -> None:
        """A lookup needs its lease no more; one that holds none changes nothing. Raises what the store raises."""
        reads = self._held.get(key)
        if reads is None or read not in reads:
            return
        reads.discard(read)
        if not reads:
            del self._held[key]
            self._store.give_back(key, self.name)

    def close(self) -> None:
        """Give back whatever is left: the client is over. At the first fault the rest is left to end by itself."""
        held, self._held = list(self._held), {}
        with suppress(Exception):  # the store may be gone, and leases end by themselves
            for key in held:
                self._store.give_back(key, self.name)
