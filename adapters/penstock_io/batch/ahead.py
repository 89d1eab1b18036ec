"""The time to go: by the pace of the last minute, and never less than the limits that are known let be.

After a burst the pace alone promises seconds where a limit of ten a minute makes it minutes, and while every key rests
it promises what nobody can keep. So what is said is the longest of three: the pace's, what the buckets of all open
lanes together have room for, and the wait that stands on the same line.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from attrs import frozen

from penstock.admission.quota import QuotaFigures
from penstock.engine.figures import LaneFigures
from penstock_io.batch.pace import Mix

REST = 1.0
"""Seconds up to which a lane that lets nothing through does not count as one that rests: a reply may end that."""


@frozen
class _Room:
    """What a lane lets through, in pictures: nothing for `opens` seconds, then `level`, and `rate` a second besides."""

    opens: float
    level: float
    rate: float


def to_go(
    pace: float | None, lanes: Iterable[LaneFigures], mix: Mix, now: float, *, left: float, coming: float, until: float
) -> float | None:
    """Seconds to go; None where nobody can say.

    `pace` is what the last minute says, `left` pictures are not sent yet, `coming` of them in no line so far, and
    `until` (absolute seconds) is the end of the wait that is shown.
    """
    rooms = _rooms([lane for lane in lanes if coming or lane.waiting], mix, now, left)
    if left > 0 and (not rooms or (rooms[0].opens > REST and any(room.rate == inf for room in rooms))):
        return None
    seconds = _through(rooms, left) if left > 0 else 0.0
    known = [one for one in (pace, seconds) if one]
    return max(*known, until - now) if known else pace


def _rooms(lanes: Iterable[LaneFigures], mix: Mix, now: float, left: float) -> list[_Room]:
    """What the lanes that are open let through, those of one quota once."""
    found = {(lane.credential, lane.pool): lane for lane in lanes if lane.closed is None}
    rooms: list[_Room] = []
    for lane in found.values():
        opens = max(0.0, (lane.until or now) - now, (lane.quota.blocked_until or now) - now)
        rooms.append(_tightest(lane.quota, mix, opens, left / len(found)))
    return sorted(rooms, key=lambda room: room.opens)


def _tightest(quota: QuotaFigures, mix: Mix, opens: float, share: float) -> _Room:
    """The limit of a quota that lets `share` pictures through last."""
    tightest, latest = _Room(opens, 0.0, inf), -inf
    for gauge, worth in mix.gauges(quota):
        if gauge.per_minute is None or not 0 < gauge.per_minute < inf:
            continue
        rate = gauge.per_minute * worth / 60.0
        full = min(gauge.capacity * worth, gauge.level * worth + rate * opens)
        room = _Room(opens, full - rate * opens, rate)
        if (share - room.level) / rate > latest:
            tightest, latest = room, (share - room.level) / rate
    return tightest


def _through(rooms: Iterable[_Room], left: float) -> float:
    """In how many seconds lanes, in the order in which they open, have let so many pictures through."""
    level = rate = 0.0
    seconds = inf
    for room in rooms:
        if room.opens >= seconds:
            break
        level, rate = level + room.level, rate + room.rate
        seconds = max(room.opens, (left - level) / rate)
    return seconds
