"""`penstock cache`: what a store holds, whichever kind it is, and clearing it up."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from penstock.errors import UsageError
from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.cli.main import main
from penstock_io.stores.files import FilesStore
from penstock_io.stores.names import store_named
from penstock_io.stores.sqlite import SqliteStore

NOW = 1_790_000_000.0
DAY = 86_400.0
FIRST, SECOND, THIRD = (Key(letter * 64) for letter in "abc")
META = Meta("1024x1024", "png", 2_000_000, 40_000_000_000, NOW, seconds=12.5)


@pytest.fixture(params=["file", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of three pictures, of 40 days, two hours and no age, and a clock that stands still."""
    monkeypatch.setattr("time.time", lambda: NOW)
    path = tmp_path / ("store" if request.param == "folder" else "store.sqlite")
    for key, age, ttl in ((FIRST, 40 * DAY, None), (SECOND, 7200.0, None), (THIRD, 0.0, DAY)):
        make = SqliteStore if request.param == "file" else FilesStore
        with make(path, clock=lambda age=age: NOW - age) as store:  # type: ignore[misc] # bound at once
            store.write(key, META if key != SECOND else Meta(), b"picture " + key[:1].encode(), ttl)
    return path


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The one object that was printed."""
    return cast("dict[str, object]", json.loads(capsys.readouterr().out))


def keys(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The keys of the pictures that were printed."""
    return [str(one["key"]) for one in cast("list[dict[str, object]]", told(capsys)["pictures"])]


def test_figures(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many, how large, what they cost as far as is known, how old."""
    assert 0 == main(["cache", "stats", str(place)])
    assert [
        "3 pictures, 27 B",
        "they cost at least $0.0800 when they were made",
        "the oldest was stored 40 d ago, the newest 0 s ago",
        "0 pictures had to go for others, 0 expired",
    ] == capsys.readouterr().out.splitlines()
    assert 0 == main(["cache", "stats", str(place), "--json"])
    assert {
        "entries": 3,
        "bytes": 27,
        "max_bytes": None,
        "cost_usd": None,
        "evictions": 0,
        "expired": 0,
        "oldest": NOW - 40 * DAY,
        "newest": NOW,
    } == told(capsys)


def test_a_list(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest first, at most so many."""
    assert 0 == main(["cache", "list", str(place), "--limit", "2"])
    assert [
        f"{THIRD[:16]}  1024x1024 png         9 B   $0.0400  0 s ago, gone in 1 d",
        f"{SECOND[:16]}          ? ?           9 B         ?  2 h ago",
    ] == capsys.readouterr().out.splitlines()
    assert 0 == main(["cache", "list", str(place), "--json"])
    assert [THIRD, SECOND, FIRST] == keys(capsys)


def test_one_picture(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the beginning of its key, with its bytes where they are wanted; never over a file that is there."""
    out = tmp_path / "a.png"
    assert 0 == main(["cache", "show", str(place), "aa", "-o", str(out), "--json"])
    shown = cast("list[dict[str, object]]", told(capsys)["pictures"])
    assert [(FIRST, "0.04", 12.5, None)] == [
        (one["key"], one["cost_usd"], one["seconds"], one["expires"]) for one in shown
    ]
    assert b"picture a" == out.read_bytes()
    assert 0 == main(["cache", "show", str(place), "b"])
    assert "cost_usd  -" in capsys.readouterr().out.splitlines()
    assert 2 == main(["cache", "show", str(place), "aa", "-o", str(out)])
    assert "File exists" in capsys.readouterr().err


def test_a_key_that_names_none_or_several(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is guessed."""
    assert 1 == main(["cache", "show", str(place), "f"])
    assert "penstock: error: there is no picture whose key begins with f\n" == capsys.readouterr().err
    store_named(str(place)).write(Key("aab"), Meta(), b"x")
    assert 2 == main(["cache", "show", str(place), "aa", "--json"])
    assert "2 pictures have keys" in str(told(capsys)["error"])


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (["--older-than", "1d"], [FIRST]),
        (["--older-than", "1h"], [SECOND, FIRST]),
        (["--key", SECOND, "--key", THIRD], [THIRD, SECOND]),
        (["--key", SECOND, "--older-than", "30d"], []),
        (["--key", SECOND[:16], "--key", SECOND], [SECOND]),
        (["--all"], [THIRD, SECOND, FIRST]),
    ],
)
def test_what_is_named_goes_with_a_yes(
    place: Path, options: list[str], gone: list[Key], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without one nothing is dropped."""
    assert 0 == main(["cache", "purge", str(place), *options, "--json"])
    assert sorted(gone) == sorted(keys(capsys))
    assert 0 == main(["cache", "purge", str(place), *options])
    assert f"would drop {len(gone)} picture" in capsys.readouterr().out
    main(["cache", "list", str(place), "--json"])
    assert 3 == len(keys(capsys))
    assert 0 == main(["cache", "purge", str(place), *options, "--yes", "--json"])
    assert len(gone) == told(capsys)["dropped"]
    main(["cache", "list", str(place), "--json"])
    assert {FIRST, SECOND, THIRD} - set(gone) == set(keys(capsys))


def test_damage_is_told_and_dropped_on_request(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture that has changed on the disk is named; dropping it leaves the others."""
    assert 0 == main(["cache", "verify", str(place)])
    assert "0 things damaged" in capsys.readouterr().out
    if place.is_dir():
        (file,) = [path for path in place.rglob("*") if path.is_file() and path.read_bytes() == b"picture b"]
        file.write_bytes(b"?")
    else:
        with sqlite3.connect(place) as db:
            db.execute("UPDATE bytes SET data = x'00' WHERE data = ?", (b"picture b",))
    assert 1 == main(["cache", "verify", str(place), "--json"])
    damage = cast("list[dict[str, object]]", told(capsys)["damage"])
    assert [SECOND] == [one["key"] for one in damage]
    assert 1 == main(["cache", "verify", str(place), "--drop"])
    assert "1 dropped" in capsys.readouterr().out
    assert 0 == main(["cache", "verify", str(place)])
    capsys.readouterr()
    main(["cache", "list", str(place), "--json"])
    assert [THIRD, FIRST] == keys(capsys)


def test_files_that_no_picture_names_are_counted_and_taken_away(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are no damage; `verify --drop` or a purge deletes them."""
    folder = place if place.is_dir() else place.with_name(f"{place.name}-files")
    for options, said in ((["verify", "--drop"], "taken away"), (["purge", "--older-than", "90d", "--yes"], "")):
        stray = folder / "ab" / ("ab" * 32)
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_bytes(b"nobody's")
        assert 0 == main(["cache", "verify", str(place), "--json"])
        assert ([], 1) == ((found := told(capsys))["damage"], found["litter"])
        assert 0 == main(["cache", "verify", str(place)])
        assert "1 thing that nothing needs" in capsys.readouterr().out
        assert 0 == main(["cache", options[0], str(place), *options[1:]])
        assert said in capsys.readouterr().out
        assert not stray.exists()
        assert 0 == main(["cache", "verify", str(place)])
        assert "0 things damaged\n" == capsys.readouterr().out


def test_what_cannot_be_dropped_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others go all the same; where not even one goes the store cannot be used."""
    database = place / "index.sqlite" if place.is_dir() else place
    with closing(sqlite3.connect(database)) as db:
        held = f"WHEN OLD.stored < {NOW} BEGIN SELECT RAISE(ABORT, 'it is held'); END"
        db.execute(f"CREATE TRIGGER held BEFORE DELETE ON pictures {held}")
    assert 1 == main(["cache", "purge", str(place), "--all", "--yes", "--json"])
    assert (1, 2) == ((found := told(capsys))["dropped"], found["left"])
    main(["cache", "list", str(place), "--json"])
    assert [SECOND, FIRST] == keys(capsys)
    with closing(store_named(str(place), clock=lambda: NOW)) as store:
        store.write(THIRD, META, b"picture c")
    assert 1 == main(["cache", "purge", str(place), "--all", "--yes"])
    said = capsys.readouterr().out.splitlines()
    assert ["dropped: 1 picture", "left: 2 pictures"] == [line.partition(",")[0] for line in said]
    assert 2 == main(["cache", "purge", str(place), "--all", "--yes"])
    assert "it is held" in capsys.readouterr().err


def test_a_key_that_is_not_there_is_not_taken_for_dropped(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of several that names nothing: nothing goes."""
    assert 1 == main(["cache", "purge", str(place), "--key", FIRST, "--key", "f", "--yes"])
    assert "there is no picture whose key begins with f" in capsys.readouterr().err
    main(["cache", "list", str(place), "--json"])
    assert 3 == len(keys(capsys))


def test_all_is_everything(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What has expired and what is damaged goes with the rest: nothing of it is left on the disk."""
    monkeypatch.setattr("time.time", lambda: NOW + 2 * DAY)
    if not place.is_dir():
        with sqlite3.connect(place) as db:
            db.execute("UPDATE bytes SET data = x'00' WHERE data = ?", (b"picture b",))
    main(["cache", "purge", str(place), "--all", "--yes", "--json"])
    assert 3 == told(capsys)["dropped"]
    assert 0 == main(["cache", "stats", str(place), "--json"])
    assert (0, 0) == ((found := told(capsys))["entries"], found["bytes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stats", "nowhere.sqlite"], "nowhere.sqlite is not there"),
        (["stats", "."], "is a folder without index.sqlite"),
        (["stats", "ftp://host/x"], "ftp:// is no store"),
        (["show", "x"], "show takes a KEY"),
        (["list", "x", "y"], "one argument too many"),
        (["list", "x", "--yes"], "--yes belongs to penstock cache purge"),
        (["stats", "x", "--older-than", "1d"], "--older-than belongs to penstock cache purge"),
        (["purge", "x", "--yes"], "purge takes --older-than TIME, --key KEY or --all"),
        (["purge", "x", "--older-than", "soon"], "it is a time such as"),
        (["purge", "x", "--all", "--key", "a", "--yes"], "--all drops every picture"),
        (["list", "x", "--limit", "0"], "--limit is a whole number"),
        (["drop", "x"], "invalid choice"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Usage, and stores that are none: exit code 2, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    assert 2 == main(["cache", *arguments])
    assert said in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, in words and for programs."""
    path = tmp_path / "text"
    path.write_text("just some words\n" * 500, encoding="utf-8")
    assert 2 == main(["cache", "stats", str(path), "--json"])
    assert "store" == cast("dict[str, object]", told(capsys)["error"])["kind"]
    assert "just some words\n" * 500 == path.read_text(encoding="utf-8")


def test_a_store_may_be_new_where_that_is_wanted(tmp_path: Path) -> None:
    """A batch may begin one, the command that looks at them may not."""
    path = str(tmp_path / "new.sqlite")
    with pytest.raises(UsageError):
        store_named(path)
    store = store_named(path, new=True)
    store.write(FIRST, META, b"x")
    assert 1 == store.figures().entries
    store.close()


def test_a_store_by_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Object storage is looked through by the same commands."""
    monkeypatch.setattr("time.time", lambda: NOW)
    name = f"file://{tmp_path / 'objects'}"
    store = store_named(name, clock=lambda: NOW)
    store.write(FIRST, META, b"picture")
    store.close()
    assert 0 == main(["cache", "list", name, "--json"])
    assert [FIRST] == keys(capsys)
    assert 0 == main(["cache", "verify", name])
    assert 0 == main(["cache", "purge", name, "--all", "--yes"])
    capsys.readouterr()
    assert 0 == main(["cache", "stats", name, "--json"])
    assert (0, 0) == ((found := told(capsys))["entries"], found["bytes"])


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_a_store_that_cannot_be_reached(scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said in words, without the password of its URL."""
    assert 2 == main(["cache", "stats", f"{scheme}://user:hush@127.0.0.1:1/0", "--json"])
    printed = capsys.readouterr()
    assert '"kind": "store"' in printed.out
    assert "hush" not in printed.out + printed.err
