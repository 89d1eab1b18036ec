"""Where pictures are bought: the provider that the options choose, its address, its keys, and its default model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

from penstock_io.cli.config import OptionError, Provider, Source, Values
from penstock_io.cli.options import (
    API_KEY_ENV,
    BASE_URL,
    DIALECT,
    MODEL,
    PROVIDER,
    closest,
)

if TYPE_CHECKING:
    from penstock.config import Credential, Limits
    from penstock.wire import Dialect

OPENAI = "openai"
OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
OPENAI_BASE_URL = "OPENAI_BASE_URL"
OPENAI_HEADERS = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}
"""Variables that the vendor's own tools know, too; they belong to the provider `openai` alone."""

AZURE = "azure"
AZURE_ENDPOINT, AZURE_VERSION = "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"
"""Variables that Azure's own tools know, too."""

KEYLESS = "keyless"
"""The name and the value of the key of who needs none."""

BUILT_IN = {
    OPENAI: Provider(OPENAI_URL, (OPENAI_KEY,), dialect="openai"),
    AZURE: Provider(None, ("AZURE_OPENAI_API_KEY",), "azure", dialect="azure"),
    "openrouter": Provider("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), dialect="openrouter"),
    "stability": Provider("https://api.stability.ai", ("STABILITY_API_KEY",), dialect="stability"),
    "together": Provider("https://api.together.ai/v1", ("TOGETHER_API_KEY",), dialect="together"),
    "xai": Provider("https://api.x.ai/v1", ("XAI_API_KEY",), dialect="xai"),
}
"""Providers that need no table of the file."""

_HEADER = re.compile(r"[!-~]{1,200}")


@frozen
class Connection:
    """Where pictures are bought: `keys` are API keys by the variable that holds them, "" where it holds none.

    `limits` are believed of each of them (None: nothing is), but for those that have something said of them alone:
    those are `credentials`, by fingerprint (`penstock_io.cli.keyring`).
    """

    provider: str
    base_url: str
    keys: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    limits: Limits | None = None
    dialect: str = "openai"
    query: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    credentials: tuple[Credential, ...] = ()


def connect(values: Values, environ: Mapping[str, str], *, bare: bool = False) -> Connection:
    """Base URL, keys and headers of the provider that was chosen. Raises `OptionError`.

    `bare`: it is enough to know how many keys there would be, their values may be missing.
    """
    from penstock.errors import UsageError  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io._access import address, named  # noqa: PLC0415 - as above
    from penstock_io.cli.keyring import credentials_of, limits_of  # noqa: PLC0415 - as above

    name = values[PROVIDER]
    known = {**BUILT_IN, **values.providers}
    if name not in known:
        near = closest(name, list(known))
        hint = f"did you mean {near}?" if near else "a provider of your own is a table [providers.NAME] of --config"
        raise values.wrong(PROVIDER, f"there is no provider {name!r}; {hint}")
    url, origin = _base_url(values, name, known[name], environ)
    if not url.startswith(("http://", "https://")):
        raise OptionError(f"{origin}: {url!r} does not begin with http:// or https://")
    dialect = _dialect(values, known[name], url)
    keys = _keys(values, name, known[name], environ, dialect)
    missing = [variable for variable, key in keys.items() if not key]
    if missing and not bare:
        raise OptionError(
            f"no API key in the environment variable {' and '.join(missing)}: set it, or name another by --api-key-env"
        )
    headers = {
        header: text
        for variable, header in OPENAI_HEADERS.items()
        if name == OPENAI and (text := environ.get(variable, "").strip())
    }
    for header, text in headers.items():
        if not _HEADER.fullmatch(text):
            variable = next(one for one, other in OPENAI_HEADERS.items() if other == header)
            raise OptionError(f"{variable}: it holds what no header can carry")
    try:
        named({variable: key for variable, key in keys.items() if key})
        query = _query(name, known[name], environ)
        limits, credentials = limits_of(values), credentials_of(values, keys)
        return Connection(name, address(url), keys, headers, limits, dialect.name, query, credentials)
    except UsageError as error:
        raise OptionError(str(error)) from None


def _dialect(values: Values, provider: Provider, url: str) -> Dialect:
    """How it is spoken to: as is said along with the provider or after it, else as its table says, else by its address.

    Raises `OptionError`.
    """
    from penstock.errors import UsageError  # noqa: PLC0415 - as above
    from penstock.wire import dialect, spoken_at  # noqa: PLC0415 - as above

    given, told = values.get(DIALECT), provider.dialect
    later = values.source(DIALECT) >= values.source(PROVIDER)
    if given is not None and (later or told is None):
        told, origin = given, values.origin(DIALECT)
    elif told is not None and (provider.where or url == provider.base_url):
        origin = f"{provider.where}.dialect"
    else:
        told, origin = spoken_at(url), ""
    try:
        return dialect(told)
    except UsageError as error:
        raise OptionError(f"{origin}: {error}") from None


def _query(name: str, provider: Provider, environ: Mapping[str, str]) -> dict[str, str]:
    """What goes behind every URL. The version of Azure's API may stand in a variable of its own tools."""
    version = environ.get(AZURE_VERSION, "").strip() if name == AZURE else ""
    return {**({"api-version": version} if version else {}), **dict(provider.query)}


def _base_url(values: Values, name: str, provider: Provider, environ: Mapping[str, str]) -> tuple[str, str]:
    """The base URL and who says it. One that was said along with the provider, or after it, counts before its own."""
    given = values.get(BASE_URL)
    source = values.source(BASE_URL)
    variable = {OPENAI: OPENAI_BASE_URL, AZURE: AZURE_ENDPOINT}.get(name, "")
    vendors = environ.get(variable, "").strip()
    later = source >= values.source(PROVIDER) and not (vendors and source < Source.ENVIRONMENT)
    if given is not None and later:
        return given, values.origin(BASE_URL)
    if vendors:
        return vendors, variable
    if provider.base_url is None:
        if name == OPENAI:
            return OPENAI_URL, name
        where = f"set {AZURE_ENDPOINT} or give --base-url" if name == AZURE else "where is its API?"
        raise OptionError(f"{provider.where}: base_url is missing: {where}")
    return provider.base_url, f"{provider.where}.base_url"


def _keys(
    values: Values, name: str, provider: Provider, environ: Mapping[str, str], dialect: Dialect
) -> dict[str, str]:
    """API keys by their variables. Only providers that are built in have one that nobody has to name."""
    given = values.get(API_KEY_ENV)
    if dialect.keyless and given is None and provider.api_key_env in ((), (OPENAI_KEY,)):
        return {KEYLESS: KEYLESS}  # what is said instead goes to a server that asks for none
    if given is None or (provider.api_key_env and values.source(API_KEY_ENV) < values.source(PROVIDER)):
        given = provider.api_key_env or (BUILT_IN[name].api_key_env if name in BUILT_IN else ())
    if not given:
        raise OptionError(f"{provider.where}: api_key_env is missing: which environment variable holds its key?")
    return {variable: environ.get(variable, "").strip() for variable in given}


def model_of(values: Values) -> str:
    """The model: the one given, else the vendor's newest whose price is known. Raises `OptionError`."""
    given = values.get(MODEL)
    if given is not None:
        return given
    name, dialect = values[PROVIDER], values.get(DIALECT)
    if name != OPENAI or dialect not in (None, OPENAI):
        other = name if name != OPENAI else f"what speaks {dialect}"
        raise OptionError(f"--model is missing: the default is a model of {OPENAI}, not of {other}")
    from time import time  # noqa: PLC0415 - as above

    from penstock.catalog import default_model  # noqa: PLC0415 - as above

    return default_model(time())
