"""What a command goes by: a flag counts before the environment, that before a file, and that before the default.

A file is TOML: options by their keys, and tables: `[providers.NAME]`, `[prices."MODEL"]`, `[keys.VARIABLE]` and
`[pools.NAME]`. Nothing in it may be unknown, and no key of an API may stand in it. Every message says where the value
came from that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from attrs import evolve, field, frozen

from penstock_io.cli.options import (
    API_KEY_ENV,
    BASE_URL,
    BATCH,
    CONFIG,
    DIALECT,
    EDIT,
    PREFIX,
    PROVIDER,
    AnyOption,
    Kind,
    Option,
    Words,
    closest,
)

if TYPE_CHECKING:
    from penstock.catalog import Override, Overrides

T = TypeVar("T")

OTHERS = frozenset({"PENSTOCK_REQUIRE_SERVICES", "PENSTOCK_LESSONS"})
"""Variables that begin as options do and are none: read by the tests of penstock itself, and where lessons are kept."""

PROVIDERS, PRICES, MULTIPLIER = "providers", "prices", "multiplier"
TABLES = frozenset({PRICES, "keys", "pools"})
"""What a file says besides options, whatever the command is."""

QUERY = "query"
_TABLE = (BASE_URL.key, API_KEY_ENV.key, DIALECT.key, QUERY, MULTIPLIER)
_SECRET = re.compile(r"(?:.*_)?(?:api_?key|keys?|token|secret|password|authorization)", re.IGNORECASE)


class OptionError(Exception):
    """What was given cannot be used. The message says where it was given, and what to do."""


class Source(IntEnum):
    """Who says a value; the greater counts."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    FLAG = 3


@frozen
class Given:
    """A value, who says it, and under which name."""

    value: object
    source: Source
    origin: str


@frozen
class Provider:
    """A provider of the file; `where` names its table in messages, `multiplier` is of published prices.

    `query` goes behind the URL of every request.
    """

    base_url: str | None = None
    api_key_env: Words = ()
    where: str = ""
    multiplier: Decimal | None = None
    dialect: str | None = None
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@frozen
class Values:
    """The options of a command, resolved, and the providers of its file.

    `strays` say of variables that look like options and are none. `again` resolves all anew where there is a file.
    """

    given: Mapping[str, Given]
    providers: Mapping[str, Provider] = field(factory=dict[str, Provider])
    strays: tuple[str, ...] = ()
    again: Callable[[], Values] | None = field(default=None, eq=False, repr=False)

    def get(self, option: Option[T]) -> T | None:
        """What was given, else the default; None where there is neither."""
        found = self.given.get(option.key)
        return option.default if found is None else cast("T", found.value)

    def __getitem__(self, option: Option[T]) -> T:
        """As `get`, of an option that has a default or is required. Raises `OptionError` where it is missing."""
        value = self.get(option)
        if value is None:
            raise OptionError(f"{option.flag} {option.metavar} is missing: {option.needed or option.help}")
        return value

    def source(self, option: AnyOption) -> Source:
        """Who says it."""
        found = self.given.get(option.key)
        return Source.DEFAULT if found is None else found.source

    def origin(self, option: AnyOption) -> str:
        """How messages call it: as it was given."""
        found = self.given.get(option.key)
        return option.flag if found is None else found.origin

    def wrong(self, option: AnyOption, message: object) -> OptionError:
        """The error of a value that turned out to be of no use."""
        return OptionError(f"{self.origin(option)}: {message}")


def resolve(flags: Mapping[str, object], options: Sequence[AnyOption], environ: Mapping[str, str]) -> Values:
    """What counts, of flags (by key, parsed), environment, and the file that they name. Raises `OptionError`."""
    given: dict[str, Given] = {}
    providers: Mapping[str, Provider] = {}
    told = _of_environment((CONFIG,), environ)
    named = flags.get(CONFIG.key, told[CONFIG.key].value if told else None)
    if isinstance(named, Path):
        said, providers = read_config(named)
        mine = {option.key for option in options if not option.bare}
        given.update((key, one) for key, one in said.items() if key in mine or key in TABLES)
    given.update(_of_environment(options, environ))
    for option in options:
        if option.key in flags:
            value = flags[option.key]
            if option.kind is Kind.LIST:
                value = tuple(word for words in cast("list[Words]", value) for word in words)
            given[option.key] = Given(value, Source.FLAG, option.flag)
    values = Values(given, providers)
    again = partial(resolve, flags, options, environ) if isinstance(named, Path) else None
    strays = _strays(environ, values.get(API_KEY_ENV) or ())
    return evolve(values, strays=(*strays, *_unused(values, options)), again=again)


def _of_environment(options: Sequence[AnyOption], environ: Mapping[str, str]) -> dict[str, Given]:
    """What the environment says; an empty variable says nothing."""
    found: dict[str, Given] = {}
    for option in options:
        text = environ.get(option.variable, "").strip()
        if text and not option.bare:
            found[option.key] = Given(_parsed(option, text, option.variable), Source.ENVIRONMENT, option.variable)
    return found


def _strays(environ: Mapping[str, str], keys: Words) -> tuple[str, ...]:
    """What is to be said of variables that begin as options do and are none; `keys` are those that hold API keys.

    Raises `OptionError` for one that is nearly an option: what somebody meant to say would be passed over.
    """
    options = {option.variable: option for option in (*BATCH, *EDIT)}
    known = [variable for variable, option in options.items() if not option.bare]
    told: list[str] = []
    for variable in sorted(environ):
        secret = variable in keys or _SECRET.fullmatch(variable.rstrip("_0123456789"))
        if not variable.startswith(PREFIX) or variable in OTHERS or variable in known or secret:
            continue  # said, or nothing to do with options
        near = closest(variable.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in known])
        if variable in options:
            told.append(f"{variable}: it is not read: give it as {options[variable].flag}")
        elif near:
            raise OptionError(f"{variable}: unknown; did you mean {PREFIX}{near}?")
        else:
            told.append(f"{variable}: there is no such option: it is not read")
    return tuple(told)


def _unused(values: Values, options: Sequence[AnyOption]) -> tuple[str, ...]:
    """What is to be said of tables of keys that this command has no use for."""
    if "keys" not in values.given or API_KEY_ENV not in options:
        return ()
    from penstock_io.cli.keyring import strays  # noqa: PLC0415 - few files have such tables

    return strays(values)


def _parsed(option: AnyOption, text: str, origin: str) -> object:
    try:
        return option.parse(text)
    except ValueError as error:
        raise OptionError(f"{origin}: {error}") from None


# The file


def read_config(path: Path) -> tuple[dict[str, Given], dict[str, Provider]]:
    """The options (by key) and providers of a TOML file. Raises `OptionError`."""
    from tomllib import TOMLDecodeError, loads  # noqa: PLC0415 - most commands have no file

    try:
        # an amount of dollars stays exact
        content: dict[str, object] = loads(path.read_bytes().decode("utf-8-sig"), parse_float=Decimal)
    except OSError as fault:
        raise OptionError(f"{path}: cannot be read: {fault.strerror or fault}") from fault
    except UnicodeDecodeError:
        raise OptionError(f"{path}: not UTF-8: save the file as UTF-8") from None
    except (TOMLDecodeError, RecursionError, ValueError) as fault:
        raise OptionError(f"{path}: not TOML: {str(fault)[:200]}") from None
    options = {option.key: option for option in BATCH if not option.once}
    given: dict[str, Given] = {}
    for name, value in content.items():
        where = f"{path}: {name}"
        if name == PROVIDERS:
            continue
        if name in TABLES:
            given[name] = Given(_told_of(name, value, path), Source.FILE, where)
            continue
        option = options.get(name)
        if option is None:
            known = [*options, PROVIDERS, *sorted(TABLES)]
            raise unknown(where, name, known, once=[one.key for one in BATCH if one.once])
        given[name] = Given(of_file(option, value, where), Source.FILE, where)
    return given, _providers(content.get(PROVIDERS, {}), str(path))


def _told_of(name: str, content: object, path: Path) -> object:
    """What the tables of one of the names in `TABLES` say. Raises `OptionError`."""
    from penstock_io.cli.keyring import KEYS, keys_of_file, pools_of_file  # noqa: PLC0415 - most files have none

    if name == PRICES:
        return _prices(content, f"{path}: {name}")
    return keys_of_file(content, str(path)) if name == KEYS else pools_of_file(content, f"{path}: {name}")


def _providers(content: object, file: str) -> dict[str, Provider]:
    if not isinstance(content, dict):
        raise OptionError(f"{file}: {PROVIDERS}: must be tables: [providers.NAME] with base_url and api_key_env")
    found: dict[str, Provider] = {}
    for name, table in cast("dict[str, object]", content).items():
        where = f"{file}: {PROVIDERS}.{name}"
        if not isinstance(table, dict):
            if _SECRET.fullmatch(name):
                raise unknown(where, name, _TABLE)
            raise OptionError(f"{where}: must be a table: [providers.{name}] with base_url and api_key_env")
        told = cast("dict[str, object]", table)
        for key in told:
            if key not in _TABLE:
                raise unknown(f"{where}.{key}", key, _TABLE)
        url = of_file(BASE_URL, told[BASE_URL.key], f"{where}.base_url") if BASE_URL.key in told else None
        keys = of_file(API_KEY_ENV, told[API_KEY_ENV.key], f"{where}.api_key_env") if API_KEY_ENV.key in told else ()
        factor = told.get(MULTIPLIER)
        multiplier = None if factor is None else _factor(factor, f"{where}.{MULTIPLIER}")
        spoken = of_file(DIALECT, told[DIALECT.key], f"{where}.dialect") if DIALECT.key in told else None
        query = _query(told.get(QUERY, {}), f"{where}.{QUERY}")
        found[name] = Provider(
            cast("str | None", url), cast("Words", keys), where, multiplier, cast("str | None", spoken), query
        )
    return found


def _query(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """What goes behind every URL. Raises `OptionError`."""
    told = cast("dict[str, object]", value) if isinstance(value, dict) else {"": None}
    pairs = [(name, one) for name, one in told.items() if isinstance(one, str)]
    if len(pairs) < len(told):
        raise OptionError(f'{where}: must be texts by name, such as query = {{ "api-version" = "preview" }}')
    return tuple(pairs)


def _factor(value: object, where: str) -> Decimal:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        factor = Decimal(value)
        if factor.is_finite() and 0 <= factor <= 1000:
            return factor
    raise OptionError(f"{where}: must be a number from 0 to 1000, such as 1.055: prices are multiplied by it")


def _prices(content: object, where: str) -> tuple[Override, ...]:
    """The prices of one's own, `[prices."MODEL"]`. Raises `OptionError`."""
    from penstock.errors import UsageError  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io.pricing import KEYS, override  # noqa: PLC0415 - as above

    if not isinstance(content, dict):
        raise OptionError(f'{where}: must be tables: [prices."MODEL"] with picture = 0.04, dollars a picture')
    found: list[Override] = []
    for model, table in cast("dict[str, object]", content).items():
        at = f"{where}.{model}"
        if not isinstance(table, dict):
            raise OptionError(f'{at}: must be a table: [prices."{model}"] with picture = 0.04, dollars a picture')
        told = cast("dict[str, object]", table)
        for key, value in told.items():
            if isinstance(value, dict):  # what TOML makes of a dot
                raise OptionError(f'{at}.{key}: a name with a dot stands in quotes: [prices."{model}.{key}"]')
            if key not in KEYS:
                near = closest(key, KEYS)
                hint = f"did you mean {near}?" if near else f"there are {', '.join(KEYS)}"
                raise OptionError(f"{at}.{key}: unknown; {hint}")
        try:
            found.append(override(model, told))
        except UsageError as error:
            raise OptionError(f"{at}: {error}") from None
    return tuple(found)


def overrides_of(values: Values) -> Overrides:
    """The prices that the file says, and the multiplier of the provider that was chosen."""
    from penstock.catalog import Overrides  # noqa: PLC0415 - as above

    given = values.given.get(PRICES)
    mine = () if given is None else cast("tuple[Override, ...]", given.value)
    provider = values.providers.get(values[PROVIDER])
    factor = None if provider is None else provider.multiplier
    return Overrides(mine, () if factor is None else (("", factor),))


def unknown(where: str, name: str, known: Sequence[str], once: Sequence[str] = ()) -> OptionError:
    """The error of a name that a file does not have."""
    if name in once:
        return OptionError(f"{where}: this is said anew for each run: give it as --{name.replace('_', '-')}")
    if _SECRET.fullmatch(name.replace("-", "_")):
        return OptionError(
            f"{where}: a key does not belong into a file: put it into an environment variable, and name that variable "
            "with api_key_env"
        )
    near = closest(name.replace("-", "_"), known)
    return OptionError(f"{where}: unknown; " + (f"did you mean {near}?" if near else f"there are {', '.join(known)}"))


def of_file(option: AnyOption, value: object, where: str) -> object:
    """The value of a key of a file. Raises `OptionError` for another type than the option's, and for what is wrong."""
    text: str | None = None
    match option.kind:
        case Kind.SWITCH:
            if isinstance(value, bool):
                return value
        case Kind.LIST:
            texts = cast("list[object]", value) if isinstance(value, list) else [value]
            if all(isinstance(one, str) for one in texts):
                text = ",".join(str(one) for one in texts)
        case Kind.WHOLE:
            text = str(value) if isinstance(value, int) and not isinstance(value, bool) else None
        case Kind.NUMBER:
            text = str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None
        case Kind.SPAN:
            text = str(value) if isinstance(value, int | Decimal | str) and not isinstance(value, bool) else None
        case Kind.TEXT:
            text = value if isinstance(value, str) else None
    if text is None:
        raise OptionError(f"{where}: must be {option.kind.value}")
    return _parsed(option, text, where)
