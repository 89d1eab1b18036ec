"""The journal as a store: what a batch has paid for is what it need not buy again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import evolve

from penstock.ids import Key, Ref
from penstock.outcomes import Meta
from penstock_io.journal.journal import Journal


class JournalStore:
    """The pictures of a journal by key. A file that is missing or has another length is a miss.

    Nothing is written here that the journal does not hold: a picture is stored by its settlement. How long one took to
    make is known of those of this run, and of those that `took` names (seconds).
    """

    def __init__(self, journal: Journal, took: Mapping[Key, float] | None = None) -> None:
        self._journal = journal
        self._took = dict(took or {})

    @property
    def inline(self) -> bool:
        """It asks the disk, so never on an event loop."""
        return False

    def read(self, key: Key) -> tuple[Meta, Ref] | None:
        """The picture of a key. Raises `sqlite3.Error`."""
        found = self._journal.look_up(key)
        return None if found is None else (evolve(found[0], seconds=self._took.get(key, 0.0)), found[1])

    def lasts(self, key: Key) -> float | None:
        """None: what is here stays; 0.0: it is not here. Raises `sqlite3.Error`."""
        return 0.0 if self._journal.look_up(key) is None else None

    def held(self, keys: Collection[Key]) -> set[Key]:
        """Those of `keys` whose pictures are there. Raises `sqlite3.Error`."""
        return {key for key in keys if self._journal.look_up(key) is not None}

    def mark(self, key: Key, meta: Meta, ref: Ref) -> bool:
        """Note what is known of a settled picture; its bytes are there."""
        del ref
        self._note(key, meta)
        return True

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Note what is known of a settled picture; its bytes are there, and do not expire."""
        del data, ttl
        self._note(key, meta)

    def _note(self, key: Key, meta: Meta) -> None:
        if meta.seconds:
            self._took[key] = meta.seconds
        self._journal.mark(key, meta)
