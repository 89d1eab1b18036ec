"""What drives an engine needs of it: the engine itself, a monitor around it, a recorder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from penstock.commands import Command
    from penstock.engine import Snapshot, Waiting
    from penstock.events import Event
    from penstock.ids import JobId


class Core(Protocol):
    """What a driver needs of an engine."""

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take one fact."""
        ...

    def next_deadline(self) -> float | None:
        """When to come back."""
        ...

    def appetite(self) -> int:
        """How many more jobs are worth submitting."""
        ...

    def idle(self) -> bool:
        """Whether the driver may leave."""
        ...

    def explain(self, job: JobId) -> Waiting:
        """Why a job waits."""
        ...

    def snapshot(self) -> Snapshot:
        """Figures."""
        ...
