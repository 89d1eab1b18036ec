"""What drivers leave to a performer: in order, in groups, and with faults as values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Signal

import pytest

from penstock.commands import (
    Abort,
    Charged,
    Command,
    Consult,
    Near,
    Notice,
    Notify,
    ReadCache,
    Record,
    Release,
    Subject,
    Warned,
    WriteCache,
)
from penstock.entries import Entry, Failed, Intent, Lane, Published, Settled, Void
from penstock.errors import UsageError
from penstock.events import CacheRead, Consulted, Event, Hit, Miss, Recorded
from penstock.ids import AttemptId, CallId, Handle, JobId, Key, QuestionId, ReadId, RecordId, Ref
from penstock.outcomes import Meta
from penstock.readings import Answer, Fault, Vector, Verdict
from penstock.work import Purpose
from penstock_io._payloads import Payloads
from penstock_io._perform import GROUP, Hook, Performer, Question, Worker
from penstock_io.journal import Disk, Journal, JournalStore
from penstock_io.stores import StoreDamaged
from penstock_io.stores.memory import MemoryStore

LONG = 120.0
"""Seconds after which whoever still waits is taken to wait for ever."""

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
A, B = Key("a"), Key("b")


def read(number: int, *keys: Key, claim: bool = False) -> ReadCache:
    """A lookup."""
    return ReadCache(ReadId(number), keys, claim=claim)


def record(number: int, entry: Entry) -> Record:
    """A record."""
    return Record(RecordId(number), entry)


def void(number: int) -> Record:
    """A record of no consequence."""
    return record(number, Void(AttemptId(number), "", 1.0))


def intent(number: int, key: Key) -> Record:
    """An intent for one key."""
    parts = ((JobId(1), (0,)),)
    lane = Lane("k", "m")
    entry = Intent(AttemptId(number), CallId(1), Purpose.GENERATE, "op", lane, (key,), parts, (("run",),), 9, 1.0)
    return record(number, entry)


class CountingDisk(Disk):
    """A disk that counts the folders it syncs."""

    def __init__(self) -> None:
        self.folders: list[str] = []

    def sync_folder(self, path: Path) -> None:
        """Count, and do it."""
        self.folders.append(path.name)
        super().sync_folder(path)


class BrokenStore:
    """A third party's store that fails in its own way, with a secret in its words."""

    inline = True

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """Fail."""
        raise RuntimeError(f"password=secret {key}")

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Fail."""
        del key, meta, data, ttl
        raise ConnectionError(111, "Connection refused")

    def place(self, key: Key, scope: str, vector: tuple[float, ...]) -> None:
        """Fail."""
        del key, scope, vector
        raise RuntimeError

    def near(self, scope: str, vector: tuple[float, ...], threshold: float) -> tuple[Meta, bytes, float] | None:
        """Fail."""
        del scope, vector, threshold
        raise RuntimeError


def test_what_is_written_is_read_by_a_reference_of_its_own() -> None:
    """Hits and misses by key in order; each hit is a new reference to the same bytes, released one by one."""
    payloads = Payloads()
    performer = Performer(MemoryStore(), None, None, payloads)
    source = payloads.keep(PNG)
    meta = Meta(size="8x8", nbytes=len(PNG))
    events = performer.perform([
        read(1, A, claim=True),
        WriteCache(A, source, meta),
        Release((source,)),
        read(2, A, B),
        WriteCache(B, None),
        read(3, A),
    ])  # fmt: skip
    assert CacheRead(ReadId(1), (Miss(claimed=True),)) == events[0]
    hits = [event.found[0] for event in events[1:] if isinstance(event, CacheRead)]
    assert 2 == len({hit.ref for hit in hits if isinstance(hit, Hit)})
    for hit in hits:
        assert isinstance(hit, Hit)
        assert (meta, True) == (hit.meta, payloads.read(hit.ref) is PNG)
    with pytest.raises(FileNotFoundError):
        payloads.read(source)


def test_a_verdict_leaves_a_picture_its_end() -> None:
    """What is noted beside a stored picture changes no time of it, but to a shorter one; what is gone stays away."""
    now, payloads = 0.0, Payloads()
    store = MemoryStore(clock=lambda: now)
    performer = Performer(store, None, None, payloads)
    source = payloads.keep(PNG)
    checked = Meta(policy="p1")
    performer.perform([WriteCache(A, source, Meta(), ttl=10.0), WriteCache(B, source, Meta())])
    now = 4.0
    performer.perform([WriteCache(key, source, checked, amends=True) for key in (A, B)])
    assert [(checked, PNG)] * 2 == [store.read(A), store.read(B)]
    assert [6.0, None] == [store.lasts(A), store.lasts(B)]
    performer.perform([WriteCache(key, source, checked, ttl=3.0, amends=True) for key in (A, B)])
    assert [3.0, 3.0] == [store.lasts(A), store.lasts(B)]
    now = 7.0
    performer.perform([WriteCache(key, source, checked, amends=True) for key in (A, B)])
    assert [None, None] == [store.read(A), store.read(B)]
    performer.perform([WriteCache(A, source, Meta(), ttl=10.0)])
    assert 10.0 == store.lasts(A)


def test_everything_in_memory_is_inline(tmp_path: Path) -> None:
    """Only a performer without a journal, files and a slow store may run on an event loop."""
    assert Performer(MemoryStore(), None, None, Payloads()).inline
    assert Performer(None, None, None, Payloads()).inline
    assert not Performer(MemoryStore(), None, None, Payloads(tmp_path)).inline
    with Journal.open(tmp_path) as journal:
        assert not Performer(MemoryStore(), journal, None, journal.payloads).inline
        assert not JournalStore(journal).inline
        with pytest.raises(UsageError):
            Performer(None, journal, None, Payloads())


def test_records_between_other_commands_are_one_group(tmp_path: Path) -> None:
    """Records of a batch are made durable together; the answers come in the order of the commands."""
    disk = CountingDisk()
    with Journal.open(tmp_path, disk=disk) as journal:
        performer = Performer(MemoryStore(), journal, None, journal.payloads)
        refs = [journal.payloads.keep(PNG) for _ in range(2)]
        batch: list[Command] = [
            record(1, Settled(AttemptId(1), (A,), (refs[0],), None, 1, 1.0)),
            read(1, Key("other")),
            WriteCache(Key("third"), refs[0], Meta()),
            record(2, Settled(AttemptId(2), (B,), (refs[1],), None, 1, 1.0)),
            void(3),
        ]
        disk.folders.clear()
        events = performer.perform(batch)
        assert (["held"], [Recorded, CacheRead, Recorded, Recorded]) == (
            disk.folders,
            [type(event) for event in events],
        )
        assert [1, 1, 2, 3] == [e.record if isinstance(e, Recorded) else 1 for e in events]


def test_a_lookup_sees_what_was_settled_before_it_in_the_batch(tmp_path: Path) -> None:
    """A lookup of a key that a waiting record settles comes after it; one before it does not see it."""
    with Journal.open(tmp_path) as journal:
        performer = Performer(JournalStore(journal), journal, None, journal.payloads)
        settled = Settled(AttemptId(1), (A,), (journal.payloads.keep(PNG),), None, 1, 1.0)
        before, _, recorded, after = performer.perform([read(1, A), intent(1, A), record(2, settled), read(2, A)])
        assert CacheRead(ReadId(1), (Miss(),)) == before
        assert isinstance(recorded, Recorded)
        assert isinstance(after, CacheRead)
        (hit,) = after.found
        assert isinstance(hit, Hit)
        assert recorded.files == (hit.ref,)
        verdict = Meta("8x8", policy="p@1")
        shown = record(3, Published(JobId(1), (A,), recorded.files, 2.0))
        batch: list[Command] = [shown, WriteCache(A, hit.ref, verdict), Release((hit.ref,)), read(3, A)]
        published, last = performer.perform(batch)
        assert isinstance(last, CacheRead)
        (hit,) = last.found
        assert isinstance(hit, Hit)
        assert published == Recorded(RecordId(3), (hit.ref,))
        assert ("p@1", "f:images/1-1-0.png", []) == (hit.meta.policy, hit.ref, list((tmp_path / "held").iterdir()))
        performer.close()


def test_a_verdict_and_a_release_come_after_the_settlement_of_the_same_batch(tmp_path: Path) -> None:
    """What is marked is the picture that was settled before it, and a release leaves a waiting record its bytes."""
    with Journal.open(tmp_path) as journal:
        performer = Performer(JournalStore(journal), journal, None, journal.payloads)
        ref = journal.payloads.keep(PNG)
        settled = record(1, Settled(AttemptId(1), (A,), (ref,), None, 1, 1.0))
        (recorded,) = performer.perform([settled, WriteCache(A, ref, Meta("8x8", policy="p@1")), Release((ref,))])
        assert isinstance(recorded, Recorded)
        assert recorded.fault is None
        found = journal.look_up(A)
        assert found is not None
        assert "p@1" == found[0].policy
        late = journal.payloads.keep(PNG)
        settled = record(2, Settled(AttemptId(2), (B,), (late,), None, 1, 1.0))
        (recorded,) = performer.perform([settled, Release((late,))])
        assert isinstance(recorded, Recorded)
        assert recorded.fault is None


def test_a_journals_fault_is_told_to_each_record(tmp_path: Path) -> None:
    """A group that could not be written answers every record with the fault; without a journal, too."""
    with Journal.open(tmp_path) as journal:
        performer = Performer(None, journal, None, journal.payloads)
        gone = record(1, Settled(AttemptId(1), (A,), (Ref("m:99"),), None, 1, 1.0))
        faults = {event.fault for event in performer.perform([gone, void(2)]) if isinstance(event, Recorded)}
        assert {"journal: no bytes behind the reference: m:99"} == faults
    bare = Performer(None, None, None, Payloads())
    assert [Recorded(RecordId(1), fault="there is no journal")] == bare.perform([void(1)])
    bare.close()


def test_a_stores_fault_is_a_miss_and_a_notice() -> None:
    """Reading and writing may raise anything: a miss with a word that holds nothing of theirs, and a notice."""
    heard: list[Notice] = []
    payloads = Payloads()
    performer = Performer(BrokenStore(), None, None, payloads, notices=heard.append)
    vector = payloads.keep_vector((1.0,))
    near = Near(vector, "scope", 0.9)
    write = WriteCache(A, payloads.keep(PNG), Meta())
    batch: list[Command] = [write, read(1, A), ReadCache(ReadId(2), (A,), near)]
    assert [
        CacheRead(ReadId(1), (Miss(fault="store: RuntimeError"),)),
        CacheRead(ReadId(2), (Miss(fault="store: RuntimeError"),)),
    ] == performer.perform(batch)
    assert [Warned("store", "store: ConnectionError: Connection refused")] == heard
    assert [CacheRead(ReadId(1), (Miss(),))] == Performer(None, None, None, payloads).perform([read(1, A)])


def test_near_lookups() -> None:
    """A picture stored with its vector is found by one like it, with its score; another store knows none."""
    payloads = Payloads()
    performer = Performer(MemoryStore(), None, None, payloads)
    vector = payloads.keep_vector((3.0, 4.0))
    near = Near(vector, "scope", 0.9)
    lookup = ReadCache(ReadId(1), (B,), near)
    before, after = performer.perform([lookup, WriteCache(A, payloads.keep(PNG), Meta(), near=near), lookup])
    assert CacheRead(ReadId(1), (Miss(),)) == before
    assert isinstance(after, CacheRead)
    assert (True, 1.0) == (isinstance(after.found[0], Hit), after.score)
    assert [CacheRead(ReadId(1), (Miss(),))] == Performer(None, None, None, payloads).perform([lookup])


def test_what_a_store_of_ours_says_is_repeated() -> None:
    """Its words are made to be shown: whoever reads the notice learns what was damaged."""

    class Damaged(MemoryStore):
        """A store that found its picture damaged."""

        def read(self, key: Key) -> tuple[Meta, bytes] | None:
            """Say so."""
            raise StoreDamaged(f"the picture of {key} has changed")

    found = Performer(Damaged(), None, None, Payloads()).perform([read(1, A)])
    assert [CacheRead(ReadId(1), (Miss(fault="store: the picture of a has changed"),))] == found


def test_hooks_pass_refuse_embed_and_fault() -> None:
    """A hook sees the pictures and answers in its kind; what it raises, or its absence, is a fault, without words."""
    payloads = Payloads()
    asked: list[Question] = []

    def passes(question: Question) -> Verdict:
        asked.append(question)
        return Verdict(passed=True, policy="p@1")

    def breaks(question: Question) -> Verdict:
        raise ValueError(f"secret {question.hook}")

    hooks: dict[str, Hook] = {
        "passes": passes,
        "breaks": breaks,
        "refuses": lambda _: Verdict(passed=False),
        "rule": lambda _: Answer("later"),
        "embeds": lambda _: [1, 2.5],
    }
    performer = Performer(None, None, hooks, payloads)
    subject = Subject(Handle(3), (payloads.keep(PNG),))

    def consult(hook: str, about: Subject = subject) -> Consulted:
        return performer.consult(Consult(QuestionId(1), hook, about, 1.0))

    assert Consulted(QuestionId(1), Verdict(passed=True, policy="p@1")) == consult("passes")
    assert ((PNG,), "passes") == (asked[0].pictures, asked[0].hook)
    assert PNG.decode("latin-1") not in repr(asked[0])
    assert Verdict(passed=False) == consult("refuses").answer
    assert Answer("later") == consult("rule").answer
    assert Fault("hook breaks: ValueError") == consult("breaks").answer
    assert Fault("no hook 'unknown'") == consult("unknown").answer
    assert (
        Fault("hook passes: FileNotFoundError: no bytes behind the reference")
        == consult("passes", Subject(Handle(3), (Ref("m:99"),))).answer
    )
    embedded = consult("embeds").answer
    assert isinstance(embedded, Vector)
    assert (1.0, 2.5) == payloads.vector(embedded.ref)


def test_notices_reach_whoever_subscribed() -> None:
    """A notice is handed on in order; a subscriber that raises changes nothing."""
    heard: list[Notice] = []

    def hear(notice: Notice) -> None:
        heard.append(notice)
        raise RuntimeError

    performer = Performer(None, None, None, Payloads(), notices=hear)
    charged = Charged(JobId(1), 5)
    assert [] == performer.perform([Notify(charged)])
    assert [charged] == heard
    assert [] == Performer(None, None, None, Payloads()).perform([Notify(charged)])


def test_a_drivers_own_commands_are_refused_before_anything_is_done() -> None:
    """Misuse raises and changes nothing."""
    payloads = Payloads()
    source = payloads.keep(PNG)
    performer = Performer(None, None, None, payloads)
    with pytest.raises(UsageError):
        performer.perform([Release((source,)), Abort(AttemptId(1))])
    assert PNG == payloads.read(source)
    worker = Worker(performer)
    with pytest.raises(UsageError):
        worker.submit([Abort(AttemptId(1))], lambda _: None)
    worker.close()


class GatedDisk(CountingDisk):
    """A disk that waits in its first sync until it is let on."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.gate = Signal(), Signal()

    def write(self, path: Path, data: bytes) -> None:
        """Wait, then write."""
        self.inside.set()
        self.gate.wait(LONG)
        super().write(path, data)


def test_what_piles_up_while_a_group_is_written_is_the_next_group(tmp_path: Path) -> None:
    """Submissions keep their order and their own answers, and share a group."""
    disk = GatedDisk()
    answers: SimpleQueue[tuple[int, list[Event]]] = SimpleQueue()
    with Journal.open(tmp_path, disk=disk) as journal:
        worker = Worker(Performer(None, journal, None, journal.payloads))

        def submit(number: int, *commands: Command) -> None:
            worker.submit(commands, lambda events: answers.put((number, events)))

        def settle(number: int) -> Record:
            key = Key(f"key-{number}")
            return record(number, Settled(AttemptId(number), (key,), (journal.payloads.keep(PNG),), None, 1, 1.0))

        disk.folders.clear()
        submit(1, settle(1))
        assert disk.inside.wait(LONG)
        submit(2, settle(2), read(2, A))
        submit(3, Release(()))
        submit(4, settle(4), settle(5))
        disk.gate.set()
        worker.close()
        assert ["held", "held"] == disk.folders
    seen = [answers.get() for _ in range(4)]
    assert [1, 2, 3, 4] == [number for number, _ in seen]
    kinds = [[type(event) for event in events] for _, events in seen]
    assert [[Recorded], [Recorded, CacheRead], [], [Recorded, Recorded]] == kinds
    records = [e.record for _, events in seen for e in events if isinstance(e, Recorded) and e.fault is None]
    assert [1, 2, 4, 5] == records


def test_a_worker_outlives_its_callers_and_its_journal(tmp_path: Path) -> None:
    """A closed loop is told on close and stops nobody else; what cannot be performed is answered with a fault."""
    journal = Journal.open(tmp_path)
    answers: SimpleQueue[list[Event]] = SimpleQueue()
    worker = Worker(Performer(None, journal, None, journal.payloads))

    def closed(events: list[Event]) -> None:
        raise RuntimeError(f"Event loop is closed: {len(events)}")

    worker.submit([void(1)], closed)
    worker.submit([void(2)], answers.put)
    assert [Recorded(RecordId(2))] == answers.get(timeout=LONG)
    bad = record(3, Failed(AttemptId(2**70), "too large a number", 0, 1.0))
    worker.submit([bad, read(1, A)], answers.put)
    fault = "perform: OverflowError"
    assert [Recorded(RecordId(3), fault=fault), CacheRead(ReadId(1), (Miss(fault=fault),))] == answers.get(timeout=LONG)
    with pytest.raises(RuntimeError, match="closed: 1"):
        worker.close()
    worker.close()
    journal.close()


def test_nobody_waits_for_all_who_came_later() -> None:
    """Of what piled up so much is performed together, and answered, before the rest."""
    go, sizes, done = Signal(), list[int](), Signal()

    class Held(Performer):
        def perform(self, batch: Sequence[Command]) -> list[Event]:
            go.wait(LONG)
            sizes.append(len(batch))
            return super().perform(batch)

    worker = Worker(Held(MemoryStore(), None, None, Payloads()))
    many = 2 * GROUP + 10
    for number in range(many):
        worker.submit(
            [read(number, A)], lambda events: done.set() if CacheRead(ReadId(many - 1), (Miss(),)) in events else None
        )
    go.set()
    assert done.wait(LONG)
    worker.close()
    assert many == sum(sizes)
    assert max(sizes) <= GROUP
