"""One commit at a time: entries, and what waits to go along with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock as Mutex

from penstock.entries import Entry, Intent
from penstock.errors import UsageError
from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.journal import _books
from penstock_io.journal._disk import Disk
from penstock_io.journal._health import check
from penstock_io.journal._mirror import MIRROR, NO_MARK, Mirror, Row, line_of, mark_of
from penstock_io.journal._schema import DATABASE, KEYS, PRIVATE, begin_run, connect


class Writer:
    """The database of a folder, this run in it, and the rows, marks and names that the next commit takes along.

    `put_rows` and `mark` may be called from any thread; whoever commits holds the turn of the disk. Making one raises
    `JournalError`, `OSError` and `sqlite3.Error`.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        check(folder)
        self._lines: list[bytes] = []
        self._turn = Mutex()
        self._rows: dict[str, str] = {}
        self._marks: dict[Key, Meta] = {}
        self._gone: list[str] = []
        self.run = 0
        self.db = connect(folder / DATABASE, disk, self._heard)
        try:
            self._mirror = Mirror(folder / MIRROR)
            self._mend(folder)
            with self.transaction() as db:
                self.run = begin_run(db)
        except BaseException:
            self.db.close()
            raise

    @property
    def waiting(self) -> bool:
        """Whether something is not durable yet."""
        with self._turn:
            return bool(self._rows or self._marks or self._gone)

    def put_rows(self, rows: Mapping[str, str]) -> None:
        """Keep texts by name. Raises `UsageError` for text that is not Unicode."""
        for row, state in rows.items():
            try:
                (row + state).encode()
            except UnicodeEncodeError:
                raise UsageError(f"not Unicode: row {row!r}") from None
        with self._turn:
            self._rows.update(rows)

    def rows(self) -> dict[str, str]:
        """All of them. Raises `sqlite3.Error`."""
        kept = dict(self.db.execute("SELECT row, state FROM rows").fetchall())
        with self._turn:
            return kept | self._rows

    def mark(self, key: Key, meta: Meta) -> None:
        """Note what is known of a picture."""
        with self._turn:
            self._marks[key] = meta

    def noted(self, key: Key, meta: Meta) -> Meta:
        """What is noted of a picture and not durable yet, or `meta`."""
        with self._turn:
            return self._marks.get(key, meta)

    def gone(self, names: Sequence[str]) -> None:
        """These names were taken away."""
        with self._turn:
            self._gone += names

    @contextmanager
    def transaction(self, entries: Sequence[Entry] = ()) -> Generator[sqlite3.Connection]:
        """One commit, which takes what waits along; whatever is raised inside takes all of it back."""
        with self._turn:
            rows, self._rows = self._rows, {}
            marks, self._marks = self._marks, {}
            gone, self._gone = self._gone, []
        self._lines.clear()
        try:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.executemany("INSERT OR REPLACE INTO rows (row, state) VALUES (?, ?)", rows.items())
            _books.forget_moves(self.db, gone)
            for key, meta in marks.items():  # before the entries: a verdict on a picture is not one on its successor
                _books.mark(self.db, key, meta)
            yield self.db
            self._count(entries)
            self.db.execute("COMMIT")
        except BaseException:
            with self._turn:
                self._rows = rows | self._rows
                self._marks = marks | self._marks
                self._gone = gone + self._gone
            self._roll_back()
            raise
        self._mirror.append(self._lines)

    def _count(self, entries: Sequence[Entry]) -> None:
        """Last, so that a commit's last line in the mirror is that of its run."""
        quotes = [entry.quote for entry in entries if isinstance(entry, Intent)]
        self.db.execute(
            "UPDATE runs SET steps = steps + 1, intents = intents + ?, quoted = quoted + ?, unpriced = unpriced + ?"
            " WHERE run = ?",
            (len(quotes), sum(quote or 0 for quote in quotes), quotes.count(None), self.run),
        )

    def _heard(self, table: str, row: Row) -> None:
        if table not in PRIVATE:
            self._lines.append(line_of(table, row))

    def _mend(self, folder: Path) -> None:
        """A mirror that lacks the last commits (a crash came first, or the disk was full) is made anew."""
        last = self.db.execute("SELECT run, steps FROM runs ORDER BY run DESC LIMIT 1").fetchone()
        if (NO_MARK if last is None else tuple(last)) == mark_of(folder / MIRROR):
            return
        tables = [table for table in KEYS if table not in PRIVATE and table != "runs"]
        self._mirror.rewrite(
            line_of(table, row[:-1])
            for table in (*tables, "runs")
            for row in self.db.execute(f"SELECT * FROM {table}")  # noqa: S608 - names of ours
        )

    def _roll_back(self) -> None:
        if self.db.in_transaction:
            try:
                self.db.execute("ROLLBACK")
            except sqlite3.Error:
                return  # SQLite rolled back by itself, as it does after a full disk
