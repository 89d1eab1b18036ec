"""Which quantity a refusal was for, where nobody says so: its own contradictions, what was refused, and how fast it is.

A quantity whose refusals contradict each other is the less likely. Besides, sizes tell. A bucket of tokens that runs
empty is found empty by large requests first: the chance that it is this one grows with its size. A bucket of requests
does not care. So each refusal is evidence of one against the other, the logarithm of how many times likelier it makes
it. Where requests went as a bucket of the quantity was believed to have room for them, all sizes had the same chance,
if it is the one; if it is not, who had waited for less was refused the more likely, and that is the smaller.

Of two that are about as likely the faster is believed: if it is wrong a refusal shows it at once, but a slow one that
is wrong is never refused, and nothing shows that it is. What is no longer believed is still kept to, as it may bind,
too, but more is tried at once. Siblings share what sizes tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from penstock.admission.bucket import Gauge
    from penstock.admission.family import Family
    from penstock.admission.learning import Learner

_SLOWER, _SLOWEST = 1.5, 3.0
"""What it counts to be slower by one unit of the logarithm, and at most."""

_NOTHING = 1e-9
"""The speed of one of which nothing is known."""

_ORDER = (2, 0, 1)
"""Which quantity is suspected first, all else being equal: tokens, then images, then requests."""


@define(eq=False)
class Sizes:
    """What requests needed of a quantity since the first refusal: how many there were, the sum, and that of `1/need`.

    `weight` is what speaks for it.
    """

    count: int = 0
    total: float = 0.0
    inverse: float = 0.0
    weight: float = 0.0

    def sent(self, need: float) -> None:
        """A request needs so much of it."""
        self.count += 1
        self.total += need
        self.inverse += 1.0 / need

    def refused(self, need: float, *, paced: bool) -> None:
        """The first of a cluster was refused; `paced`: as this bucket was believed to have room for it."""
        if self.count:
            mean = self.count / self.inverse if paced else self.total / self.count
            self.weight += log(need / mean)

    @property
    def share(self) -> float:
        """How many requests of the average need one unit of it is enough for."""
        return self.count / self.total if self.count else 1.0


_TOKENS = 1
"""The index of the quantity of which requests need more or less."""


class Suspects:
    """The quantities of one quota, by their index."""

    __slots__ = ("_family", "_gauges", "_learners")

    def __init__(self, gauges: Sequence[Gauge], learners: Sequence[Learner | None], family: Family) -> None:
        self._gauges = gauges
        self._learners = learners
        self._family = family

    def sent(self, needed: Sequence[int]) -> None:
        """A request goes."""
        for sizes, need in zip(self._family.sizes, needed, strict=True):
            if need:
                sizes.sent(need)

    def refused(self, found: list[int], needed: Sequence[int], believed: int) -> None:
        """The first of a cluster was refused for one of these."""
        self._family.lessons += 1
        for index in found:
            self._family.sizes[index].refused(needed[index], paced=index == believed)

    def vague(self, found: list[int]) -> bool:
        """Whether tokens are among them, no limit is known, and no refusal has told them apart.

        None has contradicted one of them yet, nor agreed with it twice.
        """
        learners = [self._learners[index] for index in found]
        known = any(one is not None and (one.state.strikes or one.state.agreed > 1) for one in learners)
        unlimited = all(self._gauges[index].source == "none" for index in found)
        return _TOKENS in found and len(found) > 1 and unlimited and not known

    def likeliest(self, found: list[int], needed: Sequence[int], believed: int, now: float) -> int:
        """The one of them to believe, where `believed` was until now."""
        speeds = {index: self._speed(index) for index in found}
        fastest = max(speeds.values())

        def doubt(index: int) -> tuple[float, bool, float, int]:
            """The smaller, the likelier; behind it whether it is configured, and how empty it is believed to be."""
            learner, gauge = self._learners[index], self._gauges[index]
            much = 0.0 if learner is None else learner.state.strikes - self._family.sizes[index].weight
            much += min(_SLOWEST, _SLOWER * log(fastest / speeds[index]))
            told = gauge.source in {"limit", "ceiling"}
            return much, not told, gauge.level / needed[index] if told else 0.0, _ORDER[index]

        chosen = min(found, key=doubt)
        if chosen != believed and 0 <= believed < len(self._gauges) and self._gauges[believed].source == "learned":
            self._gauges[believed].quiet = now
        return chosen

    def _speed(self, index: int) -> float:
        """How many requests a second go where this is the one, as far as its learner knows."""
        learner = self._learners[index]
        rate = None if learner is None else learner.rate
        return (rate or 0.0) * self._family.sizes[index].share or _NOTHING
