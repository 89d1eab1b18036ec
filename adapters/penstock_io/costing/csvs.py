"""Sums and quotes as tables for spreadsheets: as fine as they are known, so that sums can be made of their lines."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from typing import BinaryIO

from penstock_io.batch.exports import guarded
from penstock_io.costing.outlook import usd
from penstock_io.costing.quoting import Amount
from penstock_io.costing.sums import Place, Sums

COLUMNS = (
    "source", "day", "provider", "model", "size", "quality", "credential", "tenant", "tags", "attempts", "failed",
    "doubtful", "pictures", "spent_usd", "maybe_billed_usd", "unknown", "reused", "saved_usd",
)  # fmt: skip

QUOTED = ("model", "size", "quality", "pictures", "bound_usd", "expected_usd", "without_bound", "without_expected")
"""The columns of a quote: the dollars are those of what is known, beside how many pictures are without."""


def write_quote(file: BinaryIO, settings: Mapping[tuple[str, str, str], Amount], *, mark: bool = False) -> None:
    """A line for each model, size and quality that is to be bought, otherwise as `write_csv`. Raises `OSError`."""
    lines = ([*map(guarded, names), *_amounts(amount)] for names, amount in settings.items())
    _write(file, QUOTED, lines, mark=mark)


def _amounts(amount: Amount) -> Sequence[int | str]:
    return (amount.pictures, usd(amount.bound), usd(amount.expected), amount.unbounded, amount.unguessed)


def write_csv(file: BinaryIO, sums: Mapping[Place, Sums], *, mark: bool = False) -> None:
    """A line for each place below the columns' names; several tags are separated by " | ". Raises `OSError`.

    A bar or a backslash in a tag has a backslash before it.

    Texts that a spreadsheet would run as a formula get a ' before them. `mark` begins with the mark by which
    spreadsheets know UTF-8.
    """
    lines = ([*map(guarded, _texts(place)), *_figures(figures)] for place, figures in sums.items())
    _write(file, COLUMNS, lines, mark=mark)


def _write(file: BinaryIO, head: Sequence[str], lines: Iterable[Sequence[int | str]], *, mark: bool) -> None:
    text = TextIOWrapper(file, "utf-8-sig" if mark else "utf-8", "replace", newline="", write_through=True)
    try:
        writer = csv.writer(text)
        writer.writerow(head)
        writer.writerows(lines)
        text.flush()
    finally:
        text.detach()  # or it would close the file


def _texts(place: Place) -> Sequence[str]:
    return (
        place.source,
        place.day,
        place.provider,
        place.model,
        place.size,
        place.quality,
        place.credential,
        place.tenant,
        " | ".join(tag.replace("\\", "\\\\").replace("|", "\\|") for tag in place.tags),
    )


def _figures(sums: Sums) -> Sequence[int | str]:
    return (
        sums.attempts,
        sums.failed,
        sums.doubtful,
        sums.pictures,
        usd(sums.charged),
        usd(sums.maybe),
        sums.unknown,
        sums.reused,
        usd(sums.saved),
    )
