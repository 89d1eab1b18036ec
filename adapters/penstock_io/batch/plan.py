"""What a run has to do, decided from the rows and the folder's books alone: nothing is touched, nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve, field, frozen

from penstock.config import Ambiguity, Used
from penstock.ids import Key
from penstock.judging.allowance import Allowance
from penstock.requests import Scalar
from penstock.work import CachePolicy, OnAmbiguous
from penstock_io.batch.keying import Keyed
from penstock_io.batch.settings import Choices
from penstock_io.batch.states import NEW, RowState, asked_of, digest, here_of
from penstock_io.batch.verdict import Standing, doubts_of, facts_of, judged
from penstock_io.journal import Account

AUTO = Ambiguity()
"""How many doubtful pictures `auto` tries once more: what a client takes, over all runs of a folder."""

HASHED = frozenset({"image", "mask", "negative_prompt"})
"""What is not shown when it changed: digests, and what nobody but its owner is to read."""

WIDEST = 40
"""Characters of a value that are shown when it changed."""


@frozen
class Stale:
    """A row that the folder has pictures of and that asks for others now: they are made, and paid, again.

    `why` says what changed ("quality low -> high"), `files` are those that move to `superseded/`.
    """

    keyed: Keyed
    why: str
    files: tuple[str, ...]


@frozen
class Plan:
    """What becomes of each row of `rows`: `send` are those with something to do, in input order.

    Of the others, `done` are complete, `final` failed for good (of these `doubted` may have been billed before), `left`
    may have been paid and are not tried again, `held_back` lie beyond the limit. Among those that are sent, `stale` are
    made again and `doubtful` pictures, which may have been paid, are tried once more. `used` is what of the allowance
    for those is used up with them. `owed` rows wait for nothing but the download of what they have paid; `rebuy` are
    such pictures that are bought again all the same, because that was asked for. `stored` are pictures that are not the
    folder's and lie in the store that it shares: rows take them from there.
    """

    rows: tuple[Keyed, ...]
    send: tuple[Keyed, ...]
    done: int = 0
    final: int = 0
    left: int = 0
    held_back: int = 0
    doubtful: int = 0
    stale: tuple[Stale, ...] = ()
    used: Used = field(factory=Used)
    owed: int = 0
    rebuy: frozenset[Key] = frozenset()
    doubted: int = 0
    stored: frozenset[Key] = frozenset()


_SENT = frozenset({Standing.OPEN, Standing.DOUBTFUL})
"""How rows stand that may be sent."""


def make_plan(
    keyed: Sequence[Keyed],
    states: Mapping[str, RowState],
    account: Account,
    choices: Choices,
    stored: frozenset[Key] = frozenset(),
) -> Plan:
    """Sort rows into what is done, what is left as it is, and what is to be sent as `choices` say.

    Doubtful pictures are sent as `choices.on_ambiguous` says; rows that want the same one share its one more try, and
    `auto` gives each but one, over all runs. What is only read is no try: a row that has nothing to buy is sent
    whatever they say, and buys nothing should the store have lost it meanwhile. The limit counts rows that have a
    picture to buy: one that is neither the folder's nor among `stored`.
    """
    standings = [standing(one, states.get(one.id, NEW), account, retry_failed=choices.retry_failed) for one in keyed]
    open_rows = [one for one, stands in zip(keyed, standings, strict=True) if stands in _SENT]
    final = [one for one, stands in zip(keyed, standings, strict=True) if stands is Standing.FINAL]
    allowance = _allowance(account, sum(_buys(one, account, stored) for one in open_rows), choices.limit)
    allowed: set[Key] = set()
    send: list[Keyed] = []
    left = held_back = buying = 0
    for one in open_rows:
        buys = _buys(one, account, stored)
        if buys and choices.limit is not None and buying >= choices.limit:
            held_back += 1
            continue
        doubts = doubts_of(one, states.get(one.id, NEW), account)
        more = doubts - allowed if buys else frozenset[Key]()
        if not all(_may(choices.on_ambiguous, key, account, allowance) for key in sorted(more)):
            left += 1
            continue
        allowed |= more
        buying += buys
        send.append(one if buys or not doubts or choices.on_ambiguous is OnAmbiguous.RETRY else _only_read(one))
    return Plan(
        rows=tuple(keyed),
        send=tuple(send),
        done=standings.count(Standing.DONE),
        final=len(final),
        left=left,
        held_back=held_back,
        doubtful=len(allowed),
        stale=tuple(stale for one in send if (stale := _stale(one, states.get(one.id, NEW), account)) is not None),
        used=_used(account, allowed),
        owed=standings.count(Standing.OWED),
        rebuy=frozenset(key for one in send for key in one.keys if choices.retry_failed and key in account.due),
        doubted=sum(bool(doubts_of(one, states.get(one.id, NEW), account)) for one in final),
        stored=stored,
    )


def standing(keyed: Keyed, state: RowState, account: Account, *, retry_failed: bool = False) -> Standing:
    """How a row stands; whoever retries what failed for good opens that, too, and what is only to be downloaded."""
    stands = judged(facts_of(keyed, state, account)).standing
    return Standing.OPEN if retry_failed and stands in {Standing.FINAL, Standing.OWED} else stands


def _only_read(keyed: Keyed) -> Keyed:
    return evolve(keyed, cache=CachePolicy.ONLY)


def _buys(keyed: Keyed, account: Account, stored: frozenset[Key]) -> bool:
    """Whether a row has a picture to buy."""
    return any(key not in account.prices and key not in stored for key in keyed.keys)


def _allowance(account: Account, rows: int, limit: int | None) -> Allowance:
    """What may be tried again in spite of a doubt, once so many rows, at most `limit`, are sent.

    Each counts for what an attempt has cost so far.
    """
    allowance = Allowance(Ambiguity(window=None, before=account.used))
    quote = account.quoted // account.attempts if account.attempts else None
    for _ in range(rows if limit is None else min(rows, limit)):
        allowance.attempted(quote, 0.0)
    return allowance


def _may(mode: OnAmbiguous, key: Key, account: Account, allowance: Allowance) -> bool:
    """Whether a doubtful picture is tried again; it is then taken from the allowance."""
    bound = account.doubts[key]
    if (mode is OnAmbiguous.AUTO and key in account.again) or not allowance.allows(mode, bound, 0.0):
        return False
    allowance.take(bound, 0.0)
    return True


def _used(account: Account, allowed: set[Key]) -> Used:
    used = account.used
    bounds = sum(account.doubts[key] or 0 for key in allowed)
    return Used(used.attempts, used.tries + len(allowed), used.quoted, used.bounds + bounds)


def _stale(keyed: Keyed, state: RowState, account: Account) -> Stale | None:
    """A row is stale when it asks for something else, has to buy it, and what it had was paid."""
    if state.same(keyed.keys, keyed.request, keyed.sample) or all(key in account.prices for key in keyed.keys):
        return None
    others = frozenset(state.keys) - frozenset(keyed.keys)
    here = here_of(state, account)
    if not any(key in account.prices or key in here for key in others):
        return None
    files = tuple(dict.fromkeys(file for key, file in here.items() if key not in keyed.keys))
    return Stale(keyed, changes(state, keyed), files)


def changes(state: RowState, keyed: Keyed) -> str:
    """What a row asks for otherwise than before, in a few words."""
    before, now = state.asked, asked_of(keyed.request)
    told = ["prompt changed"] if state.prompt != digest(keyed.request.prompt) else []
    told += [
        f"{name} changed" if name in HASHED else f"{name} {_shown(before.get(name))} -> {_shown(now.get(name))}"
        for name in dict.fromkeys((*before, *now))
        if before.get(name) != now.get(name)
    ]
    return ", ".join(told) or "another variant of a repeated row"


def _shown(value: Scalar) -> str:
    if value is None:
        return "default"
    text = str(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."
