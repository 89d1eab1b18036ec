"""Pictures as files, each under the SHA-256 of its bytes, so that two keys with the same picture share one file.

What is known of them is in `index.sqlite` beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import time

from penstock_io.stores._tables import BESIDE
from penstock_io.stores.sqlite import SqliteStore

INDEX = "index.sqlite"


class FilesStore(SqliteStore):
    """Pictures by key in files below `folder`: `ab/ab12...`, whole or not there.

    As `SqliteStore` in all else. Each key counts with its bytes, also where several share a file.
    """

    _mark = BESIDE

    def __init__(
        self,
        folder: Path | str,
        *,
        max_bytes: int | None = None,
        clock: Callable[[], float] = time,
        wait: float = 2.0,
    ) -> None:
        self.folder = Path(folder)
        super().__init__(self.folder / INDEX, max_bytes=max_bytes, clock=clock, wait=wait, within=-1)

    def __repr__(self) -> str:
        return f"<FilesStore {self.folder}>"

    def file(self, name: str) -> Path:
        """Where the bytes of a SHA-256 (64 hex digits) are."""
        return self._beside.file(name)

    def _folder(self) -> Path:
        return self.folder
