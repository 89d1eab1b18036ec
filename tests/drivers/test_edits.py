"""Pictures from pictures, over the three drivers: files, addresses, masks, and refinement in steps."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random
from threading import current_thread
from typing import Any

import pytest
from attrs import evolve
from PIL import Image

from penstock.catalog import estimated_image_tokens
from penstock.config import Config, Retry
from penstock.errors import InvalidRequest, UsageError
from penstock.ids import Handle
from penstock.outcomes import Status
from penstock.prepare import Prepared, prepare
from penstock.requests import ImageRequest, InputImage, Options
from penstock.simulation.server import Latency, Server, ServerLimits, ServerSettings
from penstock.wire import encode
from penstock_io.inputs import read_image
from penstock_io.resources import Result
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.memory import MemoryStore
from tests.drivers.harness import DRIVERS, Side, running

KEY = "sk-very-secret-key-of-mine"
MODEL = "gpt-image-1.5"
ASKED: dict[str, Any] = {"prompt": "a red sky", "model": MODEL, "size": "1024x1024", "quality": "low"}


def png(width: int = 60, height: int = 40, mode: str = "RGB") -> bytes:
    """A picture of so many pixels."""
    out = BytesIO()
    Image.new(mode, (width, height)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A quick provider without limits."""
    with serving(ServerSettings(latency=Latency(0.02, 0.1), refusal_delay=0.001)) as server:
        yield server


@pytest.fixture(params=DRIVERS)
def side(request: pytest.FixtureRequest, sim: SimServer) -> Iterator[Side]:
    """A client of each driver."""
    config = Config(retry=Retry(base=0.005))
    with running(
        request.param, "httpx2", base_url=sim.base_url, api_keys=[KEY], config=config, store=MemoryStore()
    ) as it:
        yield it


def edit(side: Side, **arguments: Any) -> Result:
    """`client.images.edit`."""
    result: Result = side.ask(lambda client: client.images.edit(**{**ASKED, **arguments}))
    return result


def test_every_kind_of_source_reaches_the_provider(side: Side, tmp_path: Path) -> None:
    """Bytes, a path, a text that is a path, an image that was read, and a picture of a result: its pixels are seen.

    The provider bills input tokens by the pixels that it finds in what it was sent.
    """
    (tmp_path / "a.png").write_bytes(png())
    tokens = estimated_image_tokens(MODEL, 60, 40, "low")
    for number, source in enumerate([png(), tmp_path / "a.png", str(tmp_path / "a.png"), InputImage.of(png())]):
        result = edit(side, image=source, prompt=f"sky {number}")
        assert result.usage is not None
        assert (Status.COMPLETED, tokens, 1) == (result.outcome.status, result.usage.input_image, len(result.images))
    picture = edit(side, image=png()).images[0]
    made = edit(side, image=[picture, png()], prompt="both", n=2)
    assert made.usage is not None
    assert (estimated_image_tokens(MODEL, 1024, 1024, "low") or 0) + (tokens or 0) == made.usage.input_image
    assert 2 == len(made.images)


def test_a_mask_goes_with_it(side: Side, tmp_path: Path) -> None:
    """A mask is read like an image; the same request with and without it are two pictures."""
    (tmp_path / "mask.png").write_bytes(png(mode="RGBA"))
    plain = edit(side, image=png())
    masked = edit(side, image=png(), mask=tmp_path / "mask.png")
    assert Status.COMPLETED == plain.outcome.status == masked.outcome.status
    assert plain.outcome.pictures[0].key != masked.outcome.pictures[0].key


def test_the_same_edit_is_paid_once(side: Side, sim: SimServer, tmp_path: Path) -> None:
    """What counts is what is in a file, not what it is called: the second one comes from the store."""
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "b.png").write_bytes(png())
    first, second = edit(side, image=tmp_path / "a.png"), edit(side, image=tmp_path / "b.png")
    assert (False, True) == (first.cached, second.cached)
    (tmp_path / "b.png").write_bytes(png(61))
    assert not edit(side, image=tmp_path / "b.png").cached
    assert 2 == sim.call(lambda server: server.books.pictures)


class Watched:
    """A picture that remembers who read it."""

    def __init__(self) -> None:
        self.readers: list[str] = []

    @property
    def data(self) -> bytes:
        """Its bytes."""
        self.readers.append(current_thread().name)
        return png()


def test_files_are_read_off_the_loop(side: Side) -> None:
    """What may wait for a disk never runs on the thread that a loop runs on."""
    watched, owner = Watched(), list[str]()
    side.on_owner(lambda: owner.append(current_thread().name))
    assert Status.COMPLETED == edit(side, image=watched).outcome.status
    assert 1 == len(watched.readers)
    assert not set(watched.readers) & set(owner)


def test_a_form_is_sent_again_as_it_was(side: Side, sim: SimServer) -> None:
    """After a fault the same bytes go out: the provider, who knows requests by their bodies, sees one of them."""
    sim.call(lambda server: server.inject("503"))
    result = edit(side, image=[png(), png(61)], prompt="twice")
    assert (Status.COMPLETED, 2) == (result.outcome.status, result.attempts)
    assert 1 == sim.call(lambda server: len({identity for identity, _ in server.books.lines}))


def test_an_address_is_sent_as_it_is(side: Side) -> None:
    """The provider fetches it; what it costs nobody can say beforehand."""
    result = edit(side, image="https://pictures.example/a.png?signature=secret")
    assert (Status.COMPLETED, 1) == (result.outcome.status, len(result.images))
    assert "secret" not in repr(result)


@pytest.mark.parametrize(
    ("arguments", "field", "words"),
    [
        ({"image": "nowhere/a.png"}, "images", "nowhere/a.png: there is no such file"),
        ({"image": Path()}, "images", "is a folder"),
        ({"image": "a\0b.png"}, "images", "cannot be read"),
        ({"image": b"GIF89a"}, "images", "PNG, JPEG and WebP"),
        ({"image": 7}, "images", "not int"),
        ({"image": []}, "images", "there is no image"),
        ({"image": png(), "mask": png()}, "mask", "without transparency"),
        ({"image": png(), "mask": png(61, 40, "RGBA")}, "mask", "61x40"),
        ({"image": [png()] * 17}, "images", "at most 16"),
        ({"image": InputImage.of(png()).bare}, "images", "bytes of an image are not here"),
    ],
)
def test_what_cannot_be_sent_is_said(side: Side, arguments: dict[str, Any], field: str, words: str) -> None:
    """Before anything leaves: which file, what is wrong with it, what to do."""
    with pytest.raises(InvalidRequest, match=words) as caught:
        edit(side, **{"mask": png(mode="RGBA") if arguments["image"] == [] else None, **arguments})
    assert field == caught.value.field


def test_a_result_is_refined_in_steps(side: Side, sim: SimServer) -> None:
    """`result.edit` makes its picture the input, and asks for all else as before; its result can be edited again."""
    first = side.ask(lambda client: client.images.generate(**ASKED))
    second = side.ask(lambda _: first.edit("make the sky red"))
    third = side.ask(lambda _: second.edit("and add a boat", n=2))
    assert ("images.edit", "make the sky red", MODEL, "low") == (
        second.request.operation, second.request.prompt, second.request.model, second.request.quality
    )  # fmt: skip
    assert [InputImage.of(second.images[0].data)] == list(third.request.images)
    assert 2 == len(third.images)
    fourth = side.ask(lambda _: third.edit("greener", picture=1, mask=png(1024, 1024, "RGBA")))
    assert [InputImage.of(third.images[1].data)] == list(fourth.request.images)
    assert 5 == sim.call(lambda server: server.books.pictures)
    with pytest.raises(UsageError, match="no picture 4"):
        side.ask(lambda _: third.edit("x", picture=4))


def test_results_of_a_map_are_refined_too(side: Side) -> None:
    """Requests with images go through `map`, and what comes out can be edited."""
    image = read_image(png())
    requests = [ImageRequest(**{**ASKED, "prompt": f"sky {number}"}, images=(image,)) for number in range(3)]
    found: list[Any] = side.collect(requests)
    assert [Status.COMPLETED] * 3 == [result.outcome.status for result in found]
    assert Status.COMPLETED == side.ask(lambda _: found[0].edit("redder")).outcome.status
    bare = side.collect([evolve(requests[0], images=(image.bare,))])[0]
    assert isinstance(bare.error, InvalidRequest)


def test_images_that_go_in_count_as_images_a_minute() -> None:
    """Where three images a minute are allowed, an edit from two takes all of them, and the next one is refused."""
    server = Server(ServerSettings(limits=ServerLimits(ipm=3.0)), rng=Random(1))
    request = ImageRequest(**ASKED, images=(InputImage.of(png()), InputImage.of(png(61))))
    found = prepare(request, Options(), Config(), handle=Handle(1), unix=0.0)
    assert isinstance(found, Prepared)
    call = encode(found, 0, 1)
    call = evolve(call, headers=(*call.headers, ("authorization", f"Bearer {KEY}")))
    replies = [server.reply(call, 0.0).reply for _ in range(2)]
    assert [200, 429] == [reply.status for reply in replies if reply is not None]
    assert 1 == server.books.pictures
