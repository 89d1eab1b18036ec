"""Whom connections trust, looked up as late as possible: that takes half a second, which plain http never needs.

Certificates are checked by the name of who is wanted, also where a connection goes to an address.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from socket import socket
from urllib.request import getproxies

_WANTED: ContextVar[str] = ContextVar("penstock_wanted", default="")


@contextmanager
def wanting(name: str) -> Generator[None]:
    """Connections that are made within are to `name`, whatever address they go to; "": to whom they say."""
    before = _WANTED.set(name)
    try:
        yield
    finally:
        _WANTED.reset(before)


class NamedTrust(ssl.SSLContext):
    """Checks certificates by the name that is wanted.

    httpx 0.28 hands that name on (`sni_hostname`), but not through a proxy's tunnel: there it takes the address for it.
    """

    def load(self) -> None:
        """What is to be done before a handshake."""

    def wrap_socket(
        self,
        sock: socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """As any context, to who is wanted."""
        self.load()
        name = _WANTED.get() or server_hostname
        return super().wrap_socket(sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, name, session)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As any context, to who is wanted."""
        self.load()
        return super().wrap_bio(incoming, outgoing, server_side, _WANTED.get() or server_hostname, session)


class LateTrust(NamedTrust):
    """Trusts whom the system trusts, from the first handshake on.

    For clients whose API is on plain http: pictures that it names may be elsewhere, over https.
    """

    _loaded = False

    def load(self) -> None:
        """Look up whom the system trusts, once."""
        if not self._loaded:
            self._loaded = True
            self.load_default_certs()


def trust(base_url: str, make: Callable[[], ssl.SSLContext] | None = None) -> ssl.SSLContext | bool:
    """The HTTP library's own trust for an API on https, and one that is loaded late for any other.

    `make` makes that own trust of a library that does not name whom it wants through a proxy; it is needed where one
    is set in the environment (HTTPS_PROXY, ALL_PROXY).
    """
    if base_url.lower().startswith("http://"):
        return LateTrust(ssl.PROTOCOL_TLS_CLIENT)
    if make is None or not {"https", "all"}.intersection(getproxies()):
        return True
    made = make()
    made.__class__ = NamedTrust  # certificates cannot be copied from one context to another
    return made
