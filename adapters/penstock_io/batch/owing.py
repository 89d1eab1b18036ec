"""Pictures that runs before had paid and not downloaded: fetched first, and told."""

from __future__ import annotations

from collections.abc import Callable

from penstock_io._owing import fetch_due
from penstock_io._paid import clock
from penstock_io.journal import Journal
from penstock_io.words import count


def fetch_owed(journal: Journal, base_url: str, now: float, tell: Callable[[str], object]) -> int:
    """Download what is due and has not expired at `now` (Unix seconds); returns how many pictures came.

    What does not come stays due: it is not bought again, and the next run tries it again until its URL expires; then it
    is booked as lost. Raises `OSError`, `sqlite3.Error`.
    """
    taken = fetch_due(journal, base_url, now)
    if taken.came:
        tell(f"{count(taken.came, 'picture')} that a run before had paid and not fetched: downloaded now")
    if taken.until is not None:
        again = f"the same command tries again, the first until {clock(taken.until)}"
        tell(f"{count(taken.due, 'picture')} paid and not to be had now, and not bought again: {again}")
    return taken.came
