"""What a moderation says of texts and pictures: `ModerationRequest`."""

from __future__ import annotations

from typing import cast

from attrs import evolve, field, frozen

from penstock.errors import InvalidRequest
from penstock.requests._checks import model, text
from penstock.requests.inputs import InputImage

MODERATIONS, MODERATIONS_CONTENT = "moderations", "moderations.content"
"""The calls: of texts, each by itself, and of one content of several parts."""

DEFAULT_MODERATION = "omni-moderation-latest"
MOST_TEXTS = 10_000
"""How many texts a request may have; what is sent at a time is another matter (it is split)."""

LONGEST_TEXT = 1_000_000
MOST_PARTS = 100

Content = str | InputImage
"""A part of what is looked at together: a text, or a picture."""


@frozen(kw_only=True)
class ModerationRequest:
    """What a moderation says of each of `texts`, or of one `content`: texts and pictures that belong together.

    Its repr shows neither. Raises InvalidRequest for what no model can take.
    """

    texts: tuple[str, ...] = field(default=(), repr=False)
    content: tuple[Content, ...] = field(default=(), repr=False)
    model: str = DEFAULT_MODERATION

    def __attrs_post_init__(self) -> None:
        model(self.model)
        for name, given, most in (("texts", self.texts, MOST_TEXTS), ("content", self.content, MOST_PARTS)):
            if not isinstance(cast("object", given), tuple) or len(given) > most:
                raise InvalidRequest(f"{name} is a tuple of at most {most:,}", field=name)
        if bool(self.texts) == bool(self.content):
            raise InvalidRequest("give texts, or one content of texts and pictures", field="texts")
        for place, one in enumerate(self.texts):
            text(one, f"texts[{place}]", LONGEST_TEXT)
        check_content(self.content, "content")

    @property
    def operation(self) -> str:
        """What its call is, as the engine and the wire name it."""
        return MODERATIONS_CONTENT if self.content else MODERATIONS

    @property
    def samples(self) -> int:
        """How many results it asks for."""
        return len(self.texts) or 1

    @property
    def private(self) -> tuple[str, ...]:
        """What must never be told of it."""
        return (*self.texts, *told_in(self.content))

    def gathered(self, others: tuple[tuple[ModerationRequest, tuple[int, ...]], ...]) -> ModerationRequest:
        """The request for so many texts of several requests that ask alike, in this order."""
        if self.content:
            return self
        return evolve(self, texts=tuple([one.texts[place] for one, places in others for place in places]))


def check_content(content: tuple[Content, ...], name: str) -> None:
    """Refuse parts that are neither a text nor a picture that can be sent."""
    for place, one in enumerate(content):
        if isinstance(cast("object", one), InputImage):
            if cast("InputImage", one).file_id:
                said = f"{name}[{place}] is an uploaded file: only edits take a file_id, give its bytes or address here"
                raise InvalidRequest(said, field=name)
            if not cast("InputImage", one).sendable:
                raise InvalidRequest(f"{name}[{place}] is an image without its bytes", field=name)
        else:
            text(one, f"{name}[{place}]", LONGEST_TEXT)


def told_in(content: tuple[Content, ...]) -> tuple[str, ...]:
    """The texts of parts, and the addresses of their pictures."""
    return tuple([said for one in content if (said := one if isinstance(one, str) else one.url)])
