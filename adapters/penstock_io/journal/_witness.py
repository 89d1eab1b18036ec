"""What lies in a folder beside its journal and tells of it: the sums, the rows' results, and the pictures.

None of it is as exact as the journal. It is asked when the journal is damaged: what it knows of and the journal does
not is lost there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from pathlib import Path
from typing import cast

from attrs import frozen

from penstock_io.journal._files import IMAGES, ORIGINALS

RESULTS, PART, SUMMARY = "results.jsonl", "results.part.jsonl", "summary.json"
"""As a batch calls them."""

RUN = (RESULTS, SUMMARY)
"""What a run leaves beside its journal when it ends: where one of them is, there was a journal."""

_PICODOLLARS = 10**12
_BELIEVABLE = 10**9


@frozen
class Told:
    """A row as its results have it: what it paid in picodollars (0: nothing, or it is not said), and its pictures."""

    name: str
    status: str
    paid: int
    attempts: int
    files: tuple[str, ...]


@frozen
class Sums:
    """What summary.json adds up, over the first `runs` runs (None: all). `paid` is with what may have been billed."""

    attempts: int = 0
    paid: int = 0
    runs: int | None = None


@frozen
class Witness:
    """What is told. `sums` None: nobody added up. `since` are the rows that ended after that."""

    sums: Sums | None
    rows: Mapping[str, Told]
    since: Mapping[str, Told]
    files: tuple[str, ...]

    @property
    def all(self) -> Mapping[str, Told]:
        """Each row as it was told last."""
        return {**self.rows, **self.since}


def ask(folder: Path) -> Witness:
    """What a folder tells; what cannot be understood is as if it were not there. Raises `OSError`."""
    return Witness(_sums(folder / SUMMARY), _rows(folder / RESULTS), _rows(folder / PART), tuple(_files(folder)))


def stems(files: Iterable[str]) -> frozenset[str]:
    """The names of pictures without their folder and format: one that was converted keeps them."""
    return frozenset(Path(file).stem for file in files)


def _sums(path: Path) -> Sums | None:
    if not path.is_file():
        return None
    said = _object(path.read_text("utf-8", "replace"))
    if said is None:
        return None
    runs = _count(said.get("runs"))
    paid = _money(said.get("cost_at_least_usd")) + _money(said.get("maybe_billed_usd"))
    return Sums(_count(said.get("attempts")), paid, runs or None)


def _rows(path: Path) -> dict[str, Told]:
    if not path.is_file():
        return {}
    found: dict[str, Told] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file):
            said = _object(line.decode("utf-8", "replace"))
            if said is None:
                continue
            name, files = said.get("id"), said.get("files")
            told = Told(
                name if isinstance(name, str) else f"\n{number}",
                str(said.get("status")),
                _money(said.get("cost_usd")),
                _count(said.get("attempts")),
                tuple(one for one in cast("list[object]", files) if isinstance(one, str))
                if isinstance(files, list)
                else (),
            )
            found[told.name] = told
    return found


def _files(folder: Path) -> Iterator[str]:
    for place in (IMAGES, ORIGINALS):
        if (folder / place).is_dir():
            for path in sorted((folder / place).iterdir()):
                if not path.name.startswith(".") and path.is_file():
                    yield f"{place}/{path.name}"


def _object(text: str) -> dict[str, object] | None:
    try:
        said: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", said) if isinstance(said, dict) else None


def _money(said: object) -> int:
    """Decimal dollars as picodollars, rounded up; 0 for what is none."""
    try:
        amount = Decimal(said) if isinstance(said, str) else Decimal(0)
    except InvalidOperation:
        return 0
    if not amount.is_finite() or not 0 <= amount < _BELIEVABLE:
        return 0
    return int((amount * _PICODOLLARS).to_integral_value(ROUND_CEILING))


def _count(said: object) -> int:
    return said if isinstance(said, int) and 0 <= said < _BELIEVABLE else 0
