"""The ways of speaking to providers, by name. To add one: a module with a `Dialect`, and its line below."""

from __future__ import annotations

from urllib.parse import urlsplit

from penstock.wire.dialects import azure, generic, openai, openrouter, sdwebui, stability, together, xai
from penstock.wire.dialects._dialect import Dialect, Way
from penstock.wire.dialects._saying import Behind, Named, Rule, Spoken

DIALECTS: dict[str, Dialect] = {
    one.name: one
    for one in (
        openai.DIALECT,
        azure.DIALECT,
        openrouter.DIALECT,
        generic.GATEWAY,
        generic.LOCAL,
        generic.LOCALAI,
        sdwebui.DIALECT,
        stability.DIALECT,
        together.DIALECT,
        xai.DIALECT,
    )
}
"""Every dialect there is."""


def speakers(operation: str, *, mask: bool = False, files: bool = False) -> str:
    """The dialects that have words for an operation, joined; of edits those with a `mask`, or with uploaded `files`."""
    found = [(name, one.ways[operation]) for name, one in DIALECTS.items() if operation in one.ways]
    return ", ".join([name for name, way in found if (way.masks or not mask) and (way.files or not files)])


def spoken_at(base_url: str) -> str:
    """The name of the dialect of who is known to be at a base URL; OpenAI's is everybody else's."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    for one in DIALECTS.values():
        if any(host == end.lstrip(".") or host.endswith(f".{end.lstrip('.')}") for end in one.hosts):
            return one.name
    return openai.DIALECT.name


__all__ = ["DIALECTS", "Behind", "Dialect", "Named", "Rule", "Spoken", "Way", "speakers", "spoken_at"]
