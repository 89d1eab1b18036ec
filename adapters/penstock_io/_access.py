"""Where a client buys, and with which keys under names that may be shown.

A module of its own: whoever only plans what to buy asks for this and needs no client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import cast
from urllib.parse import urlsplit

from attrs import evolve

from penstock.config import Config
from penstock.errors import UsageError
from penstock.http import CALL_HEADER

PROVIDER = "default"
"""The provider that a client's base URL and keys belong to."""


def fingerprint(key: str, label: str = "") -> str:
    """How an API key is named: 12 hex digits of its SHA-256, and its label where it has one."""
    digits = sha256(key.encode()).hexdigest()[:12]
    return f"{digits}:{label}" if label else digits


def named(keys: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """API keys by name; a mapping has labels for them. One key given twice is one credential. Raises `UsageError`."""
    if isinstance(keys, str | bytes):
        raise UsageError("api_keys is a list of keys, or keys by label")
    pairs = [("", key) for key in keys] if not isinstance(keys, Mapping) else list(keys.items())
    names: dict[str, str] = {}
    for number, (label, key) in enumerate(pairs, 1):
        if not isinstance(cast("object", label), str):
            raise UsageError(f"the label of an API key is a text, not {label!r}")
        if not isinstance(cast("object", key), str):
            raise UsageError(f"API key {label or number} is a text, not {type(key).__name__}")
        if not key.strip():
            raise UsageError(f"API key {label or number} is empty")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise UsageError(f"API key {label or fingerprint(key)} holds what no header can carry, such as a space")
        if key not in names.values():
            names[fingerprint(key, label)] = key
    return names


def renamed(known: Mapping[str, str], keys: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """API keys by name, where those that are known keep theirs. Raises `UsageError`."""
    old = {key: name for name, key in known.items()}
    return {old.get(key, name): key for name, key in named(keys).items()}


def addressed(config: Config, names: Iterable[str]) -> Config:
    """`config` whose credentials have the whole names of their keys: it may say a label, or a fingerprint, alone.

    Of two keys with one label the later is meant. Raises `UsageError` for two credentials that are one key.
    """
    whole: dict[str, str] = {}
    for name in names:
        digits, _, label = name.partition(":")
        whole |= {one: name for one in (digits, label, name) if one}
    credentials = tuple(evolve(one, name=whole.get(one.name, one.name)) for one in config.credentials)
    called: dict[str, str] = {}
    for before, after in zip(config.credentials, credentials, strict=True):
        if after.name in called:
            raise UsageError(f"credentials of the config that are one key: {called[after.name]} and {before.name}")
        called[after.name] = before.name
    return evolve(config, credentials=credentials)


def keyed(config: Config, keys: Mapping[str, str]) -> Config:
    """`config`, each of whose credentials has a key; there is at least one key. Raises `UsageError`."""
    if not keys:
        raise UsageError("api_keys is empty: give at least one API key")
    bare = [one.name for one in config.credentials if one.name not in keys]
    if bare:
        named_by = "a credential is called by the label that its key has in api_keys, which are keys by label then"
        raise UsageError(f"credentials of the config that have no API key: {', '.join(bare)}; {named_by}")
    return config


def address(base_url: str) -> str:
    """A base URL as it is used, and shown. Raises `UsageError` for what is none, or holds a user or a password."""
    rest = base_url.partition("://")[2] or base_url
    if "@" in rest.replace("\\", "/").replace("?", "/").replace("#", "/").partition("/")[0]:
        raise UsageError("base_url holds a user or a password, and is shown; give them to an http_client")
    if not _leads_somewhere(base_url):
        raise UsageError("base_url is no address: it is like https://api.openai.com/v1")
    if "?" in base_url or "#" in base_url:
        raise UsageError(
            "base_url ends where paths are added to it: without '?' and '#', like https://api.openai.com/v1; "
            "what goes behind every path is given as query, such as query={'api-version': 'preview'}"
        )
    return base_url.rstrip("/")


def speaking(dialect: str | None, base_url: str) -> str:
    """The dialect by its name; None: that of whoever is known to be at the base URL. Raises `UsageError`."""
    from penstock.wire import dialect as known  # noqa: PLC0415 - whoever only plans needs no wire, and starts faster
    from penstock.wire import spoken_at  # noqa: PLC0415 - as above

    return spoken_at(base_url) if dialect is None else known(dialect).name


def queried(query: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """What goes behind every URL of a paid request. Raises `UsageError`, which names a parameter, never its value."""
    if not isinstance(cast("object", query), Mapping | None):
        raise UsageError("query is texts by name, such as {'api-version': 'preview'}")
    kept: list[tuple[str, str]] = []
    for name, value in cast("Mapping[object, object]", query or {}).items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise UsageError(f"query: {name!r} is no name of a parameter")
        if not isinstance(value, str) or not value.isprintable():
            raise UsageError(f"query: the value of {name} is no text that a URL can carry")
        kept.append((name, value))
    return tuple(kept)


_OURS = frozenset(
    {
        "accept-encoding", "api-key", "authorization", "connection", "content-length", "content-type", "expect", "host",
        "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", CALL_HEADER,
    }
)  # fmt: skip
"""Headers that a client says itself, or that belong to the connection."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def carried(
    headers: Mapping[str, str] | None, organization: str | None = None, project: str | None = None
) -> tuple[tuple[str, str], ...]:
    """Headers of the user's own, names in lower case. Raises `UsageError`, which names a header and never its value.

    `organization` and `project` are those of OpenAI's accounts, which are headers, too.
    """
    accounts = {"OpenAI-Organization": organization, "OpenAI-Project": project}
    named = {name: value for name, value in accounts.items() if value is not None}
    if named:
        return carried({**named, **(headers or {})})
    kept: dict[str, str] = {}
    if not isinstance(cast("object", headers), Mapping | None):
        raise UsageError("headers are texts by name, such as {'OpenAI-Organization': 'org-1'}")
    for name, value in cast("Mapping[object, object]", headers or {}).items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise UsageError(f"headers: {name!r} is no name of a header")
        low = name.lower()
        if low in _OURS:
            remedy = "give keys as api_keys" if low in ("api-key", "authorization") else "the client says it itself"
            raise UsageError(f"headers: {name} cannot be given: {remedy}")
        if low in kept:
            raise UsageError(f"headers: {name} is given twice")
        if not isinstance(value, str):
            raise UsageError(f"headers: the value of {name} is a text, not {type(value).__name__}")
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise UsageError(f"headers: the value of {name} holds what no header can carry")
        kept[low] = value
    return tuple(kept.items())


def _leads_somewhere(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, half an address of IPv6
        return False
