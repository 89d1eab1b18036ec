"""Edits as the engine is told of them: what models take, keys, demand and quote."""

from __future__ import annotations

from io import BytesIO

import pytest
from attrs import evolve
from PIL import Image

from penstock import catalog
from penstock.cache.key import Input, keys
from penstock.cache.near import scope
from penstock.catalog import Override, Overrides
from penstock.config import Config, Gathering
from penstock.ids import Handle, Key
from penstock.prepare import Prepared, Refusal, prepare
from penstock.requests import ImageRequest, InputImage, Options
from penstock.work import Demand, Target

DAY = catalog.moment("2026-11-21")


def image(width: int = 512, height: int = 512, mode: str = "RGBA", form: str = "PNG") -> InputImage:
    """An image of so many pixels."""
    out = BytesIO()
    Image.new(mode, (width, height)).save(out, form)
    return InputImage.of(out.getvalue())


PHOTO, OTHER, MASK = image(mode="RGB"), image(256, 512, "RGB"), image()
PLAIN = ImageRequest(prompt="a red sky", model="gpt-image-1.5", size="1024x1024", quality="low")
EDIT = evolve(PLAIN, images=(PHOTO,))


def made(request: ImageRequest, prices: Overrides = catalog.NO_OVERRIDES) -> Prepared | Refusal:
    """How it is prepared."""
    return prepare(request, Options(), Config(), handle=Handle(1), unix=DAY, prices=prices)


def target(request: ImageRequest, prices: Overrides = catalog.NO_OVERRIDES) -> Target:
    """Its target, where its model takes it."""
    found = made(request, prices)
    assert isinstance(found, Prepared)
    return found.work.targets[0]


def key(request: ImageRequest) -> Key:
    """The key of its first picture."""
    return target(request).keys[0]


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (evolve(EDIT, images=(PHOTO,) * 17), "images", "are 17; gpt-image-1.5 takes at most 16"),
        (
            evolve(EDIT, images=(PHOTO, evolve(OTHER, nbytes=60 << 20))),
            "images",
            "images with 60.0 MB: .* less than 50 MB of one, make it",
        ),
        (evolve(EDIT, mask=evolve(MASK, nbytes=50 << 20)), "mask", "mask with 50.0 MB: "),
        (evolve(EDIT, mask=PHOTO), "mask", "is a PNG without transparency; .* alpha channel"),
        (evolve(EDIT, mask=image(mode="RGB", form="JPEG")), "mask", "is a JPEG without"),
        (evolve(EDIT, mask=image(form="WEBP")), "mask", "is a WEBP"),
        (evolve(EDIT, model="gpt-image-2", input_fidelity="high"), "input_fidelity", "is no parameter of gpt-image-2"),
        (evolve(EDIT, model="gpt-image-1-mini", input_fidelity="low"), "input_fidelity", "is no parameter"),
        (evolve(EDIT, input_fidelity="highest"), "input_fidelity", "none of low, high"),
    ],
)
def test_what_a_model_does_not_take_is_refused(request_: ImageRequest, field: str, words: str) -> None:
    """Too many, too large, a mask that masks nothing, a word that another model knows: said before anything is sent."""
    refusal = made(request_)
    assert isinstance(refusal, Refusal)
    assert field == refusal.field
    with pytest.raises(ValueError, match=words):
        raise ValueError(refusal.message)


def test_a_model_outside_the_catalog_takes_any_mask() -> None:
    """Other servers have other rules for masks and words: they say themselves what they do not take."""
    free = evolve(EDIT, model="some-model", mask=PHOTO, images=(PHOTO,) * 20, input_fidelity="max")
    assert "images.edit" == target(free).operation


def test_whatever_goes_in_makes_another_key() -> None:
    """Images, their order, what is the mask, and how closely they are kept: each makes another picture."""
    requests = [
        PLAIN,
        EDIT,
        evolve(EDIT, images=(OTHER,)),
        evolve(EDIT, images=(PHOTO, OTHER)),
        evolve(EDIT, images=(OTHER, PHOTO)),
        evolve(EDIT, images=(PHOTO, MASK)),
        evolve(EDIT, mask=MASK),
        evolve(EDIT, input_fidelity="high"),
        evolve(EDIT, images=(InputImage.at("https://x.example/a.png"),)),
    ]
    assert len(requests) == len({key(request) for request in requests})


def test_what_makes_no_other_picture_makes_no_other_key() -> None:
    """Images are told by their bytes alone, and to say the default fidelity is to leave it out."""
    again = image(mode="RGB")
    assert key(EDIT) == key(evolve(EDIT, images=(again,))) == key(evolve(EDIT, images=(PHOTO.bare,)))
    assert key(EDIT) == key(evolve(EDIT, input_fidelity="low"))


def test_keys_of_edits_are_those_of_the_table() -> None:
    """What the table of golden keys says of an operation and its inputs is what a request with images has."""
    told = [Input("image", PHOTO.digest), Input("image", OTHER.digest), Input("mask", MASK.digest)]
    said = keys(
        PLAIN, provider="default", dialect="openai", model=PLAIN.model, tenant="", first=0, samples=1,
        operation="images.edit", inputs=told,
    )  # fmt: skip
    assert said == target(evolve(EDIT, images=(PHOTO, OTHER), mask=MASK)).keys


def test_images_of_an_edit_count_once_a_request() -> None:
    """A limit of images a minute counts what goes in beside what comes out, however many come out."""
    found = target(evolve(EDIT, images=(PHOTO, OTHER), n=3)).demand
    assert (3, 2) == (found.images, found.inputs)
    assert 5 == found.times(3).images
    assert Demand(1, 3, 21) == Demand(1, 1, 7).times(3)


def test_tokens_of_images_are_part_of_demand_and_quote() -> None:
    """By the published formula at its dearest fidelity (65 + 129 a tile, and 4,160 for a square), at $8 a million."""
    plain, edit = target(PLAIN), target(EDIT)
    tokens = 65 + 129 + 4160
    assert tokens == edit.demand.tokens - plain.demand.tokens
    assert plain.quote is not None
    assert edit.quote is not None
    assert tokens * 8_000_000 == edit.quote - plain.quote
    low = target(evolve(EDIT, input_fidelity="low")).quote
    assert low is not None
    assert (65 + 129) * 8_000_000 == low - plain.quote


def test_a_quote_without_a_published_formula_needs_the_users_figure() -> None:
    """Nobody publishes what images take at gpt-image-2: no bound, until somebody says how many tokens at most."""
    newer = evolve(EDIT, model="gpt-image-2")
    assert target(newer).quote is None
    assert target(newer).expected is not None
    mine = Overrides((Override("gpt-image-2", input_tokens=1600),))
    plain, found = target(evolve(newer, images=()), mine).quote, target(newer, mine).quote
    assert plain is not None
    assert found is not None
    assert 1600 * 8_000_000 == found - plain


def test_an_image_that_nobody_saw_has_no_bound() -> None:
    """Behind a URL may be any number of pixels; what it takes of a limit is guessed."""
    unseen = target(evolve(EDIT, images=(InputImage.at("https://x.example/a.png"),)))
    assert unseen.quote is None
    assert unseen.demand.tokens > target(PLAIN).demand.tokens


def test_a_file_at_the_provider_is_counted_at_its_worst() -> None:
    """Its pixels are unknown: the worst of a formula that has one, no bound of tiles; what is not checked is said."""
    filed, plain = InputImage.file("file-a"), evolve(PLAIN, model="gpt-image-2")
    asked = target(evolve(plain, images=(filed,)))
    assert asked.expected is not None
    assert (target(plain).expected or 0) + 1536 * 8_000_000 == asked.expected
    assert target(plain).demand.tokens + 1536 == asked.demand.tokens
    assert (None, None) == (asked.quote, target(evolve(EDIT, images=(filed,))).quote)
    assert "its cost has no bound" in target(evolve(EDIT, images=(filed,))).unbounded
    assert "" == target(evolve(EDIT, images=(filed,), model="some-model")).unbounded == target(EDIT).unbounded
    assert target(evolve(EDIT, images=(filed,))).demand.tokens > target(PLAIN).demand.tokens
    (said,) = asked.warnings
    assert "an image is an uploaded file (file_id): type, size and transparency are not checked beforehand" == said
    mine = Overrides((Override("gpt-image-1.5", input_tokens=1600),))
    assert target(evolve(EDIT, images=(filed,)), mine).quote is not None


def test_the_key_of_a_file_has_its_id() -> None:
    """The content of an uploaded file never changes: the same id is the same picture, another id another one."""
    keys_ = [key(evolve(EDIT, images=(InputImage.file(name),))) for name in ("file-a", "file-a", "file-b")]
    assert [1, 2] == [len(set(keys_[:2])), len(set(keys_))]


def test_only_edits_of_the_same_images_are_gathered_or_alike() -> None:
    """Another image is another call, and lies on another shelf of the near cache, whatever the words."""
    config = Config(gathering=Gathering(most=4))

    def gathered(request: ImageRequest) -> str | None:
        found = prepare(request, Options(), config, handle=Handle(1), unix=DAY)
        assert isinstance(found, Prepared)
        return found.work.targets[0].gather

    def shelf(request: ImageRequest) -> str:
        return scope(request, provider="p", dialect="openai", model=request.model, tenant="")

    others = [PLAIN, EDIT, evolve(EDIT, images=(OTHER,)), evolve(EDIT, mask=MASK)]
    assert len(others) == len({gathered(request) for request in others})
    assert len(others) == len({shelf(request) for request in others})
    assert gathered(EDIT) == gathered(evolve(EDIT, images=(image(mode="RGB"),)))
