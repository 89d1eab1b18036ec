"""What targets have in common that make no pictures: who is asked, how long it may take, what may be sent together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from penstock.cache import places
from penstock.cache.plain import Whose
from penstock.prepare._place import Place
from penstock.work import Rates, Timeouts

BYTES = 3
"""Bytes of a text that count as one token where its tokens are guessed: English has four or more, Chinese three."""

AROUND = 16
"""Tokens that may stand around a text."""


def whose(model: str, at: Place) -> Whose:
    """Who is asked, for whom."""
    server = places.server(at.server, model)
    return Whose(at.provider, at.dialect, model, at.options.tenant, server)


def timeouts(at: Place) -> Timeouts:
    """How long it may take."""
    return at.options.timeouts or Timeouts()


def together(at: Place, told: Mapping[str, object]) -> str | None:
    """A digest of all that must be alike in what goes in one call; None where nothing is to be sent together."""
    if at.config.gathering.most <= 1:
        return None
    limits = timeouts(at)
    words = json.dumps({**told, "timeouts": [limits.connect, limits.total]}, sort_keys=True)
    return sha256(words.encode()).hexdigest()


def guess(nbytes: int) -> int:
    """About how many tokens a text of so many bytes has."""
    return 1 + nbytes // BYTES


def bound(nbytes: int, rates: Rates | None) -> int | None:
    """The most that a text of so many bytes costs, in picodollars: a token has at least a byte. None: unknown."""
    return None if rates is None or rates.text is None else (AROUND + nbytes) * rates.text


def likely(nbytes: int, rates: Rates | None) -> int | None:
    """About what it costs."""
    return None if rates is None or rates.text is None else guess(nbytes) * rates.text
