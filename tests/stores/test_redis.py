"""Redis: a real server, which stops, hangs, fills up and comes back while it is used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis as Plain
from redis.crc import key_slot

from penstock.errors import UsageError
from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Damage, StoreDamaged, StoreFault
from penstock_io.stores._codec import digest
from penstock_io.stores.names import store_named
from penstock_io.stores.redis import KEPT, RedisStore, shown
from tests.stores.servers import Cluster, Redis, missing, redis

K, L = Key("k"), Key("l")
META = Meta("8x8", "png", 3)
SPACES = count()
LONG = 240.0
"""Seconds for a server that works: on a busy machine, too."""


def space() -> str:
    """A namespace that no other test uses."""
    return f"test-{next(SPACES)}"


@pytest.fixture
def store() -> Iterator[RedisStore]:
    """On the server of all tests, in a namespace of its own."""
    with RedisStore(redis().url, namespace=space(), timeout=LONG) as one:
        yield one


@pytest.fixture
def server() -> Iterator[Redis]:
    """A server of the test's own."""
    one = Redis(tcp=False)
    yield one
    one.remove()


@pytest.fixture
def plain() -> Iterator[Plain]:
    """Another client of the server of all tests."""
    with Plain.from_url(redis().url, socket_timeout=LONG) as one:
        yield one


class Time:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Now."""
        return self.now


def test_namespaces_do_not_see_each_other(store: RedisStore) -> None:
    """Neither pictures nor leases nor lists."""
    other = RedisStore(redis().url, namespace=f"{store.namespace}:x", timeout=LONG)
    store.write(K, META, b"png")
    assert store.claim(K, "one", 60.0) is None
    assert other.read(K) is None
    assert other.claim(K, "two", 60.0) is None
    assert not other.delete(K)
    assert ([K], []) == ([entry.key for entry in store.entries()], [entry.key for entry in other.entries()])
    other.close()


def test_names_may_live_in_a_cluster(store: RedisStore, plain: Plain) -> None:
    """What belongs to a key has one hash tag, which is not the key: prompts are not shown."""
    store.write(K, META, b"png")
    store.claim(K, "one", 60.0)
    names = sorted(cast("list[bytes]", plain.keys(f"{store.namespace}:*")))
    tag = digest(K).encode()
    space = store.namespace.encode()
    assert [space + b":{" + tag + b"}:lease", space + b":{" + tag + b"}:picture"] == names


def test_the_server_forgets_what_has_expired(store: RedisStore, plain: Plain) -> None:
    """A picture with a time to live goes by itself, somewhat later than that; one without stays."""
    store.write(K, META, b"png", 5.0)
    store.write(L, META, b"png")
    left = plain.pttl(f"{store.namespace}:{{{digest(K)}}}:picture")
    assert 0 < left <= (5.0 + KEPT) * 1000
    assert -1 == plain.pttl(f"{store.namespace}:{{{digest(L)}}}:picture")


def test_what_is_large_stays_out() -> None:
    """It is not kept, nor what it would have replaced; what is as large as may be is."""
    with RedisStore(redis().url, namespace=space(), limit=4, timeout=LONG) as store:
        store.write(K, META, b"1234")
        assert store.read(K) is not None
        store.write(K, META, b"12345")
        assert store.read(K) is None


def test_a_lease_is_one_clients_until_its_time_is_over(store: RedisStore, plain: Plain) -> None:
    """By the server's clock; its holder renews it; whoever waits is told for how long."""
    assert store.claim(K, "one", 60.0) is None
    assert store.claim(L, "two", 60.0) is None
    left = store.claim(K, "two", 60.0)
    assert left is not None
    assert 0 < left <= 60.0
    assert store.claim(K, "one", 600.0) is None
    longer = store.claim(K, "two", 60.0)
    assert longer is not None
    assert 60.0 < longer <= 600.0
    store.give_back(K, "two")
    assert store.claim(K, "two", 60.0) is not None
    plain.pexpire(f"{store.namespace}:{{{digest(K)}}}:lease", 0)
    assert store.claim(K, "two", 60.0) is None
    store.give_back(K, "one")
    assert store.claim(K, "one", 60.0) is not None
    store.give_back(K, "two")
    assert store.claim(K, "one", 60.0) is None


def test_a_lease_ends_by_itself(store: RedisStore) -> None:
    """Nobody gives it back: its holder was killed."""
    store.claim(K, "one", 0.001)
    while store.claim(K, "two", 60.0) is not None:
        pass
    assert store.claim(K, "one", 60.0) is not None


def test_a_lease_without_an_end_is_taken(store: RedisStore, plain: Plain) -> None:
    """Somebody wrote one by hand: nobody waits for ever."""
    plain.set(f"{store.namespace}:{{{digest(K)}}}:lease", "somebody")
    assert store.claim(K, "one", 60.0) is None


def test_a_server_that_stops_costs_pictures_and_no_time(server: Redis) -> None:
    """It is told once as a fault, then left alone for a while; when it is back it is used again."""
    clock = Time()
    store = RedisStore(server.local, timeout=LONG, rest=5.0, clock=clock)
    store.write(K, META, b"png")
    server.stop()
    with pytest.raises(StoreFault, match=r"out of reach$"):
        store.read(K)
    server.start()
    for ask in (lambda: store.read(K), lambda: store.write(K, META, b"x"), lambda: store.claim(K, "one", 60.0)):
        with pytest.raises(StoreFault, match="left alone"):
            ask()
    clock.now += 5.0
    assert store.read(K) is None  # it kept nothing on disk
    store.write(K, META, b"png")
    assert (META, b"png") == store.read(K)
    assert (1, 1, 4) == (store.figures().hits, store.figures().misses, store.figures().faults)
    store.close()


def test_a_server_that_was_restarted_between_two_lookups_is_not_noticed(server: Redis) -> None:
    """The old connection is gone: another one is made, within the same lookup."""
    with RedisStore(server.local, timeout=LONG) as store:
        assert store.read(K) is None
        server.stop()
        server.start()
        assert store.read(K) is None
        assert 0 == store.figures().faults


def test_a_server_that_hangs_is_left_alone_too(server: Redis) -> None:
    """After its time-out; also where the clock is set back it is asked again."""
    clock = Time()
    store = RedisStore(server.local, timeout=0.05, rest=5.0, clock=clock)
    server.freeze()
    with pytest.raises(StoreFault, match="in time"):
        store.read(K)
    server.thaw()
    with pytest.raises(StoreFault, match="left alone"):
        store.read(K)
    store.close()
    clock.now -= 1.0
    patient = RedisStore(server.local, timeout=LONG, clock=clock)
    patient._gone = clock.now + 1.0
    assert patient.read(K) is None
    patient.close()


def test_a_server_that_refuses_is_a_fault_whose_words_hold_nothing(plain: Plain) -> None:
    """A full server, another kind of value: the code is shown, and nothing of what is stored."""
    with RedisStore(redis().url, namespace=space(), timeout=LONG) as store:
        plain.rpush(f"{store.namespace}:{{{digest(K)}}}:lease", "list")
        with pytest.raises(StoreFault, match=r"it refuses: WRONGTYPE$"):
            store.claim(K, "one", 60.0)
        assert store.read(L) is None


def test_a_full_server_is_a_fault(server: Redis) -> None:
    """It has no room: what is stored is still read, but for what was to be replaced."""
    with RedisStore(server.local, timeout=LONG) as store, Plain.from_url(server.local, socket_timeout=LONG) as plain:
        store.write(K, META, b"png")
        plain.config_set("maxmemory", "1")
        with pytest.raises(StoreFault, match=r"it refuses: OutOfMemoryError$"):
            store.write(L, META, b"png")
        assert (META, b"png") == store.read(K)
        with pytest.raises(StoreFault, match=r"it refuses: OutOfMemoryError$"):
            store.write(K, META, b"newer")
        assert store.read(K) is None


def test_a_password_is_never_shown(server: Redis) -> None:
    """Neither in the store's own words nor in a fault's."""
    with Plain.from_url(server.local, socket_timeout=LONG) as plain:
        plain.config_set("requirepass", "right")
    with RedisStore(f"unix://:secret@{server.path}", timeout=LONG) as store:
        assert "secret" not in repr(store)
        with pytest.raises(StoreFault, match="refuses the user or the password") as fault:
            store.read(K)
        assert "secret" not in str(fault.value)
    assert "redis://example.com:6380/3" == shown("redis://me:secret@example.com:6380/3?password=secret")
    assert "rediss://[::1]:6379" == shown("rediss://me:secret@[::1]")


def test_what_was_changed_on_the_server_is_dropped(store: RedisStore, plain: Plain) -> None:
    """It is a fault once, and a miss afterwards."""
    store.write(K, META, b"png")
    name = f"{store.namespace}:{{{digest(K)}}}:picture"
    plain.setrange(name, plain.strlen(name) - 1, b"\xff")
    assert [Damage(K, "its bytes have changed")] == list(store.verify())
    with pytest.raises(StoreDamaged):
        store.read(K)
    assert store.read(K) is None
    assert [] == list(store.verify())


def test_what_others_keep_under_such_names_is_in_nobodys_way(store: RedisStore, plain: Plain) -> None:
    """Names that are no digests are not looked at; what is no string is damaged, told, and dropped by who reads it."""
    store.write(K, META, b"png")
    for name in (b"\xff\xfe1", b"x" * 64, b"1" * 63):
        plain.set(store.namespace.encode() + b":{" + name + b"}:picture", b"junk")
    plain.lpush(f"{store.namespace}:{{{digest(L)}}}:picture", b"junk")
    assert ([K], 1) == ([entry.key for entry in store.entries()], store.figures().entries)
    assert [Damage(None, "it is no picture, but something else of Redis")] == list(store.verify())
    assert {K} == store.held([K, L])
    with pytest.raises(StoreDamaged):
        store.read(L)
    assert store.read(L) is None
    assert (META, b"png") == store.read(K)
    assert [] == list(store.verify())


@pytest.mark.parametrize(
    "url",
    ["", "localhost:6379", "http://localhost", "redis://", "redis://[x", "redis://host:port/0", "unix://"],
)
def test_an_address_that_is_none(url: str) -> None:
    """It is said before anything is asked."""
    with pytest.raises(UsageError, match="is like redis://"):
        RedisStore(url)


def test_options_that_are_none() -> None:
    """A namespace with characters of patterns or tags, a time-out that is no time, a database that is no number."""
    with pytest.raises(UsageError, match="namespace"):
        RedisStore("redis://localhost", namespace="a{b}*")
    with pytest.raises(UsageError, match="timeout"):
        RedisStore("redis://localhost", timeout=0.0)
    with pytest.raises(UsageError, match="redis-py does not know") as fault:
        RedisStore("redis://:secret@localhost/0?socket_timeout=soon")
    assert "secret" not in str(fault.value)


def test_a_server_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tests are skipped, unless every service has to be there."""
    monkeypatch.setenv("PENSTOCK_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="is not installed"):
        missing("it")
    monkeypatch.delenv("PENSTOCK_REQUIRE_SERVICES")
    with pytest.raises(pytest.skip.Exception, match="is not installed"):
        missing("it")


def test_what_is_extra_is_loaded_by_whoever_needs_it() -> None:
    """No module of stores loads redis-py, obstore or numpy; a store that is made does."""
    code = (
        "import sys, penstock_io.sync, penstock_io.stores.sqlite, penstock_io.stores.redis, penstock_io.stores.objects;"
        "print(sorted({'redis', 'obstore', 'numpy'} & set(sys.modules)))"
    )
    assert "[]\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_it_lives_in_a_cluster() -> None:
    """Pictures lie on all three servers; they are read, listed, leased and dropped wherever they are."""
    cluster = Cluster()
    store = RedisStore(cluster.url, timeout=LONG, cluster=True)
    keys = [Key(f"picture {number}") for number in range(40)]
    for key in keys:
        store.write(key, META, key.encode())
        assert [None, True] == [store.claim(key, "one", LONG), (store.claim(key, "other", LONG) or 0.0) > 0.0]
    lies = [len(list(Plain(port=one.port).scan_iter(match="*:picture"))) for one in cluster.servers]
    assert (40, True) == (sum(lies), all(lies))
    assert {key: (META, key.encode()) for key in keys} == {key: store.read(key) for key in keys}
    assert (set(keys), set(keys)) == ({entry.key for entry in store.entries()}, store.held(keys))
    assert set(keys) == store.held([*keys, *(Key(f"other {number}") for number in range(40))])
    assert [True, False] == [store.delete(keys[0]), store.delete(keys[0])]
    for key in keys:
        store.give_back(key, "one")
        assert store.claim(key, "other", LONG) is None
    store.close()
    named = store_named(cluster.url.replace("redis://", "redis+cluster://").removesuffix("/0"))
    assert 39 == named.figures().entries
    cluster.remove()
    with pytest.raises(StoreFault, match="out of reach"):
        named.read(keys[1])
    named.close()


def test_a_cluster_that_is_not_there_costs_a_fault() -> None:
    """Nothing is connected to before it is asked; a socket of this machine is no cluster."""
    store = RedisStore("redis://127.0.0.1:1/0", timeout=LONG, cluster=True)
    store.close()
    with pytest.raises(StoreFault, match="out of reach"):
        store.read(K)
    with pytest.raises(UsageError, match="a Redis cluster is reached by"):
        RedisStore("unix:///tmp/s", cluster=True)


@given(st.text(max_size=12))
def test_a_picture_and_its_lease_are_in_one_slot(text: str) -> None:
    """Whatever a key is: a cluster has both on one server, and different keys all over it."""
    with RedisStore("redis://127.0.0.1:1/0") as store:
        names = [store._picture(digest(Key(text))), store._lease(Key(text))]
        assert 1 == len({key_slot(name.encode()) for name in names})
        assert 90 < len({key_slot(store._lease(Key(f"{text}{number}")).encode()) for number in range(100)})
