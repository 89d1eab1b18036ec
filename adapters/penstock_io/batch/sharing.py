"""The store that folders of batches share, as `--cache` names it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

from attrs import evolve

from penstock.commands import Notice, Warned
from penstock.ids import Key
from penstock.outcomes import Outcome, Source
from penstock_io.batch.states import RowState
from penstock_io.journal import Journal, JournalStore
from penstock_io.stores.files import FilesStore
from penstock_io.stores.names import Kept, is_address, store_named
from penstock_io.stores.sqlite import SqliteStore
from penstock_io.stores.tiered import Tiered


class Worth:
    """What pictures cost that came from the shared store: once one is the folder's own, its books do not know.

    `states` are those of rows of earlier runs.
    """

    def __init__(self, states: Iterable[RowState] = ()) -> None:
        self._costs = {key: cost for state in states for key, cost in state.worth}

    def told(self, outcome: Outcome) -> Outcome:
        """The outcome, with what was saved by pictures that earlier rows brought in."""
        more = 0
        for picture in outcome.pictures:
            if picture.source is not Source.STORED:
                continue
            if picture.meta.cost is None:
                more += self._costs.get(picture.key, 0)
            else:
                self._costs[picture.key] = picture.meta.cost
        return evolve(outcome, saved=outcome.saved + more) if more else outcome

    def of(self, keys: Iterable[Key]) -> tuple[tuple[Key, int], ...]:
        """What is known of these, each once."""
        return tuple((key, self._costs[key]) for key in dict.fromkeys(keys) if key in self._costs)


def there(name: str) -> bool:
    """Whether a store is there, or nobody knows before it is asked."""
    return is_address(name) or Path(name).exists()


def shared(name: str) -> Kept:
    """A file, made where there is none and bounded as usual, or what `store_named` knows. Raises `UsageError`.

    A name that ends in a slash, and an empty folder, are those of a folder of files that is to be made.
    """
    path = Path(name)
    if not is_address(name) and (_is_empty(path) or (name.endswith("/") and not path.exists())):
        return FilesStore(path)
    return store_named(name) if is_address(name) or path.is_dir() else SqliteStore(name)


def _is_empty(path: Path) -> bool:
    with suppress(OSError):  # whoever opens it says what is wrong
        return path.is_dir() and not any(path.iterdir())
    return False


def stored(name: str | None, keys: Collection[Key]) -> frozenset[Key]:
    """Those of `keys` whose pictures the store of this name has now (None: there is none). Raises `StoreFault`."""
    if name is None or not keys or not there(name):
        return frozenset()
    store = shared(name)
    try:
        return frozenset(store.held(keys))
    finally:
        store.close()


def tiers(journal: Journal, cache: Kept | None, noticed: Callable[[Notice], object]) -> Tiered | None:
    """The folder's own pictures, then those of the folders that it shares them with; None: only its own."""
    if cache is None:
        return None
    return Tiered(JournalStore(journal), cache, heard=lambda said: noticed(Warned("cache", said)))
