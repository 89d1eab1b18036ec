"""The store in memory, against a model of a least-recently-used store."""

from __future__ import annotations

import sys
from threading import Barrier, Thread

from hypothesis import given
from hypothesis import strategies as st

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Marking, Near, Store
from penstock_io.stores.memory import _BESIDES as BESIDES
from penstock_io.stores.memory import MemoryStore
from penstock_io.stores.memory import _weight as weight

KEYS = st.sampled_from([Key("a"), Key("b"), Key("c"), Key("d")])
ONE = 1 + BESIDES
"""Bytes of an empty picture with a key of one letter."""

ROOM = 2 * ONE + 18

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), KEYS, st.just(0), st.none()),
        st.tuples(st.just("write"), KEYS, st.integers(1, 12), st.one_of(st.none(), st.integers(1, 3))),
        st.tuples(st.just("wait"), KEYS, st.integers(1, 3), st.none()),
    ),
    max_size=40,
)


@given(STEPS)
def test_it_behaves_as_its_model(steps: list[tuple[str, Key, int, int | None]]) -> None:
    """Reads, writes, time and evictions agree with a list ordered by use; the size never exceeds the bound."""
    now = 0.0
    store = MemoryStore(ROOM, clock=lambda: now)
    model: dict[Key, tuple[Meta, bytes, float]] = {}
    for what, key, amount, ttl in steps:
        if what == "wait":
            now += amount
        elif what == "write":
            meta, data = Meta(nbytes=amount), bytes(amount)
            store.write(key, meta, data, ttl)
            model.pop(key, None)
            model[key] = (meta, data, float("inf") if ttl is None else now + ttl)
            while sum(weight(key, kept[1]) for key, kept in model.items()) > ROOM:
                del model[next(iter(model))]
        else:
            kept = model.pop(key, None)
            if kept is not None and kept[2] > now:
                model[key] = kept
            assert (None if key not in model else model[key][:2]) == store.read(key)
        assert (sum(weight(key, kept[1]) for key, kept in model.items()), len(model)) == (store.nbytes, len(store))


def test_what_was_read_last_goes_last() -> None:
    """Reading keeps a picture; the one not read for longest makes room."""
    store = MemoryStore(2 * ONE + 10)
    for key in "ab":
        store.write(Key(key), Meta(), bytes(4))
    assert store.read(Key("a")) is not None
    store.write(Key("c"), Meta(), bytes(4))
    assert [True, False, True] == [store.read(Key(key)) is not None for key in "abc"]


def test_bytes_are_kept_once() -> None:
    """What is read is the object that was written."""
    store = MemoryStore()
    data = bytes(1000)
    store.write(Key("a"), Meta(), data)
    found = store.read(Key("a"))
    assert found is not None
    assert found[1] is data


def test_what_is_larger_than_the_store_is_not_kept() -> None:
    """A picture that cannot fit pushes nobody out, but the older one of its key is gone."""
    store = MemoryStore(2 * ONE + 10)
    store.write(Key("a"), Meta(), bytes(4))
    store.write(Key("b"), Meta(), bytes(4))
    store.write(Key("b"), Meta(), bytes(ONE + 11))
    assert (Meta(), bytes(4)) == store.read(Key("a"))
    assert store.read(Key("b")) is None


def test_what_is_empty_takes_room() -> None:
    """Keys and what is known of them count: not more than so many are kept, as long as their bound says."""
    store = MemoryStore(100_000)
    for number in range(1_000):
        store.write(Key(f"{number:064}"), Meta(), b"")
    assert 100_000 // (64 + BESIDES) == len(store) == store.figures().entries
    assert store.nbytes == store.figures().nbytes <= 100_000


def test_the_nearest_is_found_within_its_scope_and_above_the_threshold() -> None:
    """Cosine, best first; other scopes, other lengths, dropped pictures and low scores are no hits."""
    store = MemoryStore(3 * ONE + 10)
    for key, vector in (("a", (1.0, 0.0)), ("b", (3.0, 4.0)), ("c", (1.0, 0.0, 0.0))):
        store.write(Key(key), Meta(size=key), b"x")
        store.place(Key(key), "scope", vector)
    store.place(Key("nobody"), "scope", (0.0, 1.0))
    found = store.near("scope", (6.0, 8.0), 0.9)
    assert found is not None
    assert ("b", b"x", 1.0) == (found[0].size, found[1], round(found[2], 6))
    assert store.near("other", (6.0, 8.0), 0.9) is None
    assert store.near("scope", (0.0, 1.0), 0.9) is None
    assert store.near("scope", (0.0, 0.0), 0.0) is None
    store.write(Key("b"), Meta(), bytes(2 * ONE + 11))
    assert store.near("scope", (6.0, 8.0), 0.9) is None


def test_it_is_a_store() -> None:
    """It says what it can do: inline, near, and no marking."""
    store: object = MemoryStore()
    assert (True, True, False) == (isinstance(store, Store), isinstance(store, Near), isinstance(store, Marking))
    assert "0 pictures" in repr(store)


def test_threads_share_it() -> None:
    """Four of them at once, each step as a whole: nothing is raised, and what it counts is what it holds."""
    store = MemoryStore(50_000)
    together, raised = Barrier(4), list[BaseException]()

    def use(number: int) -> None:
        together.wait()
        try:
            for step in range(3_000):
                key = Key(f"{(step * 7 + number) % 40}")
                store.write(key, Meta(), bytes(2_000 + step % 900))
                store.read(Key(f"{(step * 11) % 40}"))
                if step % 50 == 0:
                    list(store.entries())
                    store.delete(key)
        except BaseException as error:
            raised.append(error)
            raise

    threads = [Thread(target=use, args=(number,)) for number in range(4)]
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert [] == raised
    held = sum(entry.nbytes + len(entry.key) + BESIDES for entry in store.entries())
    assert held == store.nbytes <= 50_000
