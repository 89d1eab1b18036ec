"""What becomes of a row: the one rule behind the live figures, the results, `penstock status` and the next run's plan.

Whoever says how a row stands asks here, so that none of them can say something else than the others. In the order in
which they count:

- all its pictures are there: it is done;
- all have come, some only have no name yet, and nobody refused them: the next run gives them one, at no cost;
- nothing of it can be bought without being asked for, and a picture can still be downloaded: it waits for that;
- it was refused for good, or a picture is paid and lost: that is its end, with its own error, even where an earlier
  attempt may have been billed (the sums keep that doubt, and a warning tells of it);
- an attempt may have been executed and billed: it is in doubt, and tried again only within an allowance;
- anything else is sent by the next run: as one that failed, or where nothing happened to it, as pending.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from attrs import frozen

from penstock.ids import Key
from penstock.outcomes import Outcome, Status, Trouble
from penstock_io._paid import LOST, owed
from penstock_io.batch.keying import Keyed
from penstock_io.batch.states import PASSING, RowState, here_of, is_final
from penstock_io.journal import Account

DOUBT = "ambiguous"
"""The status, and the kind of the error, of a row in doubt."""


class Standing(Enum):
    """What the next run does with a row: nothing, nothing unless asked for, a download, a try, or it just sends it."""

    DONE = "done"
    FINAL = "final"
    OWED = "owed"
    DOUBTFUL = "doubtful"
    OPEN = "open"


class Need(Enum):
    """What the same command needs besides to send a row that is not complete: these options."""

    NOTHING = ""
    DOUBT = "--on-ambiguous retry"
    FINAL = "--retry-failed"
    BOTH = "--retry-failed --on-ambiguous retry"


@frozen
class Facts:
    """What is known of a row as it is asked for now.

    It wants so many pictures; of these `here` are shown and `missing` have not come. Of those that are missing `due`
    have been charged and can be downloaded until `until` (Unix seconds); `lost`: one has been charged and cannot,
    `doubtful`: one may have been paid. `ended` is how its last job ended ("": it did not, or asked for something else),
    with its `error`; of what was refused before, how that was.
    """

    wanted: int
    here: int
    missing: int
    due: int = 0
    until: float = 0.0
    lost: bool = False
    doubtful: bool = False
    ended: str = ""
    error: Trouble | None = None

    @property
    def refused(self) -> bool:
        """It failed in a way that another try would not mend."""
        return is_final(self.ended, self.error)


@frozen
class Seen:
    """A row in the books: the facts, its files in the order of its pictures, all files of it by key, and its doubts."""

    facts: Facts
    files: tuple[str, ...]
    here: Mapping[Key, str]
    doubts: frozenset[Key] = frozenset()


@frozen
class Verdict:
    """How a row stands, its status, and its error: of one in doubt, what its last job ended with."""

    standing: Standing
    status: str
    error: Trouble | None = None


def judged(facts: Facts) -> Verdict:
    """The rule."""
    if facts.here >= facts.wanted:
        return Verdict(Standing.DONE, "completed")
    lost_once = facts.error is not None and facts.error.kind == LOST.kind
    if not facts.missing and (lost_once or not facts.refused):
        return _some(facts, Standing.OPEN, "pending")
    final = facts.lost or facts.refused
    if facts.due and (final or facts.due >= facts.missing):
        return _some(facts, Standing.OWED, "failed", owed(facts.until))
    if final:
        return _some(facts, Standing.FINAL, "failed", facts.error if facts.refused else LOST)
    if facts.doubtful:
        return _some(facts, Standing.DOUBTFUL, DOUBT, facts.error)
    if facts.due:
        return _some(facts, Standing.OPEN, "failed", owed(facts.until))
    error = facts.error
    if not facts.ended or error is None or error.kind == DOUBT:  # which was settled since
        return _some(facts, Standing.OPEN, "pending")
    waits = facts.ended == Status.DEFERRED.value or error.kind in PASSING
    return _some(facts, Standing.OPEN, "pending" if waits else "failed", error)


def _some(facts: Facts, standing: Standing, status: str, error: Trouble | None = None) -> Verdict:
    return Verdict(standing, "partial" if facts.here else status, error)


def facts_of(keyed: Keyed, state: RowState, account: Account) -> Facts:
    """What the books say of a row."""
    return see(keyed, state, account).facts


def see(keyed: Keyed, state: RowState, account: Account) -> Seen:
    """The same with its files and doubts. Pictures are also known under the keys of when it asked for the same."""
    return _see(keyed.keys, state, account, same=_same(keyed, state))


def see_again(state: RowState, account: Account) -> Seen:
    """A row as its last job asked for it: for whoever does not have the input."""
    return _see(state.keys, state, account, same=True)


def _see(keys: tuple[Key, ...], state: RowState, account: Account, *, same: bool) -> Seen:
    here = here_of(state, account) if state.jobs else _NOTHING
    files = tuple([here[key] for key in keys if key in here])
    if same and len(files) < len(keys):
        files = max(files, tuple([here[key] for key in state.keys if key in here]), key=len)
    if len(files) >= len(keys):
        return Seen(Facts(len(keys), len(files), 0), files, here)
    missing = [key for key in keys if key not in account.prices]
    due = [account.due[key] for key in missing if key in account.due] if account.due else []
    doubts = _doubts(keys, state, account, same=same)
    ended = state if same else state.refusal(keys)
    facts = Facts(
        wanted=len(keys),
        here=len(files),
        missing=len(missing),
        due=len(due),
        until=min(due, default=0.0),
        lost=bool(account.lost) and any(key in account.lost for key in missing),
        doubtful=bool(doubts),
        ended="" if ended is None else ended.status,
        error=None if ended is None else ended.error,
    )
    return Seen(facts, files, here, doubts)


_NOTHING: dict[Key, str] = {}


def facts_of_end(keyed: Keyed, outcome: Outcome, here: int, *, doubtful: bool) -> Facts:
    """What is known of a row at the moment when its job ends; `doubtful` says what is known of before."""
    error, missing = outcome.error, len(keyed.keys) - here
    return Facts(
        wanted=len(keyed.keys),
        here=here,
        missing=missing,
        lost=error is not None and error.kind == LOST.kind,
        doubtful=doubtful or in_doubt(outcome),
        ended=outcome.status.value,
        error=error,
    )


def in_doubt(outcome: Outcome) -> bool:
    """Whether an attempt of a job that brought too few pictures may have been billed."""
    return outcome.status is Status.AMBIGUOUS or outcome.maybe > 0 or (not outcome.pictures and outcome.charge is None)


class Doubts:
    """Pictures that may have been paid, as rows of a run end; `before` it there were these."""

    def __init__(self, before: Iterable[Key]) -> None:
        self._keys = set(before)

    def ended(self, keys: Sequence[Key], outcome: Outcome) -> bool:
        """Whether a picture of a row that ended so may have been paid; remembered for rows that want the same."""
        came = {picture.key for picture in outcome.pictures}
        self._keys -= came
        if in_doubt(outcome):
            self._keys.update(key for key in keys if key not in came)
        return not self._keys.isdisjoint(keys)


def doubts_of(keyed: Keyed, state: RowState, account: Account) -> frozenset[Key]:
    """Pictures of a row that may have been paid: under the keys of now, and those under which it asked for the same."""
    if not account.doubts:
        return frozenset()
    return _doubts(keyed.keys, state, account, same=_same(keyed, state))


def _same(keyed: Keyed, state: RowState) -> bool:
    """Whether its last job asked for just this; a request is looked at only where its keys do not say it."""
    return state.keys == keyed.keys or (bool(state.asked) and state.same(keyed.keys, keyed.request, keyed.sample))


def _doubts(keys: tuple[Key, ...], state: RowState, account: Account, *, same: bool) -> frozenset[Key]:
    if not account.doubts:
        return frozenset()
    return frozenset(key for key in (*keys, *(state.keys if same else ())) if key in account.doubts)
