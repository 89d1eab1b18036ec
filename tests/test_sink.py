"""Sinks: the same bytes for any split, the same garbage refused, nothing left behind, little memory."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.errors import UsageError
from penstock.wire.sink import BadPayload, Sink
from penstock_io._payloads import Payloads
from penstock_io._sink import BLOCK, Decoder, FileSink, MemorySink

STRICT = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
PICTURE = bytes(range(256)) * 5


def feed(sink: Sink, index: int, text: bytes, cuts: Sequence[int]) -> None:
    """Begin a picture and write its text cut at these places."""
    sink.begin(index)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, stop in pairwise(edges):
        sink.write(memoryview(text)[start:stop])


def take(sink: Sink, text: bytes) -> None:
    """One picture in one piece."""
    feed(sink, 0, text, ())
    sink.end()


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.lists(st.integers(0, 400), max_size=12)), max_size=4))
def test_both_sinks_give_the_bytes_whatever_the_split(pictures: list[tuple[bytes, list[int]]]) -> None:
    """Memory and file sink give back every picture, its length and its head, however the text was cut."""
    with TemporaryDirectory() as folder:
        payloads = Payloads(Path(folder))
        for sink in (MemorySink(payloads), FileSink(payloads, Path(folder))):
            for index, (data, cuts) in enumerate(pictures):
                feed(sink, index, b64encode(data), cuts)
                stored = sink.end()
                assert (data, len(data), data[:32]) == (payloads.read(stored.ref), stored.nbytes, stored.head)


@example(b"QQ==QUJD", [])
@example(b"QUJD=", [])
@example(b"QUI=QUJD", [])
@given(
    st.binary(max_size=60).map(b64encode), st.lists(st.tuples(st.integers(0, 80), st.binary(max_size=2)), max_size=3)
)
def test_both_decoders_refuse_what_the_standard_refuses(text: bytes, edits: list[tuple[int, bytes]]) -> None:
    """With and without pybase64, in any pieces: the bytes, or a refusal, as the standard says."""
    for at, inserted in edits:
        text = text[:at] + inserted + text[at + 1 :]
    expected = b64decode(text) if STRICT.fullmatch(text) else None
    for fast in (True, False):
        for step in (1, 3, 4, 7, 100):
            decoder = Decoder(fast=fast)
            try:
                actual: bytes | None = b"".join(
                    [decoder.feed(text[at : at + step]) for at in range(0, len(text), step)] + [decoder.finish()]
                )
            except BadPayload:
                actual = None
            assert expected == actual


def test_one_picture_may_be_let_go(tmp_path: Path) -> None:
    """The others stay, and whoever discards afterwards discards these alone."""
    payloads = Payloads(tmp_path)
    for sink in (MemorySink(payloads), FileSink(payloads, tmp_path)):
        refs = []
        for index in range(2):
            feed(sink, index, b64encode(PICTURE), ())
            refs.append(sink.end().ref)
        sink.drop(refs[0])
        assert PICTURE == payloads.read(refs[1])
        with pytest.raises(FileNotFoundError):
            payloads.read(refs[0])
        sink.discard()
        with pytest.raises(FileNotFoundError):
            payloads.read(refs[1])


def test_a_bad_picture_leaves_nothing_and_the_next_one_is_fine(tmp_path: Path) -> None:
    """A failed write forgets its picture, `end` refuses it, too, and the sink goes on with the next."""
    payloads = Payloads(tmp_path)
    sink = FileSink(payloads, tmp_path)
    sink.begin(0)
    sink.write(b64encode(PICTURE))
    with pytest.raises(BadPayload):
        sink.write(b"====!")
    with pytest.raises(BadPayload):
        sink.end()
    assert [] == list(tmp_path.iterdir())
    feed(sink, 1, b64encode(PICTURE), ())
    assert payloads.read(sink.end().ref) == PICTURE


@pytest.mark.parametrize("text", [b"", b"A", b"QQ", b"QQ=", b"QQ===", b"=AAA"])
def test_nothing_and_loose_ends_are_refused(text: bytes) -> None:
    """An empty picture, missing padding and too much of it are no pictures."""
    sink = MemorySink(Payloads())
    with pytest.raises(BadPayload):
        take(sink, text)


def test_discard_forgets_files_pictures_and_urls(tmp_path: Path) -> None:
    """After `discard` nothing of the exchange is left, begun or ended."""
    payloads = Payloads(tmp_path)
    sink = FileSink(payloads, tmp_path)
    feed(sink, 0, b64encode(PICTURE), ())
    stored = sink.end()
    url = sink.url(1, "https://example.com/?sig=secret")
    sink.note(stored.ref, "revised")
    feed(sink, 2, b64encode(PICTURE), ())
    assert ("revised", "https://example.com/?sig=secret") == (payloads.note(stored.ref), payloads.url(url))
    sink.discard()
    assert [] == list(tmp_path.iterdir())
    assert payloads.note(stored.ref) is None
    with pytest.raises(OSError, match="no URL"):
        payloads.url(url)


def test_secrets_are_not_shown() -> None:
    """No repr shows a signed URL."""
    payloads = Payloads()
    ref = MemorySink(payloads).url(0, "https://example.com/?sig=secret")
    assert "secret" not in repr(payloads) + repr(ref)


def test_a_folder_that_is_gone_sends_the_picture_to_memory(tmp_path: Path) -> None:
    """A paid picture survives a file that cannot be made."""
    payloads = Payloads(tmp_path)
    sink = FileSink(payloads, tmp_path / "gone")
    feed(sink, 0, b64encode(PICTURE), (5,))
    stored = sink.end()
    assert (True, PICTURE) == (stored.ref.startswith("m:"), payloads.read(stored.ref))


FULL = """
import resource, sys
from base64 import b64encode
from pathlib import Path
from penstock_io._payloads import Payloads
from penstock_io._sink import BLOCK, FileSink
resource.setrlimit(resource.RLIMIT_FSIZE, (BLOCK + BLOCK // 2, BLOCK + BLOCK // 2))
payloads = Payloads(Path(sys.argv[1]))
sink = FileSink(payloads, Path(sys.argv[1]))
data = bytes(range(251)) * (4 * BLOCK // 251)
text = b64encode(data)
sink.begin(0)
for at in range(0, len(text), 65536):
    sink.write(text[at:at + 65536])
stored = sink.end()
assert stored.ref.startswith("m:") and payloads.read(stored.ref) == data and stored.nbytes == len(data)
assert not list(Path(sys.argv[1]).iterdir())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_file_that_takes_no_more_is_taken_back_into_memory(tmp_path: Path) -> None:
    """A disk that fills up in the middle of a picture loses none of its bytes."""
    subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], check=True)


LARGE = """
import resource, sys
from base64 import b64encode
from pathlib import Path
from penstock_io._payloads import Payloads
from penstock_io._sink import FileSink, MemorySink
payloads = Payloads(Path(sys.argv[1]))
sink = MemorySink(payloads) if sys.argv[2] == "memory" else FileSink(payloads, Path(sys.argv[1]))
chunk = b64encode(bytes(range(256)) * 192)
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
longest = 0
for index in range(10):
    sink.begin(index)
    for _ in range(160):
        sink.write(chunk)
        longest = max(longest, len(sink._decoder._rest))
    sink.end()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start, longest)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_hundred_megabytes_need_little_memory(tmp_path: Path, kind: str) -> None:
    """Ten pictures of 10 MB of base64: at most 150 MB above the start; each step decodes what it is given."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(tmp_path), kind], check=True, capture_output=True, text=True
    )
    kilobytes, longest = map(float, done.stdout.split())
    assert kilobytes < 150_000 / (1 if kind == "memory" else 10)
    assert longest <= 4  # what is held back of the text: no step has more to do than its own chunk


def test_large_files_are_written_in_blocks(tmp_path: Path) -> None:
    """A picture of several blocks and a bit comes back whole."""
    payloads = Payloads(tmp_path)
    sink = FileSink(payloads, tmp_path)
    data = PICTURE * (3 * BLOCK // len(PICTURE)) + b"end"
    feed(sink, 0, b64encode(data), range(0, len(data), 65536))
    assert data == payloads.read(sink.end().ref)


def test_payloads_share_bytes_and_forget_them() -> None:
    """A picture is kept once however often it is handed out; released, it is gone, and releasing again is fine."""
    payloads = Payloads()
    first, second = payloads.keep(PICTURE), payloads.keep(PICTURE)
    assert payloads.read(first) is payloads.read(second)
    payloads.release((first, first))
    assert payloads.read(second) == PICTURE
    with pytest.raises(FileNotFoundError):
        payloads.read(first)


def test_payloads_stay_below_their_folder(tmp_path: Path) -> None:
    """A reference never leads out of the folder, and without a folder there are no files."""
    payloads = Payloads(tmp_path / "in")
    for ref in ("f:../x", "f:/etc/passwd", "f:a/../../x"):
        with pytest.raises(UsageError):
            payloads.path(ref)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        FileSink(Payloads())
    with pytest.raises(UsageError):
        FileSink(payloads, tmp_path)


def test_replacing_moves_the_text_along() -> None:
    """What was noted of a picture stays with it when the journal gives it another place."""
    payloads = Payloads()
    old, new = payloads.keep(b"x"), payloads.keep(b"y")
    payloads.annotate(old, "revised")
    payloads.replace(old, new)
    payloads.replace(new, new)
    assert ("revised", None, b"y") == (payloads.note(new), payloads.note(old), payloads.read(new))


def test_vectors_are_kept_by_reference() -> None:
    """An embedding comes back as it was kept, until it is released."""
    payloads = Payloads()
    ref = payloads.keep_vector((1.0, 2.0))
    assert (1.0, 2.0) == payloads.vector(ref)
    payloads.release((ref,))
    with pytest.raises(OSError, match="no vector"):
        payloads.vector(ref)
