"""Runs that are killed, interrupted or broken off: the same command goes on, and nothing settled is paid twice."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.acceptance.desk import KEY, LOW, OTHER, Desk, check, dollars, ended, heard, once, paid, prompts, reached
from tests.acceptance.other_server import other_server
from tests.acceptance.witness import Habits, Witness

OUT = 16
"""Requests in flight at most."""

RETRY = ("--on-ambiguous", "retry")


@pytest.fixture
def witness() -> Iterator[Witness]:
    """A server that takes its time over each picture."""
    with other_server(KEY, OTHER, habits=Habits(latency=0.05)) as server:
        yield server


def words(desk: Desk, path: Path, *more: object) -> tuple[object, ...]:
    """The command that is run again and again."""
    return ("batch", path, "--out", desk.out, *LOW, "--max-concurrency", OUT, *more)


def test_killed_and_started_again(desk: Desk, witness: Witness) -> None:
    """SIGKILL in the middle, twice: in the end every row is there, and at most what was out was executed again."""
    rows = prompts(200)
    command = words(desk, desk.write("rows.jsonl", rows), *RETRY)
    settled: list[tuple[set[str], Counter[str]]] = []
    for count in (40, 110):
        with desk.started(*command) as process:
            reached(process, witness, count)
            process.kill()
            assert -signal.SIGKILL == ended(process).code
        witness.answering.set()
        names = {path.name for path in (desk.out / "images").iterdir() if not path.name.startswith(".tmp-")}
        settled.append((names, witness.executed))
    last = desk.batch(desk.folder / "rows.jsonl", "--max-concurrency", OUT, *RETRY)
    assert 0 == last.code, last.err
    check(desk, rows)
    assert 2 * OUT >= sum(witness.executed.values()) - len(rows)
    prompt = {str(line["files"]): str(row["prompt"]) for row, line in zip(rows, desk.results(), strict=True)}
    for names, before in settled:
        assert names
        there = [prompt[f"['images/{name}']"] for name in names]
        assert {name: before[name] for name in there} == {name: witness.executed[name] for name in there}
    summary = desk.summary()
    told = Decimal(str(summary["cost_usd"])), Decimal(str(summary["maybe_billed_usd"]))
    assert told[0] <= dollars(witness.bill) <= sum(told)


def test_skip_never_pays_twice(desk: Desk, witness: Witness) -> None:
    """After a SIGKILL with --on-ambiguous skip nothing at all is executed twice; what was out is ambiguous."""
    rows = prompts(120)
    command = words(desk, desk.write("rows.jsonl", rows), "--on-ambiguous", "skip")
    with desk.started(*command) as process:
        reached(process, witness, 30)
        process.kill()
        ended(process)
    witness.answering.set()
    last = desk.batch(desk.folder / "rows.jsonl", "--on-ambiguous", "skip")
    assert 1 == last.code, last.err
    assert {1} == set(witness.executed.values())
    statuses = desk.statuses()
    assert {"completed", "ambiguous"} == set(statuses)
    assert OUT >= statuses["ambiguous"]
    check(desk, rows)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_what_is_paid(desk: Desk, witness: Witness, sign: signal.Signals) -> None:
    """Nothing new is sent, what is out is kept, the exit code is 130, and the same command pays for nothing twice."""
    rows = prompts(200)
    command = words(desk, desk.write("rows.jsonl", rows))
    with desk.started(*command) as process:
        reached(process, witness, 30)
        process.send_signal(sign)
        heard(process, "nothing new is sent")
        witness.answering.set()
        stopped = ended(process)
    assert 130 == stopped.code, stopped.err
    executed = len(witness.items)
    assert {"completed": executed, "pending": 200 - executed} == desk.statuses()
    assert 30 <= executed < 200
    paid(desk, witness)
    check(desk, rows)
    assert 0 == desk.batch(desk.folder / "rows.jsonl").code
    once(witness, rows)
    paid(desk, witness)
    check(desk, rows)


def test_a_second_interrupt_breaks_off(tmp_path: Path) -> None:
    """What was out is ambiguous then, with a bound of what it may have cost, and the folder goes on."""
    with other_server(KEY) as slow:
        slow.answering.clear()
        desk = Desk(tmp_path, slow.base_url)
        rows = prompts(40)
        with desk.started(*words(desk, desk.write("rows.jsonl", rows))) as process:
            reached(process, slow, OUT)
            process.send_signal(signal.SIGINT)
            assert f"waiting for {OUT} requests that are out" in heard(process, "nothing new is sent")
            process.send_signal(signal.SIGINT)
            assert 130 == ended(process).code
        assert {"ambiguous": OUT, "pending": 40 - OUT} == desk.statuses()
        summary = desk.summary()
        assert dollars(slow.bill) <= Decimal(str(summary["maybe_billed_usd"]))
        check(desk, rows)
    with other_server(KEY) as quick:
        desk.environment["OPENAI_BASE_URL"] = quick.base_url
        assert 0 == desk.batch(desk.folder / "rows.jsonl", *RETRY).code
        once(quick, rows)


def test_a_full_disk_halts(desk: Desk, witness: Witness) -> None:
    """Where files cannot grow any more the run ends with 4 and a word about the disk; with room the rest is bought."""
    rows = prompts(200)
    command = words(desk, desk.write("rows.jsonl", rows), *RETRY)
    ran = desk.apart(*command, prefix=("bash", "-c", 'ulimit -f 300; exec "$@"', "bash"))
    assert 4 == ran.code, ran.err
    assert "Traceback" not in ran.err
    assert "disk" in ran.err or "room" in ran.err
    assert 200 > len(witness.items)
    last = desk.batch(desk.folder / "rows.jsonl", *RETRY)
    assert 0 == last.code, last.err
    check(desk, rows)
    assert OUT >= sum(witness.executed.values()) - len(rows)
