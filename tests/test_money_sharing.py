"""What each payer of an attempt pays: every sum whole, and nobody's more than his pictures' part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.money.shares import Paid, by_payer, doubted, ended, spread

PICTURES = st.lists(st.integers(0, 10), min_size=1, max_size=6)
AMOUNTS = st.integers(0, 10**15)


@given(AMOUNTS, PICTURES)
def test_a_sum_is_spread_whole(total: int, pictures: list[int]) -> None:
    """By pictures, evenly where there are none; the remainder is on the first who has a part, and less than a part."""
    parts = by_payer(total, pictures)
    assert total == sum(part or 0 for part in parts)
    weights = pictures if sum(pictures) else [1] * len(pictures)
    pieces = iter(spread(total, sum(weights)))
    assert [sum(next(pieces) or 0 for _ in range(weight)) for weight in weights] == list(parts)


@given(PICTURES)
def test_a_part_of_the_unknown_is_unknown(pictures: list[int]) -> None:
    """Of a sum that nobody knows, everybody's."""
    assert (None,) * len(pictures) == by_payer(None, pictures) == spread(None, len(pictures))


@given(PICTURES, st.none() | AMOUNTS, st.none() | AMOUNTS)
def test_a_charge_that_nobody_knows_keeps_its_bound(pictures: list[int], quote: int | None, charge: int | None) -> None:
    """Charged and maybe are each whole: the charge, or where it is not known the quote, or neither."""
    paid = ended(pictures, quote=quote, charge=charge)
    assert (charge or 0) == sum(one.charged for one in paid)
    assert {charge is None} == {one.unknown for one in paid}
    bounds = [one.maybe for one in paid]
    if charge is None and quote is None:
        assert [None] * len(pictures) == bounds
    else:
        assert (0 if charge is not None else quote) == sum(bound or 0 for bound in bounds)


@given(PICTURES, AMOUNTS, AMOUNTS)
def test_what_an_end_says_of_its_payers_goes_first(pictures: list[int], quote: int, charge: int) -> None:
    """Whatever an even share would be; a list of another length says nothing."""
    charges = [None if place == 1 else place for place in range(len(pictures))]
    bounds = by_payer(quote, pictures)
    expected = tuple(
        Paid(0, bound, unknown=True) if cost is None else Paid(cost)
        for cost, bound in zip(charges, bounds, strict=True)
    )
    assert expected == ended(pictures, quote=quote, charge=charge, charges=charges)
    plain = ended(pictures, quote=quote, charge=charge)
    assert plain == ended(pictures, quote=quote, charge=charge, charges=[*charges, 0])


@given(PICTURES, st.none() | AMOUNTS)
def test_a_doubt_is_its_bound(pictures: list[int], bound: int | None) -> None:
    """Nothing is charged; what may have been billed is the whole bound, or not known."""
    paid = doubted(pictures, bound)
    assert {0} == {one.charged for one in paid}
    assert by_payer(bound, pictures) == tuple(one.maybe for one in paid)
