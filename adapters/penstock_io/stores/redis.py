"""Pictures in Redis or Valkey, for several machines that share what they buy. Needs the extra `redis`.

A picture and the lease on it have one hash tag, and no operation touches two pictures, so that the keys may live in a
cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from math import ceil
from time import time
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from penstock.errors import UsageError
from penstock.ids import Key
from penstock_io.stores import StoreDamaged
from penstock_io.stores._codec import digest
from penstock_io.stores._sealed import SealedStore, Told

if TYPE_CHECKING:
    from redis.retry import Retry

KEPT = 60.0
"""Seconds for which the server keeps a picture after it has expired: clocks differ, and its own are not asked."""

_SPACE = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)

_CLAIM = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
    local left = redis.call('PTTL', KEYS[1])
    if left >= 0 then
        return left
    end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return -1
"""
"""Take the lease where it is free or one's own; else the milliseconds that are left of it."""

_GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
"""


class _Server(Protocol):
    """What is used of redis-py, whose own types allow for coroutines."""

    def execute_command(self, *args: str | bytes | int) -> object:
        """Ask the server."""
        ...

    def scan_iter(self, match: str, count: int) -> Iterator[bytes]:
        """Names of all servers, some of them twice."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


class _Kind(Protocol):
    """A class of redis-py's clients."""

    def from_url(
        self, url: str, *, socket_timeout: float, socket_connect_timeout: float, retry: Retry, decode_responses: bool
    ) -> _Server:
        """A client of the server at an address."""
        ...


class RedisStore(SealedStore):
    """Pictures by key at a `url` (redis://, rediss:// or unix://), under names that begin with `namespace`.

    Pictures of more than `limit` bytes are not kept (None: all are): put a store on disk behind it with `Tiered`. What
    is dropped when the server is full is the server's affair (`maxmemory-policy`). The server has `timeout` seconds to
    answer; one that does not is left alone for `rest` seconds. `cluster`: it is one of a Redis cluster, whose others it
    tells of. `clock` gives Unix seconds; leases go by the server's own clock. Raises `UsageError` for an address that
    is none, and where redis-py is not installed; a server that is not there raises nothing before it is asked.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "penstock",
        limit: int | None = 16 << 20,
        timeout: float = 1.0,
        rest: float = 5.0,
        cluster: bool = False,
        clock: Callable[[], float] = time,
    ) -> None:
        if not _SPACE.fullmatch(namespace):
            raise UsageError(f"namespace is letters, digits and any of _ . : -, not {namespace!r}")
        if not timeout > 0:
            raise UsageError(f"timeout must be above 0 seconds, not {timeout}")
        super().__init__(shown(url), limit=limit, rest=rest, clock=clock)
        self.namespace = namespace
        self._connect = _connector(url, timeout, cluster=cluster)
        self._connected: _Server | None = None if cluster else self._connect()  # that of a cluster asks it at once

    @property
    def _server(self) -> _Server:
        if self._connected is None:
            self._connected = self._connect()
        return self._connected

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """Take or renew the lease on a key; None: `name` has it, else the seconds until another's ends."""
        span = max(1, ceil(seconds * 1000))
        with self._asked():
            said = self._server.execute_command("EVAL", _CLAIM, 1, self._lease(key), name, span)
        left = cast("int", said)
        return None if left < 0 else max(left, 1) / 1000

    def give_back(self, key: Key, name: str) -> None:
        """End a lease of `name`'s. Raises `StoreFault`."""
        with self._asked():
            self._server.execute_command("EVAL", _GIVE_BACK, 1, self._lease(key), name)

    def close(self) -> None:
        """Let connections go; what is asked afterwards opens new ones."""
        connected = self._connected
        if connected is not None:
            connected.close()

    def _get(self, name: str) -> bytes | None:
        with _expected():
            return cast("bytes | None", self._server.execute_command("GET", self._picture(name)))

    def _beginning(self, name: str, nbytes: int) -> bytes | None:
        with _expected():
            return cast("bytes", self._server.execute_command("GETRANGE", self._picture(name), 0, nbytes - 1)) or None

    def _put(self, name: str, blob: bytes, ttl: float | None) -> None:
        span = () if ttl is None else ("PX", max(1, ceil((ttl + KEPT) * 1000)))
        self._server.execute_command("SET", self._picture(name), blob, *span)

    def _drop(self, name: str) -> bool:
        return bool(self._server.execute_command("DEL", self._picture(name)))

    def _drop_expired(self, name: str) -> None:
        """The server does."""
        del name
        self._expired += 1

    def _names(self) -> Iterator[str]:
        ours = re.compile(re.escape(self.namespace).encode() + rb":\{([0-9a-f]{64})\}:picture")
        for name in self._server.scan_iter(match=self._picture("*"), count=1000):
            found = ours.fullmatch(name)
            if found is not None:  # whoever else uses the server may have names that look like ours
                yield found[1].decode()

    def _picture(self, name: str) -> str:
        return f"{self.namespace}:{{{name}}}:picture"

    def _lease(self, key: Key) -> str:
        return f"{self.namespace}:{{{digest(key)}}}:lease"

    def _told(self, fault: Exception) -> Told | None:
        from redis import exceptions as known  # noqa: PLC0415 - an extra, loaded by whoever has such a store

        if isinstance(fault, known.AuthenticationError | known.AuthorizationError):
            return Told("it refuses the user or the password", gone=True)
        if isinstance(fault, known.TimeoutError | TimeoutError):
            return Told("it does not answer in time", gone=True)
        if isinstance(fault, known.BusyLoadingError):
            return Told("it is loading what it holds", gone=True)
        if isinstance(fault, known.ConnectionError | known.RedisClusterException | OSError):
            return Told("it is out of reach", gone=True)
        if isinstance(fault, known.RedisError):
            code = str(fault).partition(" ")[0]  # the rest of its words may hold what is stored
            return Told(f"it refuses: {code if code.isupper() and code.isalpha() else type(fault).__name__}")
        return None


@contextmanager
def _expected() -> Generator[None]:
    """What is no string lies under the name of a picture, and is none: it is damaged. Raises `StoreDamaged`."""
    from redis.exceptions import ResponseError  # noqa: PLC0415 - an extra, loaded by whoever has such a store

    try:
        yield
    except ResponseError as fault:
        if str(fault).startswith("WRONGTYPE"):
            raise StoreDamaged("it is no picture, but something else of Redis") from None
        raise


def shown(url: str) -> str:
    """A server's address without user and password. Raises `UsageError` for what is none."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        parts, port, host = urlsplit(""), None, None
    if parts.scheme == "unix" and parts.path:
        return f"unix://{parts.path}"
    if parts.scheme not in {"redis", "rediss"} or not host:
        raise UsageError("the address of a Redis server is like redis://localhost:6379/0, rediss://... or unix:///path")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}:{port or 6379}{parts.path}"


def _connector(url: str, timeout: float, *, cluster: bool) -> Callable[[], _Server]:
    """What makes a client. One try more for each command: a server may have let go what was idle."""
    try:
        from redis import Redis, RedisCluster  # noqa: PLC0415 - an extra, loaded by whoever has such a store
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
        from redis.exceptions import ConnectionError as Gone  # noqa: PLC0415 - as above
        from redis.retry import Retry  # noqa: PLC0415 - as above
    except ImportError as missing:
        raise UsageError("a store in Redis needs redis-py: pip install 'penstock[redis]'") from missing
    if cluster and urlsplit(url).scheme == "unix":
        raise UsageError("a Redis cluster is reached by redis:// or rediss://, not by a socket of this machine")
    kind = cast("_Kind", RedisCluster if cluster else Redis)

    def connect() -> _Server:
        try:
            return kind.from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 1, (Gone,)),
                decode_responses=False,
            )
        except ValueError:
            raise UsageError(f"{shown(url)} has a part that redis-py does not know") from None

    return connect
