"""A folder's pictures as one page: `index.html`, which needs nothing but the pictures beside it.

The page is a template, a style and a script that stand here as files, and the rows as JSON in a block of data. Nothing
of a row is ever markup: the block is escaped so that no text can end it, and the script makes nodes and sets their
text. What may run is named by its digest in the page's own policy, which lets in pictures and nothing else.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from math import isfinite
from typing import cast

from attrs import field, frozen

from penstock.errors import UsageError
from penstock_io.batch.rows import Json
from penstock_io.resources import picodollars
from penstock_io.words import at_least, at_most, money, summed

__all__ = ["Card", "gallery"]

PLACE = re.compile(r"\{\{(\w+)\}\}")
"""Where the template takes something in."""

UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
"""What a text of a block of data must not hold as it is: it could end the block, or is no character at all."""


@frozen
class Card:
    """One row as the page shows it.

    `files` are relative to the page, with slashes. `cost_usd` is decimal dollars, None where nobody knows; `seconds` is
    from asking to having; `error` says in words why there is no picture, or not every one. `id` is None for an invalid
    row without one.
    """

    id: str | None
    index: int
    status: str
    files: tuple[str, ...] = ()
    prompt: str = ""
    model: str | None = None
    size: str | None = None
    quality: str | None = None
    cost_usd: str | None = None
    seconds: float | None = None
    attempts: int = 0
    cached: bool = False
    shared: bool = False
    error: str | None = None
    warnings: tuple[str, ...] = ()
    revised_prompt: str | None = None
    meta: Mapping[str, Json] = field(factory=dict[str, Json])


def gallery(cards: Iterable[Card], summary: Mapping[str, object], *, title: str) -> str:
    """The whole page, to be written as UTF-8 beside the folder that the cards' files lie in.

    `summary` is what summary.json says (a sum that is missing is not shown); `title` heads the page.
    """
    parts = _parts()
    data = {
        "title": title,
        "summary": dict(summary),
        "amounts": _amounts(summary),
        "rows": [_row(card) for card in cards],
    }
    filling = {
        "policy": parts["policy"],
        "title": escape(UNSAFE.sub(_replaced, title)),
        "style": parts["style"],
        "script": parts["script"],
        "data": _block(data),
    }
    return PLACE.sub(lambda match: filling[match[1]], parts["page"])


@lru_cache(maxsize=1)
def _parts() -> dict[str, str]:
    """The template, its style and its script, and the policy that lets these two work and nothing else."""
    folder = files(__package__ or "penstock_io.batch")
    page, style, script = (
        folder.joinpath(f"gallery.{kind}").read_text("utf-8").strip() for kind in ("html", "css", "js")
    )
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src 'self' file:",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return {"page": page, "style": style, "script": script, "policy": policy}


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


_NUMBERS = frozenset({"index", "attempts"})
_OPEN: tuple[object, ...] = (None, False, "", (), {})


def _row(card: Card) -> dict[str, object]:
    """A card without what it leaves open: a page of thousands is read by a telephone, too."""
    told: dict[str, object] = {
        "id": card.id,
        "index": card.index,
        "status": card.status,
        "files": card.files,
        "prompt": card.prompt,
        "model": card.model,
        "size": card.size,
        "quality": card.quality,
        "cost": card.cost_usd,
        "paid": None if card.cost_usd is None else money(_picodollars(card.cost_usd)),
        "seconds": None if card.seconds is None else f"{card.seconds:.3f}",
        "attempts": card.attempts,
        "cached": card.cached,
        "shared": card.shared,
        "error": card.error,
        "warnings": card.warnings,
        "revised": card.revised_prompt,
        "meta": dict(card.meta),
    }
    return {name: value for name, value in told.items() if name in _NUMBERS or value not in _OPEN}


def _amounts(summary: Mapping[str, object]) -> dict[str, str]:
    """The sums of a summary in words, as lines say them, by what they are."""
    told: dict[str, str] = {}
    if "cost_usd" in summary:
        spent = summary["cost_usd"]
        known = summary.get("cost_at_least_usd") if spent is None else spent
        told["spent"] = summed(_picodollars(known), unknown=spent is None)
    if maybe := _picodollars(summary.get("maybe_billed_usd")):
        told["maybe billed besides"] = (at_least if summary.get("cost_usd") is None else at_most)(maybe)
    if saved := _picodollars(summary.get("saved_usd")):
        told["saved by sharing and stores"] = money(saved)
    return told


def _picodollars(dollars: object) -> int:
    """A decimal text of dollars as it is counted; what is none is nothing."""
    try:
        return picodollars(Decimal(str(dollars)))
    except (InvalidOperation, UsageError):
        return 0


def _block(data: object) -> str:
    """JSON that stands inside a script element: no text in it ends the element or opens another."""
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(data), ensure_ascii=False, separators=(",", ":"))
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _finite(data: object) -> object:
    """The same with words for numbers that JSON cannot say."""
    if isinstance(data, float) and not isfinite(data):
        return str(data)
    if isinstance(data, Mapping):
        return {str(name): _finite(value) for name, value in cast("Mapping[object, object]", data).items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in cast("Iterable[object]", data)]
    return data


def _replaced(match: re.Match[str]) -> str:
    return match[0] if match[0] in "<>&" else "\ufffd"
