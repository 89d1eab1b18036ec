"""OpenAI's own dialect, which most others are variations of."""

from __future__ import annotations

from penstock.requests import EDIT, GENERATE, PARAMETERS
from penstock.wire import edits, images
from penstock.wire.dialects._dialect import Dialect, Way, same
from penstock.wire.pictures import PictureReader
from penstock.wire.plain import PLAIN_WAYS
from penstock.wire.streams import PictureStream

SAYS = same(*PARAMETERS)

DIALECT = Dialect(
    name="openai",
    title="OpenAI",
    ways={
        GENERATE: Way(images.encode, PictureReader, SAYS, chooses=True, listen=PictureStream),
        EDIT: Way(edits.encode, PictureReader, SAYS, files=True, chooses=True, listen=PictureStream),
        **PLAIN_WAYS,
    },
    hosts=("api.openai.com",),
    source="openai-openapi 2.3.0 of 2026-08-21; API reference and guides, read 2026-09",
    captured="replies recorded by envoyproxy/ai-gateway, 2025-08 to 2025-10, and errors pasted in public issues",
)
