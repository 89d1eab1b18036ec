"""Times as servers write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.durations import duration, http_date, reset

NOW = 1_795_300_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("1m0.5s", 60.5),
        ("58.891s", 58.891),
        ("1h2m3s", 3723.0),
        ("2m59.56s", 179.56),
        ("0s", 0.0),
        ("60", 60.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        (".5s", 0.5),
        ("12ms", 0.012),
        ("577.5ms", 0.5775),
        ("3us", 3e-6),
        ("3\u00b5s", 3e-6),
        ("3\u03bcs", 3e-6),
        ("40ns", 4e-8),
        ("1d", 86_400.0),
        ("2d3h4m0.5s", 183_840.5),
    ],
)
def test_a_duration_is_read_as_the_fact_sheet_has_it(text: str, seconds: float) -> None:
    """Go durations and plain numbers, as captured from servers."""
    assert seconds == pytest.approx(duration(text), rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", "-1", "soon", "1x", "s", "1s!", "nan", "inf", "1e3", "\u0661s", "1" * 70, "2026-11-21"]
)
def test_what_is_no_duration_is_none(text: str) -> None:
    """Negative figures mean "unknown"; nothing raises."""
    assert duration(text) is None


@given(st.integers(0, 10**9), st.integers(0, 59), st.integers(0, 999))
def test_a_printed_duration_comes_back(minutes: int, seconds: int, millis: int) -> None:
    """What Go prints is read back."""
    assert duration(f"{minutes}m{seconds}.{millis:03}s") == pytest.approx(minutes * 60 + seconds + millis / 1000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        ("231ms", 0.231),
        (f"{int(NOW) + 30}", 30.0),
        (f"{(int(NOW) + 30) * 1000}", 30.0),
        (f"{int(NOW) - 30}", 0.0),
        ("1000000000", 1e9),
        ("-1", None),
        ("never", None),
    ],
)
def test_a_bare_reset_is_told_apart_by_its_size(text: str, seconds: float | None) -> None:
    """Above 1e12 epoch milliseconds, above 1e9 epoch seconds, else seconds; never negative."""
    assert seconds == pytest.approx(reset(text, NOW))


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(-12, 14))  # noqa: DTZ001
def test_rfc3339_resets_agree_with_the_standard_library(moment: datetime, hours: int) -> None:
    """Any zone and fraction, as datetime counts it."""
    stamp = moment.replace(tzinfo=UTC).timestamp()
    local = (moment + timedelta(hours=hours)).isoformat(timespec="milliseconds")
    told = reset(f"{local}{'-' if hours < 0 else '+'}{abs(hours):02}:00", stamp - 100.0)
    assert told == pytest.approx(100.0, abs=0.01)


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2037, 1, 1)))  # noqa: DTZ001
def test_http_dates_agree_with_the_standard_library(moment: datetime) -> None:
    """All three forms of RFC 9110."""
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"):
        assert http_date(whole.strftime(form)) == whole.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1894 08:49:37 GMT",
        "x" * 100,
    ],
)
def test_what_is_no_http_date_is_none(text: str) -> None:
    """Nothing raises."""
    assert http_date(text) is None


@given(st.text(max_size=80), st.floats(0, 4e9))
def test_no_text_raises(text: str, unix: float) -> None:
    """Whatever a header holds gives a finite figure that is not negative, or None."""
    for figure in (duration(text), reset(text, unix), http_date(text)):
        assert figure is None or (isfinite(figure) and figure >= 0.0)


@pytest.mark.parametrize("text", ["2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z"])
def test_a_moment_that_never_was_is_none(text: str) -> None:
    """An impossible date is no reset."""
    assert reset(text, NOW) is None
