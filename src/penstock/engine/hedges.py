"""A second attempt beside a slow one, within the allowance that it shares with ambiguous retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.engine.billing import payer
from penstock.engine.doubts import hedged, hedges
from penstock.engine.tables import AttemptState, CallInput, CallState

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.dispatch import Dispatch
    from penstock.engine.entities import Attempt
    from penstock.engine.moves import Bound


def hedge(desk: Desk, dispatch: Dispatch, attempt: Attempt) -> Bound | None:
    """The hedge timer of `attempt` went off: a lane for a second one, or None (nobody waits, no room, no allowance)."""
    call = attempt.call
    attempt.hedge = None
    alone = len(call.out) == 1 and attempt.state is AttemptState.OUT and not attempt.aborted
    if call.state is not CallState.RUNNING or not alone or not dispatch.may_send(call) or not call.live():
        return None
    if any(payer(flight.asks) is None for flight in call.flights):
        return None
    retry = desk.config.retry
    tries = max(
        [call.tries - retry.attempts, *(ask.tries - retry.most for flight in call.flights for ask in flight.asks)]
    )
    if tries + len(call.out) >= 0 or not hedges(desk, call):
        return None
    bound = dispatch.hedge(call)
    if bound is not None:
        hedged(desk, call)
        desk.count("hedges")
        desk.call_life.go(call, CallInput.HEDGE)
    return bound
