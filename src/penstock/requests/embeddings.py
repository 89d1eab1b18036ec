"""Vectors of texts: `EmbeddingRequest`."""

from __future__ import annotations

from typing import cast

from attrs import evolve, field, frozen

from penstock.errors import InvalidRequest
from penstock.requests._checks import Scalar, model, scalar, text, whole

EMBEDDINGS = "embeddings"

MOST_INPUTS = 100_000
"""How many inputs a request may have; what a provider takes at a time is another matter (it is split)."""

LONGEST_TOKENS = 8_192
"""Tokens of one input (OpenAI API reference, create embeddings, 2026-08)."""

LONGEST = LONGEST_TOKENS * 128
"""Bytes beyond which an input has more tokens than that for certain: no token of OpenAI's has more than 128."""

ENCODINGS = ("base64", "float")
_RESERVED = frozenset({"input", "model", "dimensions", "encoding_format", "user", "extra"})

EmbeddingInput = str | tuple[int, ...]
"""A text, or the tokens of one."""


@frozen(kw_only=True)
class EmbeddingRequest:
    """A vector of each of `inputs`: texts, or tuples of tokens.

    `dimensions` shortens the vectors where the model can. `encoding` is how they travel ("base64", or "float" for a
    server that knows nothing else); they are the same 32-bit numbers. `extra` holds (name, value) pairs that are passed
    on as they are.

    Its repr does not show the inputs. Raises InvalidRequest for what no model can take.
    """

    inputs: tuple[EmbeddingInput, ...] = field(repr=False)
    model: str
    dimensions: int | None = None
    encoding: str = "base64"
    user: str | None = None
    extra: tuple[tuple[str, Scalar], ...] = ()

    def __attrs_post_init__(self) -> None:
        model(self.model)
        given = cast("object", self.inputs)
        if not isinstance(given, tuple) or not 1 <= len(self.inputs) <= MOST_INPUTS:
            raise InvalidRequest(f"inputs are 1 to {MOST_INPUTS:,} texts", field="inputs")
        for place, one in enumerate(self.inputs):
            _check_input(one, place)
        if self.dimensions is not None:
            whole(self.dimensions, "dimensions", 1, 1_000_000)
        if self.encoding not in ENCODINGS:
            raise InvalidRequest(f"encoding is one of {', '.join(ENCODINGS)}", field="encoding")
        if self.user is not None:
            text(self.user, "user")
        check_extra(self.extra, _RESERVED)

    @property
    def operation(self) -> str:
        """What its call is, as the engine and the wire name it."""
        return EMBEDDINGS

    @property
    def samples(self) -> int:
        """How many results it asks for."""
        return len(self.inputs)

    @property
    def private(self) -> tuple[str, ...]:
        """What must never be told of it."""
        return tuple([one for one in self.inputs if isinstance(one, str)])

    def gathered(self, others: tuple[tuple[EmbeddingRequest, tuple[int, ...]], ...]) -> EmbeddingRequest:
        """The request for so many inputs of several requests that ask alike, in this order."""
        return evolve(self, inputs=tuple([one.inputs[place] for one, places in others for place in places]))


def _check_input(one: object, place: int) -> None:
    where = f"inputs[{place}]"
    if isinstance(one, tuple):
        tokens = cast("tuple[object, ...]", one)
        if not 1 <= len(tokens) <= LONGEST_TOKENS:
            raise InvalidRequest(f"{where} must have 1 to {LONGEST_TOKENS:,} tokens", field="inputs")
        for token in tokens:
            if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < 2**31:
                raise InvalidRequest(f"{where} holds something that is no token", field="inputs")
        return
    if not isinstance(one, str) or not one:
        raise InvalidRequest(f"{where} must be a text that is not empty, or a tuple of tokens", field="inputs")
    try:
        length = len(one.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(
            f"{where} holds half of a surrogate pair, which no server can read", field="inputs"
        ) from None
    if length > LONGEST:
        raise InvalidRequest(f"{where} has more than {LONGEST_TOKENS:,} tokens: cut it into parts", field="inputs")


def check_extra(extra: tuple[tuple[str, Scalar], ...], reserved: frozenset[str]) -> None:
    """Refuse pairs that a field says already, or that are said twice."""
    seen: set[str] = set()
    for name, value in extra:
        text(name, "extra", longest=64)
        if name in reserved:
            raise InvalidRequest(f"{name} cannot be given in extra", field="extra")
        if name in seen:
            raise InvalidRequest(f"{name} is given twice in extra", field="extra")
        seen.add(name)
        scalar(name, value)
