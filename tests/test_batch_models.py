"""Models that nobody knows: a slip is an error where only the vendor's models are, and told everywhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.catalog import Override, Overrides, model, names
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import Rates
from penstock_io.batch.keying import key_rows
from penstock_io.batch.models import meant, unheard
from penstock_io.batch.rows import InputError, Rows
from penstock_io.batch.settings import Choices
from penstock_io.cli.main import main
from penstock_io.journal import Account
from penstock_io.simserver import SimServer, serving
from tests.batching import folder_for
from tests.planning import rows_of

VENDOR = "https://api.openai.com/v1"
ELSEWHERE = "https://images.example.com/v1"
SLIP = 'no model "gpt-imge-2" is known: did you mean gpt-image-2?'
TOLD = 'no model "gpt-imge-2" is known (did you mean gpt-image-2?): it is sent as it is'


@pytest.fixture(autouse=True)
def environment(no_options: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and no options from whoever runs the tests."""
    del no_options
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A server that has every model."""
    with serving(ServerSettings(latency=Latency(0.02, 0.0))) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-image-2", None),
        ("gpt-image-2-2026-04-21", None),
        ("dall-e-3", None),
        ("gpt-imge-2", "gpt-image-2"),
        ("GPT-Image-2", "gpt-image-2"),
        ("gptimage2", "gpt-image-2"),
        ("gpt-image-2.5-flair", "gpt-image-2.5-flare"),
        ("gpt-image-2-2026-04-12", "gpt-image-2-2026-04-21"),
        ("flux-dev", ""),
        ("openai/gpt-image-2", ""),
    ],
)
def test_what_a_model_may_have_been_meant_as(name: str, expected: str | None) -> None:
    """Known models, their snapshots and those that are gone mean themselves; a slip means what is near."""
    assert expected == meant(name)


@given(st.sampled_from(names()), st.data())
def test_one_letter_more_or_less_is_a_slip(name: str, data: st.DataObject) -> None:
    """Whatever letter is missing or doubled, some known model is suggested, unless that is one itself."""
    place = data.draw(st.integers(0, len(name) - 1))
    for slipped in (name[:place] + name[place + 1 :], name[:place] + name[place] + name[place:]):
        assert model(slipped) is not None or meant(slipped)


def test_slips_are_mistakes_where_models_are_the_vendors() -> None:
    """Rows name their line; a model of the options is told once; a price of one's own says that it is right."""
    slipped = {"prompt": "owl", "model": "gpt-imge-2"}
    rows = Rows("in.jsonl", rows_of("fox", slipped, {"prompt": "elk", "model": "mine"}))
    with pytest.raises(InputError) as caught:
        key_rows(rows, Choices(strict=True), budget=False, states={}, account=Account())
    assert [f"in.jsonl:2: model: {SLIP}"] == [str(one).split(" If it is right")[0] for one in caught.value.mistakes]
    key_rows(rows, Choices(), budget=False, states={}, account=Account())
    mine = Overrides((Override("gpt-imge-2", Rates(picture=1)),))
    key_rows(rows, Choices(strict=True, prices=mine), budget=False, states={}, account=Account())


def test_what_is_told_of_models_that_nobody_knows() -> None:
    """At the vendor's all of them, elsewhere what is nearly a known one; each once, and none that has a price."""
    models = ("gpt-image-2", "gpt-imge-2", "flux-dev", "gpt-imge-2")
    assert [TOLD] == unheard(models, ELSEWHERE)
    assert [TOLD, 'no model "flux-dev" is known: it is sent as it is'] == unheard(models, VENDOR)
    assert [] == unheard(models, ELSEWHERE, {"gpt-imge-2"})
    (line,) = unheard(("gpt-image-2\x1b[2J",), ELSEWHERE)
    assert line.isprintable()


def test_a_slip_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the vendor's address nothing is sent, of a batch or a picture, unless --allow-unknown-price says so."""
    given, out = tmp_path / "in.txt", str(tmp_path / "out")
    given.write_text("a fox\nan owl\n")
    command = ["batch", str(given), "--out", out, "--model", "gpt-imge-2", "--dry-run"]
    assert 2 == main([*command, "--json"])
    (mistake,) = json.loads(capsys.readouterr().out)["error"]["mistakes"]
    assert (0, "model") == (mistake["line"], mistake["field"])
    assert mistake["message"].startswith(SLIP)
    assert 0 == main([*command, "--allow-unknown-price"])
    assert f"warning: {TOLD}\n" in capsys.readouterr().err
    assert 2 == main(["generate", "a fox", "-o", out, "--model", "gpt-imge-2"])
    assert f"penstock: error: --model: {SLIP}" in capsys.readouterr().err
    assert 0 == main(["quote", str(given), "--model", "gpt-imge-2"])
    assert f"warning: {TOLD}\n" in capsys.readouterr().err


def test_elsewhere_it_is_told_and_sent(tmp_path: Path, sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A server of one's own may call its models so."""
    given = tmp_path / "in.txt"
    given.write_text("a fox\n")
    there = ["--base-url", sim.base_url, "--model", "gpt-imge-2"]
    assert 0 == main(["batch", str(given), "--out", str(tmp_path / "out"), *there])
    assert 1 == capsys.readouterr().err.count(f"warning: {TOLD}\n")
    assert 0 == main(["generate", "a fox", "-o", str(tmp_path / "fox.png"), *there])
    assert 1 == capsys.readouterr().err.count(f"warning: {TOLD}\n")


def test_rows_that_come_one_by_one_are_told_of_once(tmp_path: Path, sim: SimServer) -> None:
    """Of each model that nobody knows, with its first row."""
    folder = folder_for(tmp_path / "out", sim)
    rows = [{"prompt": f"kettle {n}", "model": ("gpt-imge-2", "gpt-image-2")[n % 2]} for n in range(4)]
    folder.stream(json.dumps(row).encode() for row in rows)
    assert 1 == folder.told.count(TOLD)
