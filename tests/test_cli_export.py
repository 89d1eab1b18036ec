"""`penstock export`: tables that are whole, safe in a spreadsheet and read back as they were, and zips."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.batch.exports import guarded, write_csv, write_jsonl
from penstock_io.batch.gallery import Card, gallery
from penstock_io.batch.records import Record, read_records, with_prompts
from penstock_io.cli.main import main
from tests.terminals import Terminal

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40

COLUMNS = "id status files prompt model size quality cost_usd seconds error".split()


def line(name: str | None, index: int, **more: object) -> str:
    """A line of results.jsonl, as a run writes it."""
    told: dict[str, object] = {
        "id": name, "index": index, "status": "completed", "files": [f"images/{name}.png"], "model": "m", "size": "1x1",
        "quality": "low", "usage": None, "cost_usd": "0.005", "attempts": 1, "cached": False, "shared": False,
        "seconds": 1.5, "revised_prompt": None, "warnings": [], "meta": {}, "error": None,
    }  # fmt: skip
    return json.dumps(told | more, ensure_ascii=False) + "\n"


FAILED = {"kind": "moderation", "message": "=it was refused", "status": 400, "code": "moderation", "request_id": "r"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a batch of three rows, with two pictures."""
    path = tmp_path / "pictures"
    (path / "images").mkdir(parents=True)
    (path / "originals").mkdir()
    rows = [
        line("a", 0, meta={"sku": "=1+1", "n": -5}, files=["images/a-1.png", "images/a-2.png"]),
        line("b", 1, status="failed", files=[], cost_usd=None, error=FAILED, meta={"tags": ["x", 1], "sku": None}),
        line(None, 2, status="invalid", files=[]),
    ]
    (path / "results.jsonl").write_text("".join(rows), encoding="utf-8")
    (path / "summary.json").write_text('{"requested": 3}\n', encoding="utf-8")
    cards = [Card("a", 0, "completed", prompt="+a </script> fox\n\u2028🦊"), Card(None, 2, "invalid", prompt="third")]
    (path / "index.html").write_text(gallery(cards, {}, title="t"), encoding="utf-8")
    for name in ("a-1.png", "a-2.png"):
        (path / "images" / name).write_bytes(PNG)
    (path / "originals" / "a-1.png").write_bytes(b"paid")
    return path


Export = Callable[..., int]


@pytest.fixture
def export(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """`penstock export` of that folder, in its parent."""
    monkeypatch.chdir(folder.parent)
    return lambda *arguments: main(["export", "pictures", "--to", *arguments])


# Tables


def test_a_csv_has_the_rows_with_their_prompts_and_meta(export: Export, capsys: pytest.CaptureFixture[str]) -> None:
    """In input order, a column for each name of meta; the mark lets spreadsheets know that it is UTF-8."""
    assert 0 == export("rows.csv")
    assert "3 rows written to rows.csv\n" == capsys.readouterr().out
    assert Path("rows.csv").read_bytes().startswith(b"\xef\xbb\xbfid,")
    rows = list(csv.DictReader(io.StringIO(Path("rows.csv").read_text("utf-8-sig"), newline="")))
    assert [*COLUMNS, "meta.sku", "meta.n", "meta.tags"] == list(rows[0])
    assert ["'+a </script> fox\n\u2028🦊", "", "third"] == [row["prompt"] for row in rows]
    assert ["images/a-1.png | images/a-2.png", "", ""] == [row["files"] for row in rows]
    assert ["0.005", "", "0.005"] == [row["cost_usd"] for row in rows]
    assert ["", "moderation: =it was refused", ""] == [row["error"] for row in rows]
    assert ["'=1+1", "", ""] == [row["meta.sku"] for row in rows]
    assert ["-5", "", ""] == [row["meta.n"] for row in rows]
    assert ["", '["x", 1]', ""] == [row["meta.tags"] for row in rows]


def test_jsonl_has_the_same_names_and_the_texts_as_they_are(export: Export) -> None:
    """Nothing is guarded, files are a list, and a row has the meta it has."""
    assert 0 == export("rows.jsonl")
    rows = [json.loads(one) for one in Path("rows.jsonl").read_text("utf-8").splitlines()]
    assert [[*COLUMNS, "meta.sku", "meta.n"], [*COLUMNS, "meta.tags", "meta.sku"], COLUMNS] == [
        list(row) for row in rows
    ]
    assert ("+a </script> fox\n\u2028🦊", "=1+1", -5) == (rows[0]["prompt"], rows[0]["meta.sku"], rows[0]["meta.n"])
    assert ["images/a-1.png", "images/a-2.png"] == rows[0]["files"]
    assert (None, None) == (rows[1]["prompt"], rows[1]["cost_usd"])


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_standard_output_has_the_table_and_nothing_else(
    export: Export, capsysbinary: pytest.CaptureFixture[bytes], kind: str
) -> None:
    """`-` is csv unless --format says jsonl; it is the file, without a mark."""
    assert 0 == export("-", "--format", kind)
    assert 0 == export(f"rows.{kind}")
    captured = capsysbinary.readouterr()
    assert (Path(f"rows.{kind}").read_bytes().removeprefix(b"\xef\xbb\xbf"), b"") == (
        captured.out.removesuffix(f"3 rows written to rows.{kind}\n".encode()), captured.err,
    )  # fmt: skip


def test_a_table_drives_no_terminal(export: Export, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed to one, csv by default, controls of its texts are spelled out; a pipe gets them as they are."""
    (folder / "results.jsonl").write_text(line("a", 0, model="\x1b[2J\r"), encoding="utf-8")
    terminal = Terminal.open()
    monkeypatch.setattr(sys, "stdout", terminal.stream)
    assert 0 == export("-")
    assert "\\x1b[2J\\x0d" in terminal.raw()
    assert "\x1b" not in terminal.raw()


def test_a_reader_who_leaves_ends_it_quietly(folder: Path) -> None:
    """`penstock export ... | head` is no fault that anybody has to read about."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "penstock_io.cli.main", "export", str(folder), "--to", "-"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=240)
    os.close(writer)
    assert (True, b"") == (done.returncode != 0, done.stderr)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(), lambda inner: st.lists(inner, max_size=2), max_leaves=3
)


@given(
    st.lists(
        st.builds(Record, TEXTS, st.integers(0, 9), TEXTS, prompt=TEXTS, meta=st.dictionaries(TEXTS, JSON, max_size=2))
    )
)
def test_no_cell_is_a_formula_and_no_text_is_lost(records: list[Record]) -> None:
    """Every text cell begins harmlessly, and without its ' it is what it was."""
    file = io.BytesIO()
    write_csv(file, records)
    rows = list(csv.reader(io.StringIO(file.getvalue().decode(), newline="")))
    assert len(records) == len(rows) - 1
    for record, row in zip(records, rows[1:], strict=True):
        assert [guarded(record.id or ""), guarded(record.status), guarded(record.prompt or "")] == [
            row[0],
            row[1],
            row[3],
        ]
        numbers = {str(value) for value in record.meta.values() if type(value) is int}
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and cell not in numbers]
        assert record.prompt == (row[3][1:] if row[3] != record.prompt else row[3])
    file = io.BytesIO()
    write_jsonl(file, records)
    for record, text in zip(records, file.getvalue().decode().splitlines(), strict=True):
        assert {f"meta.{name}": value for name, value in record.meta.items()}.items() <= json.loads(text).items()


@pytest.mark.parametrize("first", list("=+-@\t\r"))
def test_a_formula_is_a_text(first: str) -> None:
    """Each character that begins one is told by a ' before it; inside a text it is none."""
    assert (f"'{first}1", f"1{first}") == (guarded(f"{first}1"), guarded(f"1{first}"))


# Zips


def test_a_zip_has_the_pictures_and_what_is_said_of_them(export: Export, folder: Path) -> None:
    """Pictures are stored, texts packed, originals left out; the gallery's links hold inside."""
    assert 0 == export("out.zip")
    with ZipFile("out.zip") as archive:
        assert None is archive.testzip()
        stored = {info.filename: info.compress_type for info in archive.infolist()}
        assert (
            dict.fromkeys(["results.jsonl", "summary.json", "index.html"], ZIP_DEFLATED)
            | dict.fromkeys(["images/a-1.png", "images/a-2.png"], ZIP_STORED)
            == stored
        )
        assert PNG == archive.read("images/a-2.png")
        lines = [json.loads(one) for one in archive.read("results.jsonl").decode().splitlines()]
        assert [json.loads(one) for one in (folder / "results.jsonl").read_text("utf-8").splitlines()] == lines


def test_a_zip_of_a_run_that_is_not_over_has_what_there_is(export: Export, folder: Path) -> None:
    """Neither sums nor gallery yet."""
    for name in ("summary.json", "index.html"):
        (folder / name).unlink()
    assert 0 == export("out.zip")
    with ZipFile("out.zip") as archive:
        assert ["images/a-1.png", "images/a-2.png", "results.jsonl"] == sorted(archive.namelist())


def test_a_missing_picture_is_said_and_the_rest_exported(export: Export, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1, the zip is whole."""
    Path("pictures/images/a-1.png").unlink()
    assert 1 == export("out.zip")
    said = capsys.readouterr()
    assert "warning: 1 picture of rows not found in pictures: images/a-1.png\n" == said.err
    assert "3 rows and 1 picture written to out.zip\n" == said.out
    with ZipFile("out.zip") as archive:
        assert "images/a-2.png" in archive.namelist()


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "images/../../secret",
        "images/../journal.sqlite",
        "/etc/passwd",
        "images/link",
        "journal.sqlite",
        "",
    ],
)
def test_nothing_outside_gets_into_a_zip(export: Export, folder: Path, name: str) -> None:
    """Whatever results.jsonl names, only pictures of the folder are packed."""
    (folder.parent / "secret").write_text("secret", encoding="utf-8")
    (folder / "journal.sqlite").write_text("secret", encoding="utf-8")
    (folder / "images/link").symlink_to(folder.parent / "secret")
    (folder / "results.jsonl").write_text(line("a", 0, files=[name]), encoding="utf-8")
    assert 1 == export("out.zip")
    with ZipFile("out.zip") as archive:
        assert ["index.html", "results.jsonl", "summary.json"] == sorted(archive.namelist())


# While a run is on


def test_rows_that_ended_since_stand_in_place_of_the_old(folder: Path) -> None:
    """results.part.jsonl is newer; a line that is just being written, and what is no line, are passed over."""
    part = line("b", 1) + line("c", 3) + "[1]\n\xff\n" + line("d", 4)[:50]
    (folder / "results.part.jsonl").write_text(part, encoding="latin-1")
    records = read_records(folder)
    assert [("a", "completed"), ("b", "completed"), (None, "invalid"), ("c", "completed")] == [
        (record.id, record.status) for record in records
    ]
    assert ["+a </script> fox\n\u2028🦊", None, "third", None] == [one.prompt for one in with_prompts(folder, records)]


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*COLUMNS, "index", "meta"]), JSON | st.just({"kind": 1}), max_size=6),
        max_size=4,
    )
)
def test_any_lines_are_read(tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, object]]) -> None:
    """A line of another make gives a record of what can be used of it, and all are exported."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    records = read_records(folder)
    assert len(records) <= len(lines)
    for write in (write_csv, write_jsonl):
        write(io.BytesIO(), records)


def test_a_page_that_is_not_ours_has_no_prompts(folder: Path) -> None:
    """Somebody else's index.html, or a broken one, does no harm."""
    for page in ("<html>", '<script type="application/json" id="data">{"rows": [1, {"id": {}}]}</script>',
                 '<script type="application/json" id="data">[</script>'):  # fmt: skip
        (folder / "index.html").write_text(page, encoding="utf-8")
        assert {None} == {record.prompt for record in with_prompts(folder, read_records(folder))}


# Whole or not


def test_an_existing_file_is_replaced_only_on_demand(export: Export, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --overwrite it stays as it is, and the exit code is 2."""
    Path("rows.csv").write_text("mine", encoding="utf-8")
    assert 2 == export("rows.csv")
    assert "mine" == Path("rows.csv").read_text("utf-8")
    assert "rows.csv is there already: --overwrite replaces it" in capsys.readouterr().err
    assert 0 == export("rows.csv", "--overwrite")
    assert "mine" != Path("rows.csv").read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    ["results.jsonl", "results.part.jsonl", "images/x.csv", "held/x.csv", "summary.json", "index.html", "journal.lock"],
)
def test_the_batch_itself_is_never_overwritten(export: Export, folder: Path, name: str) -> None:
    """Not even on demand; another name in the folder is fine."""
    before = sorted(folder.rglob("*"))
    assert 2 == export(f"pictures/{name}", "--overwrite", "--format", "csv")
    assert before == sorted(folder.rglob("*"))
    assert 0 == export("pictures/rows.csv")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rows.xlsx"], "a name ends in .csv, .jsonl or .zip"),
        (["-", "--format", "zip"], "a zip cannot be written to standard output"),
        (["gone/rows.csv"], "error: gone/rows.csv: No such file or directory; nothing was exported"),
        (["."], "a name ends in"),
        (["pictures", "--format", "csv"], "belongs to the batch"),
        (["deep", "--format", "csv"], "deep is a folder"),
        (["x.csv", "--bogus"], "there is no option --bogus"),
    ],
)
def test_what_cannot_be_is_said(
    export: Export, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """The exit code is 2, the message says what to do."""
    Path("deep").mkdir()
    assert 2 == export(*arguments)
    assert said in capsys.readouterr().err
    assert {"pictures", "deep"} == {path.name for path in Path().iterdir()}


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_rows_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], there: bool) -> None:
    """No folder, or one that says nothing: exit code 2."""
    folder = tmp_path if there else tmp_path / "gone"
    assert 2 == main(["export", str(folder), "--to", str(tmp_path / "x.csv")])
    assert ("says nothing of rows" if there else "is no folder") in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())
