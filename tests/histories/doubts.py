"""An account of its own of tries in spite of a doubt, and of tries at all: the promises held from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.work import OnAmbiguous, Purpose

if TYPE_CHECKING:
    from penstock.commands import Send
    from penstock.config import Config
    from penstock.ids import AttemptId, JobId
    from penstock.work import Work

DOUBTFUL = frozenset({"uncertain", "aborted"})
"""Replies after which nobody knows whether it was executed."""

COUNTED = DOUBTFUL | {"unsent"}
"""Replies that are a try for certain."""


class Doubts:
    """Which samples may be paid already, and how often one was bought again all the same."""

    def __init__(self, config: Config) -> None:
        self.rules = config.ambiguity
        self.most = config.retry.most
        self.out: dict[AttemptId, list[tuple[JobId, int]]] = {}
        self.risky: set[tuple[JobId, int]] = set()
        self.again: set[JobId] = set()
        self.tries: dict[tuple[JobId, int], int] = {}
        self.sent = 0
        self.extra = 0

    def sends(self, send: Send, work: Work) -> None:
        """One more exchange; `work` is that of the job whose request it says."""
        if send.purpose is Purpose.FETCH:
            return
        self.sent += 1
        if send.purpose is not Purpose.GENERATE:
            return
        samples = [(job, sample) for job, places in send.parts for sample in places]
        out = {one for others in self.out.values() for one in others}
        doubtful = [one for one in samples if one in self.risky or one in out]
        mode = work.on_ambiguous or self.rules.mode
        self.out[send.attempt] = samples
        jobs = [job for job, _ in send.parts]
        if len(jobs) > 1 or not doubtful:
            return
        assert mode not in {OnAmbiguous.SKIP, OnAmbiguous.ASK}, f"bought again against a wish: {send!r}"
        (job,) = jobs
        if mode is OnAmbiguous.AUTO and job not in self.again:
            self.again.add(job)
            self.extra += 1
            allowed = max(self.rules.floor, self.rules.share * self.sent)
            assert self.rules.window is not None or self.extra <= allowed, f"above the allowance: {send!r}"

    def ends(self, attempt: AttemptId, kind: str) -> None:
        """How it ended."""
        samples = self.out.pop(attempt, [])
        if kind in DOUBTFUL:
            self.risky.update(samples)
        if kind in COUNTED:
            for one in samples:
                self.tries[one] = self.tries.get(one, 0) + 1
                assert self.tries[one] <= self.most, f"tried more often than {self.most} times: {one!r}"
