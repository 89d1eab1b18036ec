"""A batch from its file to its folder: every kind of input, many rows, and what is shown."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from io import StringIO

import pytest

from tests.acceptance.desk import KEY, LOW, OTHER, Desk, Row, check, dollars, once, paid, prompts
from tests.acceptance.witness import Witness

MANY = 2_000

FIELDS = (
    "id index status files model size quality usage cost_usd attempts cached shared reproducible seconds "
    "revised_prompt warnings meta error"
).split()


def test_thousands_of_rows(desk: Desk, witness: Witness) -> None:
    """Each of 2,000 rows has its picture, each was bought once, and the sums are the bill."""
    rows = prompts(MANY)
    ran = desk.apart("batch", desk.write("rows.jsonl", rows), "--out", desk.out, *LOW, "--yes", "--max-concurrency", 16)
    assert 0 == ran.code, ran.err[-2000:]
    assert {"completed": MANY} == desk.statuses()
    check(desk, rows)
    once(witness, rows)
    paid(desk, witness)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rows.txt", "a red kettle\n\na blue kettle, “round”\n"),
        ("rows.txt", "\ufeffa red kettle\r\na blue kettle, “round”"),
        ("rows.jsonl", '{"prompt": "a red kettle"}\n{"prompt": "a blue kettle, \\u201cround\\u201d"}\n'),
        ("rows.jsonl", '\ufeff{"prompt": "a red kettle"}\r\n\r\n{"prompt": "a blue kettle, “round”"}'),
        ("rows.csv", 'prompt\na red kettle\n"a blue kettle, “round”"\n'),
        ("rows.csv", '\ufeffprompt,n\r\na red kettle,\r\n"a blue kettle, “round”",1\r\n'),
    ],
)
def test_every_kind_of_file(desk: Desk, witness: Witness, name: str, data: str) -> None:
    """A text, JSONL or CSV file, with a byte order mark or not, in both line ends, asks for the same two pictures."""
    rows: list[Row] = [{"prompt": "a red kettle"}, {"prompt": "a blue kettle, “round”"}]
    ran = desk.batch(desk.put(name, data.encode()))
    assert 0 == ran.code, ran.err
    check(desk, rows)
    once(witness, rows)


def test_standard_input(desk: Desk, witness: Witness) -> None:
    """Rows from a pipe are bought; a bad one among them fails alone, and the run ends with 1."""
    text = '{"prompt": "a red kettle"}\n{"prompt": 7}\n{"prompt": "a blue kettle"}\n'
    ran = desk.apart("batch", "-", "--out", desk.out, *LOW, stdin=text)
    assert 1 == ran.code, ran.err
    assert ["completed", "invalid", "completed"] == [line["status"] for line in desk.results()]
    assert {"a red kettle": 1, "a blue kettle": 1} == witness.executed


def test_rows_say_what_they_want(desk: Desk, witness: Witness) -> None:
    """A row's own fields count before the options, its meta comes back and is never sent."""
    rows: list[Row] = [
        {
            "id": 7,
            "prompt": "a red kettle",
            "quality": "medium",
            "n": 2,
            "meta.sku": "K-7",
            "meta": {"deep": [1, None]},
        },
        {"id": "b", "prompt": "a blue kettle", "user": "shop", "title": "Blue"},
    ]
    ran = desk.batch(desk.write("rows.jsonl", rows), "--keep", "title")
    assert 0 == ran.code, ran.err
    check(desk, rows)
    paid(desk, witness)
    lines = desk.results()
    assert [("7", "medium"), ("b", "low")] == [(line["id"], line["quality"]) for line in lines]
    assert [{"sku": "K-7", "deep": [1, None]}, {"title": "Blue"}] == [line["meta"] for line in lines]
    assert {"images/7-1.png", "images/7-2.png", "images/b.png"} == {
        name for line in lines for name in (line["files"] if isinstance(line["files"], list) else [])
    }
    bodies = {str(item.body["prompt"]): item.body for item in witness.items}
    assert ("shop", None) == (bodies["a blue kettle"].get("user"), bodies["a blue kettle"].get("title"))


def test_a_line_of_results_has_every_field(desk: Desk, witness: Witness) -> None:
    """A completed row says what was asked, counted, paid and how long it took; the cost is an exact decimal text."""
    desk.batch(desk.write("rows.jsonl", prompts(1)))
    (line,) = desk.results()
    assert FIELDS == list(line)
    assert str(dollars(witness.bill).normalize()) == line["cost_usd"]
    assert ("gpt-image-2", "1024x1024", "low", 1, False, False) == tuple(
        line[name] for name in ("model", "size", "quality", "attempts", "cached", "shared")
    )
    assert (None, None, {}) == (line["revised_prompt"], line["error"], line["meta"])
    assert isinstance(line["seconds"], float)
    assert isinstance(line["usage"], dict)
    assert 196 == line["usage"]["output_image"]


def test_a_dry_run_does_nothing(desk: Desk, witness: Witness) -> None:
    """It says how many rows there are and what they cost at most; no folder is made, and no request."""
    ran = desk.batch(desk.write("rows.jsonl", prompts(30)), "--dry-run")
    assert (0, [], []) == (ran.code, witness.items, witness.headers)
    assert not desk.out.exists()
    assert "30" in ran.out + ran.err
    assert "$0.1" in ran.out + ran.err


def test_a_dry_run_in_json(desk: Desk) -> None:
    """With --json a dry run is one object on standard output, too."""
    ran = desk.batch(desk.write("rows.jsonl", prompts(30)), "--dry-run", "--json")
    assert 0 == ran.code
    assert isinstance(json.loads(ran.out), dict)
    assert not desk.out.exists()


def test_json_is_one_object(desk: Desk, witness: Witness) -> None:
    """With --json standard output holds one object, with the sums and the exit code."""
    ran = desk.batch(desk.write("rows.jsonl", prompts(3)), "--json")
    found = json.loads(ran.out)
    assert (0, 3, 0) == (ran.code, found["completed"], found["exit_code"])
    assert dollars(witness.bill) == Decimal(found["cost_usd"])


def test_quiet_is_quiet(desk: Desk) -> None:
    """With --quiet a good run says its sums in a line or two, and nothing else."""
    ran = desk.batch(desk.write("rows.jsonl", prompts(3)), "--quiet")
    assert 0 == ran.code
    assert 2 >= len((ran.out + ran.err).splitlines())


def test_a_log_file_has_what_was_said(desk: Desk) -> None:
    """Also with --quiet the log has lines with their time."""
    desk.batch(desk.write("rows.jsonl", prompts(3)), "--quiet", "--log-file", desk.folder / "run.log")
    lines = (desk.folder / "run.log").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(line[:2] == "20" and "T" in line[:20] for line in lines)


def test_limit_sends_so_many_and_keeps_the_rest(desk: Desk, witness: Witness) -> None:
    """--limit 4 buys four rows and leaves the others pending; the same command without it buys the others."""
    rows = prompts(10)
    path = desk.write("rows.jsonl", rows)
    assert 0 == desk.batch(path, "--limit", 4).code
    assert {"completed": 4, "pending": 6} == desk.statuses()
    assert 4 == len(witness.items)
    check(desk, rows)
    assert 0 == desk.batch(path).code
    once(witness, rows)
    paid(desk, witness)


def test_status_and_export(desk: Desk) -> None:
    """`status` says how a folder stands, `export` writes a table of it that a spreadsheet cannot run."""
    desk.batch(desk.write("rows.jsonl", [*prompts(2), {"id": "=1+1", "prompt": "a kettle"}]))
    told = desk.run("status", desk.out, "--json")
    assert (0, 3) == (told.code, json.loads(told.out)["rows"]["completed"])
    table = desk.run("export", desk.out, "--to", "-")
    assert 0 == table.code, table.err
    ids = [line["id"] for line in csv.DictReader(StringIO(table.out))]
    assert "'=1+1" == ids[2]


def test_generate(desk: Desk, witness: Witness) -> None:
    """`generate` writes the pictures that were asked for, and overwrites nothing."""
    target = desk.folder / "fox.png"
    words = ("generate", "a red fox", "-o", target, "--quality", "low", "--model", "gpt-image-2")
    assert 0 == desk.run(*words).code
    before = target.read_bytes()
    again = desk.run(*words)
    assert (2, before, 1) == (again.code, target.read_bytes(), len(witness.items))
    assert 0 == desk.run(*words, "-n", 2, "--overwrite").code
    assert {"fox.png", "fox-1.png", "fox-2.png"} == {path.name for path in desk.folder.glob("fox*")}


def test_the_organization_goes_with_every_request(desk: Desk, witness: Witness) -> None:
    """OPENAI_ORG_ID and OPENAI_PROJECT_ID are headers; several keys are used side by side."""
    desk.environment |= {"OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj-1"}
    ran = desk.batch(
        desk.write("rows.jsonl", prompts(40)), "--api-key-env", "OPENAI_API_KEY", "--api-key-env", "OTHER_KEY"
    )
    assert 0 == ran.code, ran.err
    assert {("org-1", "proj-1")} == {
        (header.get("openai-organization"), header.get("openai-project")) for header in witness.headers
    }
    assert {KEY, OTHER} == {item.key for item in witness.items}
