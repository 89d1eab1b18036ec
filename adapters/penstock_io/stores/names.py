"""Stores by name: what a command line, or a file of options, calls one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Protocol

from penstock.errors import UsageError
from penstock_io.stores import Holding, Keeping, Store

Clock = Callable[[], float]

REDIS = ("redis", "rediss", "unix", "valkey", "valkeys")
CLUSTER = ("redis+cluster", "rediss+cluster")
OBJECTS = ("s3", "gs", "az", "azure", "file")

FORMS = (
    "a file (SQLite), a folder (with its index.sqlite, or a batch's), redis://HOST/0, or s3://BUCKET/PREFIX (gs, az,"
    " file)"
)


class Kept(Store, Keeping, Holding, Protocol):
    """A store that can be looked through."""


def store_named(name: str, *, new: bool = False, clock: Clock = time) -> Kept:
    """The store that `name` says: one of `FORMS`.

    A file or a folder has to be there, unless it may be `new`. `clock` gives Unix seconds. Nothing is connected to
    before it is asked for something. Raises `UsageError` for what is no store, and for an extra that is not installed.
    """
    scheme, separator, rest = name.partition("://")
    if separator:
        opener = _by_scheme(scheme.lower(), clock)
        if opener is None or not rest:
            raise UsageError(f"{scheme}:// is no store: name {FORMS}")
        return opener(name)
    if is_address(name):
        scheme = name.partition(":")[0]
        raise UsageError(f"{scheme}: takes two slashes, {scheme}://...: name {FORMS}")
    return _on_disk(Path(name), clock, new=new)


def is_address(name: str) -> bool:
    """Whether a name is a URL, or was meant for one: a scheme with a slash too few is no file."""
    scheme, separator, _ = name.partition(":/")
    return "://" in name or (bool(separator) and scheme.lower() in (*REDIS, *CLUSTER, *OBJECTS))


def _by_scheme(scheme: str, clock: Clock) -> Callable[[str], Kept] | None:
    if scheme in CLUSTER:
        from penstock_io.stores.redis import RedisStore  # noqa: PLC0415 - an extra

        plain = scheme.partition("+")[0]
        return lambda url: RedisStore(f"{plain}://{url.partition('://')[2]}", cluster=True, clock=clock)
    if scheme in REDIS:
        from penstock_io.stores.redis import RedisStore  # noqa: PLC0415 - an extra

        rest = "rediss" if scheme in ("rediss", "valkeys") else "unix" if scheme == "unix" else "redis"
        return lambda url: RedisStore(f"{rest}://{url.partition('://')[2]}", clock=clock)
    if scheme in OBJECTS:
        from penstock_io.stores.objects import LeasedObjectStore  # noqa: PLC0415 - an extra

        return lambda url: LeasedObjectStore(url, clock=clock)
    return None


def _on_disk(path: Path, clock: Clock, *, new: bool) -> Kept:
    from penstock_io.stores.files import INDEX, FilesStore  # noqa: PLC0415 - what is not asked for is not loaded
    from penstock_io.stores.folder import FolderStore, is_batch  # noqa: PLC0415 - as above
    from penstock_io.stores.sqlite import SqliteStore  # noqa: PLC0415 - as above

    if path.is_dir():
        if (path / INDEX).is_file():
            return FilesStore(path, clock=clock)
        if is_batch(path):
            return FolderStore(path, clock=clock)
        raise UsageError(f"{path} is a folder without {INDEX}, so it is no store: name {FORMS}")
    if not path.exists() and not new:
        raise UsageError(f"{path} is not there: name {FORMS}")
    return SqliteStore(path, max_bytes=None, clock=clock)
