"""Whoever speaks OpenAI's language with words of diffusion models: gateways, and servers of one's own.

Three names for one shape. `generic` is for gateways, of which nothing else is known. `local` is for vLLM-omni and
SGLang, which bill nothing; SGLang makes the same picture again unless it is told a seed, so they always are. `localai`
is LocalAI, which takes a negative prompt behind a bar in the prompt.
"""

from __future__ import annotations

from attrs import evolve

from penstock.requests import EDIT, GENERATE, PARAMETERS
from penstock.wire import edits
from penstock.wire.dialects._dialect import Dialect, Way, same
from penstock.wire.dialects._saying import AVOID, STEPS, Behind, Named, Rule, Words
from penstock.wire.dialects._writing import Painter
from penstock.wire.images import PATH
from penstock.wire.pictures import PictureReader
from penstock.wire.plain import PLAIN_WAYS
from penstock.wire.streams import PictureStream

_DIFFUSION: dict[str, Rule] = {
    "seed": Named("seed"),
    "negative_prompt": Named("negative_prompt"),
    "steps": Named("num_inference_steps"),
    "guidance": Named("guidance_scale"),
}

_SAYS = same(*PARAMETERS) | _DIFFUSION
_STRENGTH: dict[str, Rule] = {"strength": Named("strength")}

GATEWAY = Dialect(
    name="generic",
    title="gateways that speak like OpenAI",
    ways={
        GENERATE: Way(Painter(PATH), PictureReader, _SAYS, chooses=True, listen=PictureStream),
        EDIT: Way(edits.encode, PictureReader, _SAYS | _STRENGTH, files=True, chooses=True, listen=PictureStream),
        **PLAIN_WAYS,
    },
    source="the common words of vLLM-omni, SGLang and Together; a gateway may know fewer",
)

_LOCAL = Way(
    Painter(PATH, fixed={"response_format": "b64_json"}),
    PictureReader,
    same("size") | _DIFFUSION,
    emulated={"negative_prompt": AVOID, "quality": Words("num_inference_steps", STEPS)},
    implied={"output_format": ("png",), "background": ("opaque",)},
    derives=True,
)

LOCAL = evolve(
    GATEWAY,
    name="local",
    title="vLLM-omni and SGLang",
    ways={
        GENERATE: _LOCAL,
        EDIT: evolve(_LOCAL, write=edits.encode, says={**_LOCAL.says, **_STRENGTH}),
        **PLAIN_WAYS,
    },
    keyless=True,
    free=True,
    source="sources of vLLM-omni and SGLang-diffusion, read 2026-11",
)

LOCALAI = evolve(
    LOCAL,
    name="localai",
    title="LocalAI",
    ways={
        GENERATE: evolve(
            _LOCAL,
            says={
                "size": Named("size"),
                "seed": Named("seed"),
                "steps": Named("step"),
                "negative_prompt": Behind("|"),
            },
            emulated={"quality": Words("step", STEPS)},
        ),
        **PLAIN_WAYS,
    },
    source="LocalAI's documentation and source, read 2026-11: a size that it cannot read becomes 512x512",
)
