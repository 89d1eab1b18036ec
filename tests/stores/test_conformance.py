"""Every store against one model: what was written is read until it expires, is deleted, or makes room.

The machine knows when a picture may be gone: a store that holds too little fails as one does that holds too much.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import frozen
from hypothesis import given, settings
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
from penstock_io.stores import Holding, Keeping, Lasting, Leasing, Store, StoreEntry
from tests.stores.benches import BENCHES, Evicts, Kept

TIMES = st.floats(0, 1e10)
KEYS = st.sampled_from([Key("a"), Key("b"), Key("\ud800é/../x")])
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


class Machine(RuleBasedStateMachine):
    """A store beside a dict, under a clock that is moved by hand."""

    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.bench = BENCHES[self.kind](Path(self._folder.name))
        self.now = 1000.0
        self.given: int | None = None
        self.cap: int | None = None
        self.store: Kept
        self.model: OrderedDict[Key, Modelled] = OrderedDict()
        self.hits = self.misses = 0

    @initialize(cap=st.sampled_from([None, 9, 12, 16, 20, 30]))
    def begin(self, cap: int | None) -> None:
        """With a bound, or none."""
        self.given = None if self.bench.evicts is Evicts.NOTHING else cap
        self.cap = None if self.given is None else self.given * getattr(self.bench, "scale", 1)
        self.store = self.bench.open(self.clock, self.given)

    def weight(self, key: Key, data: bytes) -> int:
        """What a picture takes of the room."""
        weighed: int = getattr(self.bench, "weight", lambda _, data: len(data))(key, data)
        return weighed

    def clock(self) -> float:
        """The time that is passed."""
        return self.now

    def teardown(self) -> None:
        """Read everything once more, and give it back."""
        if hasattr(self, "store"):
            there = {key: (one.meta, one.data) for key, one in self.model.items() if not one.over(self.now)}
            found = {key: self.store.read(key) for key in list(self.model)}
            self.store.close()
            assert there == {key: one for key, one in found.items() if one is not None}
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
        if self.cap is None or self.weight(key, data) <= self.cap:
            self.model[key] = Modelled(meta, data, self.now, None if ttl is None else self.now + ttl)
        self.make_room()

    def make_room(self) -> None:
        """Drop from the model what a store would."""
        if self.bench.evicts is not Evicts.USED:
            self.model = OrderedDict((key, one) for key, one in self.model.items() if not one.over(self.now))
        while self.cap is not None and sum(self.weight(key, one.data) for key, one in self.model.items()) > self.cap:
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

    @rule(keys=st.sets(KEYS), many=st.booleans())
    def hold(self, keys: set[Key], many: bool) -> None:
        """It says what it has, of few or of many, which counts as no read."""
        others = {Key(f"other {number}") for number in range(100)} if many else set[Key]()
        assert isinstance(self.store, Holding)
        there = {key for key in keys if key in self.model and not self.model[key].over(self.now)}
        assert there == self.store.held(keys | others)

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
        self.store = self.bench.open(self.clock, self.given)
        self.hits = self.misses = 0

    @invariant()
    def figures(self) -> None:
        """It holds what the model does, and never more than its bound."""
        if not hasattr(self, "store"):
            return
        figures = self.store.figures()
        live = [one for one in self.model.values() if not one.over(self.now)]
        if getattr(self.bench, "quick", True):
            assert {key for key, one in self.model.items() if one in live} == {e.key for e in self.store.entries()}
        assert self.cap is None or figures.nbytes <= self.cap
        assert figures.entries >= len(live)
        assert figures.nbytes >= sum(len(one.data) for one in live)
        assert (self.hits, self.misses, 0) == (figures.hits, figures.misses, figures.faults)


CLAIMS = st.tuples(KEYS, NAMES, st.integers(0, 4), st.integers(0, 2))
"""Who wants the lease on what, for how many seconds (0: gives it back), and how many seconds pass before that."""


@pytest.mark.parametrize("name", sorted(set(BENCHES) - {"memory", "redis"}))
@settings(max_examples=40)
@given(claims=st.lists(CLAIMS, max_size=30))
def test_leases_are_those_of_their_model(name: str, claims: list[tuple[Key, str, int, int]]) -> None:
    """One has the lease, until it gives it back or the time is over; the other is told for how long.

    Memory has none; Redis goes by its own clock, and has claims of its own.
    """
    now, model = 0.0, dict[Key, tuple[str, float]]()
    with TemporaryDirectory() as folder:
        store = BENCHES[name](Path(folder)).open(lambda: now, None)
        able: object = store
        for key, who, seconds, passed in claims:
            assert isinstance(able, Leasing)
            now += passed
            holder, until = model.get(key, (who, 0.0))
            if not seconds:
                able.give_back(key, who)
                if holder == who:
                    model.pop(key, None)
            elif holder == who or until <= now:
                model[key] = (who, now + seconds)
                assert able.claim(key, who, seconds) is None
            else:
                assert until - now == able.claim(key, who, seconds)
        store.close()


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_it_behaves_as_its_model(name: str, tmp_path: Path) -> None:
    """Writing, reading, expiry by passed time, eviction, deletion, lists, figures, and opening it again."""
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


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_a_picture_expires_at_its_time(name: str, tmp_path: Path) -> None:
    """It is there until then, and from then on neither read nor listed nor deleted; one without an end stays."""
    now = 1000.0
    store = BENCHES[name](tmp_path).open(lambda: now, None)
    store.write(Key("a"), Meta(), b"a", 10.0)
    store.write(Key("b"), Meta(), b"b")
    now = 1009.0
    assert (Meta(), b"a") == store.read(Key("a"))
    now = 1010.0
    assert [Key("b")] == [entry.key for entry in store.entries()]
    assert store.read(Key("a")) is None
    assert not store.delete(Key("a"))
    assert (Meta(), b"b") == store.read(Key("b"))
    store.close()


@pytest.mark.parametrize("name", ["files", "memory", "sqlite"])
def test_what_was_read_last_makes_room_last(name: str, tmp_path: Path) -> None:
    """Reading counts as use, also where nothing was written since."""
    store = BENCHES[name](tmp_path).open(lambda: 0.0, 10)
    for key in "ab":
        store.write(Key(key), Meta(), bytes(4))
    assert store.read(Key("a")) is not None
    store.write(Key("c"), Meta(), bytes(4))
    assert [True, False, True] == [store.read(Key(key)) is not None for key in "abc"]
    store.close()


@pytest.mark.parametrize("name", ["files", "objects", "s3", "sqlite", "tiered"])
def test_only_its_holder_gives_a_lease_back(name: str, tmp_path: Path) -> None:
    """Another's word for it changes nothing."""
    store = BENCHES[name](tmp_path).open(lambda: 0.0, None)
    able: object = store
    assert isinstance(able, Leasing)
    assert able.claim(Key("a"), "one", 5) is None
    able.give_back(Key("a"), "other")
    assert 5.0 == able.claim(Key("a"), "other", 5)
    able.give_back(Key("a"), "one")
    assert able.claim(Key("a"), "other", 5) is None
    store.close()
