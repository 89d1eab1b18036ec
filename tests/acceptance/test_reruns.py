"""What a rerun pays for: what is new, and nothing else."""

from __future__ import annotations

import json
from random import Random

import pytest

from tests.acceptance.desk import LOW, Desk, Row, check, once, paid, prompts
from tests.acceptance.witness import Witness


def test_an_inserted_line_pays_for_one_picture(desk: Desk, witness: Witness) -> None:
    """A new line in the middle is bought, the others are not bought again."""
    rows = prompts(12)
    assert 0 == desk.batch(desk.write("rows.jsonl", rows)).code
    rows.insert(5, {"prompt": "a new kettle"})
    assert 0 == desk.batch(desk.write("rows.jsonl", rows)).code
    assert 13 == len(witness.items)
    check(desk, rows)
    once(witness, rows)
    paid(desk, witness)


@pytest.mark.parametrize("kind", ["rows.txt", "rows.csv", "rows.jsonl"])
def test_sorting_and_deleting_pay_for_nothing(desk: Desk, witness: Witness, kind: str) -> None:
    """The same lines in another order, and fewer of them, send nothing, whatever the kind of file."""
    rows = prompts(12)
    head = "prompt\n" if kind == "rows.csv" else ""

    def write() -> None:
        if kind == "rows.jsonl":
            desk.write(kind, rows)
        else:
            desk.put(kind, (head + "".join(f"{row['prompt']}\n" for row in rows)).encode())

    write()
    assert 0 == desk.batch(desk.folder / kind).code
    Random(4).shuffle(rows)
    write()
    assert 0 == desk.batch(desk.folder / kind).code
    assert {"completed": 12} == desk.statuses()
    del rows[3:8]
    write()
    assert 0 == desk.batch(desk.folder / kind).code
    assert ({"completed": 7}, 12) == (desk.statuses(), len(witness.items))


def test_rows_that_repeat_share_one_picture(desk: Desk, witness: Witness) -> None:
    """Eight rows of which three are different buy three pictures, have eight files, and the start says so."""
    rows: list[Row] = [{"prompt": f"kettle {number % 3}"} for number in range(8)]
    ran = desk.batch(desk.write("rows.jsonl", rows))
    assert 0 == ran.code, ran.err
    assert "5 of 8 rows repeat another" in ran.out + ran.err
    assert {"kettle 0": 1, "kettle 1": 1, "kettle 2": 1} == witness.executed
    check(desk, rows)
    paid(desk, witness)
    assert 5 == sum(bool(line["shared"]) or bool(line["cached"]) for line in desk.results())


def test_repeats_may_be_new(desk: Desk, witness: Witness) -> None:
    """With --repeats new each of them buys its own, and a rerun buys none again."""
    rows: list[Row] = [{"prompt": f"kettle {number % 3}"} for number in range(8)]
    path = desk.write("rows.jsonl", rows)
    assert 0 == desk.batch(path, "--repeats", "new").code
    assert {"kettle 0": 3, "kettle 1": 3, "kettle 2": 2} == witness.executed
    assert 0 == desk.batch(path, "--repeats", "new").code
    assert 8 == len(witness.items)
    paid(desk, witness)


def test_another_quality_needs_a_yes(desk: Desk, witness: Witness) -> None:
    """Without --yes nothing is sent, the exit code is 2, and it says how many, why and what to do."""
    path = desk.write("rows.jsonl", prompts(6))
    assert 0 == desk.batch(path).code
    ran = desk.batch(path, "--quality", "medium")
    assert (2, 6) == (ran.code, len(witness.items))
    for word in ("6", "quality low -> medium", "--yes", "--out", "$"):
        assert word in ran.err
    assert {"completed": 6} == desk.statuses()


def test_superseded_pictures_come_back_without_a_cent(desk: Desk, witness: Witness) -> None:
    """With --yes the old pictures move to superseded/; back to the old options, they return and nothing is sent."""
    rows = prompts(6)
    path = desk.write("rows.jsonl", rows)
    assert 0 == desk.batch(path).code
    assert 0 == desk.batch(path, "--quality", "medium", "--yes").code
    assert 12 == len(witness.items)
    assert 6 == len(list((desk.out / "superseded").iterdir()))
    check(desk, rows)
    paid(desk, witness)
    assert {"medium"} == {line["quality"] for line in desk.results()}
    back = desk.batch(path, "--yes")
    assert (0, 12) == (back.code, len(witness.items)), back.err
    assert {"low"} == {line["quality"] for line in desk.results()}
    check(desk, rows)
    again = desk.batch(path, "--quality", "medium", "--yes")
    assert (0, 12) == (again.code, len(witness.items)), again.err
    check(desk, rows)


def test_an_id_that_names_another_prompt_is_made_again(desk: Desk, witness: Witness) -> None:
    """One row of six with a new prompt under its id needs a yes, and pays for one picture."""
    rows: list[Row] = [{"id": f"row {number}", **row} for number, row in enumerate(prompts(6))]
    assert 0 == desk.batch(desk.write("rows.jsonl", rows)).code
    rows[2] = {"id": "row 2", "prompt": "a green kettle"}
    path = desk.write("rows.jsonl", rows)
    refused = desk.batch(path)
    assert (2, 6) == (refused.code, len(witness.items))
    assert "prompt changed" in refused.err
    assert 0 == desk.batch(path, "--yes").code
    assert 7 == len(witness.items)
    check(desk, rows)


def test_a_refusal_is_final_until_it_is_asked_for(desk: Desk, witness: Witness) -> None:
    """A moderated prompt fails, is not sent by a rerun, and is sent by --retry-failed."""
    rows: list[Row] = [*prompts(3), {"prompt": "a crate of contraband"}]
    path = desk.write("rows.jsonl", rows)
    assert 1 == desk.batch(path).code
    line = desk.results()[3]
    assert isinstance(line["error"], dict)
    assert ("failed", 400, "moderation_blocked") == (line["status"], line["error"]["status"], line["error"]["code"])
    check(desk, rows)
    assert (1, 4) == (desk.batch(path).code, len(witness.headers))
    assert (1, 5) == (desk.batch(path, "--retry-failed").code, len(witness.headers))
    paid(desk, witness)


def test_names_once_given_stay(desk: Desk, witness: Witness) -> None:
    """A row that comes before others of the same folded name does not take a name that the folder has given."""
    later = {"id": "x", "prompt": "a small kettle"}
    assert 0 == desk.batch(desk.write("rows.jsonl", [later])).code
    before = desk.results()[0]["files"]
    rows: list[Row] = [{"id": "X", "prompt": "a large kettle"}, later]
    assert 0 == desk.batch(desk.write("rows.jsonl", rows)).code
    assert before == desk.results()[1]["files"]
    check(desk, rows)
    once(witness, rows)


def test_a_template_names_pictures(desk: Desk, witness: Witness) -> None:
    """--name takes columns and the picture's number."""
    rows: list[Row] = [{"prompt": "a kettle", "n": 2, "meta.sku": "K/7"}, {"prompt": "a pot", "meta.sku": "P-1"}]
    ran = desk.batch(desk.write("rows.jsonl", rows), "--name", "{sku}_{k}")
    assert 0 == ran.code, ran.err
    check(desk, rows)
    once(witness, rows)
    names = sorted(path.name for path in (desk.out / "images").iterdir())
    assert "P-1_1.png" == names[-1]
    assert all(name.startswith("K") and name[-6:] in {"_1.png", "_2.png"} for name in names[:2])


def test_invalid_rows_may_be_skipped(desk: Desk, witness: Witness) -> None:
    """With --skip-invalid bad rows are recorded as invalid in their place, the others are bought."""
    bad = ("not json", '{"prompt": "b", "n": 0}', '{"id": "mine", "prompt": "c", "colour": "red"}')
    text = "\n".join(('{"prompt": "a"}', *bad, '{"prompt": "d"}'))
    ran = desk.batch(desk.put("rows.jsonl", text.encode()), "--skip-invalid")
    assert 1 == ran.code, ran.err
    lines = desk.results()
    assert ["completed", "invalid", "invalid", "invalid", "completed"] == [line["status"] for line in lines]
    assert {"a": 1, "d": 1} == witness.executed
    assert "mine" == lines[3]["id"]
    assert isinstance(lines[3]["error"], dict)
    assert "colour" in str(lines[3]["error"]["message"])


def test_the_journal_refuses_a_second_process(desk: Desk, witness: Witness) -> None:
    """While one process works in a folder, another one ends with 2 and says who is there; `status` may look."""
    witness.closing.clear()
    path = desk.write("rows.jsonl", [{"prompt": "a kettle"}])
    with desk.started("batch", "-", "--out", desk.out, *LOW) as first:
        assert first.stdin is not None
        first.stdin.write('{"prompt": "a pot"}\n')
        first.stdin.flush()
        while not witness.items:
            assert first.poll() is None
            witness.closing.wait(0.02)
        told = desk.run("status", desk.out, "--json")
        assert (0, True) == (told.code, json.loads(told.out)["running"])
        second = desk.batch(path)
        assert 2 == second.code
        assert str(first.pid) in second.err
    assert {"a pot": 1} == witness.executed
