"""A ledger added up by its database says what its rows say, one by one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.entries import Entry, Failed, Intent, Maybe, Owed, Settled, Void
from penstock.ids import Ref
from penstock_io.costing.reading import _of_row, read_books, read_ledger
from penstock_io.costing.sums import Item, Sums, by, by_place, failures, out_now, total
from penstock_io.ledger import Ledger, read
from penstock_io.ledger._schema import guard
from penstock_io.ledger._totals import add_up
from tests.test_costing_reading import ACME, NOW, RUN, intent

STRANGE = ("run", "tag:]], [", 'tag:"]], ["')
"""Names that look like the text between two payers."""

DAY = 86_400.0

amounts = st.none() | st.integers(0, 10**15) | st.integers(10**17, 10**21)
payers = st.lists(st.sampled_from([RUN, ACME, STRANGE]), min_size=1, max_size=3)
endings = st.sampled_from(["settled", "owed", "failed", "maybe", "void", "none"])
charges = st.sampled_from(["none", "each", "unknown"])
told = st.tuples(endings, amounts, amounts, payers, charges, st.integers(0, 2))


def entries_of(some: Sequence[tuple[str, int | None, int | None, list[tuple[str, ...]], str, int]]) -> list[Entry]:
    """Attempts that begin on three days and end as they are told."""
    entries: list[Entry] = []
    for number, (ending, quote, amount, scopes, how, day) in enumerate(some):
        begun = evolve(intent(number, quote, scopes), at=NOW + day * DAY)
        whose: tuple[int | None, ...] = () if how == "none" else (amount if how == "each" else None,) * len(scopes)
        entries += [begun, *_end(begun, ending, amount, whose)]
    return entries


def _end(begun: Intent, ending: str, amount: int | None, whose: tuple[int | None, ...]) -> list[Entry]:
    refs = tuple(Ref("f:x") for _ in begun.keys)
    ends: dict[str, Entry] = {
        "settled": Settled(begun.attempt, begun.keys, refs, None, amount, NOW, whose),
        "owed": Owed(begun.attempt, begun.keys, refs, None, amount, NOW + DAY, NOW, whose),
        "failed": Failed(begun.attempt, "server_error", amount, NOW, whose),
        "maybe": Maybe(begun.attempt, "timeout", amount, NOW),
        "void": Void(begun.attempt, "no longer wanted", NOW),
    }
    return [ends[ending]] if ending in ends else []


def one_by_one(path: Path, since: str) -> list[Item]:
    """Each row's own items."""
    return [item for row in read(path, since=since).rows if row.ending != "void" for item in _of_row(row, str(path))]


@given(st.lists(told, max_size=8), st.sampled_from(["", "2026-11-22", "2026-11-23", "2027-01-01"]))
@settings(max_examples=60)
@example([("settled", 9 * 10**17, 9 * 10**17, [RUN], "each", 0)] * 30, "")
def test_sums_of_the_database_are_those_of_the_rows(
    some: list[tuple[str, int | None, int | None, list[tuple[str, ...]], str, int]], since: str
) -> None:
    """By every place and kind, with what is out, while somebody holds the ledger and after he was killed."""
    with TemporaryDirectory() as name:
        path = Path(name) / "ledger.sqlite"
        with Ledger.open(path) as ledger:
            ledger.begin(NOW, "/data/pictures")
            assert ledger.append(entries_of(some)) is None
            compare(path, since)
        compare(path, since)


def compare(path: Path, since: str) -> None:
    """The two ways of reading agree."""
    rows, sums = one_by_one(path, since), read_ledger(path, since).items
    assert {place: one for place, one in by_place(rows).items() if one != Sums()} == {
        place: one for place, one in by_place(sums).items() if one != Sums()
    }
    assert failures(rows) == failures(sums)
    assert (total(rows), out_now(rows)) == (total(sums), out_now(sums))


def test_attempts_of_one_payer_are_not_read_one_by_one(tmp_path: Path) -> None:
    """A thousand alike are one total; a call that two pay for is a row; both count."""
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        ledger.begin(NOW)
        alike = [intent(number) for number in range(1000)]
        ledger.append([*alike, *(Failed(one.attempt, "server_error", 5, NOW) for one in alike)])
        shared = intent(1000, 101, (RUN, ACME))
        ledger.append([shared, Maybe(shared.attempt, "timeout", 101, NOW)])
    found = add_up(path)
    assert [(1000, 5000)] == [(one.attempts, one.charged) for one in found.totals]
    assert [1000] == [row.attempt for row in found.rows]
    assert Sums(1001, failed=1000, doubtful=1, charged=5000, maybe=101) == total(read_ledger(path).items)


def test_days_before_a_date_are_left_out(tmp_path: Path) -> None:
    """Of attempts and of savings, in a ledger."""
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        ledger.begin(NOW)
        ledger.append(entries_of([("failed", 9, 7, [RUN], "none", day) for day in range(3)]))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        guard(db)
        for day in ("2026-11-22", "2026-11-23"):
            row = (1, day, NOW, "p", "m", "s", "q", "", "[]", 2, str(10**20))
            db.executemany("INSERT INTO savings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", [row, row])
    whole, later = read_books([path]).items, read_books([path], "2026-11-23").items
    assert (21, 8, 4 * 10**20) == (total(whole).charged, total(whole).reused, total(whole).saved)
    assert (14, 4, 2 * 10**20) == (total(later).charged, total(later).reused, total(later).saved)
    assert ["2026-11-23", "2026-11-24"] == list(by(later, "day"))
