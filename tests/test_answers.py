"""Results without pictures, as they are read from what is kept."""

from __future__ import annotations

import json
import math

from penstock.ids import Key, Ref
from penstock.outcomes import Meta, Outcome, Picture, Source, Status
from penstock.requests import ModerationRequest
from penstock_io.answers import ModerationResult, Piece


def moderation(body: object) -> ModerationResult:
    """The result of a moderation that kept this body."""
    picture = Picture(0, Ref("r"), Source.BOUGHT, Meta("", "json"), Key("k"))
    piece = Piece(picture, json.dumps(body).encode())
    return ModerationResult(ModerationRequest(texts=("a",)), Outcome(Status.COMPLETED), (piece,))


def test_scores_are_floats_whatever_number_is_said() -> None:
    """Integers beyond any float, too; what is no number is left out."""
    scores = {"large": 10**400, "deep": -(10**400), "one": 1, "half": 0.5, "word": "x", "nothing": None}
    (found,) = moderation({"flagged": True, "categories": {"a": True, "b": 1}, "category_scores": scores}).results
    assert {"large": math.inf, "deep": -math.inf, "one": 1.0, "half": 0.5} == found.scores
    assert ({"a": True, "b": False}, True) == (found.categories, found.flagged)
