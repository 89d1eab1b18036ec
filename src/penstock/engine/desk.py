"""What all rooms of the engine share: the time, the commands of this step, moves to be routed, ids, books."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from penstock.commands import Halted, Notice, Notify
from penstock.engine.adapting import Adapted
from penstock.engine.refused import Refused
from penstock.engine.tables import (
    ATTEMPT,
    CALL,
    FLIGHT,
    JOB,
    AttemptInput,
    AttemptState,
    CallInput,
    CallState,
    FlightInput,
    FlightState,
    JobInput,
    JobState,
    Life,
)
from penstock.engine.timers import Timers
from penstock.judging.allowance import Allowance
from penstock.money.ledger import Ledger
from penstock.outcomes import REMEDIES

if TYPE_CHECKING:
    from random import Random

    from penstock.commands import Command
    from penstock.config import Config
    from penstock.engine.moves import Move
    from penstock.engine.parking import Entry
    from penstock.events import Mode
    from penstock.money.ledger import Balances, Share


class Desk:
    """The one mutable context of an engine. Rooms read `now`, append to `out` and `moves`, and use the books."""

    __slots__ = (
        "adapted",
        "allowance",
        "attempt_life",
        "call_life",
        "closed",
        "config",
        "counters",
        "epoch",
        "flight_life",
        "halt",
        "hurried",
        "job_life",
        "ledger",
        "moves",
        "now",
        "out",
        "parked",
        "refunds",
        "refused",
        "rng",
        "serial",
        "timers",
    )

    def __init__(self, config: Config, rng: Random, epoch: float, opening: Balances) -> None:
        self.config = config
        self.rng = rng
        self.epoch = epoch
        self.now = float("-inf")
        self.out: list[Command] = []
        self.moves: deque[Move] = deque()
        self.timers = Timers()
        self.ledger = Ledger(config.budget, opening, dated=config.ledger)
        self.allowance = Allowance(config.ambiguity)
        self.closed: Mode | None = None
        self.halt: Halted | None = None
        # whether any job ever had a deadline
        self.hurried = False
        self.parked: dict[str, list[Entry]] = {}
        self.refunds: dict[str, None] = {}
        self.refused = Refused()
        self.adapted = Adapted()
        self.serial = 0
        self.job_life = Life(JOB, JobState, JobInput)
        self.flight_life = Life(FLIGHT, FlightState, FlightInput)
        self.call_life = Life(CALL, CallState, CallInput)
        self.attempt_life = Life(ATTEMPT, AttemptState, AttemptInput)
        self.counters: defaultdict[str, int] = defaultdict(int)

    def number(self) -> int:
        """The next id of anything the engine names."""
        self.serial += 1
        return self.serial

    def unix(self) -> float:
        """Now, as Unix seconds."""
        return self.epoch + self.now

    def count(self, what: str, by: int = 1) -> None:
        """Add to a figure of the snapshot."""
        self.counters[what] += by

    def refund(self, shares: tuple[Share, ...]) -> None:
        """A reservation of these shares ended: whoever waits for money of their scopes is looked at in this step."""
        if not self.parked:
            return
        for share in shares:
            for scope in share.scopes:
                self.refunds[scope] = None

    def notify(self, notice: Notice) -> None:
        """Tell whoever subscribed."""
        if self.config.notify:
            self.out.append(Notify(notice))

    def halted(self, cause: str, message: str) -> None:
        """Nothing can be sent any more; the first cause stands until it is lifted."""
        if self.halt is None:
            self.halt = Halted(cause, message, f"{REMEDIES.get(cause, 'mend the cause')}, then resume")
            self.notify(self.halt)

    def sending(self) -> bool:
        """Whether new paid calls may begin."""
        return self.closed is None and self.halt is None
