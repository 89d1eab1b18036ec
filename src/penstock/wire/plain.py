"""The ways of what makes no pictures, as OpenAI's API has them and all that are like it; and who reads their calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penstock.http import HttpCall
from penstock.requests import CHAT, EMBEDDINGS, MODERATIONS, MODERATIONS_CONTENT, RAW, Request
from penstock.wire import chat, embeddings, moderations, raw
from penstock.wire.chat_stream import ChatStream
from penstock.wire.dialects._dialect import Way

PLAIN_WAYS: Mapping[str, Way] = {
    CHAT: Way(chat.encode, chat.read, listen=ChatStream),
    EMBEDDINGS: Way(embeddings.encode, embeddings.read, most=embeddings.MOST),
    MODERATIONS: Way(moderations.encode, moderations.read),
    MODERATIONS_CONTENT: Way(moderations.encode, moderations.read_content),
    RAW: Way(raw.encode, raw.read),
}

COMMON: Mapping[str, Way] = {name: PLAIN_WAYS[name] for name in (CHAT, EMBEDDINGS, RAW)}
"""What nearly everybody has who speaks like OpenAI."""

PLAIN_DECODERS: Mapping[str, Callable[[HttpCall], Request]] = {
    chat.PATH: chat.decode,
    embeddings.PATH: embeddings.decode,
    moderations.PATH: moderations.decode,
}
