"""The one seam to the HTTP library: httpx2 or httpx, whichever client object was passed; httpx2 first where none was.

An `Exchange` sends an `Order`, hands the reply's bytes to a `Receiver` as they arrive, and returns the event that ends
the attempt: `run` in a thread, `arun` under asyncio and trio. How far it got is told by the transport's trace events,
which both libraries name alike; a transport without them (a mock) is believed to have sent as soon as it was asked to.

Each exchange of the thread driver has a connection of its own ("connection: close"): only then is its socket known,
which is what an Abort from another thread has to shut down, and no stale connection is ever met. Under asyncio and trio
cancellation does that, and connections are kept alive for 4 seconds: shorter than any server known to close idle ones.

Both libraries log the URL of each request. From the import of this module on they do it without its query, because the
URL of a picture may be signed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import urlsplit

from attrs import field, frozen

from penstock.errors import UsageError
from penstock.events import Event
from penstock.http import HttpCall
from penstock.readings import Kind, Reached
from penstock_io._progress import Progress, words
from penstock_io._trust import trust, wanting

if TYPE_CHECKING:
    import httpx
    import httpx2

SyncHttp: TypeAlias = "httpx.Client | httpx2.Client"
AsyncHttp: TypeAlias = "httpx.AsyncClient | httpx2.AsyncClient"
Beside: TypeAlias = "Callable[[Callable[[], list[str]]], Awaitable[list[str]]]"
"""Calls a function off the loop, e.g. `asyncio.to_thread`."""

PROXIED = "httpx does not ask for the host's name through a proxy: use httpx2, or give no http_client of your own"
"""What is to be done about a certificate that was looked at for an address, though a name was wanted."""

_BY_ADDRESS = "IP address mismatch"

KEEPALIVE = 4.0
"""Seconds after which an idle connection is not used again for a paid request."""


_SECRET = re.compile(r"(?<=://)[^/?#\s]*@|[?#]\S*")
"""What of a URL may be a secret: user and password, query, fragment."""


class _Unsigned(logging.Filter):
    """Lets every record pass, with what may be a secret cut out of its URLs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut the URLs among what a line is made of."""
        if isinstance(record.args, tuple):
            record.args = tuple([_SECRET.sub("", str(arg)) if "://" in str(arg) else arg for arg in record.args])
        return True


for _library in ("httpx", "httpx2"):
    logging.getLogger(_library).addFilter(_Unsigned())


async def at_once(make: Callable[[], list[str]]) -> list[str]:
    """Call it where one is."""
    return make()


class Receiver(Protocol):
    """What becomes of a reply."""

    def opened(self, status: int, headers: list[tuple[str, str]]) -> Event | None:
        """The head arrived: an event to report at once, or None."""
        ...

    def feed(self, data: bytes) -> bool:
        """More of the body. False: enough, break it off and ask `closed`."""
        ...

    def news(self) -> list[Event]:
        """What is to be reported now, before the end: asked after each `feed`."""
        ...

    def closed(self) -> Event:
        """The body is complete (or was enough): the event that ends the attempt."""
        ...

    def failed(self, kind: Kind, reached: Reached, detail: str = "") -> Event:
        """No reply, or not all of it: the event that ends the attempt. `detail` is a line without secrets."""
        ...


@frozen
class Order:
    """One exchange to make: an absolute URL, headers with the credential (never shown), seconds to connect.

    `auth` is the header that carries the credential and what stands before it, `extra` are headers of the user's own.
    `bare`: nothing that the client adds of its own (headers, cookies, query) goes with it. `server` is whom the
    certificate names, where the URL has an address instead.
    """

    url: str = field(repr=False)
    call: HttpCall
    secret: str = field(default="", repr=False)
    extra: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    auth: tuple[str, str] = ("authorization", "Bearer ")
    connect: float = 10.0
    alone: bool = False
    bare: bool = False
    server: str = ""

    def headers(self) -> list[tuple[str, str]]:
        """All headers of the request, the credential among them."""
        headers = [*self.call.headers, ("accept-encoding", "identity"), *self.extra]
        if self.secret:
            name, before = self.auth
            headers.append((name, before + self.secret))
        if self.alone:
            headers.append(("connection", "close"))
        return headers


def _host(url: str) -> str:
    """Host and port of a URL, and nothing else of it."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


_FRAMED = frozenset({"content-length", "transfer-encoding"})
"""Headers that say where a body ends."""


class Exchange:
    """One attempt on its way: what to send, who reads the reply, how far it got, and the event that ended it."""

    def __init__(self, order: Order, receiver: Receiver, progress: Progress) -> None:
        self.order, self.receiver, self.progress = order, receiver, progress
        self.ended: Event | None = None

    def answer(self) -> Event:
        """The event that ended it; where nothing did (cancelled, or never started) it is ABORTED now."""
        if self.ended is None:
            self.ended = self.receiver.failed(Kind.ABORTED, self.progress.so_far())
        return self.ended

    def failed(self, error: Exception) -> Event:
        """End it with what the exception says."""
        kind, reached = self.progress.fault(error)
        said = words(error)
        if self.order.server and said.startswith(_BY_ADDRESS):
            said = f"{said} ({PROXIED})"
        detail = "" if kind is Kind.ABORTED else ": ".join(filter(None, (_host(self.order.url), said)))
        self.ended = self.receiver.failed(kind, reached, detail)
        return self.ended

    def _opened(self, status: int, headers: list[tuple[str, str]], report: Callable[[Event], None]) -> None:
        event = self.receiver.opened(status, headers)
        if event is not None:
            report(event)

    def _fed(self, data: bytes, report: Callable[[Event], None]) -> bool:
        """Take more of the body, and report what is new. False: it is enough."""
        going = self.receiver.feed(data)
        for event in self.receiver.news():
            report(event)
        return going

    def _request(self, client: SyncHttp | AsyncHttp, hear: object) -> httpx.Request | httpx2.Request:
        order, method, headers = self.order, self.order.call.method, self.order.headers()
        more = {"trace": hear, "timeout": {"connect": order.connect}}
        if order.server:
            more["sni_hostname"] = order.server
        made = client.build_request(method, order.url, content=order.call.body, headers=headers, extensions=more)
        return type(made)(method, order.url, headers=headers, extensions=more) if order.bare else made

    def run(self, client: SyncHttp, report: Callable[[Event], None]) -> Event:
        """Make it in this thread. `report` gets Opened and Streamed; the event that ends the attempt is returned."""
        try:
            request = self._request(client, self.progress.hear)
            self.progress.begin()
            with wanting(self.order.server):
                response = client.send(request, stream=True, auth=None, follow_redirects=False)  # type: ignore[arg-type]  # of its own library
            try:
                self._opened(response.status_code, response.headers.multi_items(), report)
                for chunk in response.iter_bytes():
                    if not self._fed(chunk, report):
                        break
                else:
                    if self.progress.aborted and not _FRAMED.intersection(response.headers):
                        return self.answer()  # such a body ends with its connection, which was ended here
                ended = self.ended = self.receiver.closed()
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001 - the libraries share no class, and a user's transport has its own
            return self.ended or self.failed(error)
        return ended

    async def arun(self, client: AsyncHttp, report: Callable[[Event], None], beside: Beside = at_once) -> Event:
        """Make it under asyncio or trio; whoever cancels it asks `answer` what came of it."""
        del beside
        try:
            request = self._request(client, self.progress.ahear)
            self.progress.begin()
            with wanting(self.order.server):
                response = await client.send(request, stream=True, auth=None, follow_redirects=False)  # type: ignore[arg-type]  # of its own library
            try:
                self._opened(response.status_code, response.headers.multi_items(), report)
                async for chunk in response.aiter_bytes():
                    if self.ended is None and not self._fed(chunk, report):
                        self.ended = self.receiver.closed()
                        await response.aclose()  # not `break`: the next read fails, which unwinds their generators
                ended = self.ended = self.ended or self.receiver.closed()
            finally:
                await response.aclose()
        except Exception as error:  # noqa: BLE001 - as in `run`
            return self.ended or self.failed(error)
        except BaseException:
            await self.progress.drop()
            raise
        return ended


def _installed() -> None:
    """Raises `UsageError` where neither library is there, and says how to get one."""
    if find_spec("httpx") is None:
        raise UsageError(
            "there is no HTTP library: pip install 'penstock[cli]' for the command line, 'penstock[httpx2]' or "
            "'penstock[httpx]' for a program; or hand in a client of your own as http_client"
        )


def open_client(base_url: str) -> SyncHttp:
    """A client of the installed library for the thread driver: no limit of its own, no time-out, no redirects."""
    try:
        import httpx2  # noqa: PLC0415 - only one of the two may be installed, and both load slowly
    except ImportError:
        _installed()
        import httpx  # noqa: PLC0415 - as above

        old = httpx.Limits(keepalive_expiry=KEEPALIVE)
        return httpx.Client(limits=old, timeout=None, verify=trust(base_url, httpx.create_ssl_context))  # noqa: S113 - the engine's business
    limits = httpx2.Limits(keepalive_expiry=KEEPALIVE)
    return httpx2.Client(limits=limits, timeout=None, verify=trust(base_url))


def open_async_client(base_url: str) -> AsyncHttp:
    """The same for asyncio and trio."""
    try:
        import httpx2  # noqa: PLC0415 - as above
    except ImportError:
        _installed()
        import httpx  # noqa: PLC0415 - as above

        old = httpx.Limits(keepalive_expiry=KEEPALIVE)
        return httpx.AsyncClient(limits=old, timeout=None, verify=trust(base_url, httpx.create_ssl_context))  # noqa: S113 - as above
    limits = httpx2.Limits(keepalive_expiry=KEEPALIVE)
    return httpx2.AsyncClient(limits=limits, timeout=None, verify=trust(base_url))
