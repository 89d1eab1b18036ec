"""What a person who waits is told: figures of a run as it goes, and whoever shows them."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from attrs import frozen


class Level(IntEnum):
    """How much a line matters: shown with `-v` only, as a rule, as a warning, and even with `--quiet`."""

    DETAIL = 0
    NOTE = 1
    WARNING = 2
    ERROR = 3


@frozen
class Figures:
    """A run at one moment.

    `done` of `total` rows are settled, in this run or before (None: the input is still being read); `failed`,
    `partial`, `ambiguous` and `invalid` are the rows among them that did not end well. Of the others `in_flight` are
    out or being saved, and the rest waits to be sent. `images` were made in this run, `pace` is images made a minute,
    `eta` seconds to go (None: nobody knows, or it ends before that); `stopping` says that nothing new is sent. Money is
    picodollars in this folder: `spent` is charged, `maybe` may have been billed besides, `budget` bounds both;
    `unpriced` says that of something nobody knows the price. `refused` counts replies 429, `broken` replies 5xx.
    `waiting` says what the next request waits for ("" for nothing).
    """

    total: int | None = None
    done: int = 0
    failed: int = 0
    partial: int = 0
    ambiguous: int = 0
    invalid: int = 0
    in_flight: int = 0
    images: int = 0
    pace: float = 0.0
    eta: float | None = None
    stopping: bool = False
    spent: int = 0
    unpriced: bool = False
    maybe: int = 0
    budget: int | None = None
    refused: int = 0
    broken: int = 0
    waiting: str = ""
    seconds: float = 0.0


class Listener(Protocol):
    """Whoever shows a run. May be called from any thread; `update` about four times a second."""

    def tell(self, text: str, level: Level = Level.NOTE) -> None:
        """Show a line, which may have several."""
        ...

    def update(self, figures: Figures) -> None:
        """Show the newest figures."""
        ...
