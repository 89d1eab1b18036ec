"""What a driver makes of a stream while it comes: news, and an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.events import Event, Failed, Opened, Responded, Streamed
from penstock.ids import AttemptId
from penstock.readings import Kind, Partial, Problem, Reached, Success
from penstock.wire.pieces import LAST, event, failing
from penstock_io._payloads import Payloads
from penstock_io._receive import Download, Reply
from penstock_io._sink import FileSink, MemorySink

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
PREVIEW = event("image_generation.partial_image", {"partial_image_index": 1}, b"early")
PICTURE = event("image_generation.completed", {}, PNG)
ATTEMPT = AttemptId(4)


class Side:
    """A receiver, what is kept, and what of it is on disk."""

    def __init__(self, root: Path | None, *, stream: bool = True) -> None:
        self.payloads = Payloads(root)
        if root is not None:
            (root / "held").mkdir()
        sink = MemorySink(self.payloads) if root is None else FileSink(self.payloads)
        self.root = root
        self.reply = Reply(ATTEMPT, "images.generate", sink, (), cap=1 << 20, stream=stream, samples=(7,))
        assert isinstance(self.reply.opened(200, [("content-type", "text/event-stream")]), Opened)

    def kept(self) -> int:
        """How many payloads there are."""
        there = vars(self.payloads)
        return len(there["_bytes"]) + (0 if self.root is None else len(list((self.root / "held").iterdir())))

    def told(self, *data: bytes) -> list[Event]:
        """The news of these pieces."""
        found: list[Event] = []
        for piece in data:
            self.reply.feed(piece)
            found += self.reply.news()
        return found


@pytest.mark.parametrize("answers", [1, 2])
def test_a_conversation_is_whole_with_all_its_answers(answers: int) -> None:
    """One that broke off after the first of two is a failure."""
    payloads = Payloads()
    reply = Reply(ATTEMPT, "chat.completions", MemorySink(payloads), (), stream=True, answers=answers)
    reply.opened(200, [("content-type", "text/event-stream")])
    reply.feed(b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}\n\n')
    ended = reply.failed(Kind.BROKEN, Reached.READING)
    assert (Responded if answers == 1 else Failed) is type(ended)


@pytest.fixture(params=["memory", "files"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Side:
    """A stream that is received into memory, or into files."""
    return Side(None if request.param == "memory" else tmp_path)


def test_a_preview_is_news_under_the_number_of_its_sample(side: Side) -> None:
    """And stays, whoever gives up the rest: it belongs to whom it was told."""
    (news,) = side.told(PREVIEW)
    assert isinstance(news, Streamed)
    assert isinstance(news.item, Partial)
    assert (ATTEMPT, 7, 1) == (news.attempt, news.item.index, news.item.number)
    assert b"early" == side.payloads.read(news.item.ref)
    assert [] == side.told(PREVIEW[:20])
    ended = side.reply.failed(Kind.BROKEN, Reached.READING, "why")
    assert Failed(ATTEMPT, Kind.BROKEN, Reached.READING, "why") == ended
    assert 1 == side.kept()
    side.payloads.release((news.item.ref,))
    assert 0 == side.kept()


def test_the_end_is_a_success_or_the_providers_error(side: Side, tmp_path: Path) -> None:
    """With its pictures, or with nothing kept."""
    assert [] == side.told(PICTURE)
    ended = side.reply.closed()
    assert isinstance(ended, Responded)
    assert isinstance(ended.reading, Success)
    assert [PNG] == [side.payloads.read(part.ref) for part in ended.reading.parts]
    (tmp_path / "other").mkdir()
    other = Side(None if side.root is None else tmp_path / "other")
    other.told(failing(Problem(code="server_error", message="no")))
    ended = other.reply.closed()
    assert isinstance(ended, Responded)
    assert isinstance(ended.reading, Problem)
    assert 0 == other.kept()


@pytest.mark.parametrize("kind", [Kind.BROKEN, Kind.TIMEOUT, Kind.ABORTED])
def test_a_picture_that_was_whole_is_kept_whatever_broke_off_then(side: Side, kind: Kind) -> None:
    """It is paid."""
    side.told(PICTURE, PREVIEW[:30])
    ended = side.reply.failed(kind, Reached.READING)
    assert isinstance(ended, Responded)
    assert isinstance(ended.reading, Success)
    assert 1 == len(ended.reading.parts) == side.kept()


def test_a_picture_that_was_not_whole_is_not(side: Side) -> None:
    """Nothing of it is left."""
    side.told(PICTURE[:-9])
    assert isinstance(side.reply.failed(Kind.BROKEN, Reached.READING), Failed)
    assert 0 == side.kept()


def test_after_its_last_word_nothing_is_waited_for(side: Side) -> None:
    """A server that leaves the connection open holds nobody up."""
    assert side.reply.feed(PICTURE)
    assert not side.reply.feed(LAST)
    ended = side.reply.closed()
    assert isinstance(ended, Responded)
    assert isinstance(ended.reading, Success)


def test_above_the_cap_it_is_too_large(side: Side) -> None:
    """And nothing is kept."""
    assert not side.reply.feed(b": " + bytes(1 << 20))
    ended = side.reply.closed()
    assert isinstance(ended, Failed)
    assert Kind.TOO_LARGE == ended.kind
    assert 0 == side.kept()


def test_what_is_no_stream_has_no_news(tmp_path: Path) -> None:
    """A plain reply and a download tell nothing before their end."""
    assert [] == Side(None, stream=False).told(PREVIEW)
    download = Download(ATTEMPT, Payloads(tmp_path))
    download.feed(b"x")
    assert [] == download.news()


def test_how_a_reply_ended_may_stand_in_its_head() -> None:
    """Readers get the headers, in any capitals: a picture that was held back is a refusal."""
    payloads = Payloads()
    reply = Reply(ATTEMPT, "images.generate", MemorySink(payloads), (), dialect="stability")
    reply.opened(200, [("Content-Type", "image/png"), ("Finish-Reason", "CONTENT_FILTERED")])
    reply.feed(PNG)
    ended = reply.closed()
    assert isinstance(ended, Responded)
    assert isinstance(ended.reading, Problem)
    assert "CONTENT_FILTERED" == ended.reading.code
    assert 0 == len(vars(payloads)["_bytes"])
