"""What a user wants, how it shall be done (`Options`), and what `penstock.prepare` makes of both.

One module a kind of request. Frozen and provider-neutral. What needs no knowledge of a model is checked here and raises
`InvalidRequest`.
"""

from __future__ import annotations

from penstock.requests._checks import LARGEST, Scalar
from penstock.requests._frozen import Frozen
from penstock.requests.chat import CHAT, CHAT_PARAMETERS, ChatRequest, Message
from penstock.requests.embeddings import EMBEDDINGS, EmbeddingInput, EmbeddingRequest
from penstock.requests.images import EDIT, GENERATE, MOST, NEUTRAL, PARAMETERS, ImageRequest
from penstock.requests.inputs import InputImage
from penstock.requests.moderations import MODERATIONS, MODERATIONS_CONTENT, Content, ModerationRequest
from penstock.requests.options import Options, Unsaid
from penstock.requests.prepared import Otherwise, Prepared, Refusal, Request, Said
from penstock.requests.raw import RAW, RawRequest

__all__ = [
    "CHAT",
    "CHAT_PARAMETERS",
    "EDIT",
    "EMBEDDINGS",
    "GENERATE",
    "LARGEST",
    "MODERATIONS",
    "MODERATIONS_CONTENT",
    "MOST",
    "NEUTRAL",
    "PARAMETERS",
    "RAW",
    "ChatRequest",
    "Content",
    "EmbeddingInput",
    "EmbeddingRequest",
    "Frozen",
    "ImageRequest",
    "InputImage",
    "Message",
    "ModerationRequest",
    "Options",
    "Otherwise",
    "Prepared",
    "RawRequest",
    "Refusal",
    "Request",
    "Said",
    "Scalar",
    "Unsaid",
]
