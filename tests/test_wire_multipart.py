"""Forms: what is written is read again, the same parts make the same bytes, and what is no form is refused."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire.multipart import BadForm, Part, read, write

NAMES = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable() and "%" not in text)
TEXTS = st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace"))
PARTS = st.lists(
    st.builds(Part, NAMES, st.binary(max_size=200) | TEXTS, st.just("") | NAMES, st.sampled_from(["", "image/png"])),
    min_size=1,
    max_size=6,
)
FORM = [Part("prompt", b'say "hi"\r\n--\r\n'), Part("image", b"\x89PNG\r\n\r\n--x", "image.png", "image/png")]


@given(PARTS)
def test_what_is_written_is_read(parts: list[Part]) -> None:
    """Whatever names and contents hold (line breaks, quotes, other boundaries), the parts come back in their order."""
    assert tuple(parts) == read(*write(parts))


@given(PARTS, st.integers(0, 5))
def test_the_same_parts_make_the_same_bytes(parts: list[Part], which: int) -> None:
    """A body that is sent again is the one that was sent; another content has another boundary."""
    assert write(parts) == write(list(parts))
    place = which % len(parts)
    other = [*parts]
    other[place] = Part(parts[place].name, parts[place].content + b"x", parts[place].filename, parts[place].type)
    assert write(parts)[0] != write(other)[0]


@given(PARTS)
def test_a_foreign_reader_reads_the_same(parts: list[Part]) -> None:
    """The standard library's reader of MIME finds as many parts, with the same contents."""
    kind, body = write(parts)
    found = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    assert [part.content for part in parts] == [part.get_payload(decode=True) for part in found.iter_parts()]


def test_a_form_byte_by_byte() -> None:
    """Heads as the official client's library writes them."""
    kind, body = write([Part('na"me\r\n', b"1"), FORM[1]])
    mark = kind.removeprefix("multipart/form-data; boundary=").encode()
    assert 32 == len(mark)
    assert (
        b"--" + mark + b'\r\nContent-Disposition: form-data; name="na%22me%0D%0A"\r\n\r\n1\r\n--' + mark + b"\r\n"
        b'Content-Disposition: form-data; name="image"; filename="image.png"\r\nContent-Type: image/png\r\n\r\n'
        b"\x89PNG\r\n\r\n--x\r\n--" + mark + b"--\r\n"
    ) == body


def test_a_digest_that_is_known_stands_for_the_content() -> None:
    """Who has the SHA-256 of a file already need not have it taken again: the boundary is the same."""
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert write([Part("image", b"", "a.png")]) == write([Part("image", b"", "a.png", digest=digest)])


KIND, BODY = write(FORM)
MARK = KIND.partition("boundary=")[2].encode()


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("application/json", BODY, "names no boundary"),
        ("multipart/form-data", BODY, "names no boundary"),
        (f"multipart/form-data; boundary={'x' * 71}", BODY, "names no boundary"),
        ("multipart/form-data; boundary=other", BODY, "does not begin"),
        (KIND, b"", "does not begin"),
        (KIND, b"preamble\r\n" + BODY, "does not begin"),
        (KIND, BODY[:-40], "not closed"),
        (KIND, BODY + b"more", "behind a boundary"),
        (KIND, BODY[: -len(b"--\r\n")], "behind a boundary"),
        (KIND, b"--" + MARK + b"\r\n\r\n--" + MARK + b"--\r\n", "no empty line"),
        (KIND, BODY.replace(b"Content-Disposition: ", b"Content-Disposition", 1), "is none"),
        (KIND, BODY.replace(b"form-data; name", b"attachment; name", 1), "its name"),
        (KIND, BODY.replace(b"Content-Type: image/png", b"Content-Disposition: form-data", 1), "twice"),
        (KIND, BODY.replace(b'filename="image.png"', b'filename="image.png"; x=1', 1), "its name"),
        (KIND, BODY.replace(b"image/png", b"image/\xff", 1), "not UTF-8"),
        (
            KIND,
            b"".join(b"--" + MARK + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' for _ in range(201))
            + b"--" + MARK + b"--\r\n",
            "more than 200",
        ),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(kind: str, body: bytes, words: str) -> None:
    """Nothing is guessed: a part that is not closed, heads that say nothing, bytes before or behind."""
    with pytest.raises(BadForm, match=words):
        read(kind, body)


def test_a_boundary_in_quotes_is_read() -> None:
    """Other writers put it in quotes."""
    assert tuple(FORM) == read(f'Multipart/Form-Data; boundary="{MARK.decode()}"', BODY)


@given(st.binary(max_size=300), st.integers(0, 400), st.binary(max_size=4))
def test_a_damaged_form_is_read_or_refused(noise: bytes, at: int, other: bytes) -> None:
    """Any bytes under any boundary: parts or BadForm."""
    for body in (noise, BODY[:at] + other + BODY[at + len(other) :]):
        try:
            parts = read(KIND, body)
        except BadForm:
            continue
        assert all(part.name is not None for part in parts)
