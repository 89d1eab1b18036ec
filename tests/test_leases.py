"""The leases of a client: by its own name in the store, by its lookups here, and given back with the last of them."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

import pytest

from penstock.commands import Notice, ReadCache, Warned, WriteCache
from penstock.config import Config
from penstock.events import Busy, CacheRead, Found, Hit, Miss
from penstock.ids import Key, ReadId
from penstock.outcomes import Meta
from penstock_io._leases import BEAT, FIRST, LONGEST, MOST, SPAN, Leases
from penstock_io._payloads import Payloads
from penstock_io._perform import Performer, Worker
from penstock_io._setup import Setup
from penstock_io.journal import Journal
from penstock_io.stores import StoreFault
from penstock_io.stores.memory import MemoryStore

K, L = Key("k"), Key("l")
META = Meta("8x8", "png", 3)


class Server:
    """A store of several processes at the time `now`; whatever is named in `broken` raises."""

    inline = False

    def __init__(self) -> None:
        self.now = 0.0
        self.kept: dict[Key, tuple[Meta, bytes]] = {}
        self.leases: dict[Key, tuple[str, float]] = {}
        self.broken: set[str] = set()
        self.arrives: Key | None = None

    def _works(self, what: str) -> None:
        if what in self.broken:
            raise StoreFault(f"{what} is out of reach")

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """A picture; one that `arrives` is stored by somebody else just after the first look."""
        self._works("read")
        found = self.kept.get(key)
        if self.arrives is not None:
            self.kept[self.arrives], self.arrives = (META, b"png"), None
        return found

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """A picture."""
        del ttl
        self._works("write")
        self.kept[key] = (meta, data)

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """A lease."""
        self._works("claim")
        holder, until = self.leases.get(key, ("", 0.0))
        if holder != name and until > self.now:
            return until - self.now
        self.leases[key] = (name, self.now + seconds)
        return None

    def give_back(self, key: Key, name: str) -> None:
        """A lease, if it is his."""
        self._works("give back")
        if self.leases.get(key, ("", 0.0))[0] == name:
            del self.leases[key]


class Client:
    """A performer on a server, and what it was told of faults."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.payloads = Payloads()
        self.notices: list[Notice] = []
        clock = lambda: server.now + 1000.0  # noqa: E731 - the client's clock is another than the server's
        self.performer = Performer(server, None, None, self.payloads, clock=clock, notices=self.notices.append)

    def look(self, number: int, key: Key = K, *, claim: bool = True, lease: float = 60.0) -> Found:
        """One lookup."""
        (answer,) = self.performer.perform([ReadCache(ReadId(number), (key,), claim=claim, lease=lease)])
        assert isinstance(answer, CacheRead)
        return answer.found[0]

    def keep(self, number: int, key: Key = K) -> None:
        """The picture is made."""
        ref = self.payloads.keep(b"png")
        self.performer.perform([WriteCache(key, ref, META, claim=ReadId(number))])

    def give_back(self, number: int, key: Key = K) -> None:
        """The picture is not made."""
        self.performer.perform([WriteCache(key, None, claim=ReadId(number))])


def test_one_makes_it_and_the_other_looks_again_soon() -> None:
    """The first has the lease, the second is told by its own clock when to look, and finds the picture."""
    server = Server()
    one, two = Client(server), Client(server)
    assert Miss(claimed=True) == one.look(1)
    assert Busy(1000.0 + FIRST) == two.look(1)
    one.keep(1)
    assert isinstance(two.look(2), Hit)
    assert {} == server.leases


def test_who_waits_looks_less_and_less_often_and_never_after_the_lease() -> None:
    """Waits grow up to a bound, end with the lease, and begin anew for what was found."""
    server = Server()
    leases = Leases(server, lambda: server.now)
    server.claim(K, "another", 10.0)
    waits = [leases.claim(K, ReadId(number), 60.0) or 0.0 for number in range(12)]
    assert FIRST == waits[0]
    assert sorted(waits) == waits
    assert LONGEST == waits[-1]
    server.now = 9.5
    assert 10.0 == leases.claim(K, ReadId(20), 60.0)
    server.now = 10.0
    assert leases.claim(K, ReadId(21), 60.0) is None
    server.leases[K] = ("another", 90.0)
    assert 10.0 + FIRST == leases.claim(K, ReadId(22), 60.0)


def test_what_was_waited_for_is_forgotten_some_day() -> None:
    """A client that runs for months does not remember each key it ever waited for."""
    server = Server()
    leases = Leases(server, lambda: server.now)
    for number in range(MOST + 5):
        server.leases[Key(str(number))] = ("another", 90.0)
        leases.claim(Key(str(number)), ReadId(number), 60.0)
    assert len(leases._waits) == 5


def test_a_client_is_never_kept_waiting_by_itself() -> None:
    """Two lookups of one key both have the lease; it is given back with the last of them, in any order."""
    server = Server()
    one, two = Client(server), Client(server)
    assert Miss(claimed=True) == one.look(1) == one.look(2)
    one.give_back(2)
    one.give_back(2)
    one.give_back(7)
    assert isinstance(two.look(1), Busy)
    one.give_back(1)
    assert Miss(claimed=True) == two.look(2)
    one.give_back(1)
    assert isinstance(one.look(3), Busy)


def test_a_lease_is_over_after_its_time() -> None:
    """Its holder may be dead; when he comes back late, what he gives back is not his any more."""
    server = Server()
    one, two = Client(server), Client(server)
    one.look(1)
    server.now = 59.9
    assert isinstance(two.look(1), Busy)
    server.now = 60.0
    assert Miss(claimed=True) == two.look(2)
    one.give_back(1)
    assert isinstance(one.look(2), Busy)


def test_a_lookup_of_who_does_not_buy_takes_no_lease() -> None:
    """It sees what is there, and is not kept waiting."""
    server = Server()
    one, two = Client(server), Client(server)
    assert Miss() == one.look(1, claim=False)
    assert {} == server.leases
    two.look(1)
    assert Miss() == one.look(2, claim=False)


def test_what_was_stored_between_look_and_lease_is_found() -> None:
    """The lease that was free because its holder had just stored the picture is no reason to buy it again."""
    server = Server()
    server.arrives = K
    assert isinstance(Client(server).look(1), Hit)
    assert {} == server.leases


@pytest.mark.parametrize("what", ["read", "claim"])
def test_a_store_that_cannot_lease_now_is_a_miss_with_a_fault(what: str) -> None:
    """Nobody waits for it, and nothing is said to be claimed."""
    server = Server()
    server.broken = {what}
    assert Miss(False, f"store: {what} is out of reach") == Client(server).look(1)


def test_what_cannot_be_given_back_is_told_and_ends_by_itself() -> None:
    """The picture is stored all the same, or not; a fault is a notice."""
    server = Server()
    one = Client(server)
    one.look(1)
    server.broken = {"give back", "write"}
    one.keep(1)
    faults = [Warned("store", "store: write is out of reach"), Warned("store", "store: give back is out of reach")]
    assert faults == one.notices


def test_a_long_lease_is_a_short_one_that_is_renewed() -> None:
    """It is kept as long as it was promised and its holder lives; when that is over somebody else may have it."""
    server = Server()
    one, two = Client(server), Client(server)
    assert one.performer.due() is None
    one.look(1, lease=100.0)
    assert (SPAN, BEAT) == (server.leases[K][1], one.performer.due())
    for beat, until in ((BEAT - 1.0, SPAN), (BEAT, SPAN + BEAT), (2 * BEAT, SPAN + 2 * BEAT), (3 * BEAT, 100.0)):
        server.now = beat
        one.performer.beat()
        assert until == server.leases[K][1]
        assert isinstance(two.look(2), Busy)
    server.now = 100.0
    one.performer.beat()
    assert Miss(claimed=True) == two.look(3)
    one.give_back(1)
    assert K in server.leases
    server.now += BEAT
    one.performer.beat()
    assert one.performer.due() is None


def test_who_was_killed_is_waited_for_no_longer_than_a_short_lease() -> None:
    """Nobody renews it."""
    server = Server()
    one, two = Client(server), Client(server)
    one.look(1, lease=720.0)
    server.now = SPAN
    assert Miss(claimed=True) == two.look(1)
    server.now += 1.0
    one.performer.beat()  # it was only asleep: what it lost is not asked for again and again
    assert two.performer._leases is not None
    assert two.performer._leases.name == server.leases[K][0]
    two.give_back(1)
    server.now += BEAT
    one.performer.beat()
    assert {} == server.leases


def test_who_slept_with_a_picture_out_takes_nothing_from_others() -> None:
    """What comes to him late is stored, for it is paid; the lease is the other's by now, and stays so until his end."""
    server = Server()
    one, two, three = (Client(server) for _ in range(3))
    one.look(1, lease=720.0)
    server.now = SPAN + 1.0
    assert Miss(claimed=True) == two.look(1, lease=720.0)
    source = one.payloads.keep(b"late")
    one.performer.perform([WriteCache(K, source, META, claim=ReadId(1))])
    assert two.performer._leases is not None
    assert two.performer._leases.name == server.leases[K][0]
    assert isinstance(three.look(1), Hit)
    source = two.payloads.keep(b"newest")
    two.performer.perform([WriteCache(K, source, META, claim=ReadId(1))])
    assert ({}, (META, b"newest")) == (server.leases, server.read(K))


def test_a_store_at_fault_is_asked_again_at_the_next_beat() -> None:
    """A lease outlives some beats that fail."""
    server = Server()
    one = Client(server)
    one.look(1, lease=720.0)
    server.now, server.broken = BEAT, {"claim"}
    one.performer.beat()
    assert BEAT == one.performer.due()
    server.now, server.broken = 2 * BEAT, set()
    one.performer.beat()
    assert SPAN + 2 * BEAT == server.leases[K][1]


def test_a_store_in_memory_has_nobody_who_renews() -> None:
    """It is asked on an event loop, and there for the whole time at once."""
    server = Server()
    server.inline = True
    one = Client(server)
    one.look(1, lease=720.0)
    assert (720.0, None) == (server.leases[K][1], one.performer.due())


def test_the_thread_of_a_client_that_has_nothing_to_do_beats() -> None:
    """As often as it is due."""
    beaten: SimpleQueue[None] = SimpleQueue()

    class Due(Performer):
        def due(self) -> float | None:
            return 0.0 if beaten.qsize() < 3 else None

        def beat(self) -> None:
            beaten.put(None)

    worker = Worker(Due(None, None, None, Payloads()))
    for _ in range(3):
        beaten.get(timeout=240)
    worker.close()


def test_a_folder_goes_on_with_its_leases(tmp_path: Path) -> None:
    """The next run of a batch that was killed does not wait for itself; another folder does."""
    server = Server()
    names = []
    for name in ("one", "one", "two"):
        with Journal.open(tmp_path / name) as journal:
            leases = Performer(server, journal, None, journal.payloads)._leases
            assert leases is not None
            names.append(leases.name)
    assert names[0] == names[1] != names[2]
    assert str(tmp_path) not in names[0]


def test_the_end_of_a_client_gives_everything_back() -> None:
    """Also what a broken engine left; a store that is gone does not stop it."""
    server = Server()
    one, two = Client(server), Client(server)
    one.look(1, K)
    two.look(1, L)
    one.performer.close()
    assert [L] == list(server.leases)
    server.broken = {"give back"}
    two.performer.close()


def test_leases_are_asked_of_a_store_that_has_them() -> None:
    """Without being told so; any other store grants each lease, because nobody else is there."""
    assert Setup("http://x/v1", ["k"], store=Server()).configured(()).claims
    assert not Setup("http://x/v1", ["k"]).configured(()).claims
    assert Setup("http://x/v1", ["k"], config=Config(claims=True)).configured(()).claims
    performer = Performer(MemoryStore(), None, None, Payloads())
    assert [CacheRead(ReadId(1), (Miss(claimed=True),))] == performer.perform([ReadCache(ReadId(1), (K,), claim=True)])
