"""Progress in words, and as a live display in a terminal by `rich`, where it is installed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO
from unicodedata import combining, east_asian_width

from penstock_io.batch.progress import Figures, Level
from penstock_io.words import at_least, at_most, count, money, one_line, span, summed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

BAR = (8, 32)
"""Cells of the bar, at least and at most; between them a third of the terminal's width."""

_STYLES = {Level.DETAIL: "dim", Level.NOTE: "", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def sentence(figures: Figures) -> str:
    """A run at one moment, in a line without codes."""
    if figures.total is None:
        parts = [f"{count(figures.done, 'row')} done so far"]
    else:
        parts = [f"{figures.done:,} of {count(figures.total, 'row')}"]
    parts += _parts(figures)
    if figures.eta is not None:
        parts.append(f"{span(max(1, round(figures.eta)))} left")
    return "; ".join((", ".join(parts), ", ".join(_sums(figures)), *_waiting(figures)))


def _parts(figures: Figures) -> list[str]:
    stopping = ["stopping"] if figures.stopping else []
    return [*_wrong(figures), *stopping, f"{figures.in_flight:,} in flight", f"{figures.pace:,.1f} images/min"]


def _wrong(figures: Figures) -> list[str]:
    """The rows that did not end well, by status."""
    kinds = (
        (figures.failed, "failed"),
        (figures.partial, "partial"),
        (figures.ambiguous, "ambiguous"),
        (figures.invalid, "invalid"),
    )
    return [f"{number:,} {status}" for number, status in kinds if number]


def _sums(figures: Figures) -> list[str]:
    spent = summed(figures.spent, unknown=figures.unpriced)
    sums = [f"{spent} spent" if figures.budget is None else f"{spent} of {money(figures.budget)} spent"]
    if figures.unpriced and not figures.spent:
        sums = ["price unknown"]
    if figures.maybe:
        sums.append(f"{(at_least if figures.unpriced else at_most)(figures.maybe)} maybe billed")
    if figures.refused:
        sums.append(f"refused {count(figures.refused, 'time')} (429)")
    if figures.broken:
        sums.append(f"{count(figures.broken, 'server error')} (5xx)")
    return sums


def _waiting(figures: Figures) -> list[str]:
    return [f"waiting for {figures.waiting}"] if figures.waiting else []


def bar(done: int, total: int, cells: int, *, plain: bool) -> tuple[str, str]:
    """A bar in two parts, the full and the empty one; `plain` for terminals that know only ASCII or no colours."""
    full, half, empty = ("#", "", ".") if plain else ("━", "╸", "━")
    halves = 2 * cells * min(done, total) // total if total > 0 else 2 * cells
    head = full * (halves // 2) + (half if halves % 2 else "")
    return head, empty * (cells - len(head))


def wrapped(text: str, width: int) -> str:
    """The text in lines of at most `width` cells, broken between words; a word that is longer stays whole."""
    return "\n".join(line for whole in text.split("\n") for line in _wrap(whole, width))


def _wrap(line: str, width: int) -> list[str]:
    lines: list[str] = []
    now, used = "", 0
    for blank, word in re.findall(r"( *)([^ ]+)", line):
        cells = sum(map(_cells, word))
        if now and used + len(blank) + cells > width:
            lines.append(now)
            now, used = word, cells
        else:
            now += blank + word
            used += len(blank) + cells
    return [*lines, now]


def _cells(char: str) -> int:
    """How wide a character is: those of East Asia take two cells, accents none."""
    return 0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1


class Display:
    """The live display: drawn when `draw` is called, by whoever calls it; there is no thread behind it."""

    def __init__(self, console: Console, live: Live, blank: Text) -> None:
        self._console = console
        self._live = live
        self._blank = blank
        self._unicode = console.encoding.startswith("utf")
        self._shown = (0, "")
        live.start()

    def draw(self, figures: Figures) -> None:
        """Show figures in place of the last ones; what looks the same is not drawn again."""
        drawn = self._drawn(figures)
        shown = self._console.width, drawn.plain
        if shown != self._shown:
            self._shown = shown
            self._live.update(drawn, refresh=True)

    def say(self, text: str, level: Level) -> None:
        """Let a line scroll above."""
        line = self._blank.copy()
        line.append(text, _STYLES[level] or None)
        self._console.print(line, soft_wrap=True)

    def stop(self) -> None:
        """Leave what is shown, and give the cursor back."""
        self._live.stop()

    def _drawn(self, figures: Figures) -> Text:
        width = self._console.width
        text = self._blank.copy()
        if figures.total is None:
            head = f"{count(figures.done, 'row')} done"
        else:
            share = 100 * figures.done // figures.total if figures.total else 100
            head = f"{figures.done:,}/{figures.total:,}  {share} %"
            cells = max(BAR[0], min(BAR[1], width // 3))
            full, empty = bar(figures.done, figures.total, cells, plain=self._console.no_color or not self._unicode)
            text.append(full, "yellow" if _wrong(figures) else "green").append(f"{empty} ", "bright_black")
        left = () if figures.eta is None else (f"{span(max(1, round(figures.eta)))} left",)
        for line in (head, *_parts(figures), *left), _sums(figures):
            self._flow(text, line, width, _wrong(figures))
        for waiting in _waiting(figures):
            text.append(wrapped(one_line(waiting), width), "dim").append("\n")
        text.right_crop(1)
        return text

    def _flow(self, text: Text, parts: Iterable[str], width: int, wrong: Sequence[str]) -> None:
        """Add parts, those that went wrong in yellow, on as many lines as they take."""
        between = " · " if self._unicode else ", "
        used = len(text.plain) - text.plain.rfind("\n") - 1
        begun = False
        for part in parts:
            if begun and used + len(between) + len(part) > width:
                text.append("\n")
                begun, used = False, 0
            if begun:
                text.append(between, "dim")
            text.append(part, "yellow" if part in wrong else None)
            used += len(part) + (len(between) if begun else 0)
            begun = True
        text.append("\n")


def display(stream: TextIO) -> Display | None:
    """A live display on a terminal; None where rich is not installed."""
    try:
        from rich.console import Console  # noqa: PLC0415 - it takes longer to load than all the rest of the start
        from rich.live import Live  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above
    except ImportError:
        return None
    ours = stream is sys.stderr  # warnings of Python and of libraries then scroll above, too
    console = Console(file=stream, force_terminal=True, force_jupyter=False, markup=False, emoji=False, highlight=False)
    blank = Text(no_wrap=True, overflow="ellipsis", end="")
    return Display(
        console, Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=ours), blank
    )
