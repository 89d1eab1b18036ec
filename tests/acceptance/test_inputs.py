"""What people put into files: mistakes, which are told before a cent is spent, and odd things that are none."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.desk import KEY, Desk, Row, check, once, paid
from tests.acceptance.witness import Witness

GOOD = b'{"prompt": "a good kettle"}\n'

MISTAKES: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "not UTF-8": ("rows.jsonl", GOOD + b'{"prompt": "caf\xe9"}\n', (":2", "UTF-8")),
    "UTF-16": ("rows.jsonl", GOOD.decode().encode("utf-16"), ("UTF-8",)),
    "broken JSON": ("rows.jsonl", GOOD + b'{"prompt": "a"\n', (":2",)),
    "two objects on a line": ("rows.jsonl", b'{"prompt": "a"} {"prompt": "b"}\n', (":1",)),
    "a list": ("rows.jsonl", b'["a kettle"]\n', (":1", "object")),
    "a number": ("rows.jsonl", b"7\n", (":1", "object")),
    "NaN": ("rows.jsonl", b'{"prompt": "a", "seed": NaN}\n', (":1",)),
    "infinite": ("rows.jsonl", b'{"prompt": "a", "n": 1e999}\n', (":1", "n")),
    "a field twice": ("rows.jsonl", b'{"prompt": "a", "prompt": "b"}\n', (":1", "prompt")),
    "too deep": ("rows.jsonl", b'{"prompt": "a", "meta": ' + b"[" * 9000 + b"]" * 9000 + b"}\n", (":1",)),
    "no prompt": ("rows.jsonl", GOOD + b'{"id": "x"}\n', (":2", "prompt")),
    "empty prompt": ("rows.jsonl", b'{"prompt": ""}\n', (":1", "prompt")),
    "blank prompt": ("rows.jsonl", b'{"prompt": "  "}\n', (":1", "prompt")),
    "prompt a number": ("rows.jsonl", b'{"prompt": 7}\n', (":1", "prompt")),
    "prompt too long": ("rows.jsonl", json.dumps({"prompt": "a" * 32_001}).encode(), (":1", "prompt")),
    "prompt half a character": ("rows.jsonl", b'{"prompt": "a \\ud800"}\n', (":1", "prompt")),
    "n is 0": ("rows.jsonl", b'{"prompt": "a", "n": 0}\n', (":1", "n")),
    "n is a word": ("rows.jsonl", b'{"prompt": "a", "n": "many"}\n', (":1", "n")),
    "n is true": ("rows.jsonl", b'{"prompt": "a", "n": true}\n', (":1", "n")),
    "n is a half": ("rows.jsonl", b'{"prompt": "a", "n": 1.5}\n', (":1", "n")),
    "n is huge": ("rows.jsonl", b'{"prompt": "a", "n": ' + b"9" * 6000 + b"}\n", (":1", "n")),
    "a slip": ("rows.jsonl", b'{"prompt": "a", "qualty": "low"}\n', (":1", "qualty", "quality")),
    "a stranger": ("rows.jsonl", b'{"prompt": "a", "article": 7}\n', (":1", "article", "meta.article")),
    "size is a fruit": ("rows.jsonl", b'{"prompt": "a", "size": "banana"}\n', (":1", "size")),
    "size too odd": ("rows.jsonl", b'{"prompt": "a", "size": "1001x1001"}\n', (":1", "size")),
    "quality unknown": ("rows.jsonl", b'{"prompt": "a", "quality": "ultra"}\n', (":1", "quality")),
    "format unknown": ("rows.jsonl", b'{"prompt": "a", "output_format": "tiff"}\n', (":1", "output_format")),
    "compression of 101": ("rows.jsonl", b'{"prompt": "a", "output_compression": 101}\n', (":1", "output_compression")),
    "an id twice": ("rows.jsonl", b'{"id": "x", "prompt": "a"}\n\n{"id": "x", "prompt": "b"}\n', (":3", "id", "1")),
    "an id that rings": ("rows.jsonl", b'{"id": "a\\u0007", "prompt": "a"}\n', (":1", "id")),
    "an id that is a list": ("rows.jsonl", b'{"id": ["a"], "prompt": "a"}\n', (":1", "id")),
    "an empty id": ("rows.jsonl", b'{"id": "", "prompt": "a"}\n', (":1", "id")),
    "an endless id": ("rows.jsonl", json.dumps({"id": "a" * 1001, "prompt": "a"}).encode(), (":1", "id")),
    "an empty file": ("rows.jsonl", b"", ("rows.jsonl",)),
    "only blank lines": ("rows.txt", b"\n  \n\r\n", ("rows.txt",)),
    "a NUL in a text": ("rows.txt", b"a\0b\n", (":1", "prompt")),
    "a table without rows": ("rows.csv", b"prompt,size\n", ("rows.csv",)),
    "a table without prompts": ("rows.csv", b"id,size\n1,auto\n", (":1", "prompt")),
    "a column twice": ("rows.csv", b"prompt,size,size\na,auto,auto\n", (":1", "size")),
    "a cell too many": ("rows.csv", b"prompt,size\na,auto\nb,auto,low\n", (":3",)),
    "an open quote": ("rows.csv", b'prompt\na\n"b\nc\n', (":3",)),
    "a line after a break": ("rows.csv", b'prompt,n\n"a\nb",1\nc,none\n', (":4", "n")),
    "extra is no JSON": ("rows.csv", b"prompt,extra\na,{\n", (":2", "extra")),
    "a kind that is none": ("rows.xlsx", b"PK", (".jsonl", ".csv", ".txt")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_before_anything_is_sent(desk: Desk, witness: Witness, mistake: str) -> None:
    """Exit 2 with the file, the line, the field and a few plain words; no folder, no request, no traceback."""
    name, data, words = MISTAKES[mistake]
    ran = desk.batch(desk.put(name, data))
    assert 2 == ran.code, ran.err
    assert name in ran.err
    assert [] == [word for word in words if word not in ran.err]
    assert "Traceback" not in ran.err
    assert len(ran.err) < 1_500
    assert all(character.isprintable() for line in ran.err.splitlines() for character in line)
    assert ([], False) == (witness.headers, desk.out.exists())


def test_many_mistakes_are_told_together(desk: Desk) -> None:
    """Of a hundred bad lines the first twenty are named, and how many more there are."""
    ran = desk.batch(desk.put("rows.jsonl", b'{"prompt": 1}\n' * 100))
    assert 2 == ran.code
    assert 20 == sum("rows.jsonl:" in line for line in ran.err.splitlines())
    assert "80 more" in ran.err


@pytest.mark.parametrize("missing", ["none.jsonl", "."], ids=["no such file", "a folder"])
def test_what_cannot_be_read_is_no_traceback(desk: Desk, missing: str) -> None:
    """A file that is not there, and a folder in the place of one."""
    ran = desk.batch(desk.folder / missing)
    assert 2 == ran.code
    assert "Traceback" not in ran.err
    assert "Errno" not in ran.err
    assert not desk.out.exists()


def test_the_same_mistakes_in_a_pipe_fail_alone(desk: Desk, witness: Witness) -> None:
    """On standard input every bad line is an invalid row, whatever is wrong with it, and good ones are bought."""
    bad = [data for name, data, _ in MISTAKES.values() if name == "rows.jsonl" and data.split(b"\n")[1:] == [b""]]
    good = [f"kettle {number}" for number in range(len(bad))]
    lines = [line + json.dumps({"prompt": prompt}).encode() + b"\n" for line, prompt in zip(bad, good, strict=True)]
    text = b"".join(lines).decode(errors="surrogateescape")
    ran = desk.apart("batch", "-", "--out", desk.out, "--model", "gpt-image-2", "--quality", "low", stdin=text)
    assert 1 == ran.code, ran.err
    assert ["invalid", "completed"] * len(bad) == [line["status"] for line in desk.results()]
    assert dict.fromkeys(good, 1) == witness.executed


ODD: list[Row] = [
    {"id": "../x", "prompt": "up and away"},
    {"id": "X", "prompt": "a large x"},
    {"id": "x", "prompt": "a small x"},
    {"id": "CON", "prompt": "a device"},
    {"id": "con.png", "prompt": "a device with an ending"},
    {"id": "a" * 1000, "prompt": "a long story"},
    {"id": "é" * 300, "prompt": "a long story with accents"},
    {"id": "/etc/passwd", "prompt": "users"},
    {"id": "C:\\x", "prompt": "a drive"},
    {"id": ".hidden", "prompt": "a dot"},
    {"id": "end. ", "prompt": "a dot and a space"},
    {"id": "a#b%c?d", "prompt": "an address"},
    {"id": "kettle\u0301", "prompt": "an accent of its own"},
    {"id": "-rf", "prompt": "an option"},
    {"id": "שלום", "prompt": "from right to left"},
    {"id": "🦊", "prompt": "a fox"},
    {"id": "<img src=x onerror=alert(1)>", "prompt": "<script>alert(1)</script>"},
    {"id": 7, "prompt": "a number"},
    {"id": "=cmd()", "prompt": "]]>'\"</title>--> & $(id) `id` {prompt} %s"},
]


def test_odd_ids_and_prompts_are_only_texts(desk: Desk, witness: Witness) -> None:
    """Every id comes back as it was, every picture lies within images/ under a name that any system takes."""
    ran = desk.batch(desk.write("rows.jsonl", ODD))
    assert 0 == ran.code, ran.err
    check(desk, ODD)
    once(witness, ODD)
    paid(desk, witness)
    assert [str(row["id"]) for row in ODD] == [line["id"] for line in desk.results()]
    names = [path.name for path in (desk.out / "images").iterdir()]
    assert len(ODD) == len(names)
    assert [] == [name for name in names if set(name) & set('<>:"/\\|?*\0') or name.startswith(".")]
    assert 160 >= max(len(name.encode()) for name in names)
    assert [] == [name for name in names if name.partition(".")[0].upper() in {"CON", "NUL", "AUX", "PRN"}]
    assert {"out", "rows.jsonl"} == {path.name for path in desk.folder.iterdir()}
    page = (desk.out / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert KEY not in desk.texts()
    assert 0 == desk.batch(desk.folder / "rows.jsonl").code
    assert len(ODD) == len(witness.items)
