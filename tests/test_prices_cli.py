"""Prices of one's own on the command line: the tables of a file, what is unknown under a budget, and how it is told."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from penstock import catalog
from penstock.catalog import Override, Overrides
from penstock.config import Config
from penstock.ids import Handle
from penstock.prepare import Prepared, prepare
from penstock.requests import ImageRequest, Options
from penstock.work import Rates, Target
from penstock_io.cli.config import OptionError, overrides_of, read_config, resolve
from penstock_io.cli.main import main
from penstock_io.cli.options import BATCH
from penstock_io.pricing import lines_for, unpriced
from penstock_io.simserver import SimServer

MINE = """
[prices.flux]
picture = 0.025

[prices."gpt-image-2.6-flare"]
image_out = 28
output_tokens = 6000

[providers.openai]
multiplier = 1.055

[providers.studio]
base_url = "https://studio.example/v1"
api_key_env = "STUDIO_KEY"
multiplier = 0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A place for a configuration."""
    return tmp_path / "penstock.toml"


@pytest.fixture
def rows(sim: SimServer) -> str:
    """An input of two rows, in the folder where the command line is."""
    del sim
    Path("in.txt").write_text("a fox\na hen\n", encoding="utf-8")
    return "in.txt"


def prices_of(file: Path, text: str, **flags: object) -> Overrides:
    """What a file says of prices."""
    file.write_text(text, encoding="utf-8")
    return overrides_of(resolve({"config": file, **flags}, BATCH, {}))


def target_of(model: str, prices: Overrides = catalog.NO_OVERRIDES) -> Target:
    """How a cat by this model is prepared."""
    request = ImageRequest(prompt="a cat", model=model)
    made = prepare(request, Options(), Config(), handle=Handle(1), unix=catalog.moment("2026-11-21"), prices=prices)
    assert isinstance(made, Prepared)
    return made.work.targets[0]


def test_a_file_says_prices(file: Path) -> None:
    """Exact picodollars; the multiplier is that of the provider that was chosen."""
    source = "the file of --config"
    expected = (
        Override("flux", Rates(picture=25_000_000_000, source=source)),
        Override("gpt-image-2.6-flare", Rates(image_out=28_000_000, source=source), output_tokens=6000),
    )
    assert Overrides(expected, (("", Decimal("1.055")),)) == prices_of(file, MINE)
    assert Overrides(expected, (("", Decimal(0)),)) == prices_of(file, MINE, provider="studio")
    assert Overrides() == prices_of(file, "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prices = 3", 'prices: must be tables: [prices."MODEL"]'),
        ("[prices]\nflux = 0.04", 'prices.flux: must be a table: [prices."flux"]'),
        ("[prices.flux]\npictures = 0.04", "prices.flux.pictures: unknown; did you mean picture?"),
        ("[prices.flux]\noutput_token = 4", "prices.flux.output_token: unknown; did you mean output_tokens?"),
        ("[prices.flux]\nzzz = 4", "prices.flux.zzz: unknown; there are picture, text"),
        ("[prices.gpt-image-2.5-flare]\npicture = 1", 'stands in quotes: [prices."gpt-image-2.5-flare"]'),
        ("[prices.flux]\npicture = '0.04'", "prices.flux: picture must be a number of dollars"),
        ("[prices.flux]\npicture = true", "prices.flux: picture must be a number of dollars"),
        ("[prices.flux]\npicture = nan", "prices.flux: picture must be from 0"),
        ("[prices.flux]\npicture = -1", "prices.flux: picture must be from 0"),
        ("[prices.flux]\noutput_tokens = 1.5", "prices.flux: output_tokens must be a whole number"),
        ("[prices.flux]\noutput_tokens = true", "prices.flux: output_tokens must be a whole number"),
        ("[prices.flux]", "prices.flux: the price of flux says nothing"),
        ("[prices.flux]\npicture = 1\ntext = 1", "prices.flux: the price of flux is either of a picture or of tokens"),
        ("[providers.mine]\nmultiplier = 'much'", "providers.mine.multiplier: must be a number from 0 to 1000"),
        ("[providers.mine]\nmultiplier = -1", "providers.mine.multiplier: must be a number from 0 to 1000"),
        ("[providers.mine]\nmultiplier = nan", "providers.mine.multiplier: must be a number from 0 to 1000"),
        ("[providers.mine]\nmultiplier = true", "providers.mine.multiplier: must be a number from 0 to 1000"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_price_is_named(text: str, words: str, file: Path) -> None:
    """File, table, key, and what it ought to be."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError) as caught:
        read_config(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("model", "prices", "lines"),
    [
        ("flux", Overrides(), ["picture = 0.04"]),
        ("gpt-image-2.6-flare", Overrides(), ["output_tokens = 6000"]),
        ("flux", Overrides((Override("flux", Rates(image_out=1)),)), ["text = 5", "output_tokens = 6000"]),
        ("flux", Overrides((Override("flux", Rates(text=1)),)), ["image_out = 30", "output_tokens = 6000"]),
    ],
)
def test_the_lines_that_are_advised_give_a_price(model: str, prices: Overrides, lines: list[str], file: Path) -> None:
    """They say what is missing, a file may hold them, and with them (on top of what it said) there is a bound."""
    target = target_of(model, prices)
    assert target.quote is None
    advised, meaning = lines_for(target)
    assert [f'[prices."{model}"]', *lines] == advised.split("\n")
    assert meaning
    said = unpriced(target)
    assert all(line in said for line in advised.split("\n"))
    assert "--allow-unknown-price" in said
    own = "".join(
        f"{key} = 1\n" for key in ("text", "image_out") if any(getattr(one.rates, key) for one in prices.rates)
    )
    assert target_of(model, prices_of(file, f"{advised}\n{own}")).quote


def test_a_batch_without_a_price_is_refused_with_the_lines_that_give_one(
    rows: str, sim: SimServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under a budget nothing is sent; with the lines in a file it is, and costs what they say."""
    before = sim.stats()["received"]
    batch = ["batch", rows, "--out", "out", "--model", "flux", "--budget", "1"]
    assert 2 == main(batch)
    said = capsys.readouterr().err
    assert before == sim.stats()["received"]
    found = re.search(r'lines (\[prices\."flux"\]) and (picture = [\d.]+) ', said)
    assert found is not None
    Path("penstock.toml").write_text(f"{found[1]}\n{found[2]}\n", encoding="utf-8")
    assert 0 == main([*batch, "--config", "penstock.toml"])
    sums = json.loads(Path("out/summary.json").read_text(encoding="utf-8"))
    assert ("0.08", "0.08", 2) == (sums["cost_usd"], sums["cost_at_least_usd"], sums["completed"])


def test_a_budget_of_prices_of_ones_own_holds(rows: str, sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """It has room for one of two pictures."""
    Path("penstock.toml").write_text("[prices.flux]\npicture = 0.04\n", encoding="utf-8")
    words = ["batch", rows, "--out", "out", "--model", "flux", "--budget", "0.05", "--config", "penstock.toml"]
    assert 3 == main(words)
    capsys.readouterr()
    sums = json.loads(Path("out/summary.json").read_text(encoding="utf-8"))
    assert ("0.04", 1) == (sums["cost_usd"], sums["completed"])
    assert sim.stats()["received"]


def test_an_unknown_price_may_be_allowed(rows: str, sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """It is sent in spite of a budget, its charge is unknown, and the sum says so."""
    words = ["batch", rows, "--out", "out", "--model", "flux", "--budget", "1", "--allow-unknown-price"]
    assert 0 == main(words)
    told = capsys.readouterr()
    sums = json.loads(Path("out/summary.json").read_text(encoding="utf-8"))
    assert (None, "0", 2) == (sums["cost_usd"], sums["cost_at_least_usd"], sums["completed"])
    assert "; price unknown; 2 attempts" in told.out
    assert sim.stats()["received"]


def test_one_picture_without_a_price(sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The same of `generate`: refused with the lines, allowed, or priced."""
    before = sim.stats()["received"]
    words = ["generate", "a fox", "-o", "fox.png", "--model", "flux", "--budget", "1"]
    assert 3 == main(words)
    assert '[prices."flux"] and picture = 0.04' in capsys.readouterr().err
    assert before == sim.stats()["received"]
    assert 0 == main([*words, "--allow-unknown-price"])
    assert "an unknown price" in capsys.readouterr().out
    Path("penstock.toml").write_text("[prices.flux]\npicture = 0.025\n", encoding="utf-8")
    assert 0 == main([*words[:3], "hen.png", *words[4:], "--config", "penstock.toml"])
    told = capsys.readouterr()
    assert ("$0.0250" in told.out, "for at most $0.0250" in told.err) == (True, True)


def test_a_multiplier_is_in_quote_and_charge(sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The provider's share comes on top of the published price."""
    costs: list[Decimal] = []
    words = "--model gpt-image-2 --quality low --size 1024x1024 --json --config penstock.toml".split()
    for number, factor in enumerate(("1", "2.5")):
        Path("penstock.toml").write_text(f"[providers.openai]\nmultiplier = {factor}\n", encoding="utf-8")
        assert 0 == main(["generate", "a fox", "-o", f"{number}.png", *words])
        costs.append(Decimal(json.loads(capsys.readouterr().out)["cost_usd"]))
    assert costs[1] == costs[0] * Decimal("2.5")
    assert sim.stats()["received"]
