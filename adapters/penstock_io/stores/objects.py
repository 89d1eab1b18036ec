"""Pictures in object storage (S3 and what speaks it, Google, Azure), or in a folder. Needs the extra `objects`.

For pictures that are to outlive machines. It makes no room: give the bucket a rule for its age. Leases take exchanges
of their own, so that they are those of another class; Redis before it with `Tiered` has quicker ones.

No place deletes on a condition. So a lease is deleted only by who has it, and while it lasts for long enough: nobody
may take it over meanwhile.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Literal, Protocol, cast
from urllib.parse import unquote, urlsplit

from penstock.errors import UsageError
from penstock.ids import Key
from penstock_io.journal._lock import FolderInUse, Lock
from penstock_io.stores import StoreFault
from penstock_io.stores._codec import digest
from penstock_io.stores._sealed import SealedStore, Told

_BUCKETS = frozenset({"s3", "s3a", "gs", "az", "azure", "abfs"})

if TYPE_CHECKING:
    from obstore.store import S3Config

_Mode = Literal["create", "overwrite"] | dict[str, str]

_TURNS = 8
"""So often a lease is looked at again that others changed meanwhile."""

_LEASES = "leases"

_SURE = 60.0
"""Seconds for which a lease is renewed that is to be deleted: longer than any exchange takes."""

_NAME = re.compile(r"(?:.*/)?[0-9a-f]{2}/([0-9a-f]{64})")


class _Bucket(Protocol):
    """What is used of obstore, bound to one place."""

    def get(self, path: str) -> _Found:
        """What is stored there."""
        ...

    def get_range(self, path: str, *, start: int, end: int) -> bytes:
        """A part of it."""
        ...

    def put(self, path: str, file: bytes, *, mode: _Mode = "overwrite") -> object:
        """Store it: in any case, only where nothing is, or only where that is still there."""
        ...

    def head(self, path: str) -> Mapping[str, object]:
        """What is known of it."""
        ...

    def delete(self, paths: str) -> None:
        """Drop it."""
        ...

    def list(self, prefix: str | None = None) -> Iterator[list[Mapping[str, object]]]:
        """All of it, or of a folder in it, some at a time."""
        ...


class _Found(Protocol):
    @property
    def meta(self) -> Mapping[str, object]:
        """What is known of it."""
        ...

    def bytes(self) -> bytes:
        """All of it."""
        ...


class ObjectStore(SealedStore):
    """Pictures by key at a `url`: s3://bucket/prefix, gs://..., az://..., or file:///folder, which is made.

    `options` are obstore's for that place, such as {"endpoint": "http://localhost:9000", "region": "eu-central-1"};
    keys come from the environment (AWS_ACCESS_KEY_ID) where they are not given. Pictures of more than `limit` bytes are
    not kept (None: all are). An exchange has `timeout` seconds; a place that does not answer is left alone for `rest`
    seconds. `clock` gives Unix seconds. Raises `UsageError` for an address or option that is none, and where obstore is
    not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        options: Mapping[str, str] | None = None,
        limit: int | None = None,
        timeout: float = 5.0,
        rest: float = 5.0,
        clock: Callable[[], float] = time,
    ) -> None:
        if not timeout > 0:
            raise UsageError(f"timeout must be above 0 seconds, not {timeout}")
        super().__init__(shown(url), limit=limit, rest=rest, clock=clock)
        self._folder = _folder(url)
        self._bucket = _opened(url, dict(options or {}), timeout)

    def close(self) -> None:
        """Nothing is open between two exchanges."""

    def _get(self, name: str) -> bytes | None:
        try:
            return bytes(self._bucket.get(_path(name)).bytes())
        except FileNotFoundError:
            return None

    def _beginning(self, name: str, nbytes: int) -> bytes | None:
        path = _path(name)
        try:
            size = cast("int", self._bucket.head(path)["size"])
            return bytes(self._bucket.get_range(path, start=0, end=min(nbytes, size))) if size else b""
        except FileNotFoundError:
            return None

    def _put(self, name: str, blob: bytes, ttl: float | None) -> None:
        del ttl  # the place knows none; what has expired goes when it is read
        self._bucket.put(_path(name), blob)

    def _drop(self, name: str) -> bool:
        path = _path(name)
        try:
            self._bucket.head(path)
            self._bucket.delete(path)
        except FileNotFoundError:
            return False
        return True

    def _names(self) -> Iterator[str]:
        for some in self._bucket.list():
            for one in some:
                found = _NAME.fullmatch(str(one["path"]))
                if found is not None:
                    yield found[1]

    def _told(self, fault: Exception) -> Told | None:
        from obstore import exceptions as known  # noqa: PLC0415 - an extra, loaded by whoever has such a store

        if isinstance(fault, known.UnauthenticatedError | known.PermissionDeniedError | PermissionError):
            return Told("it refuses the key, or has none", gone=True)
        if isinstance(fault, FileNotFoundError):
            return Told("there is no such bucket or folder")
        if isinstance(fault, known.GenericError | TimeoutError):
            return Told("it is out of reach, or at fault", gone=True)
        if isinstance(fault, known.BaseError | OSError):
            return Told(f"it refuses: {type(fault).__name__}")
        return None


class LeasedObjectStore(ObjectStore):
    """As `ObjectStore`, with leases: small objects of their own, which the place lets only one process make or replace.

    They go by the clocks of those who take them, which should agree within seconds. In a folder whoever replaces one
    holds a lock meanwhile, because no file system compares before it replaces.
    """

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """Take or renew the lease on a key; None: `name` has it, else the seconds until another's ends."""
        path = _lease(key)
        with self._asked():
            for _ in range(_TURNS):
                now = self._clock()
                mine = _note(name, now + seconds)
                if self._put_as(path, mine, "create"):
                    return None
                found = self._lease(path)
                if found is None:
                    continue
                holder, until, tag = found
                if holder != name and until > now:
                    return until - now
                if self._replace(path, mine, tag):
                    return None
        raise StoreFault(f"{self.place}: a lease changes faster than it can be read")

    def give_back(self, key: Key, name: str) -> None:
        """End a lease of `name`'s, also one that is over and nobody else's yet. Raises `StoreFault`."""
        path = _lease(key)
        with self._asked():
            found = self._lease(path)
            if found is not None and found[0] == name:
                self._take_away(path, found)

    def litter(self) -> int:
        """How many leases there are that are over, as those of processes that were killed. Raises `StoreFault`."""
        return sum(1 for _ in self._old_leases())

    def tidy(self) -> int:
        """Take away leases that are over: how many. Raises `StoreFault`."""
        gone = 0
        for path, found in self._old_leases():
            with self._asked():
                gone += self._take_away(path, found)
        return gone

    def _old_leases(self) -> Iterator[tuple[str, tuple[str, float, str]]]:
        """Leases that are over, each with what stands in it."""
        with self._asked():
            paths = [str(one["path"]) for some in self._bucket.list(prefix=_LEASES) for one in some]
        for path in paths:
            with self._asked():
                found = self._lease(path)
            if found is not None and found[1] <= self._clock():
                yield path, found

    def _take_away(self, path: str, found: tuple[str, float, str]) -> bool:
        """Delete a lease, unless it changed since it was read."""
        holder, until, tag = found
        now = self._clock()
        if until - now < _SURE and not self._replace(path, _note(holder, now + 2 * _SURE), tag):
            return False
        with suppress(FileNotFoundError):
            self._bucket.delete(path)
        return True

    def _lease(self, path: str) -> tuple[str, float, str] | None:
        """Who has it until when, and what tells it apart; of what cannot be read nobody has it. None: there is none."""
        try:
            found = self._bucket.get(path)
            tag, data = str(found.meta.get("e_tag")), bytes(found.bytes())
        except FileNotFoundError:
            return None
        try:
            said = json.loads(data)
            return str(said["name"]), float(said["until"]), tag
        except (ValueError, KeyError, TypeError, RecursionError):
            return "", 0.0, tag

    def _replace(self, path: str, data: bytes, tag: str) -> bool:
        """Put a lease in the place of the one that was read; False: another one is there by now."""
        if self._folder is None:
            return self._put_as(path, data, {"e_tag": tag})
        try:
            lock = Lock(self._folder, f"{_LEASES}.lock")
        except FolderInUse:
            return False
        try:
            found = self._lease(path)
            return found is not None and found[2] == tag and self._put_as(path, data, "overwrite")
        finally:
            lock.close()

    def _put_as(self, path: str, data: bytes, mode: _Mode) -> bool:
        from obstore import exceptions as known  # noqa: PLC0415 - an extra, loaded by whoever has such a store

        try:
            self._bucket.put(path, data, mode=mode)
        except (known.AlreadyExistsError, known.PreconditionError, FileNotFoundError, FileExistsError):
            return False
        return True


def _lease(key: Key) -> str:
    return f"{_LEASES}/{digest(key)}"


def _note(name: str, until: float) -> bytes:
    return json.dumps({"name": name, "until": until}).encode()


def _folder(url: str) -> Path | None:
    """The folder that an address names; None: it is no folder's."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _path(name: str) -> str:
    return f"{name[:2]}/{name}"


def shown(url: str) -> str:
    """The address of a place without what may be secret in it. Raises `UsageError` for what is none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if not (parts.path if parts.scheme == "file" else parts.scheme in _BUCKETS and host):
        raise UsageError("the address of object storage is like s3://bucket/prefix, gs://..., az://... or file:///path")
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def _opened(url: str, options: dict[str, str], timeout: float) -> _Bucket:
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra, loaded by whoever has such a store
        from obstore.store import LocalStore, from_url  # noqa: PLC0415 - as above
    except ImportError as missing:
        raise UsageError("object storage needs obstore: pip install 'penstock[objects]'") from missing
    parts, folder = urlsplit(url), _folder(url)
    plain = options.get("endpoint", "").startswith("http://")
    try:
        if folder is not None:
            return cast("_Bucket", LocalStore(folder, mkdir=True))
        opened = from_url(
            f"{parts.scheme}://{parts.netloc}{parts.path}",
            config=cast("S3Config", options),  # or another's: which, is in the address
            client_options={"allow_http": plain, "timeout": timedelta(seconds=timeout)},
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=timeout)},
        )
        return cast("_Bucket", opened)
    except (BaseError, OSError, ValueError, TypeError) as fault:
        raise UsageError(f"{shown(url)} cannot be used: {type(fault).__name__}, of its options or its path") from None
