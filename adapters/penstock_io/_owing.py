"""Pictures that are paid and were not downloaded: fetched before anything else, while their URLs live."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event, Timer
from time import monotonic

from attrs import define, frozen

from penstock.events import Fetched
from penstock_io._fetching import Fetching, askable
from penstock_io._http import SyncHttp, open_client
from penstock_io._payloads import Payloads
from penstock_io._progress import Progress
from penstock_io._receive import Download
from penstock_io.journal import Due, Journal

PATIENCE = 60.0
"""Seconds after which a picture's download is broken off, with all its tries."""

AT_A_TIME = 8

VAIN = 2 * AT_A_TIME
"""So many pictures one after another that cannot be had, and the others are not tried: they wait for the next run."""

TRIES, PAUSE = 3, 0.25
"""How often a download is tried, and the seconds before the second try, doubled before the third."""


@frozen
class Taken:
    """How many pictures were downloaded, and how many are still due, until when the first of them (Unix seconds)."""

    came: int = 0
    due: int = 0
    until: float | None = None


@define
class _Luck:
    """How many pictures could not be had since the last that came."""

    vain: int = 0


def fetch_due(journal: Journal, base_url: str, now: float) -> Taken:
    """Download what is due, from the provider or a public address, and has not expired at `now` (Unix seconds).

    What does not come stays due. Raises `OSError`, `sqlite3.Error`.
    """
    waiting = [one for one in journal.due() if one.expires > now]
    due = [one for one in waiting if askable(one.url, base_url)]
    fetched = set(_fetch_all(journal, base_url, due)) if due else set[Due]()
    left = [one.expires for one in waiting if one not in fetched]
    return Taken(len(fetched), len(left), min(left, default=None))


def _fetch_all(journal: Journal, base_url: str, due: list[Due]) -> list[Due]:
    """Those that came, and are kept."""
    luck, came = _Luck(), list[Due]()
    client = open_client(base_url)
    try:
        with ThreadPoolExecutor(AT_A_TIME, "penstock-due") as pool:
            for one, data in zip(due, pool.map(partial(_fetch, client, base_url, luck), due), strict=True):
                if data is not None:
                    journal.fetched(one, data)
                    came.append(one)
    finally:
        client.close()
    return came


def _fetch(client: SyncHttp, base_url: str, luck: _Luck, due: Due) -> bytes | None:
    """Its bytes; None where they could not be had. Without a credential, as every download."""
    if luck.vain >= VAIN:
        return None
    pause, end = Event(), monotonic() + PATIENCE
    for tries in range(TRIES):
        data, final = _try(client, base_url, due, end - monotonic())
        if data is not None:
            luck.vain = 0
            return data
        if final:  # refused for where it leads, which says nothing of the others
            return None
        if tries + 1 < TRIES:
            pause.wait(PAUSE * 2.0**tries)
        if monotonic() >= end:
            break
    luck.vain += 1
    return None


def _try(client: SyncHttp, base_url: str, due: Due, seconds: float) -> tuple[bytes | None, bool]:
    """Its bytes, if they came; and whether another try is in vain."""
    payloads, progress = Payloads(), Progress([False])
    limit = Timer(seconds, progress.stop)
    limit.daemon = True
    limit.start()
    try:
        fetching = Fetching(due.url, base_url, Download(due.attempt, payloads), progress, alone=True)
        ended = fetching.run(client, lambda _: None)
    finally:
        limit.cancel()
    if not isinstance(ended, Fetched):
        return None, False
    return payloads.read(ended.files[0]) if ended.files else None, ended.final
