"""Where the rows of a run come from, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penstock.ids import Key
from penstock_io.batch.keying import Keyed


class Source(Protocol):
    """Where rows to be sent come from, one after another."""

    async def next(self) -> Keyed | None:
        """The next row; None: there are no more."""
        ...

    @property
    def coming(self) -> int:
        """How many rows are known to come still."""
        ...

    @property
    def pictures(self) -> float:
        """How many pictures those buy, about."""
        ...

    @property
    def total(self) -> int | None:
        """How many rows there are in all, done ones as well; None: nobody knows yet."""
        ...

    def stop(self) -> None:
        """No more are wanted: whoever waits for one is told that there are no more."""
        ...


class Listed:
    """Rows that are known beforehand; `done` more are done already."""

    def __init__(self, rows: Sequence[Keyed], done: int) -> None:
        self._rows = rows
        self._done = done
        self._at = 0
        self._bought = [0]  # pictures that the first rows buy, by how many rows those are
        seen: set[Key] = set()
        for row in rows:
            new = {key for key in row.keys if key not in seen}
            seen |= new
            self._bought.append(self._bought[-1] + len(new))

    async def next(self) -> Keyed | None:
        """The next row."""
        if self._at >= len(self._rows):
            return None
        self._at += 1
        return self._rows[self._at - 1]

    @property
    def coming(self) -> int:
        """Rows that were not drawn."""
        return len(self._rows) - self._at

    @property
    def pictures(self) -> int:
        """What those buy, each picture once."""
        return self._bought[-1] - self._bought[self._at]

    @property
    def total(self) -> int:
        """All rows of this run."""
        return self._done + len(self._rows)

    def stop(self) -> None:
        """There is nobody to be told."""
