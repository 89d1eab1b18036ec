"""What some lane groups do not let themselves be told, and how it is then asked without.

A server that knows no streams, or another name for a field, refuses a whole request over one word of it. Nothing ran,
so the same call goes once more at once, said otherwise; whoever is asked for the same later is not told the word at
all. Which words can be said otherwise is the target's to know (`Target.adapts`), and how is the driver's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.engine.entities import Attempt, Job
    from penstock.judging.judgement import Judgement
    from penstock.work import Target


class Adapted:
    """The words that each lane group has refused."""

    def __init__(self) -> None:
        self._refused: dict[str, tuple[str, ...]] = {}

    def without(self, target: Target) -> tuple[str, ...]:
        """What a target is not told, of what it could say otherwise."""
        refused = self._refused.get(target.group, ()) if target.adapts else ()
        return tuple([name for name in target.adapts if name in refused]) if refused else ()

    def heard(self, attempt: Attempt, judgement: Judgement) -> None:
        """A refusal may name one of these words."""
        group = attempt.call.target.group
        known = self._refused.get(group, ())
        if judgement.adapts and judgement.adapts not in known:
            self._refused[group] = (*known, judgement.adapts)

    def tell(self, attempt: Attempt, jobs: Iterable[Job]) -> None:
        """Warn whoever asked that it is said otherwise."""
        said = " and ".join(attempt.without)
        for job in jobs:
            job.remark(f"{attempt.call.target.group} refused to be told {said}: it was asked otherwise")


def told(attempt: Attempt) -> tuple[str, ...]:
    """Which words of an attempt may still be said otherwise."""
    names = attempt.call.target.adapts
    return tuple([name for name in names if name not in attempt.without]) if names else ()
