"""What the quotas of one provider's keys tell each other while they run: they most likely have the same limits."""

from __future__ import annotations

from attrs import define, field


@define(eq=False)
class Family:
    """Shared by the quotas of siblings: other credentials of the same provider and pool.

    `rates` has bounds of a rate a second that refusals taught, by the index of a quantity; `sends` counts what all of
    them sent since one of them was refused; `charges` says whether a refusal takes quota, too (None: nobody knows), and
    `errors` the same of an error of the server.
    """

    rates: dict[int, tuple[float, float]] = field(factory=dict[int, tuple[float, float]])
    sends: int = 0
    charges: bool | None = None
    errors: bool | None = None
