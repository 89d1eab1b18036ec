"""`penstock models`: everything that the catalog and the dialects know, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock import catalog
from penstock.catalog import moment
from penstock.judging.judge import TABLE
from penstock.three import Three
from penstock.wire import DIALECTS
from penstock_io.cli.main import main
from penstock_io.cli.models import known, lines

TODAY = moment("2026-11-22")


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    code = main(["models", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_every_model_is_there_with_what_is_known_of_it() -> None:
    """Names, dates, sizes, qualities, exact prices; the object is the catalog's."""
    told: Any = known(TODAY)
    assert list(catalog.names()) == [one["name"] for one in told["models"]]
    two = next(one for one in told["models"] if one["name"] == "gpt-image-2")
    assert (["gpt-image-2-2026-04-21"], "2026-04-21", None) == (two["snapshots"], two["released"], two["shutdown"])
    assert {"text": "5", "cached_text": "1.25", "image": "8", "cached_image": "2", "image_out": "30"} == two["prices"]
    assert {"text": "2.5", "cached_text": "0.625", "image": "4", "cached_image": "1", "image_out": "15"} == (
        two["batch_prices"]
    )
    mini = next(one for one in told["models"] if one["name"] == "gpt-image-1-mini")
    assert ["1024x1024", "1536x1024", "1024x1536"] == mini["sizes"]
    assert (
        "gpt-image-1-mini will be shut down on 2026-12-01; use gpt-image-2.6-flare or gpt-image-2.6-sunburst"
        == (mini["notice"])
    )


def test_what_is_unknown_is_said() -> None:
    """No formula of 2.6; no price of a model on a day on which none was published."""
    told: Any = known(TODAY, "gpt-image-2.6-flare")
    (flare,) = told["models"]
    assert ["no formula is published" in one for one in flare["unknown"]] == [True, False]
    told = known(moment("2026-12-02"), "gpt-image-1.5")
    (gone,) = told["models"]
    assert ({}, "its price on this day") == (gone["prices"], gone["unknown"][0])
    assert "gpt-image-1.5 was shut down on 2026-12-01" in gone["notice"]
    assert "  prices     unknown" in lines(told)


def test_a_snapshot_means_its_model_and_what_is_gone_names_its_replacement(capsys: pytest.CaptureFixture[str]) -> None:
    """Also a model that the catalog lists no longer."""
    told: Any = known(TODAY, "gpt-image-2-2026-04-21")
    assert ["gpt-image-2"] == [one["name"] for one in told["models"]]
    code, out, _ = said(capsys, "dall-e-3")
    assert (0, True) == (code, "dall-e-3                 since 2026-05-12; use gpt-image-2.6-flare" in out)


def test_every_dialect_says_what_it_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Verified is only what was checked against captured traffic."""
    told: Any = known(TODAY)
    assert list(DIALECTS) == [one["name"] for one in told["dialects"]]
    assert {"openai"} == {one["name"] for one in told["dialects"] if one["verified"]}
    assert all(one["source"] for one in told["dialects"])
    _, out, _ = said(capsys)
    assert out.count("UNVERIFIED") == len(DIALECTS) - 1


def test_who_bills_nothing_is_judged_and_priced_so() -> None:
    """Three tables agree: the dialect's, the prices', and that of ended attempts."""
    for name, one in DIALECTS.items():
        rates = catalog.rates(name, "any-model", TODAY)
        assert one.free == (rates is not None)
        judged = TABLE.get(name, TABLE["openai"])
        assert one.free == all(row.billed is Three.NO for row in judged.values())
    assert set(TABLE) <= set(DIALECTS)


def test_the_object_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints one object, and a dialect may be asked for alone."""
    code, out, _ = said(capsys, "sdwebui", "--json")
    told: Any = json.loads(out)
    assert (0, [], ["sdwebui"], False) == (
        code, told["models"], [one["name"] for one in told["dialects"]], told["dialects"][0]["bills"],
    )  # fmt: skip


def test_what_nobody_knows_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, with where to look."""
    code, out, err = said(capsys, "gpt-imge-2")
    assert (2, "", True) == (code, out, "nothing is known of 'gpt-imge-2': penstock models lists all" in err)
