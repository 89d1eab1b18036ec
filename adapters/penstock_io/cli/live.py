"""Progress in words, and as a live display in a terminal by `rich`, where it is installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from penstock_io.batch.progress import Figures, Level
from penstock_io.cli.words import count, money, one_line, span

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

BAR = 32
"""Cells of the bar, at most."""

NARROW = 80
"""Cells of a terminal that leaves less room for the bar."""

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
    parts = [f"{figures.in_flight:,} in flight", f"{figures.pace:,.1f} images/min"]
    return [f"{figures.failed:,} failed", *parts] if figures.failed else parts


def _sums(figures: Figures) -> list[str]:
    sums = [f"{money(figures.spent)} spent"]
    if figures.budget is not None:
        sums = [f"{money(figures.spent)} of {money(figures.budget)} spent"]
    if figures.maybe:
        sums.append(f"at most {money(figures.maybe)} maybe billed")
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


class Display:
    """The live display: drawn when `draw` is called, by whoever calls it; there is no thread behind it."""

    def __init__(self, console: Console, live: Live, blank: Text) -> None:
        self._console = console
        self._live = live
        self._blank = blank
        self._unicode = console.encoding.startswith("utf")
        live.start()

    def draw(self, figures: Figures) -> None:
        """Show figures in place of the last ones."""
        self._live.update(self._drawn(figures), refresh=True)

    def say(self, text: str, level: Level) -> None:
        """Let a line scroll above."""
        line = self._blank.copy()
        line.append(text, _STYLES[level] or None)
        self._console.print(line, soft_wrap=True)

    def stop(self) -> None:
        """Leave what is shown, and give the cursor back."""
        self._live.stop()

    def _drawn(self, figures: Figures) -> Text:
        between = " · " if self._unicode else ", "
        text = self._blank.copy()
        if figures.total is None:
            text.append(f"{count(figures.done, 'row')} done", "bold")
        else:
            self._measure(text, figures.done, figures.total, "yellow" if figures.failed else "green")
        for part in _parts(figures):
            text.append(between).append(part, "yellow" if part.endswith("failed") else None)
        if figures.eta is not None:
            text.append(f"{between}{span(max(1, round(figures.eta)))} left")
        text.append("\n" + between.join(_sums(figures)))
        for waiting in _waiting(figures):
            text.append("\n" + one_line(waiting), "dim")
        return text

    def _measure(self, text: Text, done: int, total: int, style: str) -> None:
        cells = max(8, BAR - max(0, NARROW - self._console.width))
        full, empty = bar(done, total, cells, plain=self._console.no_color or not self._unicode)
        share = 100 * done // total if total else 100
        text.append(full, style).append(empty, "bright_black").append(f" {done:,}/{total:,}", "bold")
        text.append(f" {share} %")


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
