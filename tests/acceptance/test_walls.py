"""The walls: limits, budgets, keys, credit, and a server that is not there."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from threading import Timer

import pytest

from tests.acceptance.desk import KEY, Desk, Row, check, dollars, once, paid, prompts
from tests.acceptance.limits import Rate, Window
from tests.acceptance.other_server import other_server
from tests.acceptance.witness import Fault, Habits, Witness
from tests.clocks import Ahead


@pytest.mark.parametrize(
    ("told", "limit"),
    [
        ("headers", Rate(3_000, 10)),
        ("retry-after", Rate(3_000, 10)),
        ("ms", Rate(3_000, 10)),
        ("message", Window(20, 0.5)),
        ("bare", Rate(3_000, 10)),
        ("bare", Window(20, 0.5)),
    ],
)
def test_limits_are_kept_however_they_are_told(tmp_path: Path, told: str, limit: Rate | Window) -> None:
    """A limit of images that nobody declared slows a batch down and breaks no row of it."""
    rows = prompts(60)
    with other_server(KEY, habits=Habits(images=limit, told=told)) as server:
        desk = Desk(tmp_path, server.base_url)
        ran = desk.batch(desk.write("rows.jsonl", rows))
        assert 0 == ran.code, ran.err
        check(desk, rows)
        once(server, rows)
        paid(desk, server)
        assert server.statuses[429] == desk.summary()["http_429"]
        assert server.statuses[429] < len(rows)


def test_a_budget_is_never_overrun(desk: Desk, witness: Witness) -> None:
    """With room for sixteen pictures the run ends with 3 and a bill below it; with a larger budget it goes on."""
    rows = prompts(50)
    path = desk.write("rows.jsonl", rows)
    ran = desk.batch(path, "--budget", "0.10")
    assert 3 == ran.code, ran.err
    assert dollars(witness.bill) <= Decimal("0.10")
    statuses = desk.statuses()
    assert {"completed", "pending"} == set(statuses)
    assert 14 <= statuses["completed"] <= 16
    paid(desk, witness)
    check(desk, rows)
    assert 3 == desk.batch(path, "--budget", "0.10").code
    assert 0 == desk.batch(path, "--budget", "1").code
    once(witness, rows)
    paid(desk, witness)


def test_a_budget_counts_what_is_in_doubt(tmp_path: Path) -> None:
    """Pictures that were billed and never arrived count: the true bill stays below the budget."""
    rows = prompts(60)
    faults = {str(number): Fault("cut after", times=2) for number in range(3)}
    with other_server(KEY, faults=faults, habits=Habits(latency=0.02)) as server:
        desk = Desk(tmp_path, server.base_url)
        ran = desk.batch(desk.write("rows.jsonl", rows), "--budget", "0.15", "--on-ambiguous", "retry")
        assert 3 == ran.code, ran.err
        assert dollars(server.bill) <= Decimal("0.15")
        check(desk, rows)


def test_a_key_that_is_revoked_halts_the_run(desk: Desk, witness: Witness) -> None:
    """The rest stays pending, one message names the key's variable, and with another key the same folder goes on."""
    rows = prompts(60)
    path = desk.write("rows.jsonl", rows)
    witness.after(20, lambda: witness.revoke(KEY))
    ran = desk.batch(path, "--max-concurrency", 8)
    assert 4 == ran.code, ran.err
    statuses = desk.statuses()
    assert {"completed", "pending"} == set(statuses)
    assert 20 <= statuses["completed"] <= 28
    assert 8 >= witness.statuses[401]
    assert 1 == sum("halted" in line for line in ran.err.splitlines())
    assert "OPENAI_API_KEY" in ran.err.splitlines()[-1]
    assert KEY not in ran.out + ran.err + desk.texts()
    paid(desk, witness)
    check(desk, rows)
    assert 0 == desk.batch(path, "--api-key-env", "OTHER_KEY").code
    once(witness, rows)
    check(desk, rows)


def test_one_key_of_two_may_go(desk: Desk, witness: Witness) -> None:
    """While another key is good, a revoked one costs nothing but a refusal or a few."""
    rows = prompts(60)
    witness.after(20, lambda: witness.revoke(KEY))
    path = desk.write("rows.jsonl", rows)
    ran = desk.batch(path, "--api-key-env", "OPENAI_API_KEY", "--api-key-env", "OTHER_KEY")
    assert 0 == ran.code, ran.err
    once(witness, rows)
    check(desk, rows)


def test_credit_that_is_used_up_halts_the_run(desk: Desk, witness: Witness) -> None:
    """`insufficient_quota` is not retried: the rest is pending, and after a top-up the same command goes on."""
    rows = prompts(40)
    path = desk.write("rows.jsonl", rows)
    witness.credit[KEY] = 12 * 6_000_000_000
    ran = desk.batch(path, "--max-concurrency", 8)
    assert 4 == ran.code, ran.err
    assert {"completed": 12, "pending": 28} == desk.statuses()
    assert 8 >= witness.statuses[429]
    witness.credit[KEY] = 10**12
    assert 0 == desk.batch(path).code
    once(witness, rows)
    paid(desk, witness)


def test_a_model_that_is_gone_halts_the_run(desk: Desk, witness: Witness) -> None:
    """`model_not_found` is about all rows, so they stay pending; a model that is there goes on with them."""
    rows = prompts(10)
    path = desk.write("rows.jsonl", rows)
    witness.models.discard("gpt-image-2")
    ran = desk.batch(path)
    assert 4 == ran.code, ran.err
    assert {"pending": 10} == desk.statuses()
    assert "gpt-image-2" in ran.err
    witness.models.add("gpt-image-2")
    assert 0 == desk.batch(path).code
    once(witness, rows)


@pytest.mark.parametrize("wrong", ["/nowhere/v1", "", ":1/v1"], ids=["another page", "no version", "nobody listens"])
def test_a_wrong_address_halts_the_run(desk: Desk, witness: Witness, wrong: str) -> None:
    """A page that is no API, and a port where nobody listens: pending rows, one message with the URL, no storm."""
    rows = prompts(50)
    path = desk.write("rows.jsonl", rows)
    good = witness.base_url
    bad = "http://127.0.0.1" + wrong if wrong.startswith(":") else good.removesuffix("/v1") + wrong
    desk.environment["OPENAI_BASE_URL"] = bad
    ran = desk.batch(path)
    assert 4 == ran.code, ran.err
    assert {"pending": 50} == desk.statuses()
    assert bad in ran.err
    assert "Errno" not in ran.err
    desk.environment["OPENAI_BASE_URL"] = good
    assert 0 == desk.batch(path).code
    once(witness, rows)
    check(desk, rows)


def test_so_many_failures_end_the_run(desk: Desk, witness: Witness) -> None:
    """--max-failures 3 stops a file of refused prompts long before its end, with 4 and its name in the message."""
    rows: list[Row] = [{"prompt": f"contraband {number}"} for number in range(60)]
    ran = desk.batch(desk.write("rows.jsonl", rows), "--max-failures", 3, "--max-concurrency", 4)
    assert 4 == ran.code, ran.err
    assert "--max-failures" in ran.err
    statuses = desk.statuses()
    assert 3 <= statuses["failed"] <= 8
    assert 60 == statuses["failed"] + statuses["pending"]
    assert not witness.items


def test_a_deadline_ends_the_run(desk: Desk, witness: Witness, clock: Ahead) -> None:
    """After --deadline nothing new is sent, what is out is awaited, the rest is pending, and the exit code is 4."""
    rows = prompts(100)

    def pass_time() -> None:
        witness.answering.clear()
        clock.pass_time(300.0)
        Timer(1.0, witness.answering.set).start()  # before or after it knows

    witness.after(20, pass_time)
    ran = desk.batch(desk.write("rows.jsonl", rows), "--deadline", "5m", "--max-concurrency", 4)
    assert 4 == ran.code, ran.err
    assert "--deadline" in ran.err
    assert {"completed", "pending"} == set(desk.statuses())
    assert len(witness.items) == desk.statuses()["completed"] >= 20
    paid(desk, witness)
    check(desk, rows)


def test_without_a_key_nothing_begins(desk: Desk, witness: Witness) -> None:
    """No key in the environment: exit 2, the variable's name, and no folder."""
    del desk.environment["OPENAI_API_KEY"]
    ran = desk.batch(desk.write("rows.jsonl", prompts(1)))
    assert (2, []) == (ran.code, witness.headers)
    assert "OPENAI_API_KEY" in ran.err
    assert not desk.out.exists()
