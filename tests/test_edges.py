"""What a caller may get wrong at the edge, and what he is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import UsageError
from penstock_io.cli.main import main
from penstock_io.journal import Journal
from penstock_io.resources import picodollars
from penstock_io.sync import Client

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("budget", [5.0, "5", Decimal("NaN"), Decimal("Infinity"), Decimal(-1), True])
def test_what_is_no_amount_of_dollars(budget: Any) -> None:
    """It is named before anything is made of it."""
    with pytest.raises(UsageError, match="dollars"):
        Client(URL, ["sk-1"], budget=budget)


@pytest.mark.parametrize("keys", [[None], {"a": 7}])
def test_what_is_no_key(keys: Any) -> None:
    """A key is a text."""
    with pytest.raises(UsageError, match=r"API key \w+ is a text"):
        Client(URL, keys)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Authorization": "Bearer sk-9"}, "Authorization cannot be given: give keys as api_keys"),
        ({"host": "elsewhere"}, "host cannot be given"),
        ({"Content-Length": "7"}, "Content-Length cannot be given"),
        ({"X-Penstock-Call": "7"}, "X-Penstock-Call cannot be given"),
        ({"x y": "1"}, "'x y' is no name of a header"),
        ({"": "1"}, "'' is no name of a header"),
        ({"x\u00fc": "1"}, "is no name of a header"),
        ({7: "1"}, "7 is no name of a header"),
        ({"x-a": "one\r\nx-b: two"}, "the value of x-a holds what no header can carry"),
        ({"x-a": "kettle\u2603"}, "the value of x-a holds what no header can carry"),
        ({"x-a": " led"}, "the value of x-a holds what no header can carry"),
        ({"x-a": 7}, "the value of x-a is a text, not int"),
        ({"x-a": "1", "X-A": "2"}, "X-A is given twice"),
        ([("x-a", "1")], "headers are texts by name"),
    ],
)
def test_what_is_no_header(headers: Any, said: str) -> None:
    """Headers of the connection, of the client, and what no header can carry are refused by name, never by value."""
    with pytest.raises(UsageError) as caught:
        Client(URL, ["sk-1"], headers=headers)
    assert said in str(caught.value)
    for value in dict(headers).values():
        assert len(str(value)) < 3 or str(value) not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("api.openai.com/v1", "no address"),
        ("localhost:8000/v1", "no address"),
        ("ftp://127.0.0.1/v1", "no address"),
        ("http:///v1", "no address"),
        ("http://127.0.0.1:99999/v1", "no address"),
        ("http://[::1/v1", "no address"),
        ("http://127.0.0.1/ v1", "no address"),
        ("", "no address"),
        ("http://127.0.0.1/v1?api-version=1", "without '\\?' and '#'"),
        ("http://127.0.0.1/v1#x", "without '\\?' and '#'"),
        ("http://me:secret@127.0.0.1/v1", "holds a user or a password"),
    ],
)
def test_what_is_no_base_url(address: str, said: str) -> None:
    """It is refused when a client is made, and not shown: it may hold a secret."""
    with pytest.raises(UsageError, match=said) as caught:
        Client(address, ["sk-1"])
    assert "secret" not in str(caught.value)


def test_dollars_are_exact() -> None:
    """To the picodollar, and what is smaller is dropped."""
    assert 5_000_000_000_001 == picodollars(Decimal("5.0000000000019"))


def test_a_journal_by_its_name(tmp_path: Path) -> None:
    """A folder may be given as text."""
    with Journal.open(str(tmp_path / "folder")) as journal:
        assert tmp_path / "folder" == journal.folder


def test_a_folder_without_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    """An unset variable does not make the current directory a batch's folder."""
    assert 2 == main(["batch", "in.jsonl", "--out", "", "--model", "gpt-image-2"])
    assert "names no folder" in capsys.readouterr().err
