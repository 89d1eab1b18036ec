"""How the options of a batch become its settings."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from penstock.config import Limits
from penstock.requests import Unsaid
from penstock.work import OnAmbiguous
from penstock_io.batch.settings import Choices, Conversion, Repeats, Settings
from penstock_io.cli.choosing import settings_of
from penstock_io.cli.config import OptionError, resolve
from penstock_io.cli.options import BATCH

ENVIRON = {
    "OPENAI_API_KEY": "sk-vendor",
    "OPENAI_ORG_ID": "org-1",
    "PENSTOCK_OUT": "pictures",
    "PENSTOCK_BASE_URL": "http://a/v1",
}
CHOSEN = {
    "PENSTOCK_ON_AMBIGUOUS": "skip",
    "PENSTOCK_RETRY_FAILED": "yes",
    "PENSTOCK_LIMIT": "20",
    "PENSTOCK_REPEATS": "new",
    "PENSTOCK_NAME": "{sku}-{k}",
    "PENSTOCK_RPM": "1",
    "PENSTOCK_TPM": "2",
    "PENSTOCK_IPM": "3",
    "PENSTOCK_MAX_CONCURRENCY": "4",
    "PENSTOCK_BUDGET": "5.50",
    "PENSTOCK_MAX_FAILURES": "6",
    "PENSTOCK_DEADLINE": "7m",
    "PENSTOCK_RESIZE": "1024",
    "PENSTOCK_CONVERT": "jpeg:85",
}


def settings(environ: dict[str, str]) -> Settings:
    """The settings of an environment, but for what rows ask for that do not say it themselves."""
    return evolve(settings_of(resolve({}, BATCH, environ), environ), rows={})


def test_every_option_reaches_the_settings() -> None:
    """What each option says stands in its place."""
    expected = Settings(
        folder=Path("pictures"),
        base_url="http://a/v1",
        keys={"OPENAI_API_KEY": "sk-vendor"},
        headers={"OpenAI-Organization": "org-1"},
        limits=Limits(1.0, 2.0, 3.0, 4),
        budget=Decimal("5.50"),
        choices=Choices(OnAmbiguous.SKIP, True, 20, Repeats.NEW, "{sku}-{k}", server="http://a/v1"),
        max_failures=6,
        deadline=420.0,
        conversion=Conversion(1024, "jpeg", 85),
    )
    assert expected == settings(ENVIRON | CHOSEN)


def test_how_it_is_spoken_reaches_the_settings() -> None:
    """The dialect, and what is done with what it has no words for."""
    said = settings(ENVIRON | {"PENSTOCK_DIALECT": "generic", "PENSTOCK_UNSAID": "refuse"})
    assert ("generic", Unsaid.REFUSE) == (said.choices.dialect, said.choices.unsaid)


def test_nothing_said_is_the_default() -> None:
    """Without options a batch is done as its settings' defaults say; pictures are told by the server that is used."""
    expected = Settings(
        Path("pictures"),
        "http://a/v1",
        {"OPENAI_API_KEY": "sk-vendor"},
        {"OpenAI-Organization": "org-1"},
        choices=Choices(server="http://a/v1"),
    )
    assert expected == settings(ENVIRON)


@pytest.mark.parametrize(
    ("variable", "text"),
    [("PENSTOCK_NAME", "{"), ("PENSTOCK_RESIZE", "3 m"), ("PENSTOCK_CONVERT", "tiff"), ("PENSTOCK_OUT", __file__)],
)
def test_what_is_wrong_is_named_as_it_was_given(variable: str, text: str) -> None:
    """The message begins with the variable that says it."""
    with pytest.raises(OptionError, match=f"^{variable}: "):
        settings(ENVIRON | {variable: text})
