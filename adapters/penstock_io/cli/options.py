"""One table of options: how each is given as a flag, as an environment variable and in a file, and what it means.

An option `max-concurrency` is the flag `--max-concurrency`, the variable `PENSTOCK_MAX_CONCURRENCY` and the key
`max_concurrency` of a file; `penstock_io.cli.config` says which of them counts. Named tuples, because attrs would cost
more than all the rest of `penstock --help`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

T_co = TypeVar("T_co", covariant=True)

PREFIX = "PENSTOCK_"
CLOSE = 0.6
"""How much alike two names are that one is suggested for the other (as difflib counts)."""

MOST = 100_000
"""What a count may be at most: rows of a `--limit`, requests in flight."""

PICTURES = 1_000
"""The most that one request may be for, as in a row."""

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
"""How environment variables are called."""


class Kind(Enum):
    """What an option is in a file: the value says how a message calls it."""

    TEXT = 'a text, such as "low"'
    WHOLE = "a whole number, such as 4"
    NUMBER = "a number, such as 60"
    SPAN = 'a time, such as "30m"'
    SWITCH = "true or false"
    LIST = 'a list of texts, such as ["sku", "title"]'


class Option(NamedTuple, Generic[T_co]):
    """An option. `parse` makes its value from a text and raises `ValueError` saying what is wrong with it.

    `default` is its value where nobody says anything; `once` options are given per run, never in a file; `bare` ones
    only as a flag. `needed` is said where it is missing.
    """

    name: str
    parse: Callable[[str], T_co]
    group: str
    help: str
    metavar: str = ""
    kind: Kind = Kind.TEXT
    default: T_co | None = None
    short: str = ""
    once: bool = False
    bare: bool = False
    needed: str = ""

    @property
    def key(self) -> str:
        """Its name in a file, and in what a parser returns."""
        return self.name.replace("-", "_")

    @property
    def flag(self) -> str:
        """Its name on a command line."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.key.upper()


AnyOption = Option[object]
Words = tuple[str, ...]


def closest(name: str, known: Sequence[str]) -> str:
    """What `name` may have been meant as, "" where nothing is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - needed only once something is wrong

    begun = [word for word in known if len(name) > 3 and word.startswith(name)]
    return next(iter(begun or get_close_matches(name, known, 1, CLOSE)), "")


def _quoted(text: str) -> str:
    """A text as a message repeats it: nothing in it drives a terminal, and it is not long."""
    return repr(text) if len(text) <= 80 else f"{text[:77]!r}..."


def _text(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError(f"{_quoted(text)} is no text that can be used")
    return text


def _folder(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("it names no folder (an empty variable?)")
    return Path(text)


def _file(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("it names no file (an empty variable?)")
    return Path(text)


def _count(text: str, most: int = MOST) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most):
        raise ValueError(f"{_quoted(text)} is not a whole number from 1 to {most:,}")
    return int(text)


def _pictures(text: str) -> int:
    return _count(text, PICTURES)


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise ValueError(f"{_quoted(text)} is not a whole number")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (isfinite(number) and number > 0):
        raise ValueError(f"{_quoted(text)} is not a number above 0")
    return number


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount < 10**9):
        raise ValueError(f"{_quoted(text)} is not an amount of dollars, such as 5 or 0.50")
    return amount


def _span(text: str) -> float:
    from penstock.durations import duration  # noqa: PLC0415 - the start is fast until one is given

    seconds = duration(text)
    if seconds is None or not (isfinite(seconds) and 0 < seconds < 10**9):
        raise ValueError(f"{_quoted(text)} is not a time, such as 90s, 30m, 2h or 1d")
    return seconds


def _switch(text: str) -> bool:
    if text.lower() not in (*TRUE, *FALSE):
        raise ValueError(f"{_quoted(text)} is neither yes nor no")
    return text.lower() in TRUE


def _words(text: str) -> Words:
    return tuple(word for part in text.split(",") if (word := part.strip()))


def _variables(text: str) -> Words:
    names = _words(text)
    if not names or not all(re.fullmatch(VARIABLE, name) for name in names):
        # not shown: whoever mistakes it for the place of a key has put a key here
        raise ValueError("this is no name of an environment variable; the key itself belongs into one, not here")
    return names


def _ids(text: str) -> Words:
    return (_text(text),)


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"{_quoted(text)} is none of {', '.join(words)}")
        return text

    return parse


WHAT, WHERE, FAST = "what is asked for", "where it is bought", "how fast"
CONSENT, AGAIN, ROWS = "consent and money", "what a rerun sends", "rows"
FILES, SHOWN = "files", "what is shown"

GROUPS = (ROWS, WHAT, WHERE, CONSENT, FAST, AGAIN, FILES, SHOWN)
"""Headings of the help, in its order."""

KEEP = Option("keep", _words, ROWS, "copy these further columns to the results", "A,B", Kind.LIST)
SKIP_INVALID = Option("skip-invalid", _switch, ROWS, "record bad rows, do the others", "", Kind.SWITCH, False)
REPEATS = Option("repeats", _choice("share", "new"), ROWS, "rows that ask for the same share one picture, or get a "
                 "new one each (default: share)", "share|new", Kind.TEXT, "share")  # fmt: skip

MODEL = Option("model", _text, WHAT, "the model (default: the newest one whose price is known)", "NAME")
SIZE = Option("size", _text, WHAT, "the size in pixels, or auto", "WxH")
QUALITY = Option("quality", _text, WHAT, "the quality, such as low, medium or high", "WORD")
N = Option("n", _pictures, WHAT, "how many pictures (default: 1)", "N", Kind.WHOLE, short="n")
OUTPUT_FORMAT = Option("output-format", _text, WHAT, "png, jpeg or webp", "FORMAT")
BACKGROUND = Option("background", _text, WHAT, "transparent, opaque or auto", "WORD", bare=True)
COMPRESSION = Option("output-compression", _whole, WHAT, "of jpeg and webp, 0 to 100", "N", Kind.WHOLE, bare=True)
MODERATION = Option("moderation", _text, WHAT, "how strict: low or auto", "WORD", bare=True)
NEGATIVE = Option("negative-prompt", _text, WHAT, "what is to be left out", "TEXT", bare=True)
STEPS = Option("steps", _count, WHAT, "how many steps a diffusion model takes", "N", Kind.WHOLE, bare=True)
GUIDANCE = Option("guidance", _number, WHAT, "how closely a diffusion model follows the prompt", "N", Kind.NUMBER,
                  bare=True)  # fmt: skip
UNSAID = Option("unsaid", _choice("drop", "refuse", "emulate"), WHAT, "what a provider has no words for is dropped "
                "with a warning, refused, or said in another way where there is one (default: drop)",
                "drop|refuse|emulate", Kind.TEXT, "drop")  # fmt: skip
MASK = Option("mask", _file, WHAT, "a PNG as large as the first image, transparent where that is to change", "FILE",
              bare=True)  # fmt: skip
MASK_ID = Option("mask-file-id", _text, WHAT, "a mask that was uploaded to the provider, by its id there", "ID",
                 bare=True)  # fmt: skip
FIDELITY = Option("input-fidelity", _text, WHAT, "how closely images are kept: low or high", "WORD", bare=True)
FILE_ID = Option("file-id", _ids, WHAT, "an image that was uploaded to the provider, by its id there; repeat it for "
                 "more. They follow the IMAGEs", "ID", Kind.LIST, bare=True)  # fmt: skip
PREVIEWS = Option("partial-images", _whole, WHAT, "previews of each picture while it is made, 0 to 3, beside it as "
                  "NAME-preview-1.png; each costs 100 tokens", "N", Kind.WHOLE, bare=True)  # fmt: skip
SEED = Option("seed", _whole, WHAT, "the seed, for models that know one", "N", Kind.WHOLE, bare=True)

PROVIDER = Option("provider", _text, WHERE, "openai, azure, openrouter, stability, together, xai, or a "
                  "[providers.NAME] of the file (default: openai)", "NAME",
                  Kind.TEXT, "openai")  # fmt: skip
DIALECT = Option("dialect", _text, WHERE, "how the provider is spoken to, such as azure, openrouter, generic or "
                 "sdwebui (default: by its address, else openai); penstock models lists them", "NAME")  # fmt: skip
BASE_URL = Option("base-url", _text, WHERE, "where the API is; also OPENAI_BASE_URL", "URL")
API_KEY_ENV = Option("api-key-env", _variables, WHERE, "an environment variable with an API key; repeat it for more "
                     "keys (default: OPENAI_API_KEY)", "NAME", Kind.LIST)  # fmt: skip

BUDGET = Option(
    "budget", _dollars, CONSENT, "never spend more (a batch: in this folder, over all its runs)", "USD", Kind.NUMBER
)
LEDGER = Option("ledger", _file, CONSENT, "book what everything costs in this file, over all runs; one process at a "
                "time", "FILE")  # fmt: skip
BUDGET_DAY = Option("budget-day", _dollars, CONSENT, "never spend more on one day (UTC), over all that is in the "
                    "ledger", "USD", Kind.NUMBER)  # fmt: skip
BUDGET_MONTH = Option("budget-month", _dollars, CONSENT, "never spend more in one month (UTC), over all that is in the "
                      "ledger", "USD", Kind.NUMBER)  # fmt: skip
BUDGET_POLICY = Option("budget-policy", _choice("wait", "fail"), CONSENT, "what a budget has no room for now waits for "
                       "what is out, or is left (default: wait)", "wait|fail", Kind.TEXT, "wait")  # fmt: skip
ALLOW_UNKNOWN_PRICE = Option("allow-unknown-price", _switch, CONSENT, "send what has no known price in spite of a "
                             "budget, which cannot bound it", "", Kind.SWITCH, False)  # fmt: skip
YES = Option("yes", _switch, CONSENT, "do not ask (a batch: and make again what the folder has otherwise)", "",
             Kind.SWITCH, False, "y", once=True)  # fmt: skip
DRY_RUN = Option("dry-run", _switch, CONSENT, "say what would be done and what it would cost, and do nothing", "",
                 Kind.SWITCH, False, once=True)  # fmt: skip
LIMIT = Option("limit", _count, CONSENT, "send at most so many rows, keep the rest for later", "N", Kind.WHOLE)
MAX_FAILURES = Option("max-failures", _count, CONSENT, "stop after so many failed rows", "N", Kind.WHOLE)
DEADLINE = Option("deadline", _span, CONSENT, "send nothing new after 90s, 30m, 2h or 1d", "TIME", Kind.SPAN)

MAX_CONCURRENCY = Option("max-concurrency", _count, FAST, "requests in flight for each key (default: 64)", "N",
                         Kind.WHOLE, 64)  # fmt: skip
RPM = Option("rpm", _number, FAST, "requests a minute for each key (default: learned)", "N", Kind.NUMBER)
TPM = Option("tpm", _number, FAST, "tokens a minute for each key (default: learned)", "N", Kind.NUMBER)
IPM = Option("ipm", _number, FAST, "images a minute for each key (default: learned)", "N", Kind.NUMBER)
RPD = Option("rpd", _number, FAST, "requests a day for each key, which your runs share (default: learned)", "N",
             Kind.NUMBER)  # fmt: skip
TPD = Option("tpd", _number, FAST, "tokens a day for each key, shared likewise (default: learned)", "N", Kind.NUMBER)
IPD = Option("ipd", _number, FAST, "images a day for each key, shared likewise (default: learned)", "N", Kind.NUMBER)
CEILING = Option("ceiling", _switch, FAST, "never exceed the limits given in a run, whatever the provider allows "
                 "(default: they are corrected by what it says)", "", Kind.SWITCH, False)  # fmt: skip
ACCOUNT = Option("account", _text, FAST, "the account (an organization, by any name) that all keys belong to: they "
                 "share its limits (default: each key has its own)", "NAME")  # fmt: skip
WEIGHT = Option("weight", _number, FAST, "a key's share among keys with equal room", "N", Kind.NUMBER)
MODELS = Option("models", _words, FAST, "the models that a key serves, or that share a pool's limits", "A,B", Kind.LIST)

ON_AMBIGUOUS = Option("on-ambiguous", _choice("auto", "retry", "skip", "ask"), AGAIN, "what may have been executed and "
                      "billed: try a few once more, all, none, or none but ask at the end (default: auto)",
                      "auto|retry|skip|ask", Kind.TEXT, "auto")  # fmt: skip
RETRY_FAILED = Option("retry-failed", _switch, AGAIN, "also rows that were refused for good", "", Kind.SWITCH, False)

OUT = Option("out", _folder, FILES, "the folder; one process at a time", "DIR", short="o",
             needed="name a folder for the pictures and results; it need not be there yet")  # fmt: skip
CACHE = Option("cache", _text, FILES, "take pictures that other folders bought from this file (or redis://, s3://) "
               "and keep this one's there; several processes may use it", "STORE")  # fmt: skip
REPAIR = Option("repair", _switch, FILES, "rebuild a damaged journal of DIR from what can be read, and end", "",
                Kind.SWITCH, False, once=True, bare=True)  # fmt: skip
NAME = Option("name", _text, FILES, "how pictures are called: {id}, {index}, {k}, any field or column "
              "(default: {id})", "TEMPLATE", Kind.TEXT, "{id}")  # fmt: skip
RESIZE = Option("resize", _text, FILES, "make pictures smaller: their longest side in pixels (needs Pillow)", "PIXELS")
CONVERT = Option("convert", _text, FILES, "make pictures png, jpeg or webp, with a quality of 1 to 100 (needs Pillow)",
                 "FORMAT[:QUALITY]")  # fmt: skip
FILE = Option("out", _file, FILES, "the file, or - for standard output; its extension says the format (default: a name "
              "from the prompt)", "FILE", short="o", bare=True)  # fmt: skip
OVERWRITE = Option("overwrite", _switch, FILES, "replace files that are there", "", Kind.SWITCH, False, bare=True)

JSON = Option("json", _switch, SHOWN, "one JSON object on standard output, at the end", "", Kind.SWITCH, False)
QUIET = Option("quiet", _switch, SHOWN, "only errors, and the sums at the end", "", Kind.SWITCH, False, "q")
VERBOSE = Option("verbose", _switch, SHOWN, "also details", "", Kind.SWITCH, False, "v")
LOG_FILE = Option("log-file", _file, SHOWN, "write every line there, too, with its time", "FILE")
CONFIG = Option("config", _file, SHOWN, "a TOML file with options; see below", "FILE", once=True)

REQUEST: tuple[AnyOption, ...] = (MODEL, SIZE, QUALITY, N, OUTPUT_FORMAT)
SPEED: tuple[AnyOption, ...] = (MAX_CONCURRENCY, RPM, TPM, IPM, RPD, TPD, IPD, CEILING, ACCOUNT)
BATCH: tuple[AnyOption, ...] = (
    KEEP, SKIP_INVALID, REPEATS, *REQUEST, UNSAID, PROVIDER, DIALECT, BASE_URL, API_KEY_ENV, BUDGET, LEDGER,
    BUDGET_DAY, BUDGET_MONTH, BUDGET_POLICY, ALLOW_UNKNOWN_PRICE, YES, DRY_RUN, LIMIT, MAX_FAILURES, DEADLINE, *SPEED,
    ON_AMBIGUOUS, RETRY_FAILED, OUT, CACHE, NAME, RESIZE, CONVERT, REPAIR, JSON, QUIET, VERBOSE, LOG_FILE, CONFIG,
)  # fmt: skip
"""What `penstock batch` takes; whatever a file may say is among these."""

GENERATE: tuple[AnyOption, ...] = (
    *REQUEST, BACKGROUND, COMPRESSION, MODERATION, SEED, PREVIEWS, NEGATIVE, STEPS, GUIDANCE, UNSAID, PROVIDER,
    DIALECT, BASE_URL, API_KEY_ENV, BUDGET, LEDGER, BUDGET_DAY,
    BUDGET_MONTH, BUDGET_POLICY, ALLOW_UNKNOWN_PRICE, YES, *SPEED, FILE, OVERWRITE, JSON, QUIET, VERBOSE, LOG_FILE,
    CONFIG,
)  # fmt: skip
"""What `penstock generate` takes."""

EDIT: tuple[AnyOption, ...] = (FILE_ID, MASK, MASK_ID, FIDELITY, *GENERATE)
"""What `penstock edit` takes."""

NOTE = """\
Options may also stand in the environment (PENSTOCK_QUALITY=low) or in the file of --config (quality = "low"; and for
providers of your own [providers.NAME] with base_url and api_key_env; for single keys [keys.VARIABLE] with account,
weight, models and limits; for models that share their limits [pools.NAME]). A flag counts before the environment, the
environment before the file.
"""
