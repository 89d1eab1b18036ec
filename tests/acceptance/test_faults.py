"""A server that breaks, and one whose habits are not those of the one that we know."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.acceptance.desk import KEY, Desk, Row, check, dollars, once, paid, prompts
from tests.acceptance.other_server import other_server
from tests.acceptance.pictures import picture
from tests.acceptance.witness import Fault, Habits

CERTAIN = ("500", "503", "429 html")
DOUBTFUL = ("cut before", "cut after", "truncated", "502 html", "503 html", "error in 200")

SUFFIX = {"png": "png", "jpeg": "jpg", "webp": "webp", "gif": "gif", "svg": "svg"}


def called(habits: Habits) -> str:
    """What is odd about it, for the name of a test."""
    return "-".join(
        str(value) if value is not True else name
        for name, value in vars(habits).items()
        if value is True or (name == "form" and value)
    )


def test_faults_that_certainly_cost_nothing_are_overcome(tmp_path: Path) -> None:
    """Error replies of every kind are tried again; each row is done, each picture was bought once."""
    rows: list[Row] = [{"prompt": f"{kind}: a kettle {number}"} for kind in CERTAIN for number in range(3)]
    with other_server(KEY, faults={f"{kind}: ": Fault(kind) for kind in CERTAIN}) as server:
        desk = Desk(tmp_path, server.base_url)
        ran = desk.batch(desk.write("rows.jsonl", rows))
        assert 0 == ran.code, ran.err
        check(desk, rows)
        once(server, rows)
        assert dollars(server.bill) == Decimal(str(desk.summary()["cost_usd"]))
        assert 6 == desk.summary()["http_5xx"]


def test_what_may_have_been_billed_is_told(tmp_path: Path) -> None:
    """With skip, broken replies are ambiguous, nothing is executed twice, and the bill is within charged and maybe."""
    rows: list[Row] = [*prompts(6), *({"prompt": f"{kind}: a kettle"} for kind in DOUBTFUL)]
    with other_server(KEY, faults={f"{kind}: ": Fault(kind) for kind in DOUBTFUL}) as server:
        desk = Desk(tmp_path, server.base_url)
        ran = desk.batch(desk.write("rows.jsonl", rows), "--on-ambiguous", "skip")
        assert 1 == ran.code, ran.err
        assert ["completed"] * 6 + ["ambiguous"] * len(DOUBTFUL) == [line["status"] for line in desk.results()]
        assert {1} == set(server.executed.values())
        charged, maybe = (Decimal(str(desk.summary()[name])) for name in ("cost_usd", "maybe_billed_usd"))
        assert charged < dollars(server.bill) <= charged + maybe
        check(desk, rows)
        last = desk.batch(desk.folder / "rows.jsonl", "--on-ambiguous", "retry")
        assert 0 == last.code, last.err
        check(desk, rows)
        assert 2 == sum(count - 1 for count in server.executed.values())


def test_automatically_few_are_tried_again(tmp_path: Path) -> None:
    """Of twenty doubtful rows three are tried again by themselves; the others say that they are ambiguous."""
    rows: list[Row] = [{"prompt": f"kettle {number}"} for number in range(20)]
    with other_server(KEY, faults={"kettle": Fault("cut after")}) as server:
        desk = Desk(tmp_path, server.base_url)
        ran = desk.batch(desk.write("rows.jsonl", rows))
        assert 1 == ran.code, ran.err
        assert 23 == sum(server.executed.values())
        assert {"completed": 3, "ambiguous": 17} == desk.statuses()
        check(desk, rows)


@pytest.mark.parametrize(
    "habits",
    [
        Habits(chunked=True),
        Habits(zipped=True),
        Habits(shouting=True),
        Habits(linked=True, revises=True),
        Habits(closes=True),
        Habits(chunked=True, zipped=True, shouting=True, revises=True),
        Habits(lines=True),
        Habits(prefix=True),
        Habits(lines=True, prefix=True, form="webp"),
        Habits(form="jpeg"),
        Habits(form="webp", linked=True),
        Habits(form="gif"),
        Habits(form="svg"),
    ],
    ids=called,
)
def test_other_habits_do_not_matter(tmp_path: Path, habits: Habits) -> None:
    """Chunks, gzip, loud headers, links, base64 as mails or data URIs have it, other formats: nothing else changes."""
    form = habits.form or "png"
    with other_server(KEY, habits=habits) as server:
        desk = Desk(tmp_path, server.base_url)
        rows = [*prompts(3), {"prompt": "two kettles", "n": 2}]
        ran = desk.batch(desk.write("rows.jsonl", rows))
        assert 0 == ran.code, ran.err
        check(desk, rows, form)
        once(server, rows)
        paid(desk, server)
        assert [] == server.leaks
        assert {f".{SUFFIX[form]}"} == {path.suffix for path in (desk.out / "images").iterdir()}
        assert "s3cr3t-signature" not in desk.texts() + ran.out + ran.err
        assert KEY not in desk.texts() + ran.out + ran.err
        revised = desk.results()[0]["revised_prompt"]
        assert ("kettle number 0, in oil" if habits.revises else None) == revised


@pytest.mark.parametrize("habits", [Habits(garbles=True), Habits(excuses=True)], ids=["no base64", "a text in base64"])
def test_a_picture_that_cannot_be_read_is_told(tmp_path: Path, habits: Habits) -> None:
    """What is no base64, or no picture in it, is not read: such rows are ambiguous, their bound covers the bill."""
    with other_server(KEY, habits=habits) as server:
        desk = Desk(tmp_path, server.base_url)
        rows = prompts(3)
        ran = desk.batch(desk.write("rows.jsonl", rows), "--on-ambiguous", "skip")
        assert (1, {"ambiguous": 3}) == (ran.code, desk.statuses()), ran.err
        assert dollars(server.bill) <= Decimal(str(desk.summary()["maybe_billed_usd"]))
        check(desk, rows)
        once(server, rows)


def test_a_reply_without_usage_has_a_cost_that_is_not_too_low(tmp_path: Path) -> None:
    """Where the server does not say what it counted, the cost is unknown, or no less than the bill."""
    with other_server(KEY, habits=Habits(usage=False)) as server:
        desk = Desk(tmp_path, server.base_url)
        rows = prompts(3)
        assert 0 == desk.batch(desk.write("rows.jsonl", rows)).code
        check(desk, rows)
        costs = [line["cost_usd"] for line in desk.results()]
        assert None in costs or dollars(server.bill) <= sum(Decimal(str(cost)) for cost in costs)


def test_a_picture_that_was_asked_for_as_jpeg(tmp_path: Path) -> None:
    """--output-format is sent, and the file has the ending of what came."""
    with other_server(KEY) as server:
        desk = Desk(tmp_path, server.base_url)
        assert 0 == desk.batch(desk.write("rows.jsonl", [{"id": "a", "prompt": "b"}]), "--output-format", "jpeg").code
        assert picture("jpeg", "", "b", 0) == (desk.out / "images" / "a.jpg").read_bytes()
        assert "jpeg" == server.items[0].body["output_format"]
