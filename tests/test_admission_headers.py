"""Rate headers of all dialects, as one table: what each tells, whoever sends it and however times are written."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.admission.headers import DAY, RateReport, Told, read
from penstock.durations import duration, http_date, reset
from penstock.judging.backoff import retry_after

UNIX = 1_795_300_000.0


def headers(**told: str) -> tuple[tuple[str, str], ...]:
    """Headers of the family that most share."""
    return tuple((f"x-ratelimit-{name.replace('_', '-')}", value) for name, value in told.items())


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        # OpenAI, as captured: 500 RPM, one used
        (
            headers(limit_requests="500", remaining_requests="499", reset_requests="120ms"),
            RateReport(requests=Told(500, 499, 0.12)),
        ),
        # OpenAI, as captured: a token bucket nearly empty
        (
            headers(limit_tokens="30000", remaining_tokens="554", reset_tokens="58.891s"),
            RateReport(tokens=Told(30_000, 554, 58.891)),
        ),
        # OpenAI, as its guide has it
        (
            headers(limit_requests="60", remaining_requests="59", reset_requests="1s", limit_tokens="150000",
                    remaining_tokens="149984", reset_tokens="6m0s"),
            RateReport(requests=Told(60, 59, 1.0), others=((1, DAY, Told(150_000, 149_984, 360.0)),)),
        ),
        # OpenAI, as captured: images by the name of the bucket
        (
            headers(limit_input_images="50000", remaining_input_images="49999", reset_input_images="1ms"),
            RateReport(images=Told(50_000, 49_999, 0.001)),
        ),
        # Azure, as captured: no time to full; and -1 for what it does not know
        (headers(limit_requests="100", remaining_requests="99"), RateReport(requests=Told(100, 99))),
        (
            headers(limit_requests="-1", remaining_requests="-1", reset_requests="0"),
            RateReport(requests=Told(reset=0.0, step=1.0)),
        ),
        # Azure: plain whole seconds
        (
            headers(limit_tokens="60000", remaining_tokens="0", reset_tokens="60"),
            RateReport(tokens=Told(60_000, 0, 60.0, 1.0)),
        ),
        # Groq: requests of a day, which only the time to full gives away
        (
            headers(limit_requests="14400", remaining_requests="14370", reset_requests="2m59.56s"),
            RateReport(others=((0, DAY, Told(14_400, 14_370, 179.56)),)),
        ),
        # others: the window in the name
        (
            headers(limit_requests_day="1000", remaining_requests_day="10"),
            RateReport(others=((0, DAY, Told(1_000, 10)),)),
        ),
        # moments, as Anthropic sends them
        (
            (
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "49"),
                ("anthropic-ratelimit-requests-reset", "2026-11-21T22:26:42Z"),
            ),
            RateReport(requests=Told(50, 49, 2.0, 1.0)),
        ),
        # OpenRouter: milliseconds since 1970, of a bucket without a name; Black Forest Labs: seconds
        (
            headers(limit="20", remaining="0", reset="1795300030000"),
            RateReport(plain=Told(20, 0, 30.0)),
        ),
        (headers(limit="24", remaining="0", reset="1795300012"), RateReport(plain=Told(24, 0, 12.0))),
        ((("x-concurrent-limit", "8"),), RateReport(concurrency=8)),
        ((("x-concurrent-limit", " 24 "),), RateReport(concurrency=24)),
        ((("x-concurrent-limit", "-1"),), None),
        ((("x-concurrent-limit", "many"),), None),
        # Together and xAI, whose forms nobody has confirmed: a window in the name, a figure that is none
        (
            headers(limit_requests_second="10", remaining_requests_second="9", limit_tokens_minute="60000"),
            RateReport(tokens=Told(60_000), others=((0, 1.0, Told(10, 9)),)),
        ),
        (
            headers(limit_requests="480", remaining_requests="479", limit_tokens="2e6"),
            RateReport(requests=Told(480, 479)),
        ),
        # tokens of Anthropic; what it tells of its plans is another bucket
        (
            (
                ("anthropic-ratelimit-tokens-limit", "80000"),
                ("anthropic-ratelimit-tokens-remaining", "79000"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-21T22:26:41.500Z"),
                ("anthropic-ratelimit-unified-reset", "1795300012"),
            ),
            RateReport(tokens=Told(80_000, 79_000, 1.5)),
        ),
        # a reset alone, and figures that no limit has
        (headers(reset_requests="6m0s"), RateReport(requests=Told(reset=360.0))),
        (headers(limit_tokens="NaN", remaining_tokens="inf", limit_requests="-5", remaining_requests="0x10"), None),
        # what is another bucket's, or nobody's
        (headers(remaining_project_tokens="5", limit_tokens_usage_based="9"), None),
        ((("x-tokenlimit-limit", "1000"), ("x-tokenlimit-remaining", "10")), None),
        ((("retry-after", "5"), ("content-type", "application/json")), None),
        (headers(limit_requests="many", remaining_tokens="1e3", reset_requests="soon"), None),
        ((("x-concurrent-limit", "0"),), None),
    ],
)  # fmt: skip
def test_what_each_provider_tells(sent: tuple[tuple[str, str], ...], expected: RateReport | None) -> None:
    """Exact figures; what cannot be read says nothing, and no other bucket's figure is taken for the lane's."""
    assert expected == read(sent, UNIX)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("58.891s", 58.891),
        ("12ms", 0.012),
        ("1m0.5s", 60.5),
        ("2m59.56s", 179.56),
        ("577.5ms", 0.5775),
        ("1h2m3s", 3_723.0),
        ("250us", 0.00025),
        ("250\u00b5s", 0.00025),
        ("0s", 0.0),
        ("0", 0.0),
        ("45", 45.0),
        ("45.5", 45.5),
        ("1795300007", 7.0),
        ("1795300007500", 7.5),
        ("1795200000", 0.0),
        ("2026-11-21T22:26:50Z", 10.0),
        ("2026-11-21T23:26:50.5+01:00", 10.5),
        ("2020-01-01T00:00:00Z", 0.0),
        ("-1", None),
        ("-5s", None),
        ("", None),
        ("soon", None),
        ("1x", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("2026-13-40T99:99:99Z", None),
        ("9" * 400, None),
    ],
)
def test_every_form_of_a_time(text: str, seconds: float | None) -> None:
    """Go durations, seconds, moments since 1970 in seconds and milliseconds, RFC 3339; negatives say nothing."""
    found = reset(text, UNIX)
    assert (seconds is None) == (found is None)
    assert seconds is None or seconds == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ((("retry-after-ms", "534"), ("retry-after", "1")), 0.534),
        ((("retry-after", "12"),), 12.0),
        ((("retry-after", "1795300030"),), 30.0),
        ((("retry-after", "1795300030000"),), 30.0),
        ((("retry-after", "Sat, 21 Nov 2026 22:27:00 GMT"),), 20.0),
        ((("retry-after", "-3"),), None),
        ((("retry-after", "soon"),), None),
        ((), None),
    ],
)
def test_every_form_of_a_wait(sent: tuple[tuple[str, str], ...], seconds: float | None) -> None:
    """Milliseconds go before seconds; a moment is a moment, also where seconds are usual."""
    assert seconds == retry_after(sent, UNIX)


QUANTITIES = ("requests", "tokens", "images", "input-images", "requests-day", "project-tokens")
names = st.sampled_from(
    [
        *(f"x-ratelimit-{figure}-{quantity}" for figure in ("limit", "remaining", "reset") for quantity in QUANTITIES),
        "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-concurrent-limit",
        "anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-unified-reset", "x-tokenlimit-limit",
    ]
)  # fmt: skip
values = st.one_of(
    st.text(max_size=30),
    st.integers(-(10**14), 10**14).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(["6m0s", "58.891s", "2026-11-21T22:26:50Z", "1795300007500"]),
)


@given(st.lists(st.tuples(names, values), max_size=12))
def test_whatever_is_sent_is_read_without_harm(sent: list[tuple[str, str]]) -> None:
    """No header raises, and every figure that comes out is finite and not negative."""
    found = read(tuple(sent), UNIX)
    if found is not None:
        told = [*found.buckets, found.plain, *(bucket for _, _, bucket in found.others)]
        figures = [figure for one in told if one is not None for figure in (one.limit, one.remaining, one.reset)]
        assert all(figure is None or (isfinite(figure) and figure >= 0.0) for figure in figures)
        assert found.concurrency is None or found.concurrency >= 1


@given(st.text(max_size=80))
def test_any_text_is_a_time_or_none(text: str) -> None:
    """Nothing raises, and no time is negative."""
    for found in (duration(text), reset(text, UNIX)):
        assert found is None or (isfinite(found) and found >= 0.0)
    assert http_date(text) is None or isinstance(http_date(text), float)
