"""What is said of single keys, and of models that share their limits: `[keys.VARIABLE]` and `[pools.NAME]` of a file.

A key's table is named by the environment variable that holds it, and says what is different for this key: its account,
its weight, its models, its limits, and pools of its own. What a pool leaves open is as its key has it, what a key
leaves open is as it is said for all of them; a flag or a variable counts before both, as it does everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from attrs import field, frozen

from penstock_io.cli.config import Given, OptionError, Source, Values, of_file, unknown
from penstock_io.cli.options import (
    ACCOUNT,
    API_KEY_ENV,
    CEILING,
    IPD,
    IPM,
    MAX_CONCURRENCY,
    MODELS,
    RPD,
    RPM,
    SPEED,
    TPD,
    TPM,
    VARIABLE,
    WEIGHT,
    AnyOption,
    Option,
)

if TYPE_CHECKING:
    from penstock.config import Credential, Limits

T = TypeVar("T")

KEYS, POOLS = "keys", "pools"
LIMITS = tuple(option for option in SPEED if option is not ACCOUNT)
_OF_POOL = {option.key: option for option in (MODELS, *LIMITS)}
_OF_KEY = {option.key: option for option in (ACCOUNT, WEIGHT, *_OF_POOL.values())}
_KEY_EXAMPLE = 'such as [keys.OPENAI_API_KEY] with account = "acme"'
_POOL_EXAMPLE = 'such as [pools.NAME] with models = ["A", "B"]'


@frozen
class Table:
    """What a file says of one key, or of one pool: options by their keys. `where` is what messages call it."""

    where: str
    given: Mapping[str, Given] = field(factory=dict[str, Given])
    pools: Mapping[str, Table] = field(factory=dict[str, "Table"])

    def get(self, option: Option[T]) -> T | None:
        """What it says itself; None: nothing."""
        found = self.given.get(option.key)
        return None if found is None else cast("T", found.value)


# The file


def keys_of_file(content: object, file: str) -> dict[str, Table]:
    """The tables of keys by their variables. Raises `OptionError`, which repeats nothing that may be a key."""
    if not isinstance(content, dict):
        raise OptionError(f"{file}: {KEYS}: must be tables, {_KEY_EXAMPLE}; a key itself does not belong into a file")
    found: dict[str, Table] = {}
    for name, value in cast("dict[str, object]", content).items():
        if not re.fullmatch(VARIABLE, name):
            raise OptionError(
                f"{file}: {KEYS}: a table is named by the environment variable that holds the key, {_KEY_EXAMPLE}; a "
                "key itself does not belong into a file"
            )
        where = f"{file}: {KEYS}.{name}"
        told = _table(value, where, _KEY_EXAMPLE)
        mine = _options(told, _OF_KEY, where, (POOLS,))
        found[name] = Table(where, mine, pools_of_file(told.get(POOLS, {}), f"{where}.{POOLS}"))
    return found


def pools_of_file(content: object, where: str) -> dict[str, Table]:
    """The tables of pools by their names. Raises `OptionError`."""
    found: dict[str, Table] = {}
    for name, value in _table(content, where, _POOL_EXAMPLE).items():
        at = f"{where}.{name}"
        table = Table(at, _options(_table(value, at, _POOL_EXAMPLE), _OF_POOL, at))
        if not table.get(MODELS):
            raise OptionError(f"{at}: models is missing: which models draw on these limits together?")
        found[name] = table
    return found


def _table(value: object, where: str, example: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise OptionError(f"{where}: must be a table, {example}")
    return cast("dict[str, object]", value)


def _options(
    told: Mapping[str, object], known: Mapping[str, AnyOption], where: str, others: Sequence[str] = ()
) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for name, value in told.items():
        at = f"{where}.{name}"
        if name in known:
            found[name] = Given(of_file(known[name], value, at), Source.FILE, at)
        elif name not in others:
            raise unknown(at, name, [*known, *others])
    return found


# What counts


def tables_of(values: Values, kind: str) -> Mapping[str, Table]:
    """The tables of the file by their names; `kind` is `KEYS` or `POOLS`."""
    given = values.given.get(kind)
    return {} if given is None else cast("Mapping[str, Table]", given.value)


def said(values: Values, option: Option[T], tables: Sequence[Table] = ()) -> Given | None:
    """Who says what of a key or pool whose `tables` are these, the most particular first; None: nobody."""
    if values.source(option) <= Source.FILE:
        for table in tables:
            if option.key in table.given:
                return table.given[option.key]
    return values.given.get(option.key)


def limits_of(values: Values, tables: Sequence[Table] = ()) -> Limits:
    """What a key or a pool may do, as far as it is said. Raises `OptionError` for a ceiling of nothing."""
    from penstock.config import Limits  # noqa: PLC0415 - the start is fast until it is known what runs

    def told(option: Option[T]) -> T | None:
        found = said(values, option, tables)
        return option.default if found is None else cast("T", found.value)

    rpm, tpm, ipm, rpd, tpd, ipd = (told(option) for option in (RPM, TPM, IPM, RPD, TPD, IPD))
    ceiling = bool(told(CEILING))
    if ceiling and not (rpm or tpm or ipm or rpd or tpd or ipd):
        origin = said(values, CEILING, tables)
        where = CEILING.flag if origin is None else origin.origin
        raise OptionError(f"{where}: there is no limit that it could hold: add one, such as --rpm 60")
    return Limits(rpm, tpm, ipm, told(MAX_CONCURRENCY), rpd=rpd, tpd=tpd, ipd=ipd, ceiling=ceiling)


def pools_of(values: Values, table: Table | None = None) -> Mapping[str, Table]:
    """The pools of a key by their names, its own and those of all. Raises `OptionError` for a model of two of them."""
    pools = dict(tables_of(values, POOLS))
    if table is not None:
        pools.update(table.pools)
    first: dict[str, Table] = {}
    for pool in pools.values():
        for model in pool.get(MODELS) or ():
            before = first.setdefault(model, pool)
            if before is not pool:
                raise OptionError(
                    f"{pool.where}: {model} stands in {before.where}, too: a model draws on one pool, so say it in one"
                )
    return pools


def credentials_of(values: Values, keys: Mapping[str, str]) -> tuple[Credential, ...]:
    """What is said of `keys` (by their variables) beyond the limits of all, each once. Raises `OptionError`.

    Each is named by its key's fingerprint, or by its variable where that holds none. Of variables with the same key
    those count that have a table.
    """
    tables, shared, account = tables_of(values, KEYS), tables_of(values, POOLS), values.get(ACCOUNT)
    found: dict[str, tuple[str, Credential]] = {}
    first: dict[str, tuple[str, Credential]] = {}
    spoken = {key for variable, key in keys.items() if variable in tables}
    for variable, key in keys.items():
        table = tables.get(variable)
        if table is None and ((account is None and not shared) or (key and key in spoken)):
            continue
        one = _credential(values, variable, key, table or Table(variable))
        twin, same = found.setdefault(one.name, (variable, one))
        if one != same:
            raise OptionError(
                f"{table.where if table else variable}: {twin} and {variable} hold the same key, but other things are "
                "said of them: say the same of both, or leave one of the tables out"
            )
        before, other = first.setdefault(one.account or one.name, (variable, one))
        if (one.limits, one.pools) != (other.limits, other.pools):
            raise OptionError(
                f"{table.where if table else variable}: {before} and {variable} belong to one account ({one.account}) "
                "and share its limits, but other limits or pools are said of them: say the same of both"
            )
    return tuple(one for _, one in found.values())


def _credential(values: Values, variable: str, key: str, table: Table) -> Credential:
    from penstock.config import Credential, Pool  # noqa: PLC0415 - as above
    from penstock.errors import UsageError  # noqa: PLC0415 - as above
    from penstock_io._access import PROVIDER, fingerprint  # noqa: PLC0415 - as above

    account = said(values, ACCOUNT, (table,))
    pools = tuple(
        Pool(name, pool.get(MODELS) or (), limits_of(values, (pool, table)))
        for name, pool in pools_of(values, table).items()
    )
    try:
        return Credential(
            fingerprint(key) if key else variable,
            PROVIDER,
            limits_of(values, (table,)),
            table.get(MODELS),
            table.get(WEIGHT) or 1.0,
            "" if account is None else str(account.value),
            pools,
        )
    except UsageError as error:
        raise OptionError(f"{table.where}: {error}") from None


def unused(values: Values) -> tuple[Table, ...]:
    """The tables of keys that nobody uses: neither the options nor any provider names their variables."""
    from penstock_io.cli.connecting import BUILT_IN  # noqa: PLC0415 - it imports what this module does, and few need it

    named = list(values.get(API_KEY_ENV) or ())
    for provider in (*BUILT_IN.values(), *values.providers.values()):
        named += provider.api_key_env
    return tuple(table for variable, table in tables_of(values, KEYS).items() if variable not in named)


def strays(values: Values) -> tuple[str, ...]:
    """What is to be said of tables of keys that nobody uses."""
    return tuple(
        f"{table.where}: it says nothing of any key: api_key_env names no {table.where.rpartition('.')[2]}"
        for table in unused(values)
    )
