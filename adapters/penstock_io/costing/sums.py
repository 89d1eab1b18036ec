"""What was spent, by whatever one asks for. Money is integer picodollars; what nobody knows is counted, never guessed.

An item is what one payer had of one attempt, or what was not bought again. All sums are sums of items, so that they
agree with each other whatever they are by, and in whatever order the items came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import add, attrgetter
from typing import Generic, TypeVar

from attrs import fields, frozen

_Name = TypeVar("_Name")

NOT_KNOWN = "?"
"""Stands for what a folder does not remember; "" is what was left to the provider, or not given."""


@frozen(order=True)
class Place:
    """Where money went: `day` is YYYY-MM-DD (UTC), size and quality are as they were asked for."""

    source: str = ""
    day: str = ""
    provider: str = ""
    model: str = ""
    size: str = ""
    quality: str = ""
    credential: str = ""
    tenant: str = ""
    tags: tuple[str, ...] = ()


@frozen
class Sums:
    """Figures of any number of items.

    `attempts` were sent, of which `failed` brought no picture and `doubtful` may have been billed, for at most `maybe`.
    `charged` is what is known to be paid; of `unknown` parts nobody knows the amount, so both are "at least" then.
    `saved` is what `reused` pictures had cost that were there already.
    """

    attempts: int = 0
    failed: int = 0
    doubtful: int = 0
    pictures: int = 0
    charged: int = 0
    maybe: int = 0
    unknown: int = 0
    reused: int = 0
    saved: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*map(add, _figures(self), _figures(other)))


def _figures(sums: Sums) -> tuple[int, ...]:
    return (
        sums.attempts,
        sums.failed,
        sums.doubtful,
        sums.pictures,
        sums.charged,
        sums.maybe,
        sums.unknown,
        sums.reused,
        sums.saved,
    )


@frozen
class Out:
    """Attempts that a process at work has out now: for at most `bound`, and `unknown` of them for nobody knows what."""

    attempts: int = 0
    bound: int = 0
    unknown: int = 0

    def __add__(self, other: Out) -> Out:
        return Out(self.attempts + other.attempts, self.bound + other.bound, self.unknown + other.unknown)


@frozen
class Item:
    """Figures of one place. `kind` says why an attempt failed or is in doubt ("" for any other).

    `folder` is the name (without its path) of the folder that it is about; with it `attempt`, its number and the Unix
    time of its beginning, tells an attempt from all others, in whichever book it stands (None: it is none, or many).
    `booked`: of a folder, and it was booked in a ledger, too.
    """

    place: Place
    sums: Sums = Sums()
    kind: str = ""
    folder: str = ""
    attempt: tuple[int, float] | None = None
    out: Out = Out()
    booked: bool = False


@frozen
class Book:
    """What one folder or ledger says. `source` is its name for people, `path` the real one.

    `attempts` of a ledger are those that its items are made of, by folder, number and beginning.
    """

    source: str
    path: str
    items: tuple[Item, ...]
    ledger: bool = False
    attempts: frozenset[tuple[str, int, float]] = frozenset()


@frozen
class Books:
    """What all of them say together, an item for each place and kind.

    `twice` items stood in a folder and in a ledger, and count once. `missing` attempts of folders were booked in a
    ledger, and in none of those that are here (0 where there is none).
    """

    sources: tuple[str, ...]
    items: tuple[Item, ...]
    twice: int = 0
    missing: int = 0


_PLAIN: Mapping[str, Callable[[Place], str]] = {
    name: attrgetter(name) for name in ("source", "provider", "model", "size", "quality", "day", "tenant", "credential")
}
TAG = "tag"
DIMENSIONS = ("source", "provider", "model", "size", "quality", "day", "tenant", TAG, "credential")
"""What sums may be by."""


def total(items: Iterable[Item]) -> Sums:
    """All of them together."""
    found = _Tally[None]()
    for item in items:
        found.add(None, item.sums)
    return found.sums().get(None, Sums())


def by(items: Iterable[Item], dimension: str) -> dict[str, Sums]:
    """Sums by one of `DIMENSIONS`, sorted. What has several tags counts under each of them, as budgets count it."""
    found = _Tally[str]()
    name_of = _PLAIN.get(dimension)
    for item in items:
        for name in (item.place.tags or ("",)) if name_of is None else (name_of(item.place),):
            found.add(name, item.sums)
    return dict(sorted(found.sums().items()))


def overlap(items: Iterable[Item]) -> int:
    """Picodollars that sums by tag have more than the total, because of what has several tags."""
    return sum(item.sums.charged * (len(item.place.tags) - 1) for item in items if item.place.tags)


def by_place(items: Iterable[Item]) -> dict[Place, Sums]:
    """Sums as fine as they are known, sorted."""
    found = _Tally[Place]()
    for item in items:
        found.add(item.place, item.sums)
    return dict(sorted(found.sums().items(), key=lambda one: _in_order(one[0])))


def failures(items: Iterable[Item]) -> dict[str, Sums]:
    """What failed or is in doubt, by its kind, sorted."""
    found = _Tally[str]()
    for item in items:
        if item.sums.failed or item.sums.doubtful:
            found.add(item.kind, item.sums)
    return dict(sorted(found.sums().items()))


def out_now(items: Iterable[Item]) -> Out:
    """All that is out."""
    return sum((item.out for item in items), Out())


def together(books: Iterable[Book]) -> Books:
    """Several books as one, in any order. A book that is given twice counts once, and so does an attempt in two books.

    Of a folder and a ledger that both have an attempt, the ledger remembers more of it; what a folder saved, it knows
    itself.
    """
    mine: dict[str, Book] = {}
    for book in books:
        other = mine.get(book.path)
        mine[book.path] = book if other is None or book.source < other.source else other
    chosen = sorted(mine.values(), key=lambda book: (book.source, book.path))
    booked = frozenset[tuple[str, int, float]]().union(*(book.attempts for book in chosen))
    folders = {item.folder for book in chosen if not book.ledger for item in book.items}
    items: list[Item] = []
    twice, missing = 0, set[tuple[str, int, float]]()
    for book in chosen:
        for item in book.items:
            if book.ledger:
                again = item.sums.reused > 0 and item.folder in folders
            else:
                name = None if item.attempt is None else (item.folder, *item.attempt)
                again = name in booked
                if name is not None and item.booked and not again:
                    missing.add(name)
            if again:
                twice += 1
            else:
                items.append(item)
    absent = len(missing) if any(book.ledger for book in chosen) else 0
    return Books(tuple(book.source for book in chosen), _condensed(items), twice, absent)


def _condensed(items: Iterable[Item]) -> tuple[Item, ...]:
    """An item for each place and kind."""
    found = _Tally[tuple[Place, str]]()
    out: dict[tuple[Place, str], Out] = {}
    for item in items:
        name = (item.place, item.kind)
        found.add(name, item.sums)
        if item.out.attempts:
            out[name] = out.get(name, Out()) + item.out
    sums = found.sums()
    names = sorted(sums, key=lambda name: (_in_order(name[0]), name[1]))
    return tuple(Item(name[0], sums[name], name[1], out=out.get(name, Out())) for name in names)


_in_order = attrgetter(*(one.name for one in fields(Place)))
"""What places are sorted by."""


class _Tally(Generic[_Name]):
    """Sums by name, added up in place: a frozen value for each step of 100,000 costs seconds."""

    def __init__(self) -> None:
        self._found: dict[_Name, list[int]] = {}

    def add(self, name: _Name, sums: Sums) -> None:
        """Add to a name."""
        before = self._found.get(name)
        if before is None:
            self._found[name] = list(_figures(sums))
        else:
            before[:] = map(add, before, _figures(sums))

    def sums(self) -> dict[_Name, Sums]:
        """All of them, in the order in which they came first."""
        return {name: Sums(*figures) for name, figures in self._found.items()}
