"""Which sizes a model takes: a list, or any pair of pixels that fits the grid of the later models."""

from __future__ import annotations

import re
from functools import lru_cache
from math import isqrt

from attrs import frozen

from penstock.catalog._load import load, table, whole

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@frozen
class Grid:
    """Sides are multiples of `multiple`, the longer at most `longest` and `ratio` times the shorter; pixels bounded."""

    multiple: int
    longest: int
    ratio: int
    fewest: int
    most: int

    @property
    def square(self) -> int:
        """The side of the largest square that fits."""
        side = min(isqrt(self.most), self.longest)
        return side - side % self.multiple

    def fits(self, width: int, height: int) -> bool:
        """Whether a picture of this size may be asked for."""
        long, short = max(width, height), min(width, height)
        return (
            width % self.multiple == 0
            and height % self.multiple == 0
            and long <= self.longest
            and long <= self.ratio * short
            and self.fewest <= width * height <= self.most
        )

    @property
    def words(self) -> str:
        """What fits, in words."""
        return (
            f"WIDTHxHEIGHT with both sides multiples of {self.multiple}, the longer at most {self.longest} and at most "
            f"{self.ratio} times the shorter, {self.fewest:,} to {self.most:,} pixels in all; or auto"
        )


@lru_cache(maxsize=1)
def _grid() -> Grid:
    data = table(load("models.json")["grid"])
    return Grid(*(whole(data[name]) for name in ("multiple", "longest", "ratio", "fewest", "most")))


GRID = _grid()
"""The grid of gpt-image-2 and later (OpenAI image generation guide, 2026-09)."""


def parse(size: str | None) -> tuple[int, int] | None:
    """Width and height in pixels of "WIDTHxHEIGHT"; None for anything else."""
    found = _SIZE.fullmatch(size) if size else None
    return (int(found[1]), int(found[2])) if found else None
