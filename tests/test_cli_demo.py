"""`penstock demo`: the same as a batch, offline, with faults that are the same each time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from penstock_io.cli.main import main
from penstock_io.journal import Journal


def test_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """24 pictures through refusals, broken servers and a reset, exit 0; its figures agree with the provider's."""
    folder = tmp_path / "demo"
    assert 0 == main(["demo", "--out", str(folder)])
    told = capsys.readouterr()
    assert "24 rows: 24 completed; 24 images" in told.out
    (received,) = re.findall(r"received (\d+) requests and made 25 pictures", told.out)
    refused = sum(int(number) for number in re.findall(r"(\d+) for ", told.out))
    assert 25 + 3 + refused == int(received)  # the reset picture was made
    assert "faults: 2 x 500, 1 x 503, 1 x reset" in told.out
    assert "24 rows: 24 to send" in told.err
    assert told.out.endswith(f"Look at them: open {(folder / 'index.html').as_uri()} in a browser\n")
    assert (folder / "index.html").is_file()
    assert 24 == len(list((folder / "images").iterdir()))
    sums = json.loads((folder / "summary.json").read_text())
    assert refused == sums["http_429"]
    assert refused or sums["seconds"] > 10  # a machine that slow runs into no limit of 1.5 a second
    assert 0 == main(["demo", "--out", str(folder)])
    assert "received 0 requests" in capsys.readouterr().out


def test_a_demo_leaves_a_folder_in_use_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where another process holds the folder the demo says so, and its prompts stay as they are."""
    prompts = tmp_path / "prompts.txt"
    with Journal.open(tmp_path):
        prompts.write_text("mine")
        assert 2 == main(["demo", "--out", str(tmp_path)])
    assert "in use by process" in capsys.readouterr().err
    assert "mine" == prompts.read_text()


def test_a_demo_gives_the_folder_back_where_it_cannot_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prompts that cannot be written are said, and the folder is free again."""
    (tmp_path / "prompts.txt").mkdir()
    assert 2 == main(["demo", "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert "prompts.txt cannot be written: Is a directory" in said
    assert "Errno" not in said
    Journal.open(tmp_path).close()
