"""What servers put around and between base64, against a reader that has the whole text at once."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.readings import Malformed, Reading, Success
from penstock.wire import MemorySink, Sink, is_text, reader
from penstock.wire._wrapping import LONGEST
from penstock.wire.sink import HEAD
from penstock_io._payloads import Payloads
from penstock_io._sink import MemorySink as DriverSink

PARTS = (
    "QUJD", "QUI=", "QQ==", "+/+/", "Data", "DA", "d", "=", "\n", "\r\n", " ", "\t", "data:image/png;base64,",
    "DATA:;Base64,", "data:", ";base64,", ",", "image/png", "!", "\N{SNOWMAN}", "\x0b", "x" * LONGEST,
)  # fmt: skip
texts = st.lists(st.sampled_from(PARTS), max_size=7).map("".join)
cuts = st.lists(st.integers(0, 600), max_size=6)


def plain(text: str) -> bytes | None:
    """The picture in a text; None where there is none."""
    text = re.sub("[ \t\r\n]", "", text)
    uri = re.fullmatch(r"(data:[^,]*;base64,)(.*)", text, re.IGNORECASE | re.DOTALL)
    if uri is not None and len(uri[1]) <= LONGEST:
        text = uri[2]
    whole = re.fullmatch(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text)
    return b64decode(text) or None if whole is not None else None


def spelled(text: str, way: str) -> bytes:
    """A reply with this text, as encoders of several languages write it."""
    said = json.dumps(text, ensure_ascii=way != "raw")
    if way == "php":
        said = said.replace("/", "\\/")
    if way == "codes":
        said = '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'
    return f'{{"data":[{{"b64_json":{said}}}]}}'.encode()


def read(sink: Sink, body: bytes, edges: list[int]) -> Reading:
    """The reading of a body that arrives in pieces."""
    taking = reader("images.generate", sink, status=200)
    for start, end in pairwise([0, *sorted(min(edge, len(body)) for edge in edges), len(body)]):
        taking.feed(body[start:end])
    return taking.close()


@given(texts, cuts, st.sampled_from(["json", "raw", "php", "codes"]))
@example("data:image/png;base64,QUJD\r\nQQ==\r\n", [], "json")
@example("data", [30], "php")
@example(f"data:{'x' * (LONGEST - 13)};base64,QUJD", [100, 200, 300], "json")
@example(f"data:{'x' * (LONGEST - 12)};base64,QUJD", [], "json")
def test_wrapped_base64_is_read_under_any_split(text: str, edges: list[int], way: str) -> None:
    """White space and the beginning of a data URI are left out; what is no base64 without them is malformed."""
    body, expected = spelled(text, way), plain(text)
    sink, payloads = MemorySink(), Payloads()
    ours, drivers = read(sink, body, edges), read(DriverSink(payloads), body, edges)
    if expected is None or is_text(expected[:HEAD]):
        why = "no base64 of anything" if expected is None else "text"
        assert Malformed(f"picture 0 is {why}") == ours == drivers
        return
    assert isinstance(ours, Success)
    assert isinstance(drivers, Success)
    assert [expected] == list(sink.pictures.values())
    assert expected == payloads.read(drivers.parts[0].ref)
    assert len(expected) == ours.parts[0].nbytes == drivers.parts[0].nbytes


@pytest.mark.parametrize("way", ["json", "php", "codes"])
def test_every_cut_of_a_wrapped_picture(way: str) -> None:
    """Within an escape, a line break, the scheme and the comma."""
    body = spelled("data:image/png;base64,QUJD/+8=\r\n", way)
    for cut in range(len(body)):
        sink = MemorySink()
        assert isinstance(read(sink, body, [cut]), Success)
        assert [b"ABC\xff\xef"] == list(sink.pictures.values())
