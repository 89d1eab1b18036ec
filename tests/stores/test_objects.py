"""Object storage: somebody else's S3 server, and a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.errors import UsageError
from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Damage, Leasing, StoreFault
from penstock_io.stores._codec import digest
from penstock_io.stores._sealed import BEGINNING
from penstock_io.stores.objects import LeasedObjectStore, ObjectStore, shown
from tests.stores.servers import S3, s3

K, L = Key("k"), Key("l")
META = Meta("8x8", "png", 3)
LONG = 240.0


@pytest.fixture
def server() -> Iterator[S3]:
    """A server of the test's own."""
    one = S3()
    yield one
    one.stop()


def test_a_prefix_is_a_place_of_its_own() -> None:
    """Two in one bucket do not see each other; names do not show keys."""
    bucket = s3().bucket()
    one, two = (
        ObjectStore(f"s3://{bucket}/{prefix}", options=s3().options, timeout=LONG) for prefix in ("one", "two/x")
    )
    one.write(K, META, b"png")
    assert two.read(K) is None
    assert ([K], []) == ([entry.key for entry in one.entries()], [entry.key for entry in two.entries()])
    everything = ObjectStore(f"s3://{bucket}", options=s3().options, timeout=LONG)
    assert [f"{digest(K)}"] == list(everything._names())


def test_a_place_that_is_gone_costs_pictures_and_no_time(server: S3) -> None:
    """It is told once as a fault, then left alone for a while; nothing secret is shown."""
    now = 1000.0
    store = ObjectStore(f"s3://{server.bucket()}", options=server.options, timeout=LONG, rest=5.0, clock=lambda: now)
    store.write(K, META, b"png")
    server.stop()
    with pytest.raises(StoreFault, match="out of reach, or at fault") as fault:
        store.read(K)
    assert "secret" not in f"{fault.value}{store!r}"
    with pytest.raises(StoreFault, match="left alone"):
        store.write(L, META, b"png")
    now += 5.0
    with pytest.raises(StoreFault, match="out of reach"):
        store.read(K)


def test_a_bucket_that_is_not_there() -> None:
    """Nothing is found, and nothing can be kept."""
    store = ObjectStore("s3://nobody-made-this", options=s3().options, timeout=LONG)
    assert store.read(K) is None
    with pytest.raises(StoreFault, match="no such bucket"):
        store.write(K, META, b"png")


def test_what_is_large_stays_out(tmp_path: Path) -> None:
    """It is not kept, nor what it would have replaced."""
    store = ObjectStore(tmp_path.as_uri(), limit=4)
    store.write(K, META, b"1234")
    assert store.read(K) is not None
    store.write(K, META, b"12345")
    assert store.read(K) is None


def test_what_has_expired_is_dropped_when_it_is_read(tmp_path: Path) -> None:
    """Nothing else would take it away."""
    now = 1000.0
    store = ObjectStore(tmp_path.as_uri(), clock=lambda: now)
    store.write(K, META, b"png", 5.0)
    now += 5.0
    assert [digest(K)] == list(store._names())
    assert store.read(K) is None
    assert [] == list(store._names())
    assert 1 == store.figures().expired


def test_a_long_key_is_listed(tmp_path: Path) -> None:
    """What is known of a picture may be longer than what is read at first."""
    store = ObjectStore(tmp_path.as_uri())
    long = Key("x" * 3 * BEGINNING)
    store.write(long, META, b"png")
    assert [long] == [entry.key for entry in store.entries()]


def test_a_folder_holds_other_files_too(tmp_path: Path) -> None:
    """What has no name of ours is left alone; one that lies under another's name is told."""
    store = ObjectStore((tmp_path / "a b").as_uri())
    store.write(K, META, b"png")
    assert "/a%20b" in store.place
    (tmp_path / "a b" / "notes.txt").write_text("mine")
    mine, other = (tmp_path / "a b" / digest(key)[:2] / digest(key) for key in (K, L))
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(mine.read_bytes())
    assert [Damage(K, "it lies under the name of another key")] == list(store.verify())
    other.write_bytes(b"")
    assert [Damage(None, "its beginning is cut off")] == list(store.verify())
    assert [K] == [entry.key for entry in store.entries()]
    assert store.delete(L)
    assert not store.delete(L)


@pytest.mark.parametrize("url", ["", "bucket", "s3://", "http://host/bucket", "file://", "s3://[x"])
def test_an_address_that_is_none(url: str) -> None:
    """It is said before anything is asked."""
    with pytest.raises(UsageError, match="is like s3://"):
        ObjectStore(url)


def test_options_that_are_none(tmp_path: Path) -> None:
    """An option that nobody knows, a time-out that is no time, a folder that is a file; no value is shown."""
    with pytest.raises(UsageError, match="UnknownConfigurationKeyError") as fault:
        ObjectStore("s3://bucket", options={"nonsense": "secret"})
    assert "secret" not in str(fault.value)
    with pytest.raises(UsageError, match="timeout"):
        ObjectStore("s3://bucket", timeout=0.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be used"):
        ObjectStore((tmp_path / "file").as_uri())
    assert "s3://bucket/x" == shown("s3://me:secret@bucket/x/?secret")


def place(name: str, folder: Path) -> tuple[str, dict[str, str]]:
    """A bucket, or a folder."""
    if name == "folder":
        return (folder / "objects").as_uri(), {}
    return f"s3://{s3().bucket()}/p", s3().options


class Late(LeasedObjectStore):
    """One who is overtaken at the last moment: between reading a lease that has ended and taking it over."""

    other: LeasedObjectStore

    def _lease(self, path: str) -> tuple[str, float, str] | None:
        found = super()._lease(path)
        if found is not None and found[1] <= self._clock():
            assert self.other.claim(K, "other", 7.0) is None
        return found


@pytest.mark.parametrize("name", ["s3", "folder"])
def test_a_lease_that_others_took_meanwhile_is_theirs(name: str, tmp_path: Path) -> None:
    """Whoever is late is told so, and for how long; what he gives back is not his. Nobody's fault."""
    now = 1000.0
    url, options = place(name, tmp_path)
    late = Late(url, options=options, timeout=LONG, clock=lambda: now)
    late.other = LeasedObjectStore(url, options=options, timeout=LONG, clock=lambda: now)
    assert late.claim(K, "first", 5.0) is None
    now += 5.0
    assert 7.0 == late.claim(K, "late", 5.0)
    late.give_back(K, "late")
    assert late.other.claim(K, "other", 7.0) is None
    assert (None, []) == (late.read(K), list(late.entries()))
    assert 0 == late.figures().faults


@pytest.mark.parametrize("name", ["s3", "folder"])
def test_a_lease_that_was_lost_is_not_given_back(name: str, tmp_path: Path) -> None:
    """Its time is over and another takes it between the look and the deletion: it is the other's."""
    now = 1000.0
    url, options = place(name, tmp_path)
    late = Late(url, options=options, timeout=LONG, clock=lambda: now)
    late.other = LeasedObjectStore(url, options=options, timeout=LONG, clock=lambda: now)
    assert late.claim(K, "late", 5.0) is None
    now += 5.0
    late.give_back(K, "late")
    assert 7.0 == late.claim(K, "third", 5.0)


@pytest.mark.parametrize("name", ["s3", "folder"])
def test_leases_that_are_over_can_be_taken_away(name: str, tmp_path: Path) -> None:
    """Nobody may ever ask for what a killed process made; what lasts stays, and so do pictures."""
    now = 1000.0
    url, options = place(name, tmp_path)
    store = LeasedObjectStore(url, options=options, timeout=LONG, clock=lambda: now)
    store.write(K, META, b"png")
    assert (None, None) == (store.claim(K, "killed", 5.0), store.claim(L, "alive", 60.0))
    now += 5.0
    assert [1, 1, 0, 0] == [store.litter(), store.tidy(), store.litter(), store.tidy()]
    assert [f"leases/{digest(L)}"] == [str(one["path"]) for some in store._bucket.list(prefix="leases") for one in some]
    assert 55.0 == store.claim(L, "other", 5.0)
    assert store.read(K) is not None
    store.give_back(L, "alive")
    assert [] == [one for some in store._bucket.list(prefix="leases") for one in some]


@pytest.mark.parametrize("name", ["s3", "folder"])
def test_a_lease_that_is_damaged_is_nobodys(name: str, tmp_path: Path) -> None:
    """It is taken as one that has ended, and never taken for a picture."""
    url, options = place(name, tmp_path)
    store = LeasedObjectStore(url, options=options, timeout=LONG, clock=lambda: 0.0)
    for data in (b"", b"[]", b'{"name": 3}', b"\xff"):
        store._bucket.put(f"leases/{digest(K)}", data)
        assert store.claim(K, "one", 5.0) is None
        assert 5.0 == store.claim(K, "other", 5.0)
    assert ([], []) == (list(store.verify()), list(store._names()))


def test_many_are_asked_for_by_their_names(tmp_path: Path) -> None:
    """What has expired does not count, and nothing is listed: a bucket may hold a million others."""
    now = 1000.0

    class Listless(LeasedObjectStore):
        """Nobody may list it."""

        def _names(self) -> Iterator[str]:
            """It would be a fault."""
            raise StoreFault("listed")

    store = Listless(tmp_path.as_uri(), clock=lambda: now)
    keys = [Key(f"key {number}") for number in range(100)]
    for number, key in enumerate(keys):
        store.write(key, META, b"png", 5.0 if number % 2 else None)
    now += 5.0
    assert set(keys[::2]) == store.held(keys)


def test_leases_are_asked_for_by_name(tmp_path: Path) -> None:
    """They take exchanges of their own: only the store that is called so has them."""
    uri = (tmp_path / "objects").as_uri()
    assert [False, True] == [isinstance(one, Leasing) for one in (ObjectStore(uri), LeasedObjectStore(uri))]
