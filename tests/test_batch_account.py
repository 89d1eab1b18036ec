"""What the journal's books say of jobs and pictures: sums by payer, doubts, what was never sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from penstock.config import Used
from penstock.entries import Entry, Failed, Intent, Lane, Maybe, Published, Settled, Void
from penstock.ids import AttemptId, CallId, JobId, Key, Ref
from penstock.readings import Usage
from penstock.work import Purpose
from penstock_io.journal import Account, Journal, Tally

LANE = Lane("key", "model")
A, B = Key("a"), Key("b")
ONE = ((JobId(1), (0,)),)
RUN = (("run",),)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal in an empty folder."""
    with Journal.open(tmp_path / "out") as opened:
        yield opened


def intent(
    attempt: int, keys: tuple[Key, ...] = (A,), parts: tuple[tuple[JobId, tuple[int, ...]], ...] = ONE
) -> Intent:
    """An attempt of 900 picodollars at most."""
    scopes = RUN * len(parts)
    return Intent(
        AttemptId(attempt), CallId(1), Purpose.GENERATE, "images.generate", LANE, keys, parts, scopes, 900, 1.0
    )


def settled(journal: Journal, attempt: int, charge: int | None, keys: tuple[Key, ...] = (A,)) -> Settled:
    """Its pictures arrived."""
    refs = tuple(journal.payloads.keep(b"\x89PNG\r\n\x1a\n" + key.encode()) for key in keys)
    return Settled(AttemptId(attempt), keys, refs, Usage(output_image=11), charge, 2.0)


def account(journal: Journal, *entries: Entry) -> Account:
    """The books after these entries."""
    assert [None] * len(entries) == [written.fault for written in journal.append(entries)]
    return journal.account()


def test_what_a_job_paid_adds_up(journal: Journal) -> None:
    """A failed attempt that cost nothing, one that may have cost its bound, one that was charged: three attempts."""
    books = account(
        journal,
        *(intent(1), Failed(AttemptId(1), "server_error", 0, 1.5)),
        *(intent(2), Maybe(AttemptId(2), "uncertain", 900, 1.6)),
        *(intent(3), settled(journal, 3, 700)),
    )
    job = (journal.run, JobId(1))
    assert {job: Tally(3, 700, 900, unpriced=False, usage=Usage(output_image=11))} == books.tallies
    assert (3, {A: 700}, {A: frozenset({job})}) == (books.attempts, books.prices, books.payers)


def test_a_call_is_shared_out_among_its_payers(journal: Journal) -> None:
    """Charge and usage of one attempt for two jobs: integers, the remainder on the first."""
    parts = ((JobId(1), (0,)), (JobId(2), (0,)))
    books = account(journal, intent(1, (A, B), parts), settled(journal, 1, 701, (A, B)))
    first, second = (books.tallies[journal.run, JobId(n)] for n in (1, 2))
    assert (351, 350) == (first.charged, second.charged)
    assert (Usage(output_image=6), Usage(output_image=5)) == (first.usage, second.usage)


def test_what_was_never_sent_counts_for_nothing(journal: Journal) -> None:
    """An intent that was voided is no attempt, and does not clear an earlier doubt."""
    books = account(
        journal,
        *(intent(1), Maybe(AttemptId(1), "uncertain", 900, 1.6)),
        *(intent(2), Void(AttemptId(2), "closed", 1.7)),
    )
    assert (1, {A: 900}) == (books.attempts, books.doubts)


def test_a_doubt_lasts_until_a_picture_ends_it(journal: Journal) -> None:
    """Only a picture clears the doubt about a key: another attempt that brought nothing leaves it.

    A second doubt takes its place, with its own bound; what both may have cost adds up.
    """
    doubtful = account(journal, intent(1), Maybe(AttemptId(1), "uncertain", 900, 1.6))
    assert {A: 900} == doubtful.doubts
    assert {A: 900} == account(journal, intent(2), Failed(AttemptId(2), "server_error", 0, 1.7)).doubts
    again = account(journal, intent(5), Maybe(AttemptId(5), "uncertain", 100, 1.75))
    assert ({A: 100}, {A: 1000}) == (again.doubts, again.risked)
    unknown = account(journal, intent(6), Maybe(AttemptId(6), "uncertain", None, 1.8))
    assert ({A: None}, {A: None}) == (unknown.doubts, unknown.risked)
    known = account(journal, intent(7), Maybe(AttemptId(7), "uncertain", 100, 1.9))
    assert ({A: 100}, {A: None}) == (known.doubts, known.risked)
    books = account(journal, intent(8), settled(journal, 8, 700))
    assert ({}, {}) == (books.doubts, books.risked)


def test_how_long_a_picture_took_is_that_of_the_attempt_that_brought_it(journal: Journal) -> None:
    """From its intent to its end, whatever was tried before; a clock that was set back makes it nothing."""
    books = account(journal, intent(1), Maybe(AttemptId(1), "uncertain", 900, 9.0), intent(2), settled(journal, 2, 700))
    assert {A: 1.0} == books.took
    late = evolve(intent(3, (B,)), at=5.0)
    assert {A: 1.0, B: 0.0} == account(journal, late, settled(journal, 3, 700, (B,))).took


def test_an_unknown_charge_is_not_zero(journal: Journal) -> None:
    """A job that paid an unknown price says so."""
    books = account(journal, intent(1), settled(journal, 1, None))
    assert books.tallies[journal.run, JobId(1)].unpriced
    assert {A: None} == books.prices


def test_what_was_published_is_known_by_job_and_key(journal: Journal) -> None:
    """The file of each picture that a job showed."""
    journal.name(JobId(1), {A: "kettle"})
    account(journal, intent(1), settled(journal, 1, 700))
    found = journal.look_up(A)
    books = account(journal, Published(JobId(1), (A,), (found[1] if found else Ref(""),), 3.0))
    assert {(journal.run, JobId(1)): {A: "images/kettle.png"}} == books.shown


def test_orphans_of_a_killed_run_stay_listed(tmp_path: Path) -> None:
    """Resolved, an orphan is a doubt with its bound, and listed from then on."""
    with Journal.open(tmp_path / "out") as journal:
        account(journal, intent(1))
    with Journal.open(tmp_path / "out") as journal:
        (orphan,) = journal.orphans()
        journal.resolve(orphan.run, orphan.attempt)
        books = journal.account()
    assert [(1, AttemptId(1), (A,), 900)] == [(o.run, o.attempt, o.keys, o.bound) for o in books.orphans]
    assert {A: 900} == books.doubts


def test_what_was_tried_in_spite_of_a_doubt_is_counted(journal: Journal) -> None:
    """A second attempt at a doubtful picture counts unless it cost nothing for certain; a picture ends the doubt."""
    books = account(
        journal, intent(1), Maybe(AttemptId(1), "uncertain", 900, 1.0), intent(2), Void(AttemptId(2), "", 1.0)
    )
    assert (Used(1, 0, 900, 0), frozenset()) == (books.used, books.again)
    books = account(journal, intent(3), Failed(AttemptId(3), "rate_limited", 0, 1.0))
    assert (Used(2, 0, 1800, 0), frozenset()) == (books.used, books.again)
    books = account(journal, intent(4), Maybe(AttemptId(4), "uncertain", 900, 1.0), intent(5, (B,)))
    assert (Used(4, 1, 3600, 900), frozenset({A})) == (books.used, books.again)
    books = account(journal, intent(6), settled(journal, 6, 700))
    assert (Used(5, 2, 4500, 1800), frozenset()) == (books.used, books.again)
