"""The figures of a run as it goes: what a listener is shown, and what is summed up over all runs of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from attrs import define, evolve, field

from penstock.engine import Engine
from penstock.engine.figures import LaneFigures
from penstock.engine.sums import tokens_of
from penstock.ids import JobId
from penstock.outcomes import Outcome, Source
from penstock.simulation.trace import Recorder
from penstock_io.batch.ahead import to_go
from penstock_io.batch.pace import Mix, Pace, Use, waiting_for
from penstock_io.batch.progress import Figures
from penstock_io.batch.states import Runs
from penstock_io.resources import picodollars
from penstock_io.words import count, span

STILL = 10.0
"""Seconds without a reply from which on that is said; where replies are slow, three times what one takes."""

NEAR = 512
"""How many unfinished rows are asked what they wait for, until one says so."""


@define
class Watch:
    """Counts what happens. `runs` are the sums of earlier runs, `begun` is when this one began (monotonic seconds).

    `done` rows are settled, `ends` counts them by status as far as they did not end well; `images` were made in this
    run. `unreached` is what the system said of the provider when last nobody was there ("": somebody answered since).
    """

    runs: Runs
    begun: float
    budget: Decimal | None = None
    done: int = 0
    ends: Counter[str] = field(factory=Counter[str])
    unreached: str = ""
    images: int = 0
    refused: int = 0
    broken: int = 0
    replies: int = 0
    exchanges: int = 0
    latencies: float = 0.0
    mix: Mix = field(factory=Mix)
    use: Use = field(factory=Use)
    pace: Pace = field(factory=Pace)
    _moved: tuple[int, int, float] = (0, 0, -1.0)

    def row(self, status: str) -> None:
        """A row came to this; what is pending is not settled."""
        if status != "pending":
            self.done += 1
            self.ends[status] += 1

    def replied(self, status: int) -> None:
        """A reply came."""
        self.unreached = ""
        self.replies += 1
        self.refused += status == 429
        self.broken += status >= 500

    def ended(self, outcome: Outcome, seconds: float) -> None:
        """A row's job ended, `seconds` after it was submitted."""
        bought = sum(1 for picture in outcome.pictures if picture.source is Source.BOUGHT)
        self.images += bought  # not copies of what another row paid for, nor what was there before
        if bought:
            self.mix.paid(bought, 0 if outcome.usage is None else tokens_of(outcome.usage))
        if outcome.attempts:
            self.exchanges += outcome.attempts
            self.latencies += max(0.0, seconds - sum(waited for _, waited in outcome.waits))

    @property
    def latency(self) -> float | None:
        """Seconds an exchange took on average; None where there was none."""
        return self.latencies / self.exchanges if self.exchanges else None

    def look(
        self, engine: Engine | Recorder, jobs: Mapping[JobId, str], now: float, coming: float, rows: int | None = None
    ) -> Figures:
        """The figures now, but for `total` and the rows in flight.

        `jobs` are unfinished, with the model of each; `coming` pictures are asked for by rows that are not submitted
        yet, and `rows` are still to be settled (None: there is nothing to say of the time that takes).
        """
        snapshot = engine.snapshot()
        lines = {lane.model: lane.waiting for lane in snapshot.lanes}
        left = coming + sum(lines.values()) * self.mix.each
        out = snapshot.in_flight * self.mix.each
        sent = snapshot.counters.get("images", 0) + out
        self.use.look(now, snapshot.lanes, self.mix, sent=sent, left=left, out=out)
        self.pace.look(now, self.done, self.images)
        money, ends = snapshot.money.total, self.ends
        waiting, until = f"the provider ({self.unreached})" if self.unreached and jobs else "", now
        if not waiting and (any(lines.values()) or snapshot.in_flight == 0):
            waiting, until = _waiting(engine, jobs, now, snapshot.lanes)
        silent = self._silent(now) if snapshot.in_flight else 0.0
        if silent and not waiting:
            waiting = f"{count(snapshot.in_flight, 'reply', 'replies')}, none has come for {span(silent)}"
        eta = None
        if rows and not (self.unreached and jobs) and (not silent or until > now):
            pace = self.pace.eta(rows)
            eta = to_go(pace, snapshot.lanes, self.mix, now, left=left, coming=coming, until=until)
        return Figures(
            done=self.done,
            failed=ends["failed"],
            partial=ends["partial"],
            ambiguous=ends["ambiguous"],
            invalid=ends["invalid"],
            images=self.images,
            pace=self.pace.images(),
            eta=eta,
            spent=money.charged,
            unpriced=money.unknown > 0,
            maybe=money.maybe,
            budget=None if self.budget is None else picodollars(self.budget),
            refused=self.refused,
            broken=self.broken,
            waiting=waiting,
            seconds=now - self.begun,
        )

    def _silent(self, now: float) -> float:
        """For how many seconds nothing has come, where that is longer than it should take; 0.0: it is not."""
        if self._moved[:2] != (self.done, self.replies) or self._moved[2] < 0.0:
            self._moved = self.done, self.replies, now
        seconds = now - self._moved[2]
        return seconds if seconds >= max(STILL, 3.0 * (self.latency or 0.0)) else 0.0

    def takes(self, now: float, usual: float | None = None) -> float | None:
        """Seconds that what is out takes by what others took, or before that as `usual`; None where nobody knows.

        Where it takes longer already, nobody does.
        """
        return None if self._silent(now) else usual if self.latency is None else self.latency

    def so_far(self, now: float) -> Runs:
        """The sums of all runs, with this one as far as it is."""
        before = self.runs
        return evolve(
            before,
            http_429=before.http_429 + self.refused,
            http_5xx=before.http_5xx + self.broken,
            seconds=before.seconds + now - self.begun,
            made=before.made + self.use.sent,
            allowed=before.allowed + self.use.allowed,
            code=None,
            message="",
        )


def settled(figures: Figures, counts: Mapping[str, int], seconds: float) -> Figures:
    """The last figures of a run of so many seconds, once its results are written: its rows as those `counts` say."""
    done = sum(number for status, number in counts.items() if status != "pending")
    return evolve(
        figures,
        total=None if figures.total is None else max(figures.total, done),  # some may share what others have bought
        done=done,
        failed=counts["failed"],
        partial=counts["partial"],
        ambiguous=counts["ambiguous"],
        invalid=counts["invalid"],
        pace=60.0 * figures.images / seconds if seconds > 0 else figures.pace,
        seconds=seconds,
    )


def _waiting(
    engine: Engine | Recorder, jobs: Mapping[JobId, str], now: float, lanes: Sequence[LaneFigures]
) -> tuple[str, float]:
    """What the first of them waits for that does not merely wait for its provider, and until when."""
    for job, _ in zip(jobs, range(NEAR), strict=False):
        waiting = engine.explain(job)
        said = waiting_for(waiting, now, jobs[job], lanes)
        if said:
            return said, now if waiting.until is None else waiting.until
    return "", now
