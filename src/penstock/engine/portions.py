"""How many pictures a call asks for at once, where larger calls are never let in and nobody says why.

A bucket may hold less than a call needs at once without any header or refusal that tells of it; asked for again as it
is, such a call is refused for ever. So one that is refused again and again goes on as two halves, and whatever is sent
later to that lane group is no larger. That is a guess (a provider may have refused everything for a while): after some
calls that were let in, twice as much is tried, each time that fails after twice as many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from penstock.engine.entities import Call
    from penstock.engine.lanes import Group

OFTEN, MINUTE, AGAIN = 4, 60.0, 2
"""How often rate limits refuse a call before it is halved, or how often where that has gone on for a minute (seconds),
in which buckets fill. What meets a limit that lets it in is hardly ever refused so often: it waits for what it lacks.
"""

FIRST, LAST = 8, 512
"""After how many calls that were let in twice as much is tried: at first, at most."""


@define(eq=False)
class Portion:
    """Of a lane group: calls of `refused` samples were never let in. `due` more that are let in, and more is tried."""

    refused: int
    due: int = FIRST
    wait: int = FIRST


class Portions:
    """What is known of lane groups whose largest calls are refused; of most, nothing."""

    def __init__(self) -> None:
        self._known: dict[Group, Portion] = {}

    def stuck(self, call: Call, now: float) -> bool:
        """A rate limit refused a call: whether it goes on in halves."""
        call.refusals += 1
        count = len(call.flights)
        long = call.refused is not None and now - call.refused >= MINUTE
        if call.refusals < (AGAIN if long else OFTEN) or count < 2 or not call.target.divisible:
            return False
        call.refusals = 0  # each half begins anew: a refusal may be for what the other one has just taken
        portion = self._known.get(call.group)
        if portion is None:
            portion = self._known[call.group] = Portion(count)
        elif count >= portion.refused:
            portion.wait = min(LAST, 2 * portion.wait)
        portion.refused, portion.due = count, portion.wait
        call.group.most = (count + 1) // 2
        return True

    def served(self, group: Group, count: int) -> None:
        """A call of so many samples was let in."""
        portion = self._known.get(group)
        if portion is None or group.most is None or count < group.most:
            return
        if count >= portion.refused:
            del self._known[group]
            group.most = None
            return
        portion.due -= 1
        if portion.due <= 0:
            group.most, portion.due = 2 * count, portion.wait
