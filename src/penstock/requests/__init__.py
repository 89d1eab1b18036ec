"""What a user wants, how it shall be done (`Options`), and what `penstock.prepare` makes of both.

One module a kind of request. Frozen and provider-neutral. What needs no knowledge of a model is checked here and raises
`InvalidRequest`.
"""

from __future__ import annotations

from penstock.requests._checks import LARGEST, Scalar
from penstock.requests.images import GENERATE, MOST, PARAMETERS, ImageRequest
from penstock.requests.options import Options
from penstock.requests.prepared import Prepared, Refusal, Request, Said

__all__ = [
    "GENERATE",
    "LARGEST",
    "MOST",
    "PARAMETERS",
    "ImageRequest",
    "Options",
    "Prepared",
    "Refusal",
    "Request",
    "Said",
    "Scalar",
]
