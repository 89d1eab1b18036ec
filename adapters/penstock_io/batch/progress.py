"""What a person who waits is told, about once a second."""

from __future__ import annotations

from attrs import define

from penstock_io.batch.results import Summary, usd


@define
class Progress:
    """Figures of a run as it goes. `done` of `total` rows are settled, `base` of them before it began.

    `spent` is picodollars charged in this folder, `maybe` what may have been billed besides; `refused` counts replies
    429, `broken` replies 5xx, `images` pictures of this run.
    """

    total: int
    base: int = 0
    done: int = 0
    in_flight: int = 0
    images: int = 0
    refused: int = 0
    broken: int = 0
    spent: int = 0
    maybe: int = 0

    def line(self, seconds: float) -> str:
        """One line; `seconds` is how long the run has been at it."""
        pace = 60.0 * self.images / seconds if seconds > 0 else 0.0
        parts = [
            f"{self.base + self.done}/{self.total} done",
            f"{self.in_flight} in flight",
            f"{pace:.0f} images/min",
            f"${cents(self.spent)} spent",
            f"{self.refused} refused",
        ]
        if self.broken:
            parts.append(f"{self.broken} server errors")
        if self.maybe:
            parts.append(f"${cents(self.maybe)} maybe billed")
        return ", ".join(parts)


def cents(picodollars: int) -> str:
    """An amount for a glance: rounded to a hundredth of a cent."""
    return f"{picodollars / 10**12:.4f}"


def closing(summary: Summary) -> str:
    """The sums of a folder in a few words."""
    counts = ", ".join(f"{count} {name}" for name, count in summary.counts.items() if count or name == "completed")
    cost = "an unknown amount" if summary.cost is None else f"${usd(summary.cost)}"
    parts = [
        f"{summary.requested} rows: {counts}",
        f"{summary.images} images",
        f"{cost} charged" + (f", at most ${usd(summary.maybe)} more perhaps" if summary.maybe else ""),
        f"{summary.attempts} attempts",
    ]
    if summary.saved:
        parts.append(f"${usd(summary.saved)} saved by sharing")
    return "; ".join(parts)
