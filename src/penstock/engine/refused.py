"""What a provider refused as such, remembered for a while: nobody asks it again for what it has just said no to.

Only final refusals of the request itself, in the provider's own words, before anything was made: a prompt that a
moderation blocks, a parameter that is not taken. By key, so that no tenant hears of another's; in memory, because what
a provider takes changes with time, and a store outlives that. Who asks by `refresh` or `off` asks the provider.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from attrs import evolve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.engine.entities import Flight
    from penstock.ids import Key
    from penstock.outcomes import Trouble

KINDS = frozenset({"invalid", "moderation"})
"""Troubles that say the same whenever they are asked for."""

MOST = 10_000
"""So many refusals are remembered; the oldest go first."""


class Refused:
    """Refusals by key, with when (absolute seconds) they were heard."""

    def __init__(self) -> None:
        self._heard: OrderedDict[Key, tuple[float, Trouble]] = OrderedDict()

    def note(self, flights: Iterable[Flight], trouble: Trouble, now: float) -> None:
        """These were refused, and may be shared with whoever asks for the same."""
        if trouble.kind not in KINDS:
            return
        for key in [flight.key for flight in flights if flight.stores]:
            self._heard[key] = (now, trouble)
            self._heard.move_to_end(key)
        while len(self._heard) > MOST:
            self._heard.popitem(last=False)

    def found(self, key: Key, now: float, life: float | None) -> Trouble | None:
        """What the provider said of this less than `life` seconds ago, and that it is remembered; None: nothing."""
        heard = self._heard.get(key)
        if heard is None or life is None:
            return None
        at, trouble = heard
        if now - at >= life:
            del self._heard[key]
            return None
        return evolve(trouble, message=f"{trouble.message} (said {now - at:.0f} s ago; asked again after {life:g} s)")
