"""The form in which pictures are written down: what comes back is what was written, or it is told."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import StoreDamaged, StoreEntry
from penstock_io.stores._codec import (
    HEAD,
    digest,
    entry_of,
    header_length,
    pack,
    raw,
    seal,
    sum_of,
    unpack,
    unraw,
    unseal,
)

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
REALS = st.floats(allow_nan=False, allow_infinity=False)
METAS = st.builds(
    Meta,
    size=TEXTS,
    format=TEXTS,
    nbytes=st.integers(0),
    cost=st.none() | st.integers(),
    created=REALS,
    policy=TEXTS,
    passed=st.booleans(),
    seconds=REALS,
)
KEYS = TEXTS.map(Key)
FULL = Meta("1024x1024", "png", 3, 40_000, 5.5, "strict-1", passed=False, seconds=1.5)


@st.composite
def sealed(draw: st.DrawFn) -> tuple[StoreEntry, bytes]:
    """An entry, and the bytes that it is about."""
    data = draw(st.binary(max_size=50))
    return StoreEntry(draw(KEYS), draw(METAS), len(data), draw(REALS), draw(st.none() | REALS)), data


def a_blob() -> bytes:
    """A sealed picture."""
    return seal(StoreEntry(Key("a"), FULL, 7, 1.0, 2.0), b"picture")


@given(sealed())
def test_what_is_sealed_comes_back(written: tuple[StoreEntry, bytes]) -> None:
    """Keys of any characters, whatever is known of a picture, and its bytes."""
    entry, data = written
    blob = seal(entry, data)
    found = unseal(entry.key, blob)
    assert (entry, data) == (found.entry, found.data)
    beginning = blob[: HEAD + header_length(blob[:HEAD])]
    assert entry == entry_of(beginning)


def test_everything_that_is_known_of_a_picture_is_kept() -> None:
    """No field of a Meta is forgotten: of one whose fields all differ from the plain one's, all come back."""
    plain = Meta()
    assert [] == [one.name for one in attrs.fields(Meta) if getattr(FULL, one.name) == getattr(plain, one.name)]
    assert FULL == unpack(pack(FULL))


@given(METAS)
def test_what_is_known_comes_back_alone(meta: Meta) -> None:
    """Beside its bytes or apart from them; and equal ones are said alike."""
    assert meta == unpack(pack(meta))
    assert pack(meta) == pack(attrs.evolve(meta))


@given(sealed(), st.data())
def test_no_changed_byte_goes_unseen(written: tuple[StoreEntry, bytes], data: st.DataObject) -> None:
    """Any byte that is another one than was written makes it unreadable."""
    blob = bytearray(seal(*written))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StoreDamaged):
        unseal(written[0].key, bytes(blob))


@pytest.mark.parametrize("place", range(len(a_blob())))
def test_each_byte_counts(place: int) -> None:
    """Of the head, of what is known, of the picture."""
    blob = bytearray(a_blob())
    blob[place] ^= 1
    with pytest.raises(StoreDamaged):
        unseal(Key("a"), bytes(blob))


@given(sealed(), st.data())
def test_nothing_that_is_cut_off_is_read(written: tuple[StoreEntry, bytes], data: st.DataObject) -> None:
    """Every beginning of it is unreadable, and so is what has something behind it."""
    blob = seal(*written)
    for other in (blob[: data.draw(st.integers(0, len(blob) - 1))], blob + b"\0"):
        with pytest.raises(StoreDamaged):
            unseal(written[0].key, other)


def test_a_picture_of_another_key_is_not_read() -> None:
    """Whatever mixed up the names: one picture is never served for another."""
    with pytest.raises(StoreDamaged, match="another key"):
        unseal(Key("b"), a_blob())


def test_another_form_is_told_by_its_number() -> None:
    """What a later version wrote is no picture of this one's."""
    blob = bytearray(a_blob())
    blob[4] = 2
    with pytest.raises(StoreDamaged, match="form 2; this penstock knows 1"):
        unseal(Key("a"), bytes(blob))
    with pytest.raises(StoreDamaged, match="no picture of penstock's"):
        header_length(b"\x89PNG" + bytes(HEAD))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no object"),
        (b'{"size": 1}', "size is no text"),
        (b'{"nbytes": 1.5}', "nbytes is no whole number"),
        (b'{"nbytes": true}', "nbytes is no whole number"),
        (b'{"cost": "1"}', "cost is no whole number"),
        (b'{"created": NaN}', "created is no number"),
        (b'{"created": 1' + b"0" * 400 + b"}", "created is no number"),
        (b'{"created": null}', "created is no number"),
        (b'{"passed": 1}', "passed is neither true nor false"),
    ],
)
def test_what_is_no_meta_is_told(text: bytes, words: str) -> None:
    """Whatever stands where a Meta should stand."""
    with pytest.raises(StoreDamaged, match=words):
        unpack(text)


def test_what_a_later_version_adds_is_left_out() -> None:
    """And what an earlier one did not say is as in a plain one."""
    assert Meta(size="512x512") == unpack(b'{"size": "512x512", "colours": 3}')


@given(KEYS, KEYS)
def test_keys_have_names_of_their_own(one: Key, other: Key) -> None:
    """64 hex digits, the same for the same key and different for different ones; bytes that can be turned back."""
    assert (one == other) == (digest(one) == digest(other))
    assert 64 == len(digest(one))
    assert one == unraw(raw(one))


def test_bytes_that_are_no_key_are_told() -> None:
    """They are damage, not a crash."""
    with pytest.raises(StoreDamaged, match="a key is no text"):
        unraw(b"\xff")


def test_the_sum_is_known() -> None:
    """It is the CRC-32 that every other program computes."""
    assert 0xCBF43926 == sum_of(b"123456789")
