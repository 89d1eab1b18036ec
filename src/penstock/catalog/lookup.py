"""What is known of models, prices and limits, with dates and sources. Unknown names are no error: they pass through."""

from __future__ import annotations

from functools import lru_cache

from attrs import frozen

from penstock.catalog import inputs, prices, tokens
from penstock.catalog._load import Json, load, rows, table, text, texts, whole
from penstock.catalog.inputs import InputRule
from penstock.catalog.prices import moment
from penstock.catalog.tokens import TokenRule
from penstock.config import Limits
from penstock.work import Rates, Timeouts

NOTICE = 30 * 86_400.0
"""How long before a model's shutdown its use is warned of, in seconds."""


@frozen
class Model:
    """What a model takes. `parameters` are the optional ones it knows, `always` those that must be said each time.

    `sizes` are the sizes it takes besides "auto"; empty: any that fits the grid (`penstock.catalog.sizes`).
    `released` is the date (YYYY-MM-DD) from which it is there, `shutdown` that after which it is gone, with its
    `replacements`; `pool` names the rate limit that it shares, `longest` bounds the prompt in characters, `most` the
    pictures of one call; `images` and `image_bytes` how many it makes one from, and how large each may be.
    """

    name: str
    parameters: tuple[str, ...]
    always: tuple[str, ...]
    qualities: tuple[str, ...]
    formats: tuple[str, ...]
    backgrounds: tuple[str, ...]
    complexities: tuple[str, ...]
    sizes: tuple[str, ...]
    tokens: TokenRule
    inputs: InputRule
    pool: str
    snapshots: tuple[str, ...] = ()
    released: str = ""
    shutdown: str = ""
    replacements: tuple[str, ...] = ()
    longest: int = 32_000
    most: int = 10
    images: int = 16
    image_bytes: int = 52_428_800
    timeouts: Timeouts = Timeouts()
    source: str = ""


@frozen
class Ending:
    """When a model is shut down (YYYY-MM-DD), and what its provider names instead."""

    shutdown: str
    replacements: tuple[str, ...]


def model(name: str) -> Model | None:
    """The model that `name` means (a snapshot means its model), or None for one that the catalog does not know."""
    return _models().get(name)


def names() -> tuple[str, ...]:
    """The models of the catalog that are alive, by name, in its order."""
    return tuple(dict.fromkeys(entry.name for entry in _models().values()))


def default_model(unix: float) -> str:
    """The model for whoever names none: the newest that is there on the day of `unix` (seconds) and can be quoted.

    Its price and its token formula are published for that day; of several of one day it is the first of the catalog.
    On a day for which there is none (a clock that was never set) it is the newest that can be quoted at all.
    """
    quotable = [one for one in map(_models().__getitem__, names()) if tokens.bound(one.tokens, None, None) is not None]
    there = [one for one in quotable if _there(one, unix) and _priced(one.name, unix)]
    return max(there or quotable, key=lambda one: one.released).name  # max keeps the first of equals


def _there(one: Model, unix: float) -> bool:
    return moment(one.released) <= unix and (not one.shutdown or unix < moment(one.shutdown))


def _priced(name: str, unix: float) -> bool:
    price = rates("openai", name, unix)
    return price is not None and price.text is not None and price.image_out is not None


def typical_seconds(name: str, quality: str | None) -> float | None:
    """About how long a picture takes from request to reply, in seconds, by published figures; None: nobody knows.

    For planning only. A figure for the model and the quality goes before the general one.
    """
    known = model(name)
    if known is None:
        return None
    for models, qualities, seconds in _latencies():
        if models & {known.name, ANY} and qualities & {quality, ANY}:
            return seconds
    return None


ANY = "*"
"""Stands for all models, or all qualities, in the data of latencies."""


@lru_cache(maxsize=1)
def _latencies() -> tuple[tuple[frozenset[str], frozenset[str], float], ...]:
    found = rows(load("models.json")["latencies"])
    return tuple(
        [
            (frozenset(texts(row["models"])), frozenset(texts(row["qualities"])), _seconds(row["seconds"]))
            for row in found
        ]
    )


def ending(name: str) -> Ending | None:
    """When `name` is or was shut down, where the catalog knows of it; also for models that are long gone."""
    return _endings().get(name)


def gone() -> tuple[str, ...]:
    """Models that are no longer listed as such, by name: `ending` says when that was."""
    return tuple([text(row["name"]) for row in rows(load("models.json")["gone"])])


def answers_with_urls(name: str) -> bool:
    """Whether a model answers with addresses of its pictures unless it is asked for base64 (`response_format`)."""
    return name in _with_urls()


def checked() -> str:
    """The day (YYYY-MM-DD) on which the list of models was last compared with its sources."""
    return text(load("models.json")["checked"])


def parting(name: str, unix: float) -> str:
    """What is to be said at `unix` (seconds) of a model that is, or will soon be, shut down; "" of all others."""
    end = ending(name)
    if end is None or unix < prices.moment(end.shutdown) - NOTICE:
        return ""
    verb = "was" if unix >= prices.moment(end.shutdown) else "will be"
    return f"{name} {verb} shut down on {end.shutdown}; use {' or '.join(end.replacements)}"


def rates(dialect: str, name: str, unix: float, processing: str = prices.STANDARD) -> Rates | None:
    """Published prices of a model on the day of `unix` (seconds); None where none is known for that day.

    A snapshot that has prices of its own goes by them, any other by its model's. `processing` is "standard" or "batch".
    """
    known = model(name)
    return prices.find(dialect, (name,) if known is None else (name, known.name), unix, processing)


def batch_rates(dialect: str, name: str, unix: float) -> Rates | None:
    """Published prices of the provider's own batch API (within a day); None where it has none, or none is known."""
    return rates(dialect, name, unix, prices.BATCH)


def output_tokens(name: str, size: str | None, quality: str | None) -> int | None:
    """The most output tokens that one picture may take; "auto" and None count as the worst case.

    None for a model whose formula is not published, or that the catalog does not know.
    """
    known = model(name)
    return None if known is None else tokens.bound(known.tokens, size, quality)


def estimated_tokens(name: str, size: str | None, quality: str | None) -> int | None:
    """About how many output tokens one picture takes, at most, also where only measurements exist. None: unknown."""
    known = model(name)
    return None if known is None else tokens.estimate(known.tokens, size, quality)


def preview_tokens(previews: int) -> int:
    """The output tokens that `previews` partial images of a stream take besides the picture."""
    return previews * _preview()


def image_tokens(name: str, width: int, height: int, fidelity: str | None = None) -> int | None:
    """The most input tokens of an image (pixels) that a picture is made from; None where nothing is published.

    `fidelity` is "low" or "high"; None counts as the dearest that the model takes.
    """
    known = model(name)
    return None if known is None else inputs.bound(known.inputs, width, height, fidelity)


def estimated_image_tokens(name: str, width: int, height: int, fidelity: str | None = None) -> int | None:
    """About how many input tokens such an image takes, also where only measurements exist. None: unknown.

    0 x 0 pixels stand for an image that nobody has seen: that is the worst case, where the rule has one.
    """
    known = model(name)
    return None if known is None else inputs.estimate(known.inputs, width, height, fidelity)


def input_tokens_bound(prompt: str) -> int:
    """The most input tokens that a prompt may take: at most one a byte of UTF-8, and 16 around it."""
    return 16 + len(prompt.encode())


def tier(number: int) -> Limits | None:
    """The published limits of an account's tier for the image models; None for a tier that has none."""
    for row in rows(load("tiers.json")["tiers"]):
        if row["tier"] == number:
            return Limits(tpm=float(whole(row["tpm"])), ipm=float(whole(row["ipm"])))
    return None


@lru_cache(maxsize=1)
def _preview() -> int:
    return whole(table(load("models.json")["preview"])["tokens"])


@lru_cache(maxsize=1)
def _models() -> dict[str, Model]:
    data = load("models.json")
    families = table(data["families"])
    found: dict[str, Model] = {}
    for row in rows(data["models"]):
        entry = _model(row, table(families[text(row["family"])]), data)
        found[entry.name] = entry
        for snapshot in entry.snapshots:
            found[snapshot] = entry
    return found


def _model(row: dict[str, Json], family: dict[str, Json], data: dict[str, Json]) -> Model:
    name = text(row["name"])
    seconds, taken = table(data["timeouts"]), table(data["input"])
    fidelities = texts(row.get("fidelities") or family.get("fidelities"))
    known = texts(family["parameters"])
    return Model(
        name=name,
        parameters=(*known, "input_fidelity") if len(fidelities) > 1 else known,
        always=texts(family["always"]),
        qualities=texts(family["qualities"]),
        formats=texts(family["formats"]),
        backgrounds=texts(family["backgrounds"]),
        complexities=texts(family.get("complexities")),
        sizes=() if family["sizes"] == "grid" else texts(family["sizes"]),
        tokens=tokens.rule(table(family["tokens"])),
        inputs=inputs.rule(table(family["inputs"]), fidelities),
        pool=text(row.get("pool")) or name,
        snapshots=texts(row.get("snapshots")),
        released=text(row["released"]),
        shutdown=text(row.get("shutdown")),
        replacements=texts(row.get("replacements")),
        longest=whole(table(data["prompt"])["longest"]),
        most=whole(table(data["most"])["pictures"]),
        images=whole(taken["images"]),
        image_bytes=whole(taken["bytes"]),
        timeouts=Timeouts(_seconds(seconds["connect"]), _seconds(seconds["total"])),
        source=text(row["source"]),
    )


@lru_cache(maxsize=1)
def _with_urls() -> frozenset[str]:
    return frozenset([text(row["name"]) for row in rows(load("models.json")["gone"]) if row.get("answers") == "url"])


@lru_cache(maxsize=1)
def _endings() -> dict[str, Ending]:
    data = load("models.json")
    found: dict[str, Ending] = {}
    for row in rows(data["models"]) + rows(data["gone"]):
        if row.get("shutdown"):
            entry = Ending(text(row["shutdown"]), texts(row["replacements"]))
            for name in (text(row["name"]), *texts(row.get("snapshots"))):
                found[name] = entry
    return found


def _seconds(value: Json) -> float:
    if not isinstance(value, float):
        raise TypeError("the catalog's data has another shape than its reader")
    return value
