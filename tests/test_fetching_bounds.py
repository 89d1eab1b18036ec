"""What a download may be: its size, what it is, and when another port is somebody else's."""

from __future__ import annotations

import pytest

from penstock.events import Fetched
from penstock.ids import AttemptId
from penstock_io._fetching import Refused, goal_of
from penstock_io._payloads import Payloads
from penstock_io._receive import Download

PNG = b"\x89PNG\r\n\x1a\n"


def ended(data: list[bytes], *, cap: int = 20, status: int = 200) -> tuple[list[bool], Fetched, Payloads]:
    """What a download of these pieces says of each, and of all."""
    payloads = Payloads()
    download = Download(AttemptId(1), payloads, cap)
    assert download.opened(status, []) is None
    going = [download.feed(piece) for piece in data]
    told = download.closed()
    assert isinstance(told, Fetched)
    return going, told, payloads


def test_a_download_has_a_cap() -> None:
    """At the cap it is taken, with the first byte above it nothing more is heard, and nothing is kept."""
    going, told, payloads = ended([PNG, b"x" * 12])
    assert ([True, True], None, "png", 20) == (going, told.fault, told.format, told.nbytes)
    assert PNG + b"x" * 12 == payloads.read(told.files[0])
    going, told, _ = ended([PNG, b"x" * 12, b"y"])
    assert ([True, True, False], ()) == (going, told.files)
    assert told.fault == "a picture of 21 bytes (at most 20 are taken)"


@pytest.mark.parametrize(
    ("data", "status", "fault"),
    [
        ([], 200, "a picture of 0 bytes (at most 20 are taken)"),
        ([b""], 200, "a picture of 0 bytes (at most 20 are taken)"),
        ([b"<html>gone</html>"], 200, "the picture's URL answered with text"),
        ([PNG], 404, "the picture's URL answered 404"),
        ([PNG], 206, "the picture's URL answered 206"),
    ],
)
def test_what_is_no_picture_is_a_fault(data: list[bytes], status: int, fault: str) -> None:
    """Nothing, a page, and whatever another status than 200 has behind it."""
    _, told, _ = ended(data, status=status)
    assert ((), fault) == (told.files, told.fault)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://api.example/a", True),
        ("https://api.example:443/a", True),
        ("https://API.example/a", True),
        ("https://api.example:8443/a", False),
        ("https://api.example.evil/a", False),
        ("https://sub.api.example/a", False),
    ],
)
def test_the_providers_own_is_scheme_host_and_port(url: str, own: bool) -> None:
    """Another port of the same host is another's, and is judged by its address."""
    assert own == goal_of(url, "https://api.example/v1", secure=True).own
    assert not goal_of("http://api.example/a", "https://api.example/v1", secure=False).own


@pytest.mark.parametrize("user", ["me", "me:word", ":word", "api.example"])
def test_nobody_is_named_in_a_url(user: str) -> None:
    """What stands before the host would go along as a credential, or hides who is asked."""
    with pytest.raises(Refused, match="a user in it"):
        goal_of(f"https://{user}@cdn.example/a", "https://api.example/v1", secure=True)
