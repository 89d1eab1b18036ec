"""What really happened at the simulated provider: the truth that tests compare a client's books with."""

from __future__ import annotations

from typing import TypedDict

from attrs import define, field


@define
class Line:
    """One request under one call id. `billed` is picodollars, `rejected` counts refusals by quantity."""

    received: int = 0
    executed: int = 0
    billed: int = 0
    rejected: dict[str, int] | None = None


class Request(TypedDict):
    """One request's line as JSON: `calls` says how often it was executed under each call id."""

    received: int
    executed: int
    billed: int
    rejected: dict[str, int]
    calls: dict[str, int]


@define
class Books:
    """All that was received, executed, billed and refused.

    `lines` is by (request identity, call id); `pictures` counts pictures made, `billed` is picodollars, `rejected`
    counts refusals by quantity ("requests", "tokens", "images", "concurrency", "credential", "credit", "moderation",
    "invalid"), `faults` by name. `in_flight` is calls executing now, `peak` the most there ever were.
    """

    received: int = 0
    executed: int = 0
    pictures: int = 0
    billed: int = 0
    rejected: dict[str, int] = field(factory=dict[str, int])
    faults: dict[str, int] = field(factory=dict[str, int])
    in_flight: int = 0
    peak: int = 0
    lines: dict[tuple[str, str], Line] = field(factory=dict[tuple[str, str], Line], repr=False)

    def line(self, identity: str, call: str) -> Line:
        """The line of a request, begun if it is new; counts one arrival."""
        self.received += 1
        found = self.lines.get((identity, call))
        if found is None:
            found = self.lines[identity, call] = Line()
        found.received += 1
        return found

    def reject(self, line: Line, quantity: str) -> None:
        """Count one refusal."""
        self.rejected[quantity] = self.rejected.get(quantity, 0) + 1
        if line.rejected is None:
            line.rejected = {}
        line.rejected[quantity] = line.rejected.get(quantity, 0) + 1

    def requests(self) -> dict[str, Request]:
        """Every request by identity, its calls summed."""
        listing: dict[str, Request] = {}
        for (identity, call), line in self.lines.items():
            entry = listing.get(identity)
            if entry is None:
                entry = listing[identity] = Request(received=0, executed=0, billed=0, rejected={}, calls={})
            entry["received"] += line.received
            entry["executed"] += line.executed
            entry["billed"] += line.billed
            entry["calls"][call] = line.executed
            for quantity, count in (line.rejected or {}).items():
                entry["rejected"][quantity] = entry["rejected"].get(quantity, 0) + count
        return listing

    def executed_by_identity(self) -> dict[str, int]:
        """How often each request was executed, whatever its call id."""
        counts: dict[str, int] = {}
        for (identity, _), line in self.lines.items():
            counts[identity] = counts.get(identity, 0) + line.executed
        return counts

    def repeated(self) -> dict[str, int]:
        """The requests that were executed more than once, with the count."""
        return {identity: count for identity, count in self.executed_by_identity().items() if count > 1}
