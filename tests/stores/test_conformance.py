"""Every store against one model: what was written is read until it expires, is deleted, or makes room.

The machine knows when a picture may be gone: a store that holds too little fails as one does that holds too much.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Keeping, Lasting, Leasing, Store, StoreEntry
from tests.stores.benches import BENCHES, Evicts, Kept

TIMES = st.floats(0, 1e10)
KEYS = st.sampled_from([Key("a"), Key("b"), Key("c"), Key("d"), Key("\ud800é/../x")])
METAS = st.builds(
    Meta, size=st.sampled_from(["", "1024x1024"]), cost=st.none() | st.integers(0, 9), passed=st.booleans()
)
DATA = st.binary(max_size=12)
TTLS = st.none() | st.integers(1, 4)
NAMES = st.sampled_from(["one", "other"])
LOOK = Key("nobody ever writes this one")


@frozen
class Modelled:
    """What the model says of a picture."""

    meta: Meta
    data: bytes
    stored: float
    expires: float | None

    def over(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now

    def entry(self, key: Key) -> StoreEntry:
        """How a store lists it."""
        return StoreEntry(key, self.meta, len(self.data), self.stored, self.expires)


def leases(machine: Machine) -> bool:
    """Whether it has leases that go by the time that is passed."""
    return isinstance(machine.store, Leasing) and getattr(machine.bench, "leases", True)


class Machine(RuleBasedStateMachine):
    """A store beside a dict, under a clock that is moved by hand."""

    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.bench = BENCHES[self.kind](Path(self._folder.name))
        self.now = 1000.0
        self.cap: int | None = None
        self.store: Kept
        self.model: OrderedDict[Key, Modelled] = OrderedDict()
        self.leases: dict[Key, tuple[str, float]] = {}
        self.hits = self.misses = 0

    @initialize(cap=st.none() | st.integers(10, 30))
    def begin(self, cap: int | None) -> None:
        """With a bound, or none."""
        self.cap = None if self.bench.evicts is Evicts.NOTHING else cap
        self.store = self.bench.open(self.clock, self.cap)

    def clock(self) -> float:
        """The time that is passed."""
        return self.now

    def teardown(self) -> None:
        """Give everything back."""
        if hasattr(self, "store"):
            self.store.close()
        self._folder.cleanup()

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.now += seconds

    @rule(key=KEYS, meta=METAS, data=DATA, ttl=TTLS)
    def write(self, key: Key, meta: Meta, data: bytes, ttl: int | None) -> None:
        """Store it; what is in the way goes."""
        self.store.write(key, meta, data, ttl)
        self.model.pop(key, None)
        if self.cap is None or len(data) <= self.cap:
            self.model[key] = Modelled(meta, data, self.now, None if ttl is None else self.now + ttl)
        self.make_room()

    def make_room(self) -> None:
        """Drop from the model what a store would."""
        if self.bench.evicts is not Evicts.USED:
            self.model = OrderedDict((key, one) for key, one in self.model.items() if not one.over(self.now))
        while self.cap is not None and sum(len(one.data) for one in self.model.values()) > self.cap:
            self.model.popitem(last=False)

    @rule(key=KEYS)
    def read(self, key: Key) -> None:
        """What was written last, or nothing."""
        one = self.model.pop(key, None)
        if one is not None and not one.over(self.now):
            self.model[key] = one
            self.hits += 1
            assert (one.meta, one.data) == self.store.read(key)
        else:
            self.misses += 1
            assert self.store.read(key) is None

    @precondition(lambda machine: isinstance(machine.store, Lasting))
    @rule(key=KEYS)
    def last(self, key: Key) -> None:
        """It says how long a picture is there."""
        assert isinstance(self.store, Lasting)
        one = self.model.get(key)
        left = 0.0 if one is None or one.over(self.now) else one.expires and one.expires - self.now
        assert left == self.store.lasts(key)

    @rule(key=KEYS)
    def delete(self, key: Key) -> None:
        """It says whether there was one."""
        one = self.model.pop(key, None)
        assert (one is not None and not one.over(self.now)) == self.store.delete(key)

    @rule()
    def look(self) -> None:
        """What can be read is listed with all that is known of it; nothing is damaged."""
        there = {key: one.entry(key) for key, one in self.model.items() if not one.over(self.now)}
        assert there == {entry.key: entry for entry in self.store.entries()}
        assert [] == list(self.store.verify())

    @precondition(lambda machine: machine.bench.durable)
    @rule()
    def open_again(self) -> None:
        """Another process, later."""
        self.store.close()
        self.store.close()
        self.store = self.bench.open(self.clock, self.cap)
        self.hits = self.misses = 0

    @precondition(leases)
    @rule(key=KEYS, name=NAMES, seconds=st.integers(1, 4))
    def claim(self, key: Key, name: str, seconds: int) -> None:
        """One has the lease; the other is told for how long."""
        assert isinstance(self.store, Leasing)
        holder, until = self.leases.get(key, (name, 0.0))
        if holder == name or until <= self.now:
            self.leases[key] = (name, self.now + seconds)
            assert self.store.claim(key, name, seconds) is None
        else:
            assert until - self.now == self.store.claim(key, name, seconds)

    @precondition(leases)
    @rule(key=KEYS, name=NAMES)
    def give_back(self, key: Key, name: str) -> None:
        """Only who has it can."""
        assert isinstance(self.store, Leasing)
        self.store.give_back(key, name)
        if self.leases.get(key, ("", 0.0))[0] == name:
            del self.leases[key]

    @invariant()
    def figures(self) -> None:
        """It holds what the model does, and never more than its bound."""
        if not hasattr(self, "store"):
            return
        figures = self.store.figures()
        live = [one for one in self.model.values() if not one.over(self.now)]
        assert self.cap is None or figures.nbytes <= self.cap
        assert (figures.entries, figures.nbytes) >= (len(live), sum(len(one.data) for one in live))
        assert (self.hits, self.misses, 0) == (figures.hits, figures.misses, figures.faults)


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_it_behaves_as_its_model(name: str, tmp_path: Path) -> None:
    """Writing, reading, expiry by passed time, eviction, deletion, lists, figures, leases, and opening it again."""
    BENCHES[name](tmp_path)  # skips where its server is not installed

    class Named(Machine):
        kind = name

    examples = getattr(BENCHES[name], "examples", 40)
    run_state_machine_as_test(Named, settings=settings(max_examples=examples, stateful_step_count=25))


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_it_says_what_it_can_do(name: str, tmp_path: Path) -> None:
    """It is a store that can be looked through; only one in memory may be asked on a loop; nothing secret is shown."""
    store = BENCHES[name](tmp_path).open(lambda: 0.0, None)
    assert (True, True) == (isinstance(store, Store), isinstance(store, Keeping))
    assert store.inline == (name == "memory")
    assert "password" not in repr(store)
    assert store.read(LOOK) is None
    store.close()


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_a_large_picture_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    """Also what is larger than any page or buffer, and what is empty."""
    store = BENCHES[name](tmp_path).open(lambda: 0.0, None)
    for number, nbytes in enumerate((0, 1, 65_536, 3_000_001)):
        data = bytes(range(256)) * (nbytes // 256) + bytes(nbytes % 256)
        store.write(Key(str(number)), Meta(nbytes=nbytes), data)
        assert (Meta(nbytes=nbytes), data) == store.read(Key(str(number)))
    store.close()
