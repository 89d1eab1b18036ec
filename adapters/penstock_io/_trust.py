"""Whom connections trust, looked up as late as possible: that takes half a second, which plain http never needs."""

from __future__ import annotations

import ssl
from socket import socket


class LateTrust(ssl.SSLContext):
    """Trusts whom the system trusts, from the first handshake on.

    For clients whose API is on plain http: pictures that it names may be elsewhere, over https.
    """

    _loaded = False

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            self.load_default_certs()

    def wrap_socket(
        self,
        sock: socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """As any context, with the trust loaded."""
        self._load()
        return super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session
        )

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As any context, with the trust loaded."""
        self._load()
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def trust(base_url: str) -> ssl.SSLContext | bool:
    """The HTTP library's own trust for an API on https, and one that is loaded late for any other."""
    return LateTrust(ssl.PROTOCOL_TLS_CLIENT) if base_url.lower().startswith("http://") else True
