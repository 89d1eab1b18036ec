"""A picture behind a URL is downloaded: from the provider itself, or from a public address, and from nowhere else.

A name is looked up once, its addresses are judged, and the connection goes to an address that was judged: a name that
leads elsewhere a moment later leads nowhere. Each redirect is judged as the first URL is.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from attrs import field, frozen

from penstock.events import Event
from penstock.http import HttpCall
from penstock.readings import Reached
from penstock_io._addresses import public
from penstock_io._http import AsyncHttp, Beside, Exchange, Order, SyncHttp, at_once
from penstock_io._progress import Aborted, Progress
from penstock_io._receive import Download

HOPS = 5
"""Redirects that are followed."""

MOST = 3
"""Addresses of a host that are tried."""

GET = HttpCall("GET", "", (("user-agent", "penstock"),))

Look: TypeAlias = "Callable[[str, int], list[str]]"
"""The addresses of a host. Raises `OSError`, and `UnicodeError` for what cannot be a name."""

PORTS = {"http": 80, "https": 443}


class Refused(Exception):
    """Nothing is asked for there; the text says why, without the URL."""


@frozen
class Goal:
    """Where a URL leads: `own` is where the API is, which is reached by its name, as the API is."""

    url: str = field(repr=False)
    host: str
    port: int
    secure: bool
    own: bool


def goal_of(url: str, base_url: str, *, secure: bool) -> Goal:
    """Where a URL leads; `secure`: it was named over https. Raises `Refused` for what is never asked for."""
    try:
        parts, base = urlsplit(url), urlsplit(base_url)
        origin = _origin(parts)
        own = origin == _origin(base)
    except ValueError:  # "https://host:99999/", "https://[::1": what a server calls a URL
        raise Refused("the picture's URL is none") from None
    scheme, host, port = origin
    if scheme not in PORTS or not host or not host.isascii():
        raise Refused("the picture's URL is none of http or https")
    if parts.username is not None or parts.password is not None:
        raise Refused("the picture's URL has a user in it")
    if secure and scheme == "http" and not own:
        raise Refused("the picture's URL leads from https to http")
    netloc = base.netloc.rpartition("@")[2] if own else _netloc(host, port, scheme)
    whole = parts._replace(scheme=scheme, netloc=netloc, fragment="").geturl()
    return Goal(whole, host, port, scheme == "https", own)


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    scheme = parts.scheme.lower()
    return scheme, parts.hostname or "", parts.port or PORTS.get(scheme, 0)


def _netloc(host: str, port: int, scheme: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == PORTS[scheme] else f"{name}:{port}"


def askable(url: str, base_url: str) -> bool:
    """Whether a URL may be asked for, as far as it can be told without looking its host up."""
    try:
        goal_of(url, base_url, secure=urlsplit(base_url).scheme.lower() == "https")
    except Refused:
        return False
    return True


def look_up(host: str, port: int) -> list[str]:
    """What the system's resolver says, best first, each address once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Fetching(Exchange):
    """The download of one picture over all redirects, without a credential and anybody's headers.

    `base_url` is where the API is. Raises `Refused` for a URL that is none, or for which nothing is ever asked.
    """

    def __init__(
        self,
        url: str,
        base_url: str,
        receiver: Download,
        progress: Progress,
        *,
        connect: float = 10.0,
        alone: bool = False,
        look: Look = look_up,
        judge: Callable[[str], bool] = public,
    ) -> None:
        self._base_url, self._taker, self._look, self._judge = base_url, receiver, look, judge
        self._order = partial(Order, call=GET, connect=connect, alone=alone, bare=True)
        self._goal = goal_of(url, base_url, secure=urlsplit(base_url).scheme.lower() == "https")
        self._hops = 0
        super().__init__(self._order(self._goal.url), receiver, progress)

    def run(self, client: SyncHttp, report: Callable[[Event], None]) -> Event:
        """Make it in this thread."""
        try:
            while True:
                goal = self._goal
                found = [] if goal.own else self._look(goal.host, goal.port)
                for order in self._orders(found):
                    self._begin(order)
                    super().run(client, report)
                    if self.progress.reached is not Reached.NOTHING:
                        break
                if not self._onward():
                    return self.answer()
        except (Refused, Aborted, OSError, UnicodeError) as error:
            return self._refused(error)

    async def arun(self, client: AsyncHttp, report: Callable[[Event], None], beside: Beside = at_once) -> Event:
        """Make it under asyncio or trio; names are looked up on a thread."""
        try:
            while True:
                goal = self._goal
                look = partial(self._look, goal.host, goal.port)
                found = [] if goal.own else await beside(look)
                for order in self._orders(found):
                    self._begin(order)
                    await super().arun(client, report, beside)
                    if self.progress.reached is not Reached.NOTHING:
                        break
                if not self._onward():
                    return self.answer()
        except (Refused, Aborted, OSError, UnicodeError) as error:
            return self._refused(error)

    def _orders(self, found: list[str]) -> list[Order]:
        """One an address that may be asked, at least one. Raises `Refused`."""
        goal = self._goal
        if goal.own:
            return [self._order(goal.url)]
        places = [address for address in found if self._judge(address)][:MOST]
        if not places:
            raise Refused(f"the picture's URL leads to {goal.host}, which is neither the provider nor public")
        parts = urlsplit(goal.url)
        # a connection of its own, since another name may be at the same address, with another certificate
        call = HttpCall("GET", "", (("host", parts.netloc), *GET.headers))
        return [
            self._order(
                parts._replace(netloc=_netloc(place, goal.port, parts.scheme)).geturl(),
                call=call,
                server=goal.host,
                alone=True,
            )
            for place in places
        ]

    def _begin(self, order: Order) -> None:
        self.progress.anew()
        self.order, self.ended = order, None
        self._taker.onward = None

    def _onward(self) -> bool:
        """Whether there is another place to ask. Raises `Refused`."""
        onward = self._taker.onward
        if onward is None:
            return False
        self.ended = None
        self._hops += 1
        if self._hops > HOPS:
            raise Refused(f"the picture's URL leads on more than {HOPS} times")
        try:
            url = urljoin(self._goal.url, onward)
        except ValueError:
            raise Refused("the picture's URL leads on to what is none") from None
        self._goal = goal_of(url, self._base_url, secure=self._goal.secure)
        return True

    def _refused(self, error: Exception) -> Event:
        if isinstance(error, Aborted):
            return self.answer()
        if isinstance(error, Refused):
            self.ended = self._taker.refused(str(error))
        else:  # a resolver may know it later
            self.ended = self._taker.missing(f"{self._goal.host} has no address")
        return self.ended
