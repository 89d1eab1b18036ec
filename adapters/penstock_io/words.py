"""How amounts are said to people, and foreign texts shown to them without harm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from penstock.durations import span

__all__ = [
    "ago",
    "at_least",
    "at_most",
    "bound",
    "count",
    "harmless",
    "harmless_json",
    "listed",
    "money",
    "one_line",
    "per",
    "size",
    "span",
    "struck",
    "summed",
]

_PICODOLLARS = 10**12
_SPANS = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour", 86_400.0: "a day"}
_CENT_PARTS = Decimal("0.0001")

UNKNOWN = "an amount that is not known"
"""What is said of a bound that nobody knows."""

_DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What drives a terminal, breaks a line, reverses the text around it, or cannot be encoded; a newline is none of it."""

_KEY = re.compile(r"(?<![A-Za-z0-9])(?:sk-|gsk_|xai-|AIza)[A-Za-z0-9_-]{16,}")
"""What is a key by its looks, also where it was put by mistake: a size, a name."""

_TELLING = 8
"""Characters below which a key is not looked for: what is shorter stands in other words, too."""


def struck(text: str, secrets: Sequence[str] = ()) -> str:
    """A text without `secrets`, and without anything else that is a key by its looks: `***` stands for them."""
    for secret in sorted((one for one in secrets if len(one) >= _TELLING), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _KEY.sub("***", text)


def harmless(text: str) -> str:
    r"""A foreign text as it may be shown: controls are spelled out (`\x1b`), tabs are blanks, newlines stay."""
    return _DANGEROUS.sub(_spelled, text.replace("\r\n", "\n"))


def harmless_json(text: str) -> str:
    r"""A JSON text that means the same, without those characters: inside its strings they become `\u001b`."""
    return _DANGEROUS.sub(lambda match: match[0] if match[0] in "\t\r" else f"\\u{ord(match[0]):04x}", text)


def one_line(text: str, longest: int = 300) -> str:
    """A foreign text on one line of at most so many characters."""
    line = harmless(" ".join(text.split("\n")))
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def per(window: float) -> str:
    """The time that a limit is of, `window` seconds: `a minute`, `a day`, `in 10 s`; 0 is one nobody told, a minute."""
    return _SPANS.get(window, f"in {window:g} s" if window else "a minute")


def money(picodollars: int) -> str:
    """An amount for people, to a hundredth of a cent: `$0.1234`; what is less but not nothing is `<$0.0001`."""
    if 0 < picodollars < _PICODOLLARS // 10_000:
        return "<$0.0001"
    return _rounded(picodollars, ROUND_HALF_UP)


def at_most(picodollars: int | None) -> str:
    """A bound for people, rounded up, so that it is one: `at most $0.1235`; None is an amount that is not known."""
    return UNKNOWN if picodollars is None else f"at most {bound(picodollars)}"


def bound(picodollars: int) -> str:
    """A bound without the words, as tables show it that say them above: `$0.1235`, as `at_most` rounds it."""
    return _rounded(picodollars, ROUND_CEILING)


def at_least(picodollars: int) -> str:
    """The known part of an amount for people, rounded down, so that it is one: `at least $0.1234`."""
    return f"at least {_rounded(picodollars, ROUND_FLOOR)}"


def summed(picodollars: int, *, unknown: bool) -> str:
    """A sum for people, of which parts may be `unknown`: `$0.1234`, `at least $0.1234`, or nothing that is known."""
    if not unknown:
        return money(picodollars)
    return at_least(picodollars) if picodollars else UNKNOWN


def _rounded(picodollars: int, how: str) -> str:
    amount = (Decimal(abs(picodollars)) / _PICODOLLARS).quantize(_CENT_PARTS, how)
    return f"{'-' if picodollars < 0 else ''}${amount:,f}"


def ago(seconds: float) -> str:
    """An age for people: `40 s ago`, `2 h ago`."""
    return f"{span(seconds)} ago"


def size(nbytes: int) -> str:
    """An amount of bytes for people: `512 B`, `1.5 GB`."""
    amount, unit = float(nbytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 9.95 else f"{amount:.1f} {unit}"


def listed(names: Sequence[str]) -> str:
    """Names as a list in words: "a, b and c"."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def count(number: int, word: str, plural: str = "") -> str:
    """A number of things: `1 row`, `5,000 rows`."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 9:
        return " "
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
