"""What all results say of how their job ended."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from penstock.errors import PenstockError
from penstock.outcomes import Outcome, Route, Status
from penstock.readings import Usage

PICODOLLARS = Decimal(10) ** 12
"""How many of the engine's integer units make a dollar."""


def dollars(picodollars: int | None) -> Decimal | None:
    """An amount as exact dollars; None is unknown and stays so."""
    return None if picodollars is None else Decimal(picodollars) / PICODOLLARS


class Ended:
    """Something with an `outcome`, and an `error` where not all is there that was asked for."""

    __slots__ = ()

    outcome: Outcome
    error: PenstockError | None

    @property
    def cost(self) -> Decimal | None:
        """What this request was charged, in exact dollars; None where a price is unknown."""
        return dollars(self.outcome.charge)

    @property
    def usage(self) -> Usage | None:
        """Tokens, as the provider counted them."""
        return self.outcome.usage

    @property
    def attempts(self) -> int:
        """Exchanges of the calls that it paid or waited for."""
        return self.outcome.attempts

    @property
    def cached(self) -> bool:
        """Whether all of it came from the store."""
        return self.outcome.status is Status.CACHED

    @property
    def saved(self) -> Decimal | None:
        """What it cost that this request did not pay: it was stored, or another request paid."""
        return dollars(self.outcome.saved)

    @property
    def route(self) -> Route | None:
        """What served it, or was tried last: provider, model, place in its chain. None: it was nobody's turn yet."""
        return self.outcome.route

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was changed or is doubtful about the request."""
        return self.outcome.warnings

    def checked(self) -> Self:
        """Itself, or its error raised where nothing came at all."""
        if self.error is not None and self.outcome.status is not Status.PARTIAL:
            raise self.error
        return self
