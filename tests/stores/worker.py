"""What another process does with a store: `python -m tests.stores.worker NAME FOLDER ROLE NUMBER`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from pathlib import Path
from time import time

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Leasing
from tests.stores.benches import BENCHES, Kept

PICTURES = 24
"""Keys that all processes write and read."""

LEASE = 3600.0
"""Seconds: longer than any test, so that none runs out."""


def painted(number: int) -> bytes:
    """A picture that says whether it is whole: 32 bytes of a digest, 3,000 times."""
    return sha256(str(number).encode()).digest() * 3000


def whole(data: object) -> bool:
    """Whether bytes are one painted picture and nothing else."""
    return isinstance(data, bytes) and len(data) == 96_000 and data == data[:32] * 3000


def key(number: int) -> Key:
    """One of the keys."""
    return Key(f"picture-{number}")


def say(*words: object) -> None:
    """A line for the test."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def write(store: Kept, number: int) -> None:
    """Write pictures for ever, and say which ones are there."""
    del number
    for done in count():
        store.write(key(done % PICTURES), Meta(cost=done), painted(done))
        say(done)


def share(store: Kept, number: int) -> None:
    """Write what the others write and read what they wrote; say how many were whole."""
    right = 0
    for step in range(2 * PICTURES):
        mine = key((step * 7 + number) % PICTURES)
        store.write(mine, Meta(cost=number), painted(number * 1000 + step))
        found = store.read(key((step * 5 + number) % PICTURES))
        right += found is None or whole(found[1])
    say("right", right, "faults", store.figures().faults)


def buy(store: Kept, number: int) -> None:
    """Make what nobody has, one process at a time; say what was made."""
    assert isinstance(store, Leasing)
    left = {key(step) for step in range(PICTURES)}
    name = f"process {number}"
    while left:
        for one in sorted(left):
            if store.read(one) is not None:
                left.discard(one)
            elif store.claim(one, name, LEASE) is None:
                if store.read(one) is None:
                    say("bought", one)
                    store.write(one, Meta(), painted(number))
                store.give_back(one, name)


def use(store: Kept, number: int) -> None:
    """Make what nobody has, and then write and read."""
    buy(store, number)
    share(store, number)


ROLES: dict[str, Callable[[Kept, int], None]] = {"write": write, "use": use}


def main(name: str, folder: str, role: str, number: str) -> None:
    """Play a role."""
    store = BENCHES[name](Path(folder)).open(time, None)
    ROLES[role](store, int(number))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
