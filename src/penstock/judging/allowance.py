"""How often what may have been billed may be tried again."""

from __future__ import annotations

from attrs import frozen

from penstock.config import Ambiguity
from penstock.work import OnAmbiguous


@frozen
class AllowanceFigures:
    """Attempts of the run so far, how many of them drew on the allowance, and how many may in all under AUTO."""

    attempts: int
    taken: int
    most: int


class Allowance:
    """One allowance of a run for retries of ambiguous attempts and for hedges.

    Under AUTO at most max(`floor`, `share` of all attempts) are taken. RETRY is always allowed and counted, SKIP never.
    """

    __slots__ = ("_ambiguity", "_attempts", "_taken")

    def __init__(self, ambiguity: Ambiguity) -> None:
        self._ambiguity = ambiguity
        self._attempts = 0
        self._taken = 0

    def attempted(self) -> None:
        """One more attempt of the run was sent."""
        self._attempts += 1

    def allows(self, mode: OnAmbiguous) -> bool:
        """Whether one more may be taken by a call of this mode."""
        if mode is OnAmbiguous.RETRY:
            return True
        if mode is OnAmbiguous.SKIP:
            return False
        return self._taken + 1 <= self._most()

    def take(self) -> None:
        """One was used. Whoever takes has asked `allows`."""
        self._taken += 1

    def reconfigure(self, ambiguity: Ambiguity) -> None:
        """Go by other figures from now on; what was taken stays taken."""
        self._ambiguity = ambiguity

    def figures(self) -> AllowanceFigures:
        """What has been used."""
        return AllowanceFigures(self._attempts, self._taken, int(self._most()))

    def _most(self) -> float:
        return max(float(self._ambiguity.floor), self._ambiguity.share * self._attempts)
