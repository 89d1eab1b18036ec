"""What folders and ledgers say of money: the same figures from either, and an attempt in both counts once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.entries import Entry, Failed, Intent, Lane, Maybe, Settled, Void
from penstock.ids import AttemptId, CallId, JobId, Key, Ref
from penstock.work import Purpose
from penstock_io.batch.rows import Defaults
from penstock_io.costing.reading import read_books, read_folder, read_ledger
from penstock_io.costing.sums import NOT_KNOWN, Out, Sums, by, out_now, total
from penstock_io.journal import Journal, JournalError
from penstock_io.ledger import Ledger, LedgerError
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, Folder, folder_for, table

NOW = 1_795_305_600.0
"""2026-11-22, the beginning of the day."""

RUN = ("run",)
ACME = ("run", "tenant:acme", "tag:summer", "tag:web")


def intent(number: int, quote: int | None = 100, scopes: Sequence[tuple[str, ...]] = (RUN,)) -> Intent:
    """An attempt of a picture for each payer."""
    keys = tuple(Key(f"k{number}-{place}") for place in range(len(scopes)))
    parts = tuple((JobId(place), (0,)) for place in range(len(scopes)))
    lane = Lane("key", "gpt-image-2")
    begun = NOW + number
    return Intent(
        AttemptId(number), CallId(number), Purpose.GENERATE, "images.generate", lane, keys, parts, tuple(scopes), quote,
        begun, "default", "1024x1024", "low",
    )  # fmt: skip


def settled(begun: Intent, charge: int | None) -> Settled:
    """It was paid, and its pictures were lost."""
    return Settled(begun.attempt, begun.keys, tuple(Ref("") for _ in begun.keys), None, charge, NOW)


def write(folder: Path, entries: Sequence[Entry]) -> tuple[Path, Path]:
    """The same entries in the journal of a folder and in a ledger."""
    with Journal.open(folder / "out") as journal:
        assert [None] * len(entries) == [written.fault for written in journal.append(entries)]
        with Ledger.open(folder / "ledger.sqlite") as ledger:
            ledger.begin(NOW, str(journal.folder))
            assert ledger.append(entries) is None
    return folder / "out", folder / "ledger.sqlite"


amounts = st.none() | st.integers(0, 10**15)
endings = st.sampled_from(["settled", "failed", "maybe", "void", "none"])
payers = st.lists(st.sampled_from([RUN, ACME, ("run", "tag:web")]), min_size=1, max_size=3)


@given(st.lists(st.tuples(endings, amounts, amounts, payers), max_size=6))
@settings(max_examples=40)
def test_a_folder_and_a_ledger_agree(told: list[tuple[str, int | None, int | None, list[tuple[str, ...]]]]) -> None:
    """Written to both, attempts come to the same sums by everything that both know; read together they count once."""
    entries: list[Entry] = []
    for number, (ending, quote, amount, scopes) in enumerate(told):
        begun = intent(number, quote, scopes)
        ends: dict[str, Entry] = {
            "settled": settled(begun, amount),
            "failed": Failed(begun.attempt, "server_error", amount, NOW),
            "maybe": Maybe(begun.attempt, "timeout", amount, NOW),
            "void": Void(begun.attempt, "no longer wanted", NOW),
        }
        entries += [begun, *([ends[ending]] if ending in ends else [])]
    with TemporaryDirectory() as name:
        folder, ledger = write(Path(name), entries)
        mine, theirs = read_folder(folder).items, read_ledger(ledger).items
        assert total(mine) == total(theirs)
        for dimension in ("day", "provider", "model", "size", "quality", "credential", "tenant", "tag"):
            assert by(mine, dimension) == by(theirs, dimension)
        both, reverse = read_books([folder, ledger]), read_books([ledger, folder, ledger])
        assert total(mine) == total(both.items) == total(reverse.items)
        assert by(theirs, "size") == by(both.items, "size")


def test_every_ending_counts_as_what_it_is(tmp_path: Path) -> None:
    """Paid, failed for money, in doubt, cut off, never sent; a price that nobody knows is counted, never guessed."""
    one, two, three, four, five, six = (intent(number) for number in range(6))
    folder, ledger = write(
        tmp_path,
        [
            one, settled(one, 90), two, Failed(two.attempt, "moderation_output", 30, NOW),
            three, Maybe(three.attempt, "timeout", 100, NOW), four, five, Void(five.attempt, "closed", NOW),
            six, Maybe(six.attempt, "timeout", None, NOW),
        ],
    )  # fmt: skip
    expected = Sums(attempts=5, failed=1, doubtful=3, charged=120, maybe=200, unknown=1)
    assert expected == total(read_folder(folder).items)
    assert expected == total(read_ledger(ledger).items)


def test_a_process_at_work_has_something_out(tmp_path: Path) -> None:
    """What it has sent and not ended is no doubt yet: it is told apart, with its bound."""
    with Journal.open(tmp_path / "out") as journal:
        journal.append([intent(1), intent(2, None)])
        items = read_folder(tmp_path / "out").items
        assert (Sums(), Out(2, 100, 1)) == (total(items), out_now(items))
    items = read_folder(tmp_path / "out").items
    assert (Sums(2, doubtful=2, maybe=100, unknown=1), Out()) == (total(items), out_now(items))


def test_several_payers_pay_their_parts(tmp_path: Path) -> None:
    """One attempt, whose amount is spread over its payers' tenants and tags."""
    begun = intent(1, scopes=(RUN, ACME))
    folder, ledger = write(tmp_path, [begun, settled(begun, 101)])
    for book in (read_folder(folder), read_ledger(ledger)):
        assert {"": 51, "acme": 50} == {name: sums.charged for name, sums in by(book.items, "tenant").items()}
        assert {"": 51, "summer": 50, "web": 50} == {name: one.charged for name, one in by(book.items, "tag").items()}
        assert 1 == total(book.items).attempts


def test_the_day_is_that_of_the_reservation(tmp_path: Path) -> None:
    """In UTC, also where the attempt began when the next day had come."""
    begun = intent(1, scopes=(("run", "2026-11-21/run", "2026-11/run"),))
    folder, ledger = write(tmp_path, [begun, settled(begun, 1)])
    assert {"2026-11-21"} == by(read_folder(folder).items, "day").keys() == by(read_ledger(ledger).items, "day").keys()
    begun = intent(2)
    (tmp_path / "other").mkdir()
    folder, _ = write(tmp_path / "other", [begun, settled(begun, 1)])
    assert {"2026-11-22"} == by(read_folder(folder).items, "day").keys()


def test_a_folder_without_rows_remembers_what_was_asked(tmp_path: Path) -> None:
    """A client's journal, too, knows provider, size and quality; of an attempt whose beginning is lost nobody does."""
    begun = intent(1)
    folder, ledger = write(tmp_path, [begun, settled(begun, 1)])
    for dimension, name in (("provider", "default"), ("size", "1024x1024"), ("quality", "low")):
        assert (
            [name] == list(by(read_folder(folder).items, dimension)) == list(by(read_ledger(ledger).items, dimension))
        )
    with Journal.open(folder) as journal:
        journal.append([settled(intent(2), 1)])
    assert [NOT_KNOWN, "low"] == list(by(read_folder(folder).items, "quality"))


def test_what_each_payer_was_charged_is_kept(tmp_path: Path) -> None:
    """Where the engine charged payers unevenly, the journal's balances and both books say so, not an even share."""
    begun = intent(1, 200, (RUN, ACME))
    folder, ledger = write(tmp_path, [begun, evolve(settled(begun, 101), charges=(1, 100))])
    for book in (read_folder(folder), read_ledger(ledger)):
        assert {"": 1, "acme": 100} == {name: sums.charged for name, sums in by(book.items, "tenant").items()}
    with Journal.open(folder) as journal:
        books = dict(journal.balances().scopes)
        assert (101, 100) == (books["run"].charged, books["tenant:acme"].charged)
        tallies = journal.account().tallies
        assert [1, 100] == [tallies[1, JobId(place)].charged for place in range(2)]


def test_a_charge_that_nobody_knows_keeps_its_bound(tmp_path: Path) -> None:
    """After a restart, too, a cap counts what the engine counted: the bound, as maybe."""
    begun = intent(1, 200)
    folder, _ = write(tmp_path, [begun, settled(begun, None)])
    with Journal.open(folder) as journal:
        assert (0, 200, 1) == (
            journal.balances().total.charged, journal.balances().total.maybe, journal.balances().total.unknown,
        )  # fmt: skip


def read_keys(folder: Folder) -> list[Key]:
    """The keys of the pictures of a folder."""
    with closing(sqlite3.connect(folder.path / "journal.sqlite")) as db:
        return [Key(key) for (key,) in db.execute("SELECT key FROM pictures")]


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


def test_a_batch_is_told_as_its_summary_tells_it(tmp_path: Path, sim: SimServer) -> None:
    """Spent and saved are the same to the picodollar; pictures, model, size and quality are as the rows asked."""
    folder: Folder = folder_for(tmp_path / "out", sim)
    folder.run(table(["a", "b", "a", "a"]))
    sums = folder.sums()
    found = read_folder(folder.path).items
    assert (2, 2, 2) == (total(found).pictures, total(found).attempts, total(found).reused)
    assert sums["cost_usd"] == format((Decimal(total(found).charged) / 10**12).normalize(), "f")
    assert sums["saved_usd"] == format((Decimal(total(found).saved) / 10**12).normalize(), "f")
    assert (["gpt-image-2"], ["1024x1024"], ["low"]) == tuple(
        list(by(found, name)) for name in ("model", "size", "quality")
    )


def test_pictures_that_were_moved_away_came_all_the_same(tmp_path: Path, sim: SimServer) -> None:
    """What a picture cost, and what was saved, stays true when somebody takes the files out of the folder."""
    folder: Folder = folder_for(tmp_path / "out", sim)
    folder.run(table(["a", "b", "a"]))
    before = read_folder(folder.path)
    for path in (folder.path / "images").iterdir():
        path.unlink()
    assert before == read_folder(folder.path)
    assert (2, 1) == (total(before.items).pictures, total(before.items).reused)


def test_what_rows_asked_for_before_is_remembered(tmp_path: Path, sim: SimServer) -> None:
    """Rows that ask for another quality now: what was bought before is told as what it was."""
    folder: Folder = folder_for(tmp_path / "out", sim)
    folder.run(table(["a", "a"]))
    folder.run(table(["a", "a"], Defaults("gpt-image-2", "1024x1024", "medium")))
    found = read_folder(folder.path).items
    assert ({"low": 1, "medium": 1}, {"low": 1, "medium": 1}) == (
        {name: sums.attempts for name, sums in by(found, "quality").items()},
        {name: sums.reused for name, sums in by(found, "quality").items()},
    )
    assert ["gpt-image-2"] == list(by(found, "model"))


def test_a_try_that_failed_brought_no_picture(tmp_path: Path, sim: SimServer) -> None:
    """Also where another try of the same picture did."""
    folder: Folder = folder_for(tmp_path / "out", sim)
    folder.run(table(["a"]))
    (key,) = read_keys(folder)
    failed = evolve(intent(7), keys=(key,))
    with Journal.open(folder.path) as journal:
        journal.append([failed, Failed(failed.attempt, "server_error", 0, NOW)])
    found = total(read_folder(folder.path).items)
    assert (2, 1, 1) == (found.attempts, found.failed, found.pictures)


def test_money_without_an_intent_does_not_vanish(tmp_path: Path) -> None:
    """An end whose beginning is lost counts on the day of the end."""
    begun = intent(1)
    with Journal.open(tmp_path / "out") as journal:
        journal.append([settled(begun, 7)])
    assert {"2026-11-22": 7} == {
        day: sums.charged for day, sums in by(read_folder(tmp_path / "out").items, "day").items()
    }


def test_what_is_neither_folder_nor_ledger_is_refused(tmp_path: Path) -> None:
    """A folder without a journal, a file that is none, one that is not there; nothing is made."""
    (tmp_path / "text").write_text("hello", encoding="utf-8")
    with pytest.raises(JournalError, match="holds no journal"):
        read_books([tmp_path])
    for name in ("text", "gone"):
        with pytest.raises(LedgerError, match=name):
            read_books([tmp_path / name])
    assert ["text"] == [path.name for path in tmp_path.iterdir()]


def test_an_attempt_that_lost_its_picture_brought_none(tmp_path: Path) -> None:
    """Also once the same picture was bought again: the second one alone counts it, and both are charged."""
    lost = intent(1)
    again = evolve(intent(2), keys=lost.keys)
    with Journal.open(tmp_path / "out") as journal:
        picture = journal.payloads.keep(b"\x89PNG\r\n\x1a\n")
        came = evolve(settled(again, 60), refs=(picture,))
        assert [None] * 4 == [one.fault for one in journal.append([lost, settled(lost, 50), again, came])]
    sums = total(read_folder(tmp_path / "out").items)
    assert (2, 1, 110) == (sums.attempts, sums.pictures, sums.charged)
