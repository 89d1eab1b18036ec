"""What siblings found out of a rate, as a prior: their limits are most likely the same.

The rate that is believed lies where the bounds of both overlap, so each refusal teaches all of them. Each keeps bounds
of its own: where limits are not the same, they soon contradict what siblings say, and nothing is taken from them. A
higher rate is tried by one of them alone, as long as it is refused; where it is not, the others try it, too.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.admission.bucket import Gauge
    from penstock.admission.learning import Learner

_LATER = 1.5
"""How many times as long as else nothing is tried after a sibling was refused: the sibling tries it first again."""


def convicted(learner: Learner, suspects: Iterable[Learner | None]) -> bool:
    """Whether no other suspect explains the refusals as well and would tell of another rate."""
    varies = learner.least < learner.most
    return not any(
        other.state.strikes <= learner.state.strikes and (varies or other.least < other.most)
        for other in suspects
        if other is not None and other is not learner
    )


def hear(gauge: Gauge, learner: Learner, sibling: tuple[float, float], now: float) -> None:
    """A sibling was taught that its rate lies between these two."""
    (low, high), state = sibling, learner.state
    if state.high == inf or gauge.source != "learned":
        return
    if low > state.high:
        gauge.quiet = min(gauge.quiet, now)  # it may have been raised here, too
    elif high >= state.low:
        rate = learner.within(max(state.low, low), min(state.high, high))
        if rate is not None:
            gauge.pace(rate, now)
            gauge.probe(_LATER * state.tau, now)
