"""Names of models that nobody knows, and what they may have been meant as.

At the vendor's own address what is nearly the name of a known model is a slip of the pen, and costs a run that halts.
Elsewhere models have whatever names people give them, so it is only told.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from urllib.parse import urlsplit

from penstock.catalog import ending, model, names
from penstock_io.batch.rows import LONGEST_NAME, plain
from penstock_io.pricing import ALLOW

VENDOR = "api.openai.com"
"""The host where only the vendor's own models are."""

CLOSE = 0.8
"""How much alike two names are that one is suggested for the other (as difflib counts)."""


def vendors(base_url: str) -> bool:
    """Whether an address is the vendor's own."""
    return urlsplit(base_url).hostname == VENDOR


def meant(name: str, own: Iterable[str] = ()) -> str | None:
    """What a model may have been meant as that nobody knows ("": nothing is near); None for one that is known.

    `own` are those that the user knows.
    """
    return None if name in own else _meant(name)


@lru_cache(maxsize=1_024)
def _meant(name: str) -> str | None:
    if model(name) is not None or ending(name) is not None:
        return None
    known = [one for first in names() for one in (first, *_snapshots(first))]
    return next(iter(get_close_matches(name.strip().lower(), known, 1, CLOSE)), "")


def _snapshots(name: str) -> tuple[str, ...]:
    known = model(name)
    return () if known is None else known.snapshots


def slip(name: str, near: str) -> str:
    """Why a model is refused that is nearly another one."""
    shown = plain(name, LONGEST_NAME)
    return f'no model "{shown}" is known: did you mean {near}? If it is right, {ALLOW} sends it, or a price of your own'


def unheard(models: Iterable[str], base_url: str, own: Iterable[str] = ()) -> list[str]:
    """What is to be said of models that are sent: a line for each that nobody knows, unless it is merely foreign."""
    lines: list[str] = []
    mine = frozenset(own)
    for name in dict.fromkeys(models):
        near = meant(name, mine)
        if near is None or not (near or vendors(base_url)):
            continue
        shown, hint = plain(name, LONGEST_NAME), f" (did you mean {near}?)" if near else ""
        lines.append(f'no model "{shown}" is known{hint}: it is sent as it is')
    return lines
