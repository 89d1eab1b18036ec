"""The figures of the books, frozen: what a journal hands in to open them and what is shown of them."""

from __future__ import annotations

from attrs import field, frozen

RUN = "run"
"""The scope of everything; always the first of a share."""


@frozen
class Balance:
    """The sums of one scope in picodollars.

    `reserved` is out, `charged` is paid, `maybe` is the bound of what may have been billed, `refunded` was reserved and
    given back. `unknown` counts shares of attempts whose price nobody knows.
    """

    reserved: int = 0
    charged: int = 0
    maybe: int = 0
    refunded: int = 0
    unknown: int = 0


@frozen
class Balances:
    """Balances by scope ("run", "tenant:acme", "tag:summer"), in order of their names."""

    scopes: tuple[tuple[str, Balance], ...] = field(default=())

    def of(self, scope: str) -> Balance:
        """The balance of a scope; of one that nothing was booked on, zeros."""
        return next((balance for name, balance in self.scopes if name == scope), Balance())

    @property
    def total(self) -> Balance:
        """The balance of the run."""
        return self.of(RUN)


NOTHING = Balances()
"""Empty books."""
