"""Chance for the painter, decided by a text: the same text, the same numbers, in every process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import shake_256
from itertools import chain, count
from typing import TypeVar

__all__ = ["Dice", "ridge"]

T = TypeVar("T")


class Dice:
    """A stream of numbers."""

    def __init__(self, text: str) -> None:
        self._numbers: Iterator[float] = chain.from_iterable(_draw(text, block) for block in count())

    def roll(self) -> float:
        """From 0 to just below 1."""
        return next(self._numbers)

    def between(self, low: float, high: float) -> float:
        """From `low` to just below `high`."""
        return low + (high - low) * next(self._numbers)

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both possible."""
        return low + int((high - low + 1) * next(self._numbers))

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[int(len(choices) * next(self._numbers))]


def _draw(text: str, block: int) -> list[float]:
    drawn = shake_256(f"{text}/{block}".encode()).digest(512)
    return [(high << 8 | low) / 65536 for high, low in zip(drawn[::2], drawn[1::2], strict=True)]


@lru_cache(maxsize=24)
def ridge(width: int, grain: int, roughness: float) -> tuple[float, ...]:
    """A line of hills without end: 4 x `width` heights from 0 to 1.

    `grain` is how many hills it begins with; of what is added in between, each finer step has `roughness` of the one
    before. Below 0.4 the line has no corners.
    """
    dice = Dice(f"ridge {grain} {roughness}")
    line = [dice.roll() for _ in range(grain)]
    swing = 0.5
    while len(line) < 4 * width:
        swing *= roughness
        middles = [(a + b) / 2 for a, b in zip(line, [*line[1:], line[0]], strict=True)]
        if swing > 0.002:
            middles = [height + swing * (dice.roll() - 0.5) for height in middles]
        line = [height for pair in zip(line, middles, strict=True) for height in pair]
        if roughness < 0.4:
            before, after = [line[-1], *line[:-1]], [*line[1:], line[0]]
            line = [(a + 2 * b + c) / 4 for a, b, c in zip(before, line, after, strict=True)]
    low, high = min(line), max(line)
    span = (high - low) or 1.0
    return tuple([(height - low) / span for height in line[: 4 * width]])
