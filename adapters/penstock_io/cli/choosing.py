"""How a batch is done, of the options that were given: its `Settings`."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.config import Limits
from penstock.errors import UsageError
from penstock.requests import Unsaid
from penstock.work import OnAmbiguous
from penstock_io.batch.convert import available, parse_convert, parse_resize
from penstock_io.batch.models import vendors
from penstock_io.batch.naming import Template
from penstock_io.batch.settings import Choices, Conversion, Repeats, Settings
from penstock_io.batch.sharing import shared, there
from penstock_io.cli import options
from penstock_io.cli.config import OptionError, Values, overrides_of
from penstock_io.cli.connecting import connect
from penstock_io.cli.funds import funds_of
from penstock_io.lessons import place
from penstock_io.stores import StoreFault

OF_ROWS = (
    options.MODEL, options.SIZE, options.QUALITY, options.OUTPUT_FORMAT, options.N, options.KEEP, options.SKIP_INVALID,
)  # fmt: skip
"""Options that say what rows are: those of a run were read with them when it began."""


def settings_of(values: Values, environ: Mapping[str, str]) -> Settings:
    """How the batch is done, as the options say. Raises `OptionError`."""
    folder = values[options.OUT]
    if folder.exists() and not folder.is_dir():
        raise values.wrong(options.OUT, f"{folder} is a file: name a folder, which need not be there yet")
    connection = connect(values, environ, bare=values[options.DRY_RUN])
    name = values[options.NAME]
    try:
        Template.parse(name)
    except ValueError as error:
        raise values.wrong(options.NAME, error) from None
    choices = Choices(
        on_ambiguous=OnAmbiguous(values[options.ON_AMBIGUOUS]),
        retry_failed=values[options.RETRY_FAILED],
        limit=values.get(options.LIMIT),
        repeats=Repeats(values[options.REPEATS]),
        name=name,
        prices=overrides_of(values),
        unknown=values[options.ALLOW_UNKNOWN_PRICE],
        strict=vendors(connection.base_url) and not values[options.ALLOW_UNKNOWN_PRICE],
        server=connection.base_url,
        dialect=connection.dialect,
        unsaid=Unsaid(values[options.UNSAID]),
    )
    return Settings(
        folder=folder,
        base_url=connection.base_url,
        keys=connection.keys,
        headers=connection.headers,
        query=connection.query,
        limits=connection.limits or Limits(),
        credentials=connection.credentials,
        budget=values.get(options.BUDGET),
        choices=choices,
        max_failures=values.get(options.MAX_FAILURES),
        deadline=values.get(options.DEADLINE),
        conversion=_conversion(values),
        funds=funds_of(values),
        lessons=place(environ, connection.base_url),
        cache=_cache(values),
        rows={option.flag.removeprefix("--"): values.get(option) for option in OF_ROWS},
    )


def _cache(values: Values) -> str | None:
    """The store that folders share, if there is to be one. Raises `OptionError` where it cannot be used."""
    name = values.get(options.CACHE)
    if name is None or (values[options.DRY_RUN] and not there(name)):
        return name
    try:
        store = shared(name)
        try:
            store.figures()
        finally:
            store.close()
    except (StoreFault, UsageError) as fault:
        raise values.wrong(options.CACHE, str(fault)) from fault
    return name


def _conversion(values: Values) -> Conversion | None:
    resize, convert = values.get(options.RESIZE), values.get(options.CONVERT)
    if resize is None and convert is None:
        return None
    option = options.CONVERT if resize is None else options.RESIZE
    try:
        longest = None if resize is None else parse_resize(resize)
        option = options.CONVERT
        format_, quality = (None, None) if convert is None else parse_convert(convert)
    except ValueError as error:
        raise values.wrong(option, error) from None
    missing = available()
    if missing is not None:
        raise OptionError(missing)
    return Conversion(longest, format_, quality)
