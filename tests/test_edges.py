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
    with pytest.raises(UsageError, match="API key is a text"):
        Client(URL, keys)


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
