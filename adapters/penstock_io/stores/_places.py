"""Where pictures lie by meaning: vectors of one length on shelves, and which of them are nearest to another one.

With numpy (the extra `near`) 10,000 vectors of 384 numbers are gone through in well under a millisecond; without it in
Python, which serves for some hundreds.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from math import isfinite, sqrt

from attrs import define, field, frozen

from penstock.cache.near import alike, shelf
from penstock.ids import Key

WIDTH = array("f").itemsize
"""Bytes of a number of a vector."""

Scores = Callable[[bytes, Sequence[float]], Sequence[float]]
"""The products of many vectors (32-bit floats, one after the other) with one."""


@frozen
class Spot:
    """Where a picture lies: in which scope, and its vector (of length 1, as 32-bit floats)."""

    scope: str
    vector: bytes


@define
class _Shelf:
    """Vectors of one length beside each other; place `i` of each list is the same picture's."""

    keys: list[Key] = field(factory=list[Key])
    scopes: list[str] = field(factory=list[str])
    vectors: bytearray = field(factory=bytearray)


class Places:
    """At most `most` spots by key; the oldest go first. `fast` None: numpy where it is installed."""

    def __init__(self, most: int, *, fast: bool | None = None) -> None:
        self._most = most
        self._fast = find_spec("numpy") is not None if fast is None else fast
        self._scores: Scores | None = None
        self._spots: dict[Key, Spot] = {}
        self._shelves: dict[tuple[str, int], _Shelf] = {}

    def __len__(self) -> int:
        return len(self._spots)

    def put(self, key: Key, spot: Spot) -> list[Key]:
        """Remember where a picture lies, instead of where it lay; returns what had to be forgotten for it."""
        self.forget(key)
        self._spots[key] = spot
        on = self._shelves.setdefault(_name(spot), _Shelf())
        on.keys.append(key)
        on.scopes.append(spot.scope)
        on.vectors += spot.vector
        gone = [next(iter(self._spots))] if len(self._spots) > self._most else []
        for old in gone:
            self.forget(old)
        return gone

    def forget(self, key: Key) -> bool:
        """It lies nowhere any more; False: it did not."""
        spot = self._spots.pop(key, None)
        if spot is None:
            return False
        name, width = _name(spot), len(spot.vector)
        on = self._shelves[name]
        place, last = on.keys.index(key), len(on.keys) - 1
        on.keys[place], on.scopes[place] = on.keys[last], on.scopes[last]
        on.vectors[place * width : (place + 1) * width] = on.vectors[last * width :]
        del on.keys[last], on.scopes[last], on.vectors[last * width :]
        if not on.keys:
            del self._shelves[name]
        return True

    def nearest(self, scope: str, vector: Sequence[float], threshold: float) -> Iterator[tuple[Key, float]]:
        """What may pass for what lies in `scope` and is at least so near (cosine), the nearest first."""
        one = unit(vector)
        on = None if one is None else self._shelves.get((shelf(scope), len(one)))
        if on is None or one is None:
            return iter(())
        if self._scores is None:
            self._scores = _with_numpy() if self._fast else _in_python
        scores = self._scores(bytes(on.vectors), array("f", one))
        near = [
            (score, key, name)
            for score, key, name in zip(scores, on.keys, on.scopes, strict=True)
            if score >= threshold and alike(name, scope)
        ]
        near.sort(key=lambda found: -found[0])
        return iter([(key, min(1.0, score)) for score, key, _ in near])


def unit(vector: Sequence[float]) -> bytes | None:
    """A vector of length 1 in the same direction, as 32-bit floats; None: it has none."""
    length = sqrt(sum(number * number for number in vector))
    if not length > 0.0 or not isfinite(length):
        return None
    return array("f", [number / length for number in vector]).tobytes()


def _name(spot: Spot) -> tuple[str, int]:
    return shelf(spot.scope), len(spot.vector)


def _in_python(vectors: bytes, one: Sequence[float]) -> Sequence[float]:
    numbers, width = array("f", vectors), len(one)
    return [
        sum(a * b for a, b in zip(numbers[start : start + width], one, strict=True))
        for start in range(0, len(numbers), width)
    ]


def _with_numpy() -> Scores:
    import numpy as np  # noqa: PLC0415 - an extra, and slow to load

    def scores(vectors: bytes, one: Sequence[float]) -> Sequence[float]:
        rows = np.frombuffer(vectors, np.float32).reshape(-1, len(one))
        found: list[float] = (rows @ np.asarray(one, np.float32)).tolist()
        return found

    return scores
