"""Small sums about an attempt: its bound, its tokens, its pictures in order, its charge spread, its failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events import Failed
from penstock.outcomes import Trouble
from penstock.readings import Malformed, Problem

if TYPE_CHECKING:
    from penstock.engine.entities import Attempt
    from penstock.events import Responded
    from penstock.judging.judgement import Judgement
    from penstock.readings import Part, Usage


def quote(attempt: Attempt) -> int | None:
    """The bound of what an attempt costs, as it was reserved, in picodollars; None is unknown."""
    total = 0
    for share in attempt.bill.shares:
        if share.amount is None:
            return None
        total += share.amount
    return total


def tokens_of(usage: Usage) -> int:
    """All tokens of a usage: what it takes from a token bucket."""
    return (
        usage.input_text
        + usage.input_cached_text
        + usage.input_image
        + usage.input_cached_image
        + usage.output_image
        + usage.output_text
    )


def sort_parts(parts: tuple[Part, ...], count: int) -> tuple[list[Part], list[Part]]:
    """Pictures of a reply in order, each place once, and what is more than was bought."""
    if count and len(parts) == 1 and parts[0].index == 0:
        return list(parts), []
    kept: dict[int, Part] = {}
    surplus: list[Part] = []
    for part in parts:
        if 0 <= part.index < count and part.index not in kept:
            kept[part.index] = part
        else:
            surplus.append(part)
    return [kept[index] for index in sorted(kept)], surplus


def nth(total: int | None, count: int, place: int) -> int | None:
    """The share of picture `place` of `count` in a sum: integers, the remainder on the first."""
    if total is None or count == 0:
        return None
    return total // count + (total % count if place == 0 else 0)


def spread(total: int | None, count: int) -> tuple[int | None, ...]:
    """A sum over `count` shares: integers, the remainder on the first."""
    return tuple(nth(total, count, place) for place in range(count))


def trouble_of(judgement: Judgement, fact: Responded | Failed) -> Trouble:
    """An attempt's failure in words, with the provider's own codes."""
    if isinstance(fact, Failed):
        return Trouble(judgement.kind, f"{fact.kind.value} ({fact.reached.value})")
    reading = fact.reading
    if isinstance(reading, Problem):
        return Trouble(judgement.kind, reading.message, fact.status, reading.code or reading.type)
    if isinstance(reading, Malformed):
        return Trouble(judgement.kind, f"the reply could not be read: {reading.reason}", fact.status)
    return Trouble(judgement.kind, "the reply had no picture", fact.status)
