"""SIGHUP while a batch runs: its settings file is read again; keys, limits and budgets are as it says from then on.

What else is different in it counts from the next run on, and that is said, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from attrs import evolve, frozen

from penstock.config import Budget, Config, Credential, Limits
from penstock_io._access import fingerprint
from penstock_io.batch.funds import Funds
from penstock_io.batch.progress import Level
from penstock_io.batch.settings import Settings
from penstock_io.words import count, listed


@frozen
class Change:
    """What is different: keys by label that come and go, limits and caps (None: as they were). `told`: in words.

    `credentials` are those of all keys from then on (None: as they were).
    """

    added: Mapping[str, str]
    gone: Mapping[str, str]
    limits: Limits | None
    told: str
    budget: Budget | None = None
    credentials: tuple[Credential, ...] | None = None

    def upon(self, config: Config) -> Config:
        """What a client goes by from then on, but for keys and the limits of all."""
        config = config if self.budget is None else evolve(config, budget=self.budget)
        return config if self.credentials is None else evolve(config, credentials=self.credentials)


def reread(settings: Settings, tell: Callable[[str, Level], None]) -> tuple[Settings, Change] | None:
    """Read the file; the settings from then on, and what changes. None where it cannot be read, which is told."""
    fresh = settings.again() if settings.again is not None else settings
    if isinstance(fresh, str):
        tell(f"the settings stay as they were: {fresh}", Level.WARNING)
        return None
    change = compare(settings, fresh)
    tell(change.told, Level.NOTE)
    settings = evolve(
        settings, keys=fresh.keys, limits=fresh.limits, credentials=fresh.credentials, budget=fresh.budget
    )
    return evolve(settings, funds=_funds(settings.funds, fresh.funds)), change


def compare(old: Settings, new: Settings) -> Change:
    """What is different. Keys are the same where their values are, whatever they are called."""
    before, after = set(old.keys.values()), set(new.keys.values())
    added = {label: key for label, key in new.keys.items() if key not in before}
    gone = {label: key for label, key in old.keys.items() if key not in after}
    limits = new.limits if new.limits != old.limits else None
    parts = [f"{count(len(added), 'key')} more ({', '.join(added)})"] if added else []
    parts += [f"{count(len(gone), 'key')} less ({', '.join(gone)})"] if gone else []
    parts += [f"other limits for each key ({words(new.limits)})"] if limits is not None else []
    parts += _alone(old, new)
    credentials = new.whole() if parts else None
    paid = evolve(old, budget=new.budget, funds=_funds(old.funds, new.funds))
    parts += _caps(old, paid)
    later = _later(old, new)
    parts += [f"{listed(later)} from the next run on"] if later else []
    told = f"settings read again: {'; '.join(parts) or 'nothing is different'}"
    return Change(added, gone, limits, told, paid.caps() if paid.caps() != old.caps() else None, credentials)


def _alone(old: Settings, new: Settings) -> list[str]:
    """Of which keys that stay something else is said than of all, or than before."""
    before, after = ({one.name: one for one in settings.credentials} for settings in (old, new))
    stayed = {label: fingerprint(key) for label, key in new.keys.items() if key in old.keys.values()}
    names = [label for label, name in stayed.items() if before.get(name) != after.get(name)]
    return [f"account, weight, models, pools or limits of {listed(names)} are others"] if names else []


def words(limits: Limits) -> str:
    """Limits as options say them."""
    names = ("rpm", "tpm", "ipm", "rpd", "tpd", "ipd")
    figures = (limits.rpm, limits.tpm, limits.ipm, limits.rpd, limits.tpd, limits.ipd)
    told = [f"{value:,.10g} {name}" for name, value in zip(names, figures, strict=True) if value is not None]
    told += [f"{limits.concurrency} at a time"] if limits.concurrency is not None else []
    told += ["never exceeded"] if limits.ceiling else []
    return ", ".join(told) or "none are known"


def _funds(old: Funds, new: Funds) -> Funds:
    """What may be spent besides the folder's budget; without a ledger that is open nobody counts days."""
    return old if old.ledger is None else evolve(old, day=new.day, month=new.month, policy=new.policy)


def _caps(old: Settings, new: Settings) -> list[str]:
    pairs = (("budget", old.budget, new.budget), ("budget of the day", old.funds.day, new.funds.day),
             ("budget of the month", old.funds.month, new.funds.month))  # fmt: skip
    told: list[str] = []
    for name, before, after in pairs:
        if before != after:
            was = "there was none" if before is None else f"it was ${before:f}"
            told.append(f"the {name} is {'not bounded any more' if after is None else f'${after:f}'} ({was})")
    return told


def _later(old: Settings, new: Settings) -> list[str]:
    """What of a file does not count for a run that is under way."""
    pairs: tuple[tuple[str, object, object], ...] = (
        ("the folder", old.folder, new.folder),
        ("base_url", old.base_url, new.base_url),
        ("the headers", old.headers, new.headers),
        ("what is sent and as what", old.choices, new.choices),
        ("max_failures", old.max_failures, new.max_failures),
        ("deadline", old.deadline, new.deadline),
        ("resize and convert", old.conversion, new.conversion),
        ("cache", old.cache, new.cache),
        *((name, old.rows.get(name), new.rows.get(name)) for name in dict.fromkeys((*old.rows, *new.rows))),
        ("the budgets of day and month", _days(_funds(old.funds, new.funds)), _days(new.funds)),
    )
    return [name for name, before, after in pairs if before != after]


def _days(funds: Funds) -> tuple[object, ...]:
    return (funds.day, funds.month, funds.policy)


def terminal() -> bool:
    """Whether there is a terminal that this process belongs to: none any more once it was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True
