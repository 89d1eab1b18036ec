"""What a user wants, how it shall be done (`Options`), and what `penstock.prepare` makes of both.

One module a kind of request. Frozen and provider-neutral. What needs no knowledge of a model is checked here and raises
`InvalidRequest`.
"""

from __future__ import annotations

from penstock.requests._checks import LARGEST, Scalar
from penstock.requests.images import EDIT, GENERATE, MOST, NEUTRAL, PARAMETERS, ImageRequest
from penstock.requests.inputs import InputImage
from penstock.requests.options import Options, Unsaid
from penstock.requests.prepared import Prepared, Refusal, Request, Said

__all__ = [
    "EDIT",
    "GENERATE",
    "LARGEST",
    "MOST",
    "NEUTRAL",
    "PARAMETERS",
    "ImageRequest",
    "InputImage",
    "Options",
    "Prepared",
    "Refusal",
    "Request",
    "Said",
    "Scalar",
    "Unsaid",
]
