"""The ledger on disk: what is in it, that it adds up, whom it belongs to, and what a fault of the disk leaves."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from penstock.entries import Deferred, Entry, Failed, Held, Intent, Lane, Maybe, Owed, Published, Settled, Void
from penstock.errors import UsageError
from penstock.ids import AttemptId, CallId, Handle, JobId, Key, Ref
from penstock.money.balances import NOTHING, Balance
from penstock.money.periods import DAY
from penstock.outcomes import Meta, Outcome, Picture, Source, Status
from penstock.readings import Usage
from penstock.work import Purpose, Target, Work
from penstock_io.ledger import Ledger, LedgerDamaged, LedgerInUse, LedgerUnusable, NewerLedger, Row, Saving, Share, read
from tests.failing import FAULT, FailingDisk

NOON = 1_795_348_800.0
"""2026-11-22, 12:00 UTC."""
TODAY = ("2026-11-22", "2026-11")
HOLDER = """
import sys
from penstock_io.ledger import Ledger
with Ledger.open(sys.argv[1]):
    print("held", flush=True)
    input()
"""


def intent(number: int, quote: int | None = 100, *scopes: str, payers: int = 1, at: float = NOON) -> Intent:
    """An attempt for one picture a payer; all have the same scopes."""
    plain = ("run", *scopes)
    return Intent(
        AttemptId(number),
        CallId(number),
        Purpose.GENERATE,
        "images.generate",
        Lane("team-a", "m"),
        tuple(Key(f"k{number}.{place}") for place in range(payers)),
        tuple((JobId(10 * number + place), (0,)) for place in range(payers)),
        (plain,) * payers,
        quote,
        at,
        "default",
        "1024x1024",
        "low",
    )


def settled(number: int, charge: int | None, charges: tuple[int | None, ...] = (), pictures: int = 1) -> Settled:
    """A paid attempt."""
    keys = tuple(Key(f"k{number}.{place}") for place in range(pictures))
    return Settled(AttemptId(number), keys, tuple(Ref(f"m:{key}") for key in keys), None, charge, NOON + 9, charges)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger may be."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """An open one, in use."""
    with Ledger.open(path) as opened:
        opened.begin(NOON, "pictures")
        yield opened


def books(ledger: Ledger, *scopes: str) -> list[Balance]:
    """What is booked on these scopes, on the day of the tests."""
    balances = ledger.balances(NOON)
    return [balances.of(scope) for scope in scopes]


def test_an_attempt_is_a_row(ledger: Ledger) -> None:
    """Who, what, when, where, how it ended and what it cost; and the sums of its scopes, by day and month."""
    usage = Usage(input_text=3, output_image=200)
    entries: list[Entry] = [
        intent(7, 100, "tenant:acme", "tag:summer", "tag:eu"),
        evolve(settled(7, 90), usage=usage),
    ]
    assert ledger.append(entries) is None
    (row,) = read(ledger.path).rows
    expected = Row(
        "1-7", 1, 7, "pictures", "2026-11-22", NOON, NOON + 9, "generate", "images.generate", "default", "team-a", "m",
        "1024x1024", "low", 100, "settled", "", 90, 0, usage, 1, 1, (Share("acme", ("summer", "eu"), 1, 90, 0),),
    )  # fmt: skip
    assert expected == row
    assert ("acme", ("summer", "eu")) == (row.tenant, row.tags)
    for plain in ("run", "tenant:acme", "tag:summer", "tag:eu"):
        names = [f"{when}/{plain}" for when in TODAY]
        assert [Balance(charged=90)] * 2 == books(ledger, *names)


@pytest.mark.parametrize(
    ("end", "quote", "told", "balance"),
    [
        (settled(1, 90), 100, ("settled", 90, 0), Balance(charged=90)),
        (settled(1, 130), 100, ("settled", 130, 0), Balance(charged=130)),
        (settled(1, None), 100, ("settled", None, 100), Balance(maybe=100, unknown=1)),
        (settled(1, None), None, ("settled", None, None), Balance(unknown=1)),
        (settled(1, 90), None, ("settled", 90, 0), Balance(charged=90)),
        (Failed(AttemptId(1), "overloaded", 0, NOON), 100, ("failed", 0, 0), Balance()),
        (Failed(AttemptId(1), "too_large", 70, NOON), 100, ("failed", 70, 0), Balance(charged=70)),
        (Maybe(AttemptId(1), "broken", 100, NOON), 100, ("maybe", 0, 100), Balance(maybe=100)),
        (Maybe(AttemptId(1), "broken", None, NOON), None, ("maybe", 0, None), Balance(unknown=1)),
        (Void(AttemptId(1), "closed", NOON), 100, ("void", 0, 0), Balance()),
        (
            Owed(AttemptId(1), (Key("k"),), (Ref("u:1"),), None, 90, NOON + 60, NOON),
            100,
            ("owed", 90, 0),
            Balance(charged=90),
        ),
    ],
)
def test_every_end_is_booked(
    ledger: Ledger,
    end: Settled | Failed | Maybe | Void | Owed,
    quote: int | None,
    told: tuple[str, int | None, int | None],
    balance: Balance,
) -> None:
    """Charged, perhaps billed, or nothing; a charge that nobody knows keeps its bound; no price is never nothing."""
    assert ledger.append([intent(1, quote), end]) is None
    (row,) = read(ledger.path).rows
    assert told == (row.ending, row.charge, row.maybe)
    assert [balance] * 2 == books(ledger, "2026-11-22/run", "2026-11/run")


def test_several_payers_of_one_attempt(ledger: Ledger) -> None:
    """Each pays what the engine charged him, not an even part; an unknown part keeps its own bound."""
    three = evolve(intent(1, 90, payers=3), scopes=tuple(("run", f"tenant:{name}") for name in "abc"))
    ledger.append([three, settled(1, 50, (50, 0, 0), pictures=3)])
    ledger.append([evolve(three, attempt=AttemptId(2)), settled(2, None, (7, None, 7), pictures=3)])
    ledger.append([evolve(three, attempt=AttemptId(3)), Maybe(AttemptId(3), "broken", 90, NOON)])
    expected = [Balance(charged=57, maybe=30), Balance(maybe=60, unknown=1), Balance(charged=7, maybe=30)]
    # of an attempt that may have been billed nobody's price is unknown
    assert expected == books(ledger, "tenant:a", "tenant:b", "tenant:c")
    ledger.append([evolve(intent(4, 90, payers=3), attempt=AttemptId(4)), Failed(AttemptId(4), "moderation", 50, NOON)])
    assert [(50, 0, 0), (7, 0, 7), (0, 0, 0), (18, 16, 16)] == [
        tuple(share.charged for share in row.shares) for row in read(ledger.path).rows
    ]


def test_what_is_written_again_changes_nothing(ledger: Ledger) -> None:
    """After a fault the engine hands in the same entries once more, and perhaps some of them were durable."""
    first: list[Entry] = [intent(1, 100), settled(1, 90), intent(2, 100), Maybe(AttemptId(2), "broken", 100, NOON)]
    for again in (first, first[1:], first):
        assert ledger.append(again) is None
    assert [Balance(charged=90, maybe=100)] == books(ledger, "2026-11-22/run")
    assert 2 == len(read(ledger.path).rows)
    ledger.append([Void(AttemptId(9), "its intent was never durable", NOON)])
    assert 2 == len(read(ledger.path).rows)


def test_what_was_owed_is_settled_in_its_place(ledger: Ledger) -> None:
    """A charge that is known before the pictures came counts at once, and once."""
    owed = Owed(AttemptId(1), (Key("k1.0"),), (Ref("u:1"),), None, 80, NOON + 60, NOON, (80,))
    ledger.append([intent(1, 100), owed])
    assert [Balance(charged=80)] == books(ledger, "2026-11-22/run")
    ledger.append([settled(1, 80, (80,))])
    assert [Balance(charged=80)] == books(ledger, "2026-11-22/run")
    assert [("settled", 1)] == [(row.ending, row.pictures) for row in read(ledger.path).rows]


def test_entries_about_no_money_are_left_out(ledger: Ledger) -> None:
    """Names of files are the journal's business; they cost no commit."""
    before = ledger._db.total_changes
    job = JobId(1)
    published = Published(job, (Key("k"),), (Ref("m:1"),), NOON)
    assert ledger.append([published, Held(job, (), (), "p", "no", NOON), Deferred(job, (), "later", NOON)]) is None
    assert before == ledger._db.total_changes


def test_what_a_killed_run_had_out_may_have_been_billed(path: Path) -> None:
    """From the next run on, on the day it was reserved; whoever only looks sees it as soon as nobody holds the file."""
    killed = Ledger.open(path)
    assert NOTHING == killed.begin(NOON)
    killed.append([intent(1, 100, "tenant:acme"), intent(2, 50), settled(2, 40)])
    assert ["out", "settled"] == [row.ending for row in read(path).rows]
    killed._db.close()
    killed._lock.close()
    assert [("maybe", "orphan", 100), ("settled", "", 0)] == [(r.ending, r.kind, r.maybe) for r in read(path).rows]
    with Ledger.open(path) as ledger:
        opening = ledger.begin(NOON + 60)
        assert Balance(charged=40, maybe=100) == opening.of("2026-11-22/run")
        assert Balance(maybe=100) == opening.of("tenant:acme")
        ledger.append([intent(1, 30)])  # attempts are numbered anew in each run
        ledger.end()
        assert Balance(charged=40, maybe=130) == ledger.begin(NOON + 90).of("2026-11/run")
        assert [("1-1", "maybe"), ("1-2", "settled"), ("2-1", "maybe")] == [
            (row.operation, row.ending) for row in read(path).rows
        ]


def test_only_what_caps_may_need_is_opened(path: Path) -> None:
    """Tenants and tags of all time, the day that is and the one before (clocks differ), their months; no run's sums."""
    with Ledger.open(path) as ledger:
        ledger.begin(NOON)
        for number, back in enumerate((0, 1, 2, 60), 1):
            ledger.append([intent(number, 10, "tag:x", at=NOON - back * DAY), settled(number, number)])
        ledger.end()
        names = [name for name, _ in ledger.begin(NOON).scopes]
    dated = [f"{when}/{plain}" for when in ("2026-11-21", "2026-11-22", "2026-11") for plain in ("run", "tag:x")]
    assert [*dated, "tag:x"] == names


def test_the_day_is_that_of_the_reservation(ledger: Ledger) -> None:
    """As the intent's scopes say, whatever the time is when it is written down."""
    late = evolve(intent(1, at=NOON + DAY / 2), scopes=(("run", "2026-11-22/run", "2026-11/run"),))
    ledger.append([late, settled(1, 90)])
    assert ["2026-11-22"] == [row.day for row in read(ledger.path).rows]
    assert [Balance(charged=90)] == books(ledger, "2026-11-22/run")


def test_amounts_have_no_end(ledger: Ledger) -> None:
    """Sixty-four bits of picodollars end at nine million dollars; these do not."""
    ledger.append([intent(1, 10**25), settled(1, 10**25), intent(2, 10**25), Maybe(AttemptId(2), "b", 10**25, NOON)])
    assert [Balance(charged=10**25, maybe=10**25)] == books(ledger, "2026-11/run")
    assert [10**25] * 2 == [row.quote for row in read(ledger.path).rows]


def test_what_was_saved_is_noted(ledger: Ledger) -> None:
    """Hits and shared pictures by model, tenant and tags; durable with the next group, or at the end."""
    target = Target("default", "m", (Key("k"),), size="1024x1024", quality="low")
    work = Work((target,), Handle(1), "acme", ("summer",))
    picture = Picture(0, Ref("m:1"), Source.STORED, Meta(), Key("k"))
    ledger.saved(work, Outcome(Status.CACHED, (picture,), saved=90), NOON)
    ledger.saved(work, Outcome(Status.COMPLETED), NOON)
    assert () == read(ledger.path).savings
    ledger.append([intent(1)])
    saving = Saving("pictures", "2026-11-22", NOON, "default", "m", "1024x1024", "low", "acme", ("summer",), 1, 90)
    assert (saving,) == read(ledger.path).savings
    ledger.saved(work, Outcome(Status.CACHED, (picture,), saved=5), NOON + DAY)
    ledger.end()
    assert [90, 5] == [one.saved for one in read(ledger.path).savings]
    assert [5] == [one.saved for one in read(ledger.path, since="2026-11-23").savings]
    assert () == read(ledger.path, since="2026-11-23").rows


# Whose it is


def test_one_process_holds_it(path: Path) -> None:
    """A second one is refused and told who it is; reading is allowed, and says so, too."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert "held\n" == other.stdout.readline()
        with pytest.raises(
            LedgerInUse, match=rf"ledger .*ledger\.sqlite is in use by process {other.pid} on"
        ) as refused:
            Ledger.open(path)
        assert refused.value.holder == read(path).holder
        other.communicate("\n")
    with Ledger.open(path):
        pass
    assert read(path).holder is None


def test_one_client_at_a_time(ledger: Ledger) -> None:
    """Two would each have books of their own, and pass a cap together."""
    with pytest.raises(UsageError, match="used by another client"):
        ledger.begin(NOON)
    ledger.end()
    ledger.begin(NOON)
    ledger.close()
    ledger.close()
    with pytest.raises(UsageError, match="is closed"):
        ledger.begin(NOON)


def test_what_is_no_ledger(tmp_path: Path, path: Path) -> None:
    """A folder, a file of something else, a database of somebody else, a ledger of a later penstock: each is told."""
    with pytest.raises(LedgerUnusable, match=r"is a folder: name a file"):
        Ledger.open(tmp_path)
    with pytest.raises(LedgerUnusable, match=r"there is no folder"):
        Ledger.open(tmp_path / "nowhere" / "ledger.sqlite")
    with pytest.raises(LedgerUnusable, match=r"no such file"):
        read(path)
    (tmp_path / "notes.txt").write_text("so long, and thanks" * 99)
    with pytest.raises(LedgerUnusable, match=r"a damaged ledger, or none \(file is not a database\)"):
        Ledger.open(tmp_path / "notes.txt")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE things (name TEXT)")
    db.close()
    for look in (Ledger.open, read):
        with pytest.raises(LedgerUnusable, match=r"is a database, but no ledger"):
            look(other)
    Ledger.open(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 3")
    db.close()
    for look in (Ledger.open, read):
        with pytest.raises(NewerLedger, match=r"has schema 3; this penstock knows 2"):
            look(path)
    (tmp_path / "empty").touch()
    for look in (Ledger.open, read):
        with pytest.raises(LedgerDamaged, match=r"it is empty, which no ledger ever is"):
            look(tmp_path / "empty")


def test_a_disk_that_fails_takes_the_group_back(path: Path) -> None:
    """All of a group or none of it; the fault is returned, and the group can be written again."""
    disk = FailingDisk(links=True)
    with Ledger.open(path, disk=disk) as ledger:
        ledger.begin(NOON)
        group: list[Entry] = [intent(1), settled(1, 90)]
        for left in (0, 1):  # at the begin, at the commit
            disk.arm(left, FAULT)
            assert f"the ledger {path}: disk I/O error" == ledger.append(group)
            assert () == read(path).rows
        assert ledger.append(group) is None
        assert [Balance(charged=90)] == books(ledger, "2026-11-22/run")
        ledger.end()
        disk.arm(0, FAULT)
        with pytest.raises(LedgerUnusable, match="its disk cannot be read or written"):
            ledger.begin(NOON)
        ledger.begin(NOON)
