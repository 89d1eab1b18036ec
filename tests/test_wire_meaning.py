"""Keys are made of what is said: who says the same shares one picture, who says something else does not."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.config import Config
from penstock.http import HttpCall
from penstock.ids import Handle, Key
from penstock.prepare import prepare
from penstock.requests import NEUTRAL, PARAMETERS, ImageRequest, InputImage, Options, Prepared, Unsaid
from penstock.wire import DIALECTS, dialect
from tests.test_prepare_edits import MASK, OTHER, PHOTO

UNIX = 1_795_300_000.0
CHOICES: dict[str, list[Any]] = {
    "size": [None, "auto", "1024x1024", "512x512", "1536x1024", "1920x1080", "16:9", "1:1", "2K"],
    "quality": [None, "auto", "low", "high"],
    "background": [None, "auto", "opaque", "transparent"],
    "moderation": [None, "auto", "low"],
    "output_format": [None, "png", "webp", "jpeg"],
    "output_compression": [None, 80, 100],
    "user": [None, "u-1"],
    "complexity": [None, "low"],
    "input_fidelity": [None, "high"],
    "negative_prompt": [None, "fog", "rain"],
    "steps": [None, 15, 25, 9],
    "guidance": [None, 7.5, 1.5],
    "strength": [None, 0.25],
}
EXTRA: list[tuple[tuple[str, Any], ...]] = [
    (),
    (("num_inference_steps", 15),),
    (("step", 9),),
    (("cfg_scale", 7.5),),
    (("aspect_ratio", "16:9"),),
    (("aspect_ratio", "3:4"),),
    (("width", 512), ("height", 512)),
    (("width", 512),),
    (("width", -1), ("height", "tall")),
    (("guidance_scale", 7.5), ("style", "ink")),
    (("num_inference_steps", "many"),),
]
MODELS = ["flux", "core", "sd3.5-large", "gpt-image-1.5", "gpt-image-2", "gpt-image-2.6-flare"]
INPUTS: list[tuple[tuple[InputImage, ...], InputImage | None]] = [
    ((), None),
    ((PHOTO,), None),
    ((PHOTO, OTHER), None),
    ((PHOTO,), MASK),
]
dialects, choices = st.sampled_from(sorted(DIALECTS)), st.sampled_from(Unsaid)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[ImageRequest, ImageRequest]:
    """Two requests that differ in little."""
    fields = {name: draw(st.sampled_from(values)) for name, values in CHOICES.items() if draw(st.booleans())}
    images, mask = draw(st.sampled_from(INPUTS))
    if not images:
        fields.pop("input_fidelity", None)
    seed = draw(st.sampled_from([None, 7]))
    extra = draw(st.sampled_from(EXTRA))
    one = ImageRequest(
        prompt=draw(st.sampled_from(["a fox", "a fox|fog", "a fox\n\nThe picture must not show: fog"])),
        model=draw(st.sampled_from(MODELS)),
        images=images,
        mask=mask,
        seed=seed,
        extra=extra,
        **fields,
    )
    changes: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from([*CHOICES, "extra", "prompt"]), min_size=1, max_size=3)):
        if name == "extra":
            changes[name] = draw(st.sampled_from(EXTRA))
        elif name == "prompt":
            changes[name] = draw(st.sampled_from(["a fox", "a fox|fog", "a fox\n\nThe picture must not show: fog"]))
        elif name != "input_fidelity" or images:
            changes[name] = draw(st.sampled_from(CHOICES[name]))
    return one, evolve(one, **changes)


def told(request: ImageRequest, name: str, unsaid: Unsaid) -> tuple[HttpCall, Key] | None:
    """The call for one picture, without a seed that is made of its key, and that key; None where it is refused."""
    made = prepare(request, Options(unsaid=unsaid), Config(), handle=Handle(1), unix=UNIX, dialect=name)
    if not isinstance(made, Prepared):
        return None
    way = dialect(name).ways[request.operation]
    return way.write(made, made.said[0], 1), made.work.targets[0].keys[0]


def plain(request: ImageRequest) -> ImageRequest:
    """Without what never counts, and with the defaults of OpenAI's models left out where they are known."""
    known = request.model.startswith("gpt-")
    fields: dict[str, Any] = {"user": None}
    if known:
        for name, default in {
            **dict.fromkeys(("size", "quality", "background", "moderation"), "auto"),
            "output_format": "png",
            "output_compression": 100,
        }.items():
            if getattr(request, name) == default:
                fields[name] = None
    return evolve(request, **fields)


@given(pairs(), dialects, choices)
def test_who_says_the_same_has_the_same_key(two: tuple[ImageRequest, ImageRequest], name: str, unsaid: Unsaid) -> None:
    """Whatever was dropped, emulated, brought to the nearest shape, or given in the server's own words."""
    one, other = (told(request, name, unsaid) for request in two)
    assume(one is not None and other is not None)
    assert one is not None
    assert other is not None
    if one[0] == other[0]:
        assert one[1] == other[1]


@given(pairs(), dialects, choices)
def test_who_says_something_else_has_another_key(
    two: tuple[ImageRequest, ImageRequest], name: str, unsaid: Unsaid
) -> None:
    """Apart from who asks, and from defaults that are known."""
    one, other = (told(plain(request), name, unsaid) for request in two)
    if one is not None and other is not None and one[0] != other[0]:
        assert one[1] != other[1]


@given(pairs(), dialects, choices)
def test_a_seed_counts_whoever_is_told_it(two: tuple[ImageRequest, ImageRequest], name: str, unsaid: Unsaid) -> None:
    """It names a variant: another one is another picture, also where the server has no words for seeds."""
    found = [told(evolve(two[0], seed=seed), name, unsaid) for seed in (None, 1, 2)]
    keys = [one[1] for one in found if one is not None]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("name", "unsaid", "one", "other"),
    [
        ("openai", Unsaid.DROP, {"steps": 4, "negative_prompt": "fog"}, {}),
        ("openai", Unsaid.EMULATE, {"negative_prompt": "fog"}, {"prompt": "x\n\nThe picture must not show: fog"}),
        ("local", Unsaid.EMULATE, {"quality": "low"}, {"steps": 15}),
        ("local", Unsaid.DROP, {"extra": (("num_inference_steps", 15),)}, {"steps": 15}),
        ("local", Unsaid.DROP, {"output_format": "png"}, {}),
        ("localai", Unsaid.DROP, {"negative_prompt": "fog"}, {"prompt": "x|fog"}),
        ("sdwebui", Unsaid.DROP, {"extra": (("width", 512), ("height", 768))}, {"size": "512x768"}),
        ("stability", Unsaid.DROP, {"size": "1920x1080", "quality": "low"}, {"size": "16:9"}),
        ("xai", Unsaid.DROP, {"size": "1024x1024", "seed": None}, {"size": "512x512"}),
        ("local", Unsaid.DROP, {"images": (PHOTO,), "moderation": "low"}, {"images": (PHOTO,)}),
    ],
)
def test_what_says_the_same(name: str, unsaid: Unsaid, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Each way in which two requests come to the same words: one call, one key, one purchase."""
    found = [told(ImageRequest(**{"prompt": "x", "model": "m", **fields}), name, unsaid) for fields in (one, other)]
    assert found[0] is not None
    assert found[0] == found[1]


def test_a_servers_word_that_is_called_like_a_field_is_not_taken_for_it() -> None:
    """`guidance` and `guidance_scale` are two words where a server has the second for the field of the first name."""
    both = ImageRequest(prompt="x", model="m", extra=(("guidance", 5), ("guidance_scale", 3)))
    one, other = told(both, "generic", Unsaid.DROP), told(evolve(both, extra=both.extra[:1]), "generic", Unsaid.DROP)
    assert one is not None
    assert other is not None
    assert one[1] != other[1]


def test_the_choices_name_every_field() -> None:
    """A field that came later would go untested."""
    assert {*PARAMETERS, *NEUTRAL} - {"seed"} == set(CHOICES)
