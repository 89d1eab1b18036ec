"""Stores behind each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from penstock.errors import UsageError
from penstock.ids import Key, Ref
from penstock.outcomes import Meta
from penstock_io.journal import Journal, JournalStore
from penstock_io.stores import StoreDamaged, StoreFault
from penstock_io.stores.memory import _BESIDES, MemoryStore
from penstock_io.stores.sqlite import SqliteStore
from penstock_io.stores.tiered import Tier, Tiered
from tests.stores.benches import Sqlite

A, B = Key("a"), Key("b")
PLAIN = Meta()


class Plain:
    """A third party's store that can do nothing but what a store must, and can be out of reach."""

    inline = True

    def __init__(self) -> None:
        self.kept: dict[Key, tuple[Meta, bytes]] = {}
        self.down = False

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """What was written, for ever."""
        if self.down:
            raise ConnectionError(111, "Connection refused")
        return self.kept.get(key)

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Keep it."""
        del ttl
        if self.down:
            raise ConnectionError(111, "Connection refused")
        self.kept[key] = (meta, data)


def test_a_write_goes_through_and_a_read_promotes() -> None:
    """All tiers have what was written; what only the last one has is left in those before it by who reads it."""
    hot, warm, cold = MemoryStore(), MemoryStore(), Plain()
    store = Tiered(hot, warm, cold)
    store.write(A, Meta(cost=1), b"a")
    assert [(Meta(cost=1), b"a")] * 3 == [one.read(A) for one in (hot, warm, cold)]
    cold.write(B, PLAIN, b"b")
    assert [None, None] == [one.read(B) for one in (hot, warm)]
    assert (PLAIN, b"b") == store.read(B)
    assert [(PLAIN, b"b")] * 2 == [one.read(B) for one in (hot, warm)]
    assert store.read(Key("nobody")) is None
    assert (1, 1, 0) == (store.figures().hits, store.figures().misses, store.figures().faults)


class Deleting(MemoryStore):
    """Somebody reads while it deletes."""

    def __init__(self, reads: Callable[[], object]) -> None:
        super().__init__()
        self.reads = reads

    def delete(self, key: Key) -> bool:
        """Drop it."""
        self.reads()
        return super().delete(key)


class Meanwhile(MemoryStore):
    """Something happens between what it is asked and its answer, once."""

    def __init__(self, asked: str) -> None:
        super().__init__()
        self.asked = asked
        self.happens: Callable[[], object] | None = None

    def _happen(self, asked: str) -> None:
        happens = self.happens
        if happens is not None and asked == self.asked:
            self.happens = None
            happens()

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """What it had before."""
        found = super().read(key)
        self._happen("read")
        return found

    def lasts(self, key: Key) -> float | None:
        """How long that lasts."""
        left = super().lasts(key)
        self._happen("lasts")
        return left


@pytest.mark.parametrize("asked", ["read", "lasts"])
def test_what_was_changed_since_it_was_read_is_not_copied(asked: str) -> None:
    """A write or a deletion by another thread while a read goes on stands: no tier keeps what was before."""
    hot, warm, cold = MemoryStore(), MemoryStore(), Meanwhile(asked)
    store = Tiered(hot, warm, cold)
    cold.write(A, PLAIN, b"old")
    cold.happens = partial(store.write, A, PLAIN, b"new")
    assert (PLAIN, b"old") == store.read(A)
    assert [(PLAIN, b"new")] * 3 == [one.read(A) for one in (hot, warm, cold)]
    cold.write(B, PLAIN, b"old")
    cold.happens = partial(store.delete, B)
    assert (PLAIN, b"old") == store.read(B)
    assert [None] * 3 == [one.read(B) for one in (hot, warm, cold)]


def test_what_is_read_while_it_is_changed_is_not_copied() -> None:
    """A read amid a deletion, which has reached the first tier and not the last, leaves no copy in the first."""
    seen: list[object] = []
    hot, last = MemoryStore(), MemoryStore()
    last.write(A, PLAIN, b"old")
    store = Tiered(hot, Deleting(lambda: seen.append(store.read(A))), last)
    assert store.delete(A)
    assert ([(PLAIN, b"old")], None, None) == (seen, hot.read(A), last.read(A))


def test_a_copy_lasts_no_longer_than_what_it_was_made_of() -> None:
    """A promoted picture expires with the one that it was read from."""
    now = 0.0
    hot, cold = MemoryStore(clock=lambda: now), MemoryStore(clock=lambda: now)
    store = Tiered(hot, cold)
    cold.write(A, PLAIN, b"a", 10)
    cold.write(B, PLAIN, b"b")
    now = 8.0
    assert [True, True] == [store.read(key) is not None for key in (A, B)]
    assert [2.0, None, 0.0] == [hot.lasts(key) for key in (A, B, Key("nobody"))]
    assert [2.0, None, 0.0] == [store.lasts(key) for key in (A, B, Key("nobody"))]
    now = 10.0
    assert [False, True] == [store.read(key) is not None for key in (A, B)]


def test_a_copy_of_what_nobody_knows_the_end_of_lasts_minutes() -> None:
    """A store that cannot say how long its picture lasts gives copies for the tier's own time, or none."""
    now = 0.0
    cold = Plain()
    hot, never = MemoryStore(clock=lambda: now), MemoryStore(clock=lambda: now)
    cold.write(A, PLAIN, b"a")
    assert (PLAIN, b"a") == Tiered(Tier(hot, ttl=5.0), Tier(never, ttl=None), cold).read(A)
    assert [5.0, 0.0] == [hot.lasts(A), never.lasts(A)]


def test_what_is_large_stays_out_of_a_small_tier() -> None:
    """By its limit, written or promoted; what it had under that key before goes."""
    hot, cold = MemoryStore(), MemoryStore()
    store = Tiered(Tier(hot, limit=3), cold)
    store.write(A, PLAIN, b"abc")
    assert (PLAIN, b"abc") == hot.read(A)
    store.write(A, PLAIN, b"abcd")
    assert hot.read(A) is None
    assert (PLAIN, b"abcd") == store.read(A)
    assert hot.read(A) is None


def test_a_tier_that_is_down_is_a_miss_of_its_own() -> None:
    """Reads and writes go on with the others, each fault is counted at its tier; nothing is raised."""
    hot, warm, cold = Plain(), MemoryStore(), Plain()
    heard: list[str] = []
    store = Tiered(hot, warm, cold, heard=heard.append)
    store.write(A, PLAIN, b"a")
    hot.down = cold.down = True
    assert (PLAIN, b"a") == store.read(A)
    assert store.read(B) is None
    store.write(B, PLAIN, b"b")
    assert (PLAIN, b"b") == store.read(B)
    assert ((6, 0, 2), 8) == (store.faults(), store.figures().faults)
    assert ["ConnectionError: Connection refused"] * 8 == heard


def test_where_nothing_can_be_written_it_is_told() -> None:
    """A picture that no tier has taken is not stored."""
    down = Plain()
    down.down = True
    with pytest.raises(StoreFault, match="could be stored in no tier"):
        Tiered(down).write(A, PLAIN, b"a")
    with pytest.raises(StoreFault, match="could be stored in no tier"):
        Tiered(Tier(MemoryStore(), limit=0)).write(A, PLAIN, b"a")


def test_damage_in_one_tier_is_healed_from_the_next(tmp_path: Path) -> None:
    """A picture that was changed on the disk comes from the tier behind, and is whole before it again."""
    bench = Sqlite(tmp_path)
    cold = MemoryStore()
    file = bench.open(lambda: 0.0, None)
    store = Tiered(file, cold)
    store.write(A, PLAIN, b"picture")
    bench.spoil(A)
    assert [A] == [damage.key for damage in store.verify()]
    assert (PLAIN, b"picture") == store.read(A)
    assert (1, 0) == store.faults()
    assert (PLAIN, b"picture") == file.read(A)
    store.close()


def test_what_could_not_be_replaced_is_dropped() -> None:
    """A tier that fails to take a new picture does not go on serving the old one."""

    class Full(MemoryStore):
        """It has no room any more."""

        def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
            """Only the first time."""
            if len(self):
                raise StoreFault("full")
            super().write(key, meta, data, ttl)

    store = Tiered(Full(), MemoryStore())
    store.write(A, PLAIN, b"old")
    store.write(A, PLAIN, b"new")
    assert (PLAIN, b"new") == store.read(A)


def test_it_can_be_looked_through() -> None:
    """Each key once; deleting it drops it everywhere, and says whether it was anywhere."""
    hot, cold = MemoryStore(1_000), MemoryStore(10_000)
    store = Tiered(hot, cold)
    store.write(A, PLAIN, b"a")
    cold.write(B, PLAIN, b"b")
    assert [A, B] == sorted(entry.key for entry in store.entries())
    figures = store.figures()
    assert (2, 3 + 3 * (1 + _BESIDES), 11_000) == (figures.entries, figures.nbytes, figures.max_bytes)
    assert Tiered(hot, Tier(MemoryStore())).figures().max_bytes is not None
    assert [True, False] == [store.delete(A), store.delete(A)]
    assert [None, None] == [hot.read(A), cold.read(A)]


def test_a_list_tells_of_what_copies_were_made_of(tmp_path: Path) -> None:
    """A copy that came later, and ends sooner, says nothing of when the picture was stored."""
    now = 1000.0
    with SqliteStore(tmp_path / "cold", clock=lambda: now) as cold:
        cold.write(A, PLAIN, b"a", 100.0)
        now += 5.0
        store = Tiered(Tier(MemoryStore(clock=lambda: now), fresh=1.0), cold)
        assert store.read(A) is not None
        assert [(1000.0, 1100.0)] == [(entry.stored, entry.expires) for entry in store.entries()]


def test_a_deletion_that_fails_is_told_after_all_were_asked(tmp_path: Path) -> None:
    """What could not be dropped may come back: whoever wanted it gone has to know."""
    (tmp_path / "file").write_bytes(b"no database" * 1000)
    cold = MemoryStore()
    store = Tiered(SqliteStore(tmp_path / "file"), cold)
    cold.write(A, PLAIN, b"a")
    with pytest.raises(StoreDamaged):
        store.delete(A)
    assert cold.read(A) is None


def test_leases_are_those_of_the_last_tier_that_has_any(tmp_path: Path) -> None:
    """It is the one that most share; without any everything is this process's own."""
    with (
        SqliteStore(tmp_path / "near", clock=lambda: 0.0) as near,
        SqliteStore(tmp_path / "far", clock=lambda: 0.0) as far,
    ):
        store = Tiered(MemoryStore(), near, far, Plain())
        assert store.claim(A, "one", 5) is None
        assert [None, 5.0] == [near.claim(A, "two", 5), far.claim(A, "two", 5)]
        store.give_back(A, "one")
        assert far.claim(A, "two", 5) is None
    alone = Tiered(Plain())
    assert [None, None] == [alone.claim(A, "one", 5), alone.claim(A, "two", 5)]
    alone.give_back(A, "one")


def test_a_journal_is_a_tier(tmp_path: Path) -> None:
    """It has what it settled: that is noted in it, and written to the others; promotion leaves it alone."""
    with Journal.open(tmp_path) as journal:
        cold = MemoryStore()
        store = Tiered(JournalStore(journal), cold)
        assert not store.inline
        assert not store.mark(A, PLAIN, Ref("f:held/x"))
        store.write(A, PLAIN, b"a")
        assert (PLAIN, b"a") == store.read(A)
        assert Tiered(JournalStore(journal)).mark(A, PLAIN, Ref("f:held/x"))
        assert not Tiered(cold).mark(A, PLAIN, Ref("f:held/x"))


def test_a_verdict_reaches_the_tiers_that_have_the_picture(tmp_path: Path) -> None:
    """A journal's picture has no end, so what is known of it is noted; nobody has one that is in no tier."""
    with Journal.open(tmp_path) as journal:
        store = Tiered(JournalStore(journal), MemoryStore())
        assert 0.0 == store.lasts(A)
        store.write(A, PLAIN, b"a", 5.0)
        assert 0.0 < (store.lasts(A) or 0.0) <= 5.0
        assert Tiered(MemoryStore(), Plain()).lasts(A) is None


def test_settings_of_users_live_in_tiers_too(tmp_path: Path) -> None:
    """Any bytes under any key: what one process saved another finds, and has at hand from then on."""
    with SqliteStore(tmp_path / "settings") as file:
        Tiered(MemoryStore(), file).write(Key("user:7"), PLAIN, b'{"quality": "low"}')
        hot = MemoryStore()
        assert (PLAIN, b'{"quality": "low"}') == Tiered(hot, file).read(Key("user:7"))
        assert (PLAIN, b'{"quality": "low"}') == hot.read(Key("user:7"))


def test_what_cannot_be_is_refused() -> None:
    """No tiers at all; a limit where nothing can be deleted; and what is asked on a loop is all in memory."""
    with pytest.raises(UsageError, match="Tiered takes stores"):
        Tiered()
    with pytest.raises(UsageError, match="a tier with a limit needs a store that can delete"):
        Tier(Plain(), limit=1)
    assert Tiered(MemoryStore(), Plain()).inline
    assert "MemoryStore" in repr(Tiered(MemoryStore()))
