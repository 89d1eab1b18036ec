"""How the simulated provider makes pictures: their tokens, their price, and the pictures themselves."""

from __future__ import annotations

from zlib import crc32

from attrs import frozen

from penstock.catalog import estimated_image_tokens, estimated_tokens, preview_tokens, rates
from penstock.http import HttpReply
from penstock.readings import Usage
from penstock.requests import ImageRequest
from penstock.simulation._case import UNLISTED, Telling
from penstock.simulation.painter import DEFAULT_SIZE, measure, paint
from penstock.wire import reply
from penstock.wire.hearing import refusal
from penstock.wire.pieces import pictures
from penstock.work import Demand

UNLISTED_TOKENS = 1_000
"""Output tokens of a picture of a model whose formula nobody knows."""

UNSEEN = 1024
"""Pixels of each side of an image behind a URL, which nobody fetches here."""

DEFAULT_QUALITY = "medium"


@frozen
class ImageCase:
    """Pictures of a prompt; see `penstock.simulation._case.Case`."""

    request: ImageRequest

    @property
    def model(self) -> str:
        return self.request.model

    @property
    def quality(self) -> str:
        return self.request.quality or ""

    @property
    def words(self) -> str:
        return self.request.prompt

    def check(self) -> None:
        try:
            measure(self.request.size)
        except ValueError as error:
            raise refusal(400, f"Invalid size: {error}.", "invalid_value", "size") from None

    def usage(self) -> Usage:
        """The tokens of all its pictures: four bytes of prompt a token, the catalog's formulas."""
        request = self.request
        each = estimated_tokens(request.model, *self._chosen()) or UNLISTED_TOKENS
        text = 8 + len(request.prompt.encode()) // 4
        each += preview_tokens(request.partial_images or 0)
        return Usage(input_text=text, input_image=self._inputs(), output_image=each * request.n)

    def _inputs(self) -> int:
        """The tokens of the images that it is made from, by the catalog's formulas; a mask costs nothing here."""
        request, total = self.request, 0
        for one in request.images:
            pixels = (one.width or UNSEEN, one.height or UNSEEN)
            fidelity = request.input_fidelity or "low"
            total += estimated_image_tokens(request.model, *pixels, fidelity) or UNLISTED_TOKENS
        return total

    def demand(self) -> Demand:
        usage = self.usage()
        tokens, inputs = usage.input_text + usage.input_image + usage.output_image, len(self.request.images)
        return Demand(requests=1, images=self.request.n + inputs, tokens=tokens, inputs=inputs)

    def cost(self, unix: float) -> int:
        usage = self.usage()
        price = rates("openai", self.request.model, unix) or UNLISTED
        text = UNLISTED.text if price.text is None else price.text
        image = UNLISTED.image_out if price.image_out is None else price.image_out
        taken = UNLISTED.image if price.image is None else price.image
        spent = usage.input_text * (text or 0) + usage.input_image * (taken or 0)
        return spent + usage.output_image * (image or 0)

    def reply(self, telling: Telling) -> HttpReply:
        request = self.request
        size, quality = self._chosen()
        made = [self._picture(telling, index) for index in range(request.n)]
        return reply(made, self.usage(), request, telling.created, size=size, quality=quality, headers=telling.headers)

    @property
    def streams(self) -> bool:
        return self.request.partial_images is not None

    def events(self, telling: Telling) -> list[bytes]:
        """Previews are rough, and of other colours than the picture."""
        size, quality = self._chosen()
        finished: list[tuple[list[bytes], bytes]] = []
        for index in range(self.request.n):
            seed = self._seed(telling, index)
            numbers = range(1, 1 + (self.request.partial_images or 0))
            previews = [paint(self.request.prompt, size, "low", seed + number) for number in numbers]
            finished.append((previews, self._picture(telling, index)))
        return pictures(self.request, finished, self.usage(), telling.created, size=size, quality=quality)

    def _seed(self, telling: Telling, index: int) -> int:
        return crc32(f"{self.request.seed}/{telling.call}/{index}".encode())

    def _picture(self, telling: Telling, index: int) -> bytes:
        size, quality = self._chosen()
        return paint(self.request.prompt, size, quality, self._seed(telling, index), least=telling.picture_bytes)

    def _chosen(self) -> tuple[str, str]:
        """Size and quality, with what "auto" comes to here."""
        size, quality = self.request.size, self.request.quality
        return (
            size if size not in (None, "", "auto") else DEFAULT_SIZE,
            quality if quality not in (None, "", "auto") else DEFAULT_QUALITY,
        )
