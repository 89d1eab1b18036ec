"""What each payer of an attempt pays: the same in the engine, the journal and the ledger on disk.

Amounts are integer picodollars, None where nobody knows them; `pictures` says how many of them each payer asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


@frozen
class Paid:
    """What one payer was charged, and what he may have been billed besides (None: no price is known).

    `unknown`: nobody can tell what he was charged.
    """

    charged: int = 0
    maybe: int | None = 0
    unknown: bool = False


def ended(
    pictures: Sequence[int], *, quote: int | None, charge: int | None, charges: Sequence[int | None] = ()
) -> tuple[Paid, ...]:
    """An attempt that has its end: `charges` by payer where they are said, else `charge` by their pictures.

    Who was charged nobody knows what may have been billed his part of `quote`.
    """
    known = charges if charges and len(charges) == len(pictures) else by_payer(charge, pictures)
    return tuple(
        Paid(0, bound, unknown=True) if cost is None else Paid(cost)
        for cost, bound in zip(known, by_payer(quote, pictures), strict=True)
    )


def doubted(pictures: Sequence[int], bound: int | None) -> tuple[Paid, ...]:
    """An attempt that may have been billed, up to `bound`."""
    return tuple(Paid(0, amount) for amount in by_payer(bound, pictures))


def by_payer(total: int | None, pictures: Sequence[int]) -> tuple[int | None, ...]:
    """A sum over payers by their pictures, the remainder on the first who has one; evenly where nobody has any."""
    weights = pictures if sum(pictures) else [1] * len(pictures)
    if total is None or not weights:
        return (None,) * len(pictures)
    each, rest = divmod(total, sum(weights))
    first = next(place for place, weight in enumerate(weights) if weight)
    return tuple(each * weight + (rest if place == first else 0) for place, weight in enumerate(weights))


def nth(total: int | None, count: int, place: int) -> int | None:
    """The share of picture `place` of `count` in a sum: integers, the remainder on the first."""
    if total is None or count == 0:
        return None
    return total // count + (total % count if place == 0 else 0)


def spread(total: int | None, count: int) -> tuple[int | None, ...]:
    """A sum over `count` shares: integers, the remainder on the first."""
    return tuple(nth(total, count, place) for place in range(count))


def within(charges: tuple[int | None, ...], bounds: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The same sum, with no charge above its bound: what is above goes to those that have room, in their order.

    As they are where one is unknown, and where the sum is above all bounds together.
    """
    known = [charge for charge in charges if charge is not None]
    limits = [bound for bound in bounds if bound is not None]
    if len(known) < len(charges) or len(limits) < len(bounds) or sum(known) > sum(limits):
        return charges
    kept = [min(charge, limit) for charge, limit in zip(known, limits, strict=True)]
    over = sum(known) - sum(kept)
    for place, limit in enumerate(limits):
        more = min(over, limit - kept[place])
        kept[place] += more
        over -= more
    return tuple(kept)
