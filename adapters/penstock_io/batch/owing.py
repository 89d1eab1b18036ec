"""Pictures that a killed run had paid and not downloaded: fetched first, while their URLs live."""

from __future__ import annotations

from collections.abc import Callable

from penstock.events import Fetched
from penstock.http import HttpCall
from penstock_io._http import Exchange, Order, Progress, SyncHttp, open_client
from penstock_io._orders import same_origin
from penstock_io._payloads import Payloads
from penstock_io._receive import Download
from penstock_io.journal import Due, Journal
from penstock_io.words import count


def fetch_owed(journal: Journal, base_url: str, now: float, tell: Callable[[str], object]) -> int:
    """Download what is due and has not expired at `now` (Unix seconds); returns how many pictures came.

    What does not come stays due, and is booked as lost with its attempt. Raises `OSError`, `sqlite3.Error`.
    """
    due = [one for one in journal.due() if one.expires > now and same_origin(one.url, base_url)]
    if not due:
        return 0
    came = 0
    client = open_client(base_url)
    try:
        for one in due:
            data = _fetch(client, one)
            if data is not None:
                journal.fetched(one, data)
                came += 1
    finally:
        client.close()
    lost = len(due) - came
    failed = f", {count(lost, 'other')} could not be had" if lost else ""
    tell(f"{count(came, 'picture')} that a run before had paid and not fetched: downloaded now{failed}")
    return came


def _fetch(client: SyncHttp, due: Due) -> bytes | None:
    """Its bytes; None where they could not be had. Without a credential, as every download."""
    payloads = Payloads()
    order = Order(due.url, HttpCall("GET", ""), alone=True)
    ended = Exchange(order, Download(due.attempt, payloads), Progress([False])).run(client, lambda _: None)
    return payloads.read(ended.files[0]) if isinstance(ended, Fetched) and ended.files else None
