"""Small sums about an attempt: its bound, its tokens, its pictures in order, its failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events import Failed
from penstock.http import REQUEST_ID_HEADERS
from penstock.outcomes import Trouble
from penstock.readings import Kind, Malformed, Problem, Reached

if TYPE_CHECKING:
    from penstock.engine.entities import Attempt, Flight, Job
    from penstock.events import Headers, Responded
    from penstock.judging.judgement import Judgement
    from penstock.readings import Part, Usage


ERRORS = 400
"""Statuses from here on are errors; those below that are no success send elsewhere."""


def quote(attempt: Attempt) -> int | None:
    """The bound of what an attempt costs, as it was reserved, in picodollars; None is unknown."""
    total = 0
    for share in attempt.bill.shares:
        if share.amount is None:
            return None
        total += share.amount
    return total


def askers(flights: tuple[Flight, ...]) -> dict[Job, None]:
    """Whoever asks for them, each once."""
    return dict.fromkeys(ask.job for flight in flights for ask in flight.asks)


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


def paid_places(parts: list[Part], spoilt: tuple[int, ...], count: int) -> dict[int, int]:
    """The places of a reply that are paid, with their numbers in order: pictures, and what is spoilt."""
    came = {part.index for part in parts}
    came.update(place for place in spoilt if 0 <= place < count)
    return {place: number for number, place in enumerate(sorted(came))}


def dollars(picodollars: int) -> str:
    """An exact amount, as it is said in a sentence: "$0.211695"."""
    whole, rest = divmod(picodollars, 10**12)
    return f"${whole}.{rest:012d}".rstrip("0").rstrip(".")


FAILURES = {
    Kind.DNS: "the provider's name could not be looked up",
    Kind.CONNECT: "no connection to the provider",
    Kind.TLS: "no secure connection to the provider",
    Kind.ABORTED: "it was broken off",
    Kind.TOO_LARGE: "the reply is larger than any that is taken",
}
"""How an exchange ended, in words; time-outs and broken connections differ by how far it had got."""

STAGES = {
    Reached.NOTHING: "while it connected",
    Reached.CONNECTED: "before the request was sent",
    Reached.SENDING: "while the request was sent",
    Reached.SENT: "before the answer began",
    Reached.READING: "in the middle of the answer",
}


def trouble_of(judgement: Judgement, fact: Responded | Failed) -> Trouble:
    """An attempt's failure in words, with the provider's own codes and its name for the exchange."""
    if isinstance(fact, Failed):
        return Trouble(judgement.kind, _failure(fact))
    reading, code = fact.reading, None
    if isinstance(reading, Problem):
        code = reading.code or reading.type
    return Trouble(judgement.kind, _said(judgement, fact), fact.status, code, request_id(fact.headers))


def request_id(headers: Headers) -> str | None:
    """What the provider calls an exchange, where it says so."""
    told = dict(headers)
    return next((told[name] for name in REQUEST_ID_HEADERS if told.get(name)), None)


def _failure(fact: Failed) -> str:
    said = FAILURES.get(fact.kind)
    if said is None:
        said = f"{'the time was over' if fact.kind is Kind.TIMEOUT else 'the connection broke'} {STAGES[fact.reached]}"
    return f"{said}: {fact.detail}" if fact.detail else said


def _said(judgement: Judgement, fact: Responded) -> str:
    """What a reply says, as a sentence without its full stop."""
    reading = fact.reading
    words = reading.message.rstrip(" .") if isinstance(reading, Problem) else ""
    if judgement.kind == "no_endpoint" and not (words and isinstance(reading, Problem) and reading.own):
        leads = "leads elsewhere" if fact.status < ERRORS else "is none of the API's"
        return f"the address {leads}: it answered {fact.status}"
    if isinstance(reading, Problem):
        if not reading.own:
            return f"the answer {fact.status} is not the API's own" + (f": {words}" if words else "")
        return words or f"the provider answered {fact.status} and did not say why"
    if isinstance(reading, Malformed):
        return f"the reply could not be read: {reading.reason}"
    return "the reply had no picture"
