"""Money: unknown prices that become nothing, budgets that overrun, costs of failures that vanish."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from penstock.catalog import NO_OVERRIDES, rates
from penstock.commands import Finish, Send
from penstock.config import Ambiguity, Budget, Config, Credential, Limits, Retry
from penstock.errors import BudgetExceeded, JobError
from penstock.events import Responded
from penstock.ids import Handle
from penstock.money.charge import charge
from penstock.outcomes import Status
from penstock.prepare import Prepared, prepare
from penstock.readings import Part, Problem, Success, Usage
from penstock.requests import Options
from penstock.simulation.server import Latency, ServerSettings
from penstock.wire._usage import usage as read_usage
from penstock.work import OnAmbiguous, Rates, Work
from penstock_io.simserver import SimServer, serving
from tests.batch_command import Command
from tests.field.worlds import CONFIG, COST, QUICK, QUOTE, asked, client, inject, request, rested, target, works, world
from tests.histories.bench import Bench

NEW = "gpt-image-of-tomorrow"
UNIX = 1_790_000_000.0
PICODOLLARS = 10**12


def test_the_price_of_a_new_model_is_nothing() -> None:
    """Litellm 10013 and 26863: $0; 37738: a flat guess. Ours is unknown everywhere."""
    made = prepare(request(model=NEW), Options(), CONFIG, handle=Handle(1), unix=UNIX, prices=NO_OVERRIDES)
    assert isinstance(made, Prepared)
    assert (None, None) == (made.work.targets[0].quote, made.work.targets[0].expected)
    assert None is charge(Usage(output_image=4000), made.work.targets[0].rates, 1, None)
    bench = Bench()
    bench.submit(Work((evolve(target("k"), provider="p", quote=None),)))
    parts = (Part(0, bench.ref(), "1024x1024", "png", 9),)
    bench.tell(Responded(bench.take(Send).attempt, 200, (), Success(Usage(output_image=4000), parts)))
    outcome = bench.take(Finish).outcome
    assert (Status.COMPLETED, None) == (outcome.status, outcome.charge)
    assert 1 == bench.book().unknown


def test_what_has_no_price_is_sent_under_a_budget() -> None:
    """Litellm 10013: the cap never fills with $0. Ours is not sent, and says what to do."""
    made = world(evolve(CONFIG, budget=Budget((("run", 10**6),))))
    made.run([Work((evolve(target("k"), quote=None),), Handle(1))])
    (outcome,) = rested(made)
    assert (0, Status.FAILED) == (made.server.books.received, outcome.status)
    assert outcome.error is not None
    assert "unknown_price" == outcome.error.kind
    assert '[prices."MODEL"]' in outcome.error.text


def test_the_price_of_a_new_model_is_nothing_driver(driver: str, sim: SimServer) -> None:
    """Litellm 10013 and 26863, over HTTP: without a budget the cost is not known; with one nothing is sent."""
    with client(driver, sim) as side:
        result = side.generate(**{**asked(), "model": NEW})
    assert result.cost is None
    billed = sim.stats()["billed"]
    assert billed > 0
    with client(driver, sim, budget=Decimal(5)) as side, pytest.raises(JobError, match="allow-unknown-price"):
        side.generate(**{**asked(), "model": NEW})
    assert billed == sim.stats()["billed"]


def test_output_that_is_not_itemised_is_charged_as_text() -> None:
    """Litellm 31142: image tokens at text rates are three times too cheap. Ours: what is not itemised is a picture."""
    usage = read_usage({"input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010})
    assert usage is not None
    assert (10, 1000, 0) == (usage.input_text, usage.output_image, usage.output_text)
    price = rates("openai", "gpt-image-1.5", UNIX)
    assert price is not None
    assert price.text is not None
    assert price.image_out is not None
    assert 10 * price.text + 1000 * price.image_out == charge(usage, price, 1, None)


def test_a_class_without_a_price_is_free() -> None:
    """Litellm 26863, of one class of tokens: what has no price is not nothing: it is unknown, whatever the bound is."""
    price = Rates(text=5_000_000)
    usage = Usage(input_text=10, output_image=1000)
    assert None is charge(usage, price, 1, None)
    assert None is charge(usage, price, 1, QUOTE * 10**9)


@pytest.mark.parametrize("faults", ["", "500=0.2", "reset=0.3", "truncated=0.2,502=0.2"])
def test_a_key_of_30_dollars_spends_99(faults: str) -> None:
    """Litellm 26672, 34732, 40095: budgets overrun by what is in flight. Ours counts it before it is sent."""
    config = Config(
        (Credential("c1", limits=Limits(concurrency=None)),),
        budget=Budget((("run", 30 * QUOTE), ("tenant:acme", 20 * QUOTE))),
        ambiguity=Ambiguity(OnAmbiguous.RETRY),
        window=1000,
        unproven=None,
    )
    made = world(config, faults)
    made.run(evolve(one, tenant="acme" if number % 2 else "") for number, one in enumerate(works(300)))
    outcomes = rested(made)
    books = made.engine.snapshot().money
    assert made.server.books.billed <= 30 * QUOTE
    assert made.server.books.peak > 10
    assert books.total.charged <= made.server.books.billed <= books.total.charged + books.total.maybe <= 30 * QUOTE
    assert books.of("tenant:acme").charged + books.of("tenant:acme").maybe <= 20 * QUOTE
    assert {"budget"} == {one.error.kind for one in outcomes if one.status is Status.FAILED and one.error}


def test_a_key_of_30_dollars_spends_99_driver(driver: str, sim: SimServer) -> None:
    """Litellm 26672, 34732, 40095, over HTTP: forty at once with money for ten."""
    with client(driver, sim) as side:
        cost = side.generate(**asked("the first")).cost
    assert cost is not None
    cap, before = 10 * cost, sim.stats()["billed"]
    with client(driver, sim, budget=cap) as side:
        results = side.collect(request(f"kettle {number}") for number in range(40))
    billed = Decimal(sim.stats()["billed"] - before) / PICODOLLARS
    assert billed <= cap
    assert billed == sum(result.cost or 0 for result in results)
    assert {BudgetExceeded, type(None)} == {type(result.error) for result in results}


def test_the_cost_of_failed_attempts_vanishes() -> None:
    """Pdd 509: a failed attempt that was billed is in no sum. Ours: it is the job's, and in all sums."""
    bench = Bench()
    bench.submit(Work((evolve(target("a"), provider="p"),), tenant="acme"))
    refusal = Problem("moderation_blocked", None, "no", stage="output", usage=Usage(cost=70))
    bench.tell(Responded(bench.take(Send).attempt, 400, (), refusal))
    outcome = bench.take(Finish).outcome
    assert (Status.REFUSED, 70, 0) == (outcome.status, outcome.charge, outcome.maybe)
    assert (70, 70) == (bench.book().charged, bench.book("tenant:acme").charged)


def test_the_cost_of_fallbacks_vanishes() -> None:
    """Litellm 8810: only the last target's cost is told. Ours: the doubt, then the charge."""
    made = world(evolve(CONFIG, retry=evolve(CONFIG.retry, attempts=1)))
    made.server.inject("reset")
    chain = (target("a", model="m1"), target("b", model="m2"))
    made.run([Work(chain, Handle(1), tenant="acme", tags=("x",))])
    (outcome,) = rested(made)
    assert (Status.COMPLETED, 1, 2) == (outcome.status, outcome.strategy, outcome.attempts)
    assert (COST, QUOTE) == (outcome.charge, outcome.maybe)
    for scope in ("run", "tenant:acme", "tag:x"):
        book = made.engine.snapshot().money.of(scope)
        assert (COST, QUOTE) == (book.charged, book.maybe)
    assert 2 * COST == made.server.books.billed


def test_the_cost_of_failed_attempts_vanishes_driver(driver: str, sim: SimServer) -> None:
    """Pdd 509 and litellm 8810, over HTTP: what was executed and lost is beside what was charged."""
    inject(sim, "reset", "", "500", "truncated")
    config = Config(retry=Retry(base=0.005), unproven=None)
    with client(driver, sim, config=config, on_ambiguous=OnAmbiguous.RETRY) as side:
        results = side.collect(request(f"kettle {number}") for number in range(4))
    charged = sum(result.outcome.charge or 0 for result in results)
    maybe = sum(result.outcome.maybe for result in results)
    assert [None] * 4 == [result.error for result in results]
    assert 6 == sim.stats()["executed"]
    assert charged < sim.stats()["billed"] <= charged + maybe


FAULTS = (
    "reset=0.3",
    "truncated=0.2,502=0.2",
    "500=0.2,503=0.1,reset=0.1,refuse_connection=0.1",
    "moderation=0.2,reset=0.2",
)


@pytest.mark.parametrize("mode", ["auto", "skip", "retry"])
@pytest.mark.parametrize("faults", FAULTS)
def test_the_summary_of_a_batch_holds_the_bill(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    faults: str,
    mode: str,
) -> None:
    """Litellm 8810, end to end: cost_usd + maybe_billed_usd >= true bill >= cost_usd, over two runs of a folder."""
    monkeypatch.setenv("TEST_KEY", "test-key")
    pairs = tuple((name, float(share)) for name, _, share in (item.partition("=") for item in faults.split(",")))
    with serving(evolve(QUICK, latency=Latency(0.01, 0.1), faults=pairs)) as sim:
        command = Command(tmp_path, sim, capsys)
        command.rows(*({"prompt": f"kettle {number}", "n": 1 + number % 3} for number in range(16)))
        for _ in range(2):
            command.run("--on-ambiguous", mode, "--budget", "0.09")
            summary = json.loads((command.out / "summary.json").read_text())
            bill = Decimal(sim.stats()["billed"]) / PICODOLLARS
            cost, maybe = Decimal(str(summary["cost_usd"])), Decimal(str(summary["maybe_billed_usd"]))
            assert cost <= bill <= cost + maybe
            assert bill <= Decimal("0.09")
            assert maybe or cost == bill


def test_the_summary_of_a_batch_is_the_bill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is in doubt, what a batch says it cost is the provider's bill, to the last digit."""
    monkeypatch.setenv("TEST_KEY", "test-key")
    settings = ServerSettings(latency=Latency(0.01, 0.1), refusal_delay=0.001, faults=(("500", 0.2), ("503", 0.1)))
    with serving(settings) as sim:
        command = Command(tmp_path, sim, capsys)
        command.run()
        summary = json.loads((command.out / "summary.json").read_text())
        assert Decimal(str(summary["cost_usd"])) == Decimal(sim.stats()["billed"]) / PICODOLLARS
        assert 0 == Decimal(str(summary["maybe_billed_usd"]))
