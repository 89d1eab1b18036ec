"""A database of a folder, read and left as it is."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def read_only(path: Path) -> Generator[sqlite3.Connection]:
    """The database, left as it is.

    A reader of a database in WAL mode makes files beside it; where no writer left any, none are needed. Where they
    cannot be made (a folder that only can be read) a copy is read.
    """
    settled = not path.with_name(f"{path.name}-wal").exists()
    try:
        db = _open(path, "immutable=1" if settled else "mode=ro")
    except sqlite3.OperationalError:
        with TemporaryDirectory(prefix="penstock-") as copy:
            for name in (path.name, f"{path.name}-wal"):
                if path.with_name(name).exists():
                    shutil.copyfile(path.with_name(name), Path(copy) / name)
            with closing(_open(Path(copy) / path.name, "mode=rw")) as db:
                yield db
        return
    with closing(db):
        yield db


def _open(path: Path, how: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None, timeout=5.0)
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        db.close()
        raise
    return db
