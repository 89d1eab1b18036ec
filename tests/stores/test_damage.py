"""What was changed or cut off behind a store's back is told, counted, dropped, and never served."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.commands import ReadCache
from penstock.events import CacheRead, Miss
from penstock.ids import Key, ReadId
from penstock.outcomes import Meta
from penstock_io._payloads import Payloads
from penstock_io._perform import Performer
from penstock_io.stores import StoreDamaged
from tests.stores.benches import BENCHES, SPOILT

A, B = Key("a"), Key("b")
PICTURE = bytes(range(250)) * 400


@pytest.mark.parametrize("how", ["spoil", "cut"])
@pytest.mark.parametrize("name", SPOILT)
def test_damage_is_told_once_and_then_a_miss(name: str, how: str, tmp_path: Path) -> None:
    """Of two pictures one is damaged: it raises, is counted and gone; the other is read as before."""
    bench = BENCHES[name](tmp_path)
    store = bench.open(lambda: 0.0, None)
    store.write(A, Meta(size="a"), PICTURE)
    store.write(B, Meta(size="b"), PICTURE + b"b")
    assert store.read(A) is not None
    getattr(bench, how)(A)
    assert [A] == [damage.key for damage in store.verify()]
    with pytest.raises(StoreDamaged):
        store.read(A)
    assert 1 == store.figures().faults
    assert store.read(A) is None
    assert (Meta(size="b"), PICTURE + b"b") == store.read(B)
    assert [] == list(store.verify())
    store.write(A, Meta(), PICTURE)
    assert (Meta(), PICTURE) == store.read(A)
    store.close()


@pytest.mark.parametrize("name", SPOILT)
def test_damage_is_a_miss_with_a_fault(name: str, tmp_path: Path) -> None:
    """An engine is told of a miss, and why; nothing fails."""
    bench = BENCHES[name](tmp_path)
    store = bench.open(lambda: 0.0, None)
    store.write(A, Meta(), PICTURE)
    bench.spoil(A)
    lookup = ReadCache(ReadId(1), (A,))
    first, second = Performer(store, None, None, Payloads()).perform([lookup, lookup])
    assert isinstance(first, CacheRead)
    (found,) = first.found
    assert isinstance(found, Miss)
    assert found.fault is not None
    assert found.fault.startswith("store: ")
    assert CacheRead(ReadId(1), (Miss(),)) == second
    store.close()
