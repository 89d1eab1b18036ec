"""How far an exchange got, told by the transport's trace events, and what the exception means that ended it."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from threading import Lock
from typing import cast

from penstock.readings import Kind, Reached


class Aborted(Exception):
    """Raised inside an exchange of the thread driver that was broken off before its request began to leave."""


class Progress:
    """How far one exchange got, from the trace events of the transport; another thread may break it off.

    `traced` is shared by the exchanges of a client: once any event was heard, silence means that nothing was begun.
    """

    def __init__(self, traced: list[bool]) -> None:
        self.reached = Reached.NOTHING
        self.begun = False
        self.aborted = False
        self._traced = traced
        self._heard = False
        self._stage = ""
        self._tunnel = False
        self._stream: object = None
        self._lock = Lock()

    def begin(self) -> None:
        """The transport is asked to send. Raises `Aborted` where it is too late."""
        with self._lock:
            if self.aborted:
                raise Aborted
            self.begun = True

    def anew(self) -> None:
        """Another request follows in the same exchange: nothing of it was begun. Raises `Aborted`."""
        with self._lock:
            if self.aborted:
                raise Aborted
            self.reached, self.begun, self._stage, self._stream = Reached.NOTHING, False, "", None

    def hear(self, name: str, info: Mapping[str, object]) -> None:
        """One trace event, e.g. "http11.send_request_headers.started". Raises `Aborted` before the first byte."""
        with self._lock:
            if self.aborted and self.reached in _UNSENT and name.endswith(_DOORS):
                raise Aborted
            self._heard = self._traced[0] = True
            stage, _, phase = name.partition(".")[2].rpartition(".")
            self._stage = stage if phase != "complete" else ""
            if stage == "send_request_headers" and phase == "started":
                self._tunnel = getattr(info.get("request"), "method", b"") == b"CONNECT"
            if stage in {"connect_tcp", "connect_unix_socket", "start_tls"}:
                if phase == "complete":
                    self.reached, self._stream = Reached.CONNECTED, info.get("return_value")
            elif stage == "response_closed":
                self._stream = None  # its number may be another connection's in a moment
            elif not self._tunnel:
                self._advance(stage, phase, info)

    async def ahear(self, name: str, info: Mapping[str, object]) -> None:
        """The same for an asynchronous transport."""
        self.hear(name, info)

    def _advance(self, stage: str, phase: str, info: Mapping[str, object]) -> None:
        match stage, phase:
            case "send_request_headers", "started":
                self.reached = Reached.SENDING
            case "send_request_headers", "failed" if "LocalProtocolError" in names(info.get("exception")):
                self.reached = Reached.CONNECTED  # the request was not fit to be written: no byte of it left
            case "send_request_body", "complete":
                self.reached = Reached.SENT
            case "receive_response_headers", "complete":
                self.reached = Reached.READING
            case _:
                pass

    def so_far(self) -> Reached:
        """What an exchange that is cancelled now has reached."""
        if self.begun and not self._heard and not self._traced[0]:
            return Reached.SENDING
        return self.reached

    def fault(self, error: Exception) -> tuple[Kind, Reached]:
        """What the exception says that ended it."""
        kinds = names(error)
        unsent = not self.begun or not kinds.isdisjoint(_BEFORE_SENDING)
        reached = self.reached if unsent else self.so_far()
        if self.aborted:
            return Kind.ABORTED, reached
        if "TimeoutException" in kinds:
            return Kind.TIMEOUT, reached
        if reached not in _UNSENT:
            return Kind.BROKEN, reached
        found = causes(error)
        if any(isinstance(cause, socket.gaierror) for cause in found):
            return Kind.DNS, reached
        if self._stage.startswith("start_tls") or any(isinstance(cause, ssl.SSLError) for cause in found):
            return Kind.TLS, reached
        return Kind.CONNECT, reached

    async def drop(self) -> None:
        """Close a connection whose handshake was cancelled: the libraries leave it to the garbage collector."""
        close = getattr(self._stream, "aclose", None) if self._stage == "start_tls" else None
        if callable(close):
            closing: object = close()
            if isinstance(closing, Awaitable):
                await closing

    def stop(self) -> bool:
        """Break an exchange in another thread off. True: nothing has left nor will, it may be answered at once."""
        with self._lock:
            self.aborted = True
            if not self.begun or (self.reached in _UNSENT and self._traced[0]):
                return True
            look = getattr(self._stream, "get_extra_info", None)
            connection: object = look("socket") if callable(look) else None
            if isinstance(connection, socket.socket):
                # not SSLSocket.shutdown, which takes the TLS state away from under the reading thread; where the
                # provider has reset the connection there is nothing left to shut down
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        return False


_DOORS = ("connect_tcp.started", "send_request_headers.started")
"""Where an exchange can be stopped: elsewhere nobody would own the connection yet, and close it."""

_UNSENT = frozenset({Reached.NOTHING, Reached.CONNECTED})
_BEFORE_SENDING = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}


def names(error: object) -> set[str]:
    """The names of an exception's classes: the two libraries' hierarchies are alike, but share no class."""
    return {kind.__name__ for kind in type(error).__mro__}


def causes(error: BaseException) -> list[BaseException]:
    """The exception, what it came from, and what that came from: a chain of at most 20 or so."""
    found = [error]
    for cause in found:  # it grows as it is walked
        if len(found) < 20:
            found.extend(other for other in (cause.__cause__, cause.__context__) if other is not None)
            if isinstance(cause, BaseExceptionGroup):  # all addresses of a host were tried
                found.extend(cast("BaseExceptionGroup[BaseException]", cause).exceptions[:5])
    return found


def words(error: Exception) -> str:
    """What the system said, in its own fixed words: an exception's text may hold anything."""
    found = causes(error)
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, ssl.SSLError):
            return (cause.reason or "").replace("_", " ").lower()
    for cause in found:
        if isinstance(cause, OSError) and cause.errno is not None:
            return str(cause.strerror or "") if isinstance(cause, socket.gaierror) else os.strerror(cause.errno)
    return ""
