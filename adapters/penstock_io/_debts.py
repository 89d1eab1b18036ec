"""What a client knows of pictures that are paid and not here, so that nobody buys them a second time unawares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve

from penstock.commands import Command, Record
from penstock.entries import Entry, Failed, Maybe, Owed, Settled, Void
from penstock.ids import AttemptId, Key
from penstock.outcomes import Outcome, Trouble
from penstock.work import CachePolicy, Work
from penstock_io._paid import LOST, owed

NOTHING: Mapping[Key, float] = {}


class Debts:
    """Until when (Unix seconds) each picture may be downloaded that is paid and was not to be had.

    `kept`: there is a journal, which keeps their URLs; else what is not to be had is lost.
    """

    def __init__(self, due: Mapping[Key, float] = NOTHING, *, kept: bool = False) -> None:
        self._due, self._kept = dict(due), kept
        self._out: dict[AttemptId, float] = {}

    def heard(self, commands: Iterable[Command]) -> None:
        """What goes into the journal, among other orders: URLs are kept there for what does not come."""
        for command in commands:
            if self._kept and isinstance(command, Record):
                self._recorded(command.entry)

    def _recorded(self, entry: Entry) -> None:
        match entry:
            case Owed():
                self._out[entry.attempt] = entry.expires
            case Settled():
                expires = self._out.pop(entry.attempt, 0.0)
                for key, ref in zip(entry.keys, entry.refs, strict=True):
                    if ref:
                        self._due.pop(key, None)
                    elif expires > entry.at:
                        self._due[key] = expires
            case Failed() | Maybe() | Void():
                self._out.pop(entry.attempt, None)
            case _:
                pass

    def refusal(self, work: Work, now: float) -> Trouble | None:
        """Why a job is not begun at `now` (Unix seconds); None: it is.

        Who asks for something new (`refresh`, `off`), or never buys, is not held up.
        """
        if not self._due or work.cache is not CachePolicy.USE:
            return None
        found = self._until(work)
        return None if found is None or found <= now else owed(found)

    def said(self, work: Work, outcome: Outcome) -> Outcome:
        """An outcome with a loss that is none yet."""
        if outcome.error is None or outcome.error.kind != LOST.kind:
            return outcome
        found = self._until(work)
        return outcome if found is None else evolve(outcome, error=owed(found))

    def _until(self, work: Work) -> float | None:
        """When the first of its pictures expires that is due."""
        keys = (key for target in work.targets for key in target.keys)
        return min((self._due[key] for key in keys if key in self._due), default=None)
