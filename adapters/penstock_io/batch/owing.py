"""Pictures that a killed run had paid and not downloaded: fetched first, and told."""

from __future__ import annotations

from collections.abc import Callable

from penstock_io._owing import fetch_due
from penstock_io.journal import Journal
from penstock_io.words import count


def fetch_owed(journal: Journal, base_url: str, now: float, tell: Callable[[str], object]) -> int:
    """Download what is due and has not expired at `now` (Unix seconds); returns how many pictures came.

    What does not come stays due, and is booked as lost with its attempt. Raises `OSError`, `sqlite3.Error`.
    """
    taken = fetch_due(journal, base_url, now)
    if taken.came or taken.lost:
        failed = f", {count(taken.lost, 'other')} could not be had" if taken.lost else ""
        tell(f"{count(taken.came, 'picture')} that a run before had paid and not fetched: downloaded now{failed}")
    return taken.came
