"""SIGHUP while a batch runs: its settings file is read again, and keys and limits are as it says from then on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from attrs import frozen

from penstock.config import Limits
from penstock_io.batch.progress import Level
from penstock_io.batch.settings import Settings
from penstock_io.words import count


@frozen
class Change:
    """What is different: keys by label that come and go, and limits (None: as they were). `told` says it in words."""

    added: Mapping[str, str]
    gone: Mapping[str, str]
    limits: Limits | None
    told: str


def reread(settings: Settings, tell: Callable[[str, Level], None]) -> tuple[Settings, Change] | None:
    """Read the file; the settings from then on, and what changes. None where it cannot be read, which is told."""
    fresh = settings.again() if settings.again is not None else settings
    if isinstance(fresh, str):
        tell(f"the settings stay as they were: {fresh}", Level.WARNING)
        return None
    change = compare(settings, fresh)
    tell(change.told, Level.NOTE)
    return settings.with_access(fresh.keys, fresh.limits), change


def compare(old: Settings, new: Settings) -> Change:
    """What is different. Keys are the same where their values are, whatever they are called."""
    before, after = set(old.keys.values()), set(new.keys.values())
    added = {label: key for label, key in new.keys.items() if key not in before}
    gone = {label: key for label, key in old.keys.items() if key not in after}
    limits = new.limits if new.limits != old.limits else None
    parts = [f"{count(len(added), 'key')} more ({', '.join(added)})"] if added else []
    parts += [f"{count(len(gone), 'key')} less ({', '.join(gone)})"] if gone else []
    parts += [f"other limits for each key ({words(new.limits)})"] if limits is not None else []
    return Change(added, gone, limits, f"settings read again: {'; '.join(parts) or 'nothing is different'}")


def words(limits: Limits) -> str:
    """Limits as options say them."""
    named = (("rpm", limits.rpm), ("tpm", limits.tpm), ("ipm", limits.ipm), ("at a time", limits.concurrency))
    return ", ".join(f"{value:g} {name}" for name, value in named if value is not None) or "none are known"


def terminal() -> bool:
    """Whether there is a terminal that this process belongs to: none any more once it was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True
