"""What the quotas of one provider's keys tell each other while they run: they most likely have the same limits.

Some even have the same bucket: two keys of one organization, of which nobody said so. A refusal that names its limit
may name whose limit it is, too. Where several quotas hear of the same owner for the same limit, and it lets in less
than it says, each goes by its share of it, until it is alone again.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define, field

from penstock.admission.gaps import Known
from penstock.admission.suspects import Sizes
from penstock.work import Demand

Owned = tuple[int, float, str]
"""A limit by the index of its quantity, the seconds of its window, and whose it is."""


class Dividing(Protocol):
    """A quota, as far as its siblings are concerned."""

    def divide(self, index: int, window: float, share: float, now: float) -> None:
        """Go by this share of the bucket of a quantity and window: siblings draw on the rest."""


@define(eq=False)
class Family:
    """Shared by the quotas of siblings: other credentials of the same provider and pool.

    `rates` has bounds of a rate a second that refusals taught, by the index of a quantity, `sizes` what those tell of
    what was refused, and `lessons` counts how often they became others; `sends` counts what all of them sent since one
    of them was refused; `charges` says whether a refusal takes quota, too (None: nobody knows), and
    `errors` the same of an error of the server. `owned` has the quotas that heard of a limit whose it is,
    `shared` those limits of which they go by their shares. `gaps` has what is known of buckets of one such request.
    """

    rates: dict[int, tuple[float, float]] = field(factory=dict[int, tuple[float, float]])
    lessons: int = 0
    owned: dict[Owned, list[Dividing]] = field(factory=dict[Owned, list[Dividing]])
    shared: set[Owned] = field(factory=set[Owned])
    gaps: dict[Demand, Known] = field(factory=dict[Demand, Known])
    sizes: tuple[Sizes, Sizes, Sizes] = field(factory=lambda: (Sizes(), Sizes(), Sizes()))
    sends: int = 0
    charges: bool | None = None
    errors: bool | None = None

    def agree(self, index: int, low: float, high: float) -> tuple[float, float]:
        """Tell siblings between what a rate lies. What they found, too, where that may be the same limit."""
        least, most = self.rates.get(index, (low, high))
        if max(low, least) <= min(high, most):
            low, high = max(low, least), min(high, most)
        if (low, high) != (least, most) or index not in self.rates:
            self.lessons += 1
        self.rates[index] = low, high
        return low, high

    def hears(self, quota: Dividing, owned: Owned, now: float, *, surprised: bool) -> bool:
        """A quota heard whose a limit is. True where siblings have other shares of it from now on.

        The same name alone proves little: it may be that of an organization each of whose keys has a bucket. Who knew
        the limit, kept to it and is refused all the same (`surprised`) shares it.
        """
        mates = self.owned.setdefault(owned, [])
        known = quota in mates
        if not known:
            mates.append(quota)
        if len(mates) < 2 or not (surprised or owned in self.shared) or (known and owned in self.shared):
            return False
        self.shared.add(owned)
        self._divide(owned, now)
        return True

    def leaves(self, quota: Dividing, now: float) -> bool:
        """Nothing more is sent by a quota: siblings have its shares. True where there are any."""
        found = [owned for owned, mates in self.owned.items() if quota in mates]
        for owned in found:
            self.owned[owned].remove(quota)
            if owned in self.shared:
                quota.divide(*owned[:2], 1.0, now)
                self._divide(owned, now)
        shared = [owned for owned in found if owned in self.shared]
        self.shared -= {owned for owned in shared if len(self.owned[owned]) < 2}
        return bool(shared)

    def _divide(self, owned: Owned, now: float) -> None:
        mates = self.owned[owned]
        for quota in mates:
            quota.divide(*owned[:2], 1.0 / len(mates), now)
