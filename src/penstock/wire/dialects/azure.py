"""Azure OpenAI: OpenAI's requests and replies under another header and other URLs; the model is a deployment.

Its base URL is one of three: `https://NAME.openai.azure.com/openai/v1` (the deployment stands in the body, and
api-version is "preview" where nothing else is said), `.../openai/deployments/DEPLOYMENT`, or the resource itself
(`https://NAME.openai.azure.com`), which is completed with the deployment that is asked for as the model.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from attrs import evolve

from penstock.requests import EDIT, GENERATE
from penstock.wire.dialects import openai
from penstock.wire.dialects._saying import Named

DATED = "2025-04-01-preview"
"""The api-version of deployments where the caller says none: the first with pictures of the gpt-image models."""

_VERSIONED, _DEPLOYMENTS = "/openai/v1", "/openai/deployments/"
_SAYS = openai.SAYS | {"output_format": Named("output_format", ("png", "jpeg"))}


def locate(base_url: str, path: str, model: str) -> str:
    """The URL of one operation, with the api-version that goes with its form."""
    if base_url.endswith(_VERSIONED):
        return f"{base_url}{path}?api-version=preview"
    if _DEPLOYMENTS in base_url:
        return f"{base_url}{path}?api-version={DATED}"
    resource = base_url.removesuffix("/openai")
    return f"{resource}{_DEPLOYMENTS}{quote(model, safe='')}{path}?api-version={DATED}"


def serves(base_url: str) -> str:
    """The deployment that a base URL names itself; "" where it names none."""
    _, found, rest = base_url.partition(_DEPLOYMENTS)
    return unquote(rest.partition("/")[0]) if found else ""


DIALECT = evolve(
    openai.DIALECT,
    name="azure",
    title="Azure OpenAI",
    ways={
        name: evolve(way, says=_SAYS, files=False) if name in (GENERATE, EDIT) else way
        for name, way in openai.DIALECT.ways.items()
    },
    auth=("api-key", ""),
    locate=locate,
    serves=serves,
    hosts=(".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
    source="Azure OpenAI documentation, read 2026-11: high quality is its default, webp it does not make; the recorded "
    "replies of envoyproxy/ai-gateway, 2025-10, are of chat",
    captured="",
)
