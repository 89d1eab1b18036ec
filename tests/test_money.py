"""Charges, and the ledger's caps and sums under any interleaving."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from penstock.config import Budget
from penstock.errors import UsageError
from penstock.money.balances import NOTHING, Balance, Balances
from penstock.money.charge import charge
from penstock.money.ledger import Fit, Ledger, Reservation, Share
from penstock.readings import Usage
from penstock.work import Rates

RATES = Rates(text=5_000_000, cached_text=1_250_000, image=8_000_000, cached_image=2_000_000, image_out=30_000_000)
RUN = ("run",)
SCOPES = (RUN, ("run", "tenant:acme"), ("run", "tenant:acme", "tag:summer"), ("run", "tag:summer"))
CAPS = (("run", 100), ("tenant:acme", 60), ("tag:summer", 30))


@pytest.mark.parametrize(
    ("usage", "rates", "pictures", "quote", "expected"),
    [
        (Usage(10, 0, 40, 0, 4160), RATES, 1, None, 10 * 5_000_000 + 40 * 8_000_000 + 4160 * 30_000_000),
        (Usage(10, 4, 0, 3, 1), RATES, 1, None, 10 * 5_000_000 + 4 * 1_250_000 + 3 * 2_000_000 + 30_000_000),
        (Usage(10, 4, 2, 3), Rates(text=5, image=7), 0, None, 14 * 5 + 5 * 7),
        (Usage(10, 4, 2, 3), Rates(text=5, image=7), 1, 10**9, None),
        (Usage(10, cost=123), RATES, 1, 9, 123),
        (Usage(10, cost=0), RATES, 0, 9, 0),
        (Usage(10, cost=0), RATES, 1, 10**9, None),
        (Usage(10, output_image=2, cost=0), RATES, 1, 10**9, 10 * 5_000_000 + 2 * 30_000_000),
        (Usage(cost=0), Rates(picture=40), 2, 9, 80),
        (Usage(cost=0), Rates(picture=0), 1, 9, 0),
        (Usage(cost=0), None, 1, 9, 0),
        (Usage(10, cost=123), None, 1, None, 123),
        (None, Rates(picture=40), 3, 9, 120),
        (Usage(), Rates(picture=40), 3, 9, 120),
        (Usage(), RATES, 1, 9, None),
        (None, RATES, 1, 9, None),
        (None, None, 1, 9, None),
        (Usage(10), RATES, 1, 10**9, None),
        (Usage(10), Rates(text=5, picture=40), 2, 10**9, 80),
        (None, None, 1, None, None),
        (Usage(), RATES, 1, None, None),
        (Usage(output_text=5), RATES, 1, None, None),
        (Usage(output_text=5), RATES, 1, 9, None),
        (Usage(10, output_text=5), Rates(text=5, text_out=7, image_out=9), 1, 10**9, None),
        (Usage(10, output_text=5), Rates(text=5, text_out=7, image_out=9), 0, 10**9, 50 + 35),
        (Usage(10, output_image=100_000, output_text=5), RATES, 1, 1000, 50_000_000 + 3_000_000_000_000),
    ],
)
def test_what_an_attempt_costs(
    usage: Usage | None, rates: Rates | None, pictures: int, quote: int | None, expected: int | None
) -> None:
    """The provider's own figure, then whole tokens, then pictures; else unknown, and never 0 for want of a price."""
    assert expected == charge(usage, rates, pictures, quote)


def test_fewer_pictures_than_were_asked_for_have_no_certain_price() -> None:
    """At a price a picture nobody knows whether those that did not come are billed, too."""
    rates = Rates(picture=40)
    assert (120, None) == (charge(None, rates, 3, 160, 3), charge(None, rates, 3, 160, 4))


def ledger(*caps: tuple[str, int], unknown: bool = False, opening: Balances = NOTHING) -> Ledger:
    """A ledger under these caps."""
    return Ledger(Budget(tuple(caps), unknown=unknown), opening)


def shares(amount: int | None, scopes: tuple[str, ...] = RUN) -> tuple[Share, ...]:
    """One share."""
    return (Share(scopes, amount),)


def test_what_fits() -> None:
    """Now, later when only reservations are in the way, never when what is gone is; free of charge always."""
    books = ledger(("run", 100))
    assert Fit.NOW is books.fits(shares(100))
    assert Fit.NEVER is books.fits(shares(101))
    first = books.reserve(shares(60))
    assert (Fit.NOW, Fit.LATER) == (books.fits(shares(40)), books.fits(shares(41)))
    books.settle(first, (60,))
    assert (Fit.NOW, Fit.NEVER, Fit.NOW) == (books.fits(shares(40)), books.fits(shares(41)), books.fits(shares(0)))


def test_every_scope_of_every_share_counts() -> None:
    """Shares of one attempt add up in the scopes that they have in common; the worst scope decides."""
    books = ledger(*CAPS)
    both = (Share(SCOPES[1], 20), Share(SCOPES[2], 20))
    assert Fit.NOW is books.fits(both)
    kept = books.reserve(both)
    assert Fit.LATER is books.fits(shares(21, SCOPES[1]))
    assert Fit.LATER is books.fits((Share(SCOPES[0], 5), Share(SCOPES[3], 11)))
    assert Fit.NEVER is books.fits((Share(SCOPES[0], 5), Share(SCOPES[3], 31)))
    books.void(kept)
    assert (Balance(refunded=40), Balance(refunded=20)) == (books.balances().total, books.balances().of("tag:summer"))


def test_an_unknown_price_under_a_cap() -> None:
    """It is a state of its own where a cap applies and the budget does not say otherwise, and no obstacle elsewhere."""
    assert Fit.UNKNOWN is ledger(("run", 100)).fits(shares(None))
    assert Fit.UNKNOWN is ledger(("tag:summer", 100)).fits((Share(RUN, 1), Share(SCOPES[3], None)))
    assert Fit.NOW is ledger(("tag:summer", 100)).fits(shares(None))
    assert Fit.NOW is ledger().fits(shares(None))
    books = ledger(("run", 100), unknown=True)
    assert 0 == books.settle(books.reserve(shares(None)), (None,))
    assert 0 == books.settle(books.reserve(shares(None)), (7,))
    books.maybe(books.reserve(shares(None)))
    assert Balance(charged=7, unknown=2) == books.balances().total


def test_an_excess_is_booked_and_told() -> None:
    """What was charged above the bound is paid all the same, and takes room from what follows."""
    books = ledger(("run", 100))
    assert 30 == books.settle(books.reserve(shares(60)), (90,))
    assert Balance(charged=90) == books.balances().total
    assert Fit.NEVER is books.fits(shares(11))
    assert 50 == books.settle(books.reserve(shares(10)), (60,))
    assert (Fit.NEVER, Fit.NOW) == (books.fits(shares(1)), books.fits(shares(0)))


def test_a_reservation_ends_once() -> None:
    """A second end of any kind raises and changes nothing; so do reserving without room and unmatched charges."""
    books = ledger(("run", 10))
    kept = books.reserve(shares(10))
    with pytest.raises(UsageError):
        books.reserve(shares(1))
    with pytest.raises(UsageError):
        books.settle(kept, (1, 2))
    books.maybe(kept)
    before = books.balances()
    for end in (books.void, books.maybe, lambda r: books.settle(r, (1,))):
        with pytest.raises(UsageError):
            end(kept)
    assert before == books.balances()
    assert Balance(maybe=10) == before.total


def test_earlier_sums_open_the_books() -> None:
    """A journal hands in what earlier runs spent; what they left reserved may have been billed."""
    opening = Balances((("run", Balance(10, 20, 5, 7, 1)), ("tag:summer", Balance(charged=20))))
    books = ledger(("run", 100), ("tag:summer", 25), opening=opening)
    assert Balance(0, 20, 15, 7, 1) == books.balances().total
    assert Fit.NEVER is books.fits(shares(66))
    assert Fit.NEVER is books.fits(shares(6, SCOPES[3]))
    assert Fit.NOW is books.fits(shares(65))


def test_another_budget() -> None:
    """New caps count at once, what is reserved stays, and lifted caps are gone."""
    books = ledger(("run", 100))
    kept = books.reserve(shares(80))
    books.rebudget(Budget((("run", 50),)))
    assert (Fit.LATER, Fit.NEVER) == (books.fits(shares(1)), books.fits(shares(51)))
    books.rebudget(Budget())
    assert Fit.NOW is books.fits(shares(10**30))
    books.settle(kept, (80,))
    assert 80 == books.balances().total.charged


amounts = st.lists(st.tuples(st.sampled_from(SCOPES), st.integers(0, 40)), min_size=1, max_size=3)


class Books(RuleBasedStateMachine):
    """Any interleaving of reservations and their ends."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = ledger(*CAPS)
        self.quoted: dict[str, int] = {}

    @rule(target=held, parts=amounts)
    def reserve(self, parts: list[tuple[tuple[str, ...], int]]) -> Reservation | None:
        """Reserve where it fits."""
        wanted = tuple(Share(scopes, amount) for scopes, amount in parts)
        if self.ledger.fits(wanted) is not Fit.NOW:
            return None
        for share in wanted:
            for scope in share.scopes:
                self.quoted[scope] = self.quoted.get(scope, 0) + (share.amount or 0)
        return self.ledger.reserve(wanted)

    @rule(kept=consumes(held), part=st.floats(0, 1), how=st.sampled_from(("settle", "void", "maybe", "unknown")))
    def end(self, kept: Reservation | None, part: float, how: str) -> None:
        """End it in one of the ways, within its bounds."""
        if kept is None:
            return
        bounds = [share.amount or 0 for share in kept.shares]
        if how == "settle":
            assert 0 == self.ledger.settle(kept, tuple(int(bound * part) for bound in bounds))
        elif how == "void":
            self.ledger.void(kept)
        elif how == "maybe":
            self.ledger.maybe(kept)
        else:
            self.ledger.settle(kept, (None,) * len(bounds))

    @invariant()
    def caps_hold_and_sums_add_up(self) -> None:
        """What is out is within the cap, and all that was ever quoted is in exactly one of the four sums."""
        balances = self.ledger.balances()
        for scope, cap in CAPS:
            balance = balances.of(scope)
            out = balance.reserved + balance.charged + balance.maybe
            assert 0 <= out <= cap
            assert min(balance.reserved, balance.charged, balance.maybe, balance.refunded) >= 0
            assert self.quoted.get(scope, 0) == out + balance.refunded


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
