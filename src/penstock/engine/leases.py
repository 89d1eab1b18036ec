"""Leases: of several processes with one store only one makes a picture, and the others wait for it.

A lease is taken with the lookup and has to last until the picture is stored. A call may stand in line for hours, so its
leases run out there, and whoever asks next may take them: nothing is paid yet. Just before its intent they are looked
at again, as long as too little is left of them for a whole exchange. The call has left the line meanwhile, holds no
lane, and comes back to its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.work import CachePolicy

if TYPE_CHECKING:
    from penstock.engine.entities import Call, Flight

GRACE = 60.0
"""Seconds by which a lease outlives the exchange; as long it may wait for a lane before it is renewed."""


def span(flights: tuple[Flight, ...]) -> float:
    """For how many seconds a lease on these is taken: whoever asks has the longest time-out that counts."""
    return max((ask.aim().timeouts.total for flight in flights for ask in flight.asks), default=0.0) + 2 * GRACE


def stale(call: Call, now: float) -> bool:
    """Whether a lease would be over too soon after an exchange that began now."""
    return any(expiring(flight, call, now) for flight in call.flights)


def expiring(flight: Flight, call: Call, now: float) -> bool:
    """Whether this one is to be renewed. Who wants a new picture does not mind others that make it, too."""
    if flight.claim is None or flight.leased >= now + call.target.timeouts.total + GRACE:
        return False
    return all(ask.job.work.cache is not CachePolicy.REFRESH for ask in flight.asks)
