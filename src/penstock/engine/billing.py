"""Who pays: the payer of a sample is the first who still asks for it. What he pays is booked on his job."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from penstock.commands import BudgetLow, Charged, Excess
from penstock.engine.entities import Bill, Job
from penstock.engine.sums import dollars, quote
from penstock.engine.tables import AttemptState, CallState
from penstock.entries import Failed, Maybe
from penstock.money.charge import charge as charged
from penstock.money.ledger import Share
from penstock.money.shares import nth, spread, within
from penstock.three import Three

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.engine.desk import Desk
    from penstock.engine.entities import Ask, Attempt, Call, Flight
    from penstock.judging.judgement import Judgement
    from penstock.readings import Usage


def payer(asks: list[Ask]) -> Ask | None:
    """The first of `asks` whose job still waits."""
    for ask in asks:
        if not ask.job.finished:
            return ask
    return None


def bill(desk: Desk, call: Call) -> Bill | None:
    """Who pays for what of `call` now, on the books of this day; None where nobody waits for any of it.

    Every flight of the call must have a live ask (`Calls` sheds the others before the call is queued).
    """
    quote = call.group.bound(call.target)
    if call.question is not None:
        owner = call.question.owner
        ask = None if isinstance(owner, Job) else payer(owner.asks)
        job = owner if isinstance(owner, Job) else (ask.job if ask else None)
        if job is None:
            return None
        return Bill((job,), ((job.id, ()),), (_share(_scopes(desk, job), quote),), (), job.work.handle, 0)
    if len(call.flights) == 1:
        ask = payer(call.flights[0].asks)
        if ask is None:
            return None
        job = ask.job
        if call.target.array:
            quote = _bound(call, [ask])
        jobs, parts = (job,), ((job.id, (ask.index,)),)
        return Bill(jobs, parts, (_share(_scopes(desk, job), quote),), jobs, job.work.handle, ask.target)
    return _joint(desk, call)


def _scopes(desk: Desk, job: Job) -> tuple[str, ...]:
    return desk.ledger.scopes(job.scopes(), desk.unix()) if desk.config.ledger else job.scopes()


@lru_cache(maxsize=1024)
def _share(scopes: tuple[str, ...], amount: int | None) -> Share:
    """A share; the same one again where it says the same, as making a frozen value costs more than finding one."""
    return Share(scopes, amount)


def _joint(desk: Desk, call: Call) -> Bill | None:
    """A payer's samples stand together, in the call as in its parts: a reply has them in that order."""
    asks: dict[Job, list[Ask]] = {}
    flights: dict[Job, list[Flight]] = {}
    for flight in call.flights:
        ask = payer(flight.asks)
        if ask is None:
            return None
        asks.setdefault(ask.job, []).append(ask)
        flights.setdefault(ask.job, []).append(flight)
    if not asks:
        return None
    if len(asks) > 1:
        call.flights[:] = [flight for mine in flights.values() for flight in mine]
    parts = tuple((job.id, tuple(ask.index for ask in mine)) for job, mine in asks.items())
    shares = tuple(_share(_scopes(desk, job), _bound(call, mine)) for job, mine in asks.items())
    payers = tuple(ask.job for mine in asks.values() for ask in mine)
    first = payer(call.flights[0].asks)
    return None if first is None else Bill(tuple(asks), parts, shares, payers, first.job.work.handle, first.target)


def _bound(call: Call, asks: list[Ask]) -> int | None:
    """What these samples may cost at most."""
    if not call.target.array:
        one = call.group.bound(call.target)
        return None if one is None else one * len(asks)
    charge, quote = call.group.excess
    quotes = [ask.quote() for ask in asks]
    known = [one for one in quotes if one is not None]
    return None if len(known) < len(quotes) else sum(-(-one * charge // quote) for one in known)


def pays_now(ask: Ask, *, sent: bool = False) -> bool:
    """Whether an attempt is out (or, unless it must be `sent`, about to be) that this sample's job pays."""
    call = ask.flight.call if ask.flight is not None else None
    if call is None or call.state is not CallState.RUNNING:
        return False
    out = [attempt for attempt in call.out if not sent or attempt.state is not AttemptState.RECORDING]
    return any(payer is ask.job for attempt in out for payer in attempt.bill.jobs)


def book(desk: Desk, job: Job, charge: int | None, maybe: int = 0) -> None:
    """Book money on a job; one that has had its Finish is told by a notice."""
    if charge is None:
        job.unpriced = True
    else:
        job.charge += charge
    job.maybe += maybe
    if job.finished:
        desk.notify(Charged(job.id, charge, maybe))


def settle_money(desk: Desk, attempt: Attempt, charges: tuple[int | None, ...]) -> None:
    """End the reservation of an attempt with what each payer is charged; what comes back may let others go.

    Where that is unknown (None), he may have been billed his bound, which stays booked so.
    """
    call = attempt.call
    if len(charges) > 1:
        # a reply that brought one payer's pictures may cost what was set aside for all of them
        charges = within(charges, tuple(share.amount for share in attempt.bill.shares))
    attempt.charges = charges
    excess = desk.ledger.settle(attempt.reservation, charges)
    _ended(desk, attempt.bill)
    bound = quote(attempt)
    total = sum(cost or 0 for cost in charges)
    if excess and bound is not None and total > bound:
        desk.count("excess", total - bound)
        desk.notify(Excess(call.target.model, bound, total))
        call.group.exceeded(total, _quoted(call, attempt, bound))
        for job in attempt.bill.jobs:
            job.remark(f"{call.target.model}: {dollars(total)} was charged, above the bound of {dollars(bound)}")
    for job, share, cost in zip(attempt.bill.jobs, attempt.bill.shares, charges, strict=True):
        if cost is None:
            book(desk, job, None, share.amount or 0)
            if share.amount is not None:
                job.remark(f"the reply does not say what it cost: at most {dollars(share.amount)}, as far as is known")
        elif cost or job.finished:
            book(desk, job, cost)


def _quoted(call: Call, attempt: Attempt, bound: int) -> int:
    """What an attempt's bound was before it was raised by an excess."""
    if not call.target.array:
        return (call.target.quote or 0) * max(1, len(attempt.flights))
    charge, quoted = call.group.excess
    return max(1, bound * quoted // charge)


def _ended(desk: Desk, invoice: Bill) -> None:
    """A reservation ended: others may go, and a cap may be nearly used."""
    desk.refund(invoice.shares)
    for low in desk.ledger.low():
        desk.notify(BudgetLow(low.scope, low.used, low.cap))


def share_cost(desk: Desk, attempt: Attempt, places: Mapping[int, int], cost: int | None, usage: Usage | None) -> None:
    """Spread charge and usage over what came, the remainder on the first, each to its payer."""
    invoice = attempt.bill
    if len(invoice.jobs) == 1:
        job = invoice.jobs[0]
        if usage is not None:
            job.usage = usage if job.usage is None else job.usage + usage
        settle_money(desk, attempt, (cost,))
        return
    if not places:
        settle_money(desk, attempt, spread(cost, len(invoice.jobs)))
        return
    charges: dict[Job, int | None] = dict.fromkeys(invoice.jobs, 0)
    usages = usage.split(len(places)) if usage is not None else ()
    for place, number in places.items():
        job = invoice.payers[place]
        price, before = nth(cost, len(places), number), charges[job]
        charges[job] = None if price is None or before is None else before + price
        if usages:
            job.usage = usages[number] if job.usage is None else job.usage + usages[number]
    # of a cost that nobody knows each of them may bear his bound, whoever got the pictures
    settle_money(desk, attempt, tuple(charges.values()) if cost is not None else (None,) * len(charges))


def book_failure(desk: Desk, attempt: Attempt, judgement: Judgement, usage: Usage | None) -> Failed | Maybe:
    """What a failure costs: nothing, what the provider says, or perhaps the bound; its journal entry."""
    invoice = attempt.bill
    if judgement.billed is Three.MAYBE:
        desk.ledger.maybe(attempt.reservation)
        _ended(desk, invoice)
        for job, share in zip(invoice.jobs, invoice.shares, strict=True):
            book(desk, job, None if share.amount is None else 0, share.amount or 0)
        return Maybe(attempt.id, judgement.kind, quote(attempt), desk.unix())
    cost: int | None = 0
    if judgement.billed is Three.YES:
        cost = charged(usage, attempt.call.target.rates, len(attempt.flights), quote(attempt))
    settle_money(desk, attempt, spread(cost, len(invoice.shares)))
    return Failed(attempt.id, judgement.kind, cost, desk.unix(), attempt.charges)
