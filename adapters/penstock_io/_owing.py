"""Pictures that a run which ended had paid and not downloaded: fetched before anything else, while their URLs live."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event, Timer

from attrs import frozen

from penstock.events import Fetched
from penstock.http import HttpCall
from penstock_io._http import Exchange, Order, Progress, SyncHttp, open_client
from penstock_io._orders import same_origin
from penstock_io._payloads import Payloads
from penstock_io._receive import Download
from penstock_io.journal import Due, Journal

PATIENCE = 60.0
"""Seconds after which a download is broken off."""

AT_A_TIME = 8

TRIES, PAUSE = 3, 0.25
"""How often a download is tried, and the seconds before the second try, doubled before the third."""


@frozen
class Taken:
    """How many pictures were downloaded, and how many were tried in vain."""

    came: int = 0
    lost: int = 0


def fetch_due(journal: Journal, base_url: str, now: float) -> Taken:
    """Download what is due, of the provider's own origin, and has not expired at `now` (Unix seconds).

    What does not come stays due. Raises `OSError`, `sqlite3.Error`.
    """
    due = [one for one in journal.due() if one.expires > now and same_origin(one.url, base_url)]
    if not due:
        return Taken()
    client = open_client(base_url)
    try:
        with ThreadPoolExecutor(AT_A_TIME, "penstock-due") as pool:
            came = 0
            for one, data in zip(due, pool.map(partial(_fetch, client), due), strict=True):
                if data is not None:
                    journal.fetched(one, data)
                    came += 1
    finally:
        client.close()
    return Taken(came, len(due) - came)


def _fetch(client: SyncHttp, due: Due) -> bytes | None:
    """Its bytes; None where they could not be had. Without a credential, as every download."""
    pause = Event()
    for tries in range(TRIES):
        data = _try(client, due)
        if data is not None:
            return data
        if tries + 1 < TRIES:
            pause.wait(PAUSE * 2.0**tries)
    return None


def _try(client: SyncHttp, due: Due) -> bytes | None:
    payloads, progress = Payloads(), Progress([False])
    order = Order(due.url, HttpCall("GET", ""), alone=True)
    limit = Timer(PATIENCE, progress.stop)
    limit.daemon = True
    limit.start()
    try:
        ended = Exchange(order, Download(due.attempt, payloads), progress).run(client, lambda _: None)
    finally:
        limit.cancel()
    return payloads.read(ended.files[0]) if isinstance(ended, Fetched) and ended.files else None
