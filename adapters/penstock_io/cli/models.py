"""`penstock models`: what is known of models, what is not, and which dialects are spoken on which grounds."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from penstock_io.cli.parsing import Formatter, Parser, Subparsers, complain

if TYPE_CHECKING:
    from penstock.catalog import Model
    from penstock.wire import Dialect
    from penstock.work import Rates

DONE, USAGE = 0, 2
CLASSES = ("text", "cached_text", "image", "cached_image", "image_out", "text_out")
"""Classes of tokens, as prices name them."""

EPILOG = """\
Prices are published ones, in dollars a million tokens, of today; yours may differ ([prices."MODEL"] of a --config).
Of what is unknown nothing is made up: without a price or a formula a picture has no bound, and a budget refuses it.

A dialect is how a provider is spoken to (--dialect NAME, or by its address). Verified: it was checked against recorded
traffic of a provider. Unverified: it rests on documentation and sources, which its last line names.

--json prints one object: date, checked, models, gone, others, dialects; prices are texts, in dollars a million tokens.

exit codes: 0 it was said; 2 there is no such model or dialect
"""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `models` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "models",
        usage="penstock models [NAME] [--json]",
        description="What is known of models: since when, until when, sizes, qualities, prices; and of dialects.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="a model or a dialect (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.flags = ["--json", "--help"]
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Say it; returns the exit code."""
    told = known(time.time(), str(args.name))
    if told is None:
        return complain(
            "usage", f"nothing is known of {args.name!r}: penstock models lists all", USAGE, as_json=args.json
        )
    print(json.dumps(told, ensure_ascii=False, indent=2) if args.json else "\n".join(lines(told)))
    return DONE


Table = dict[str, object]


def known(unix: float, name: str = "") -> Table | None:
    """All that is known at `unix` (seconds), as one object; of one model or dialect alone; None: nothing is."""
    from penstock import catalog  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock.wire import DIALECTS  # noqa: PLC0415 - as above

    meant = catalog.model(name) if name else None
    models = [one for other in catalog.names() if (one := catalog.model(other)) is not None]
    seen = {one for model in models for one in (model.name, *model.snapshots)}
    gone = [other for other in catalog.gone() if name in ("", other)]
    others = [one for one in catalog.listed("openai") if one not in seen and one not in catalog.gone()]
    told: Table = {
        "date": datetime.fromtimestamp(unix, UTC).date().isoformat(),
        "checked": catalog.checked(),
        "models": [_model(one, unix) for one in models if not name or one is meant],
        "gone": [_gone(one) for one in gone],
        "others": [_other(one, unix) for one in others if name in ("", one)],
        "dialects": [_dialect(one) for one in DIALECTS.values() if name in ("", one.name)],
    }
    found = any(told[part] for part in ("models", "gone", "others", "dialects"))
    return told if found else None


def _model(one: Model, unix: float) -> Table:
    from penstock import catalog  # noqa: PLC0415 - as above

    dialects = [name for name in ("openai", "azure", "openrouter") if catalog.rates(name, one.name, unix) is not None]
    rates = catalog.rates("openai", one.name, unix)
    return {
        "name": one.name,
        "snapshots": list(one.snapshots),
        "released": one.released,
        "shutdown": one.shutdown or None,
        "replacements": list(one.replacements),
        "notice": catalog.parting(one.name, unix) or None,
        "sizes": list(one.sizes) or catalog.GRID.words,
        "qualities": list(one.qualities),
        "formats": list(one.formats),
        "backgrounds": list(one.backgrounds),
        "pictures_a_call": one.most,
        "prices": _prices(rates),
        "batch_prices": _prices(catalog.batch_rates("openai", one.name, unix)),
        "price_source": None if rates is None else rates.source,
        "priced_in": dialects,
        "typical_seconds": catalog.typical_seconds(one.name, "high"),
        "unknown": _unknown(one, rates),
        "source": one.source,
    }


def _unknown(one: Model, rates: Rates | None) -> list[str]:
    from penstock import catalog  # noqa: PLC0415 - as above

    told: list[str] = []
    if rates is None:
        told.append("its price on this day")
    if catalog.output_tokens(one.name, "1024x1024", "high") is None:
        told.append("how many tokens a picture takes: no formula is published, only measurements are known")
    if catalog.image_tokens(one.name, 1024, 1024) is None:
        told.append("how many tokens an image takes that a picture is made from")
    return told


def _gone(name: str) -> Table:
    from penstock import catalog  # noqa: PLC0415 - as above

    end = catalog.ending(name)
    return {
        "name": name,
        "shutdown": None if end is None else end.shutdown,
        "replacements": [] if end is None else list(end.replacements),
    }


def _other(name: str, unix: float) -> Table:
    from penstock import catalog  # noqa: PLC0415 - as above

    rates = catalog.rates("openai", name, unix)
    return {"name": name, "prices": _prices(rates), "price_source": None if rates is None else rates.source}


def _prices(rates: Rates | None) -> dict[str, str]:
    """Dollars a million tokens by class, as exact texts."""
    if rates is None:
        return {}
    figures = {name: value for name in CLASSES if (value := _figure(rates, name)) is not None}
    return {name: f"{(Decimal(value) / 10**6).normalize():f}" for name, value in figures.items()}


def _figure(rates: Rates, name: str) -> int | None:
    value: int | None = getattr(rates, name)
    return value


def _dialect(one: Dialect) -> Table:
    return {
        "name": one.name,
        "title": one.title,
        "operations": sorted(one.ways),
        "hosts": list(one.hosts),
        "keyless": one.keyless,
        "bills": not one.free,
        "verified": one.verified,
        "captured": one.captured or None,
        "source": one.source,
    }


def lines(told: Table) -> list[str]:
    """The same for people."""
    found = [f"as of {told['date']}, compared with its sources on {told['checked']}"]
    for one in _tables(told, "models"):
        found += ["", *_model_lines(one)]
    gone = _tables(told, "gone")
    found += ["", "gone"] if gone else []
    found += [f"  {one['name']!s:24} since {one['shutdown']}; use {_or(one['replacements'])}" for one in gone]
    others = _tables(told, "others")
    found += ["", "priced besides, in dollars a million tokens"] if others else []
    found += [f"  {one['name']!s:32} {_priced(one['prices'])}" for one in others]
    dialects = _tables(told, "dialects")
    found += ["", "dialects"] if dialects else []
    for one in dialects:
        state = "verified" if one["verified"] else "UNVERIFIED"
        found.append(f"  {one['name']!s:11} {state:11} {one['title']}" + ("" if one["bills"] else "; bills nothing"))
        found.append(f"              {', '.join(map(str, _list(one['operations'])))}")
        found.append(f"              by {one['captured'] or one['source']}")
    return found


def _model_lines(one: Table) -> list[str]:
    sizes = one["sizes"] if isinstance(one["sizes"], str) else ", ".join(map(str, _list(one["sizes"])))
    told = [
        f"{one['name']}" + (f" ({', '.join(map(str, _list(one['snapshots'])))})" if one["snapshots"] else ""),
        f"  since      {one['released']}" + (f", until {one['shutdown']}" if one["shutdown"] else ""),
        f"  sizes      {sizes}",
        f"  qualities  {', '.join(map(str, _list(one['qualities'])))}",
        f"  formats    {', '.join(map(str, _list(one['formats'])))}",
        f"  prices     {_priced(one['prices'])}",
    ]
    if one["batch_prices"]:
        told.append(f"  batch API  {_priced(one['batch_prices'])}")
    told += [f"  unknown    {what}" for what in _list(one["unknown"])]
    return told + ([f"  notice     {one['notice']}"] if one["notice"] else [])


def _priced(prices: object) -> str:
    table = cast("dict[str, str]", prices)
    return ", ".join(f"{name.replace('_', ' ')} ${value}" for name, value in table.items()) or "unknown"


def _or(names: object) -> str:
    return " or ".join(map(str, _list(names)))


def _list(value: object) -> Sequence[object]:
    return cast("list[object]", value)


def _tables(told: Table, part: str) -> list[Table]:
    return cast("list[Table]", told[part])
