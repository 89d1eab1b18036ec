"""`penstock generate`: one request, to a file or a few."""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from penstock_io.cli.options import (
    ALLOW_UNKNOWN_PRICE,
    BUDGET,
    FILE,
    GENERATE,
    JSON,
    NOTE,
    OUTPUT_FORMAT,
    OVERWRITE,
    PREVIEWS,
    UNSAID,
    YES,
    N,
)
from penstock_io.cli.parsing import (
    INTERRUPTED,
    USAGE,
    Formatter,
    Parser,
    Subparsers,
    add_options,
    print_error,
    run_with,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from penstock.errors import PenstockError
    from penstock.requests import ImageRequest
    from penstock_io.cli.buying import Bought, Previews
    from penstock_io.cli.config import Values
    from penstock_io.cli.connecting import Connection
    from penstock_io.cli.console import Console
    from penstock_io.cli.saving import Saved

    Change = Callable[[ImageRequest], ImageRequest]

DONE, SOME, BUDGET_OUT, HALTED = 0, 1, 3, 4

UNREACHED = frozenset({"unsent", "no_endpoint"})
"""Kinds of trouble that say that there is no such API there."""

REMEDIES = {
    "Ambiguous": "It is {maybe}; the same command again may pay a second time.",
    "BudgetExceeded": "It is given with --budget, --budget-day or --budget-month.",
    "CredentialRejected": "It is read from {keys}.",
}
"""What there is to be said of named errors that their own texts cannot know."""

LONGEST = 4_000_000
"""Bytes of a prompt that is read from standard input."""

EPILOG = f"""\
{NOTE}
exit codes: 0 done; 1 it failed, or some pictures are missing; 2 usage, or a file is in the way; 3 the budget has no
room for it; 4 nothing can be sent (the key, the credit, the model, the address, the disk); 130 interrupted
"""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `generate` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "generate",
        usage='penstock generate "PROMPT" [-o FILE] [options]',
        description="Make one picture of a prompt, or a few: --n 4 -o fox.png makes fox-1.png to fox-4.png.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="what is to be seen; -: read from standard input")
    add_options(parser, GENERATE)
    parser.set_defaults(run=partial(run, parser))


def run(parser: Parser, args: argparse.Namespace) -> int:
    """Make the pictures; returns the exit code."""
    prompt: str | None = args.prompt
    if prompt is None:
        parser.error('PROMPT is missing: penstock generate "a red fox" -o fox.png')
    return run_with(parser, args, GENERATE, lambda values, console: buy(values, prompt, console))


def _read() -> str:
    """The prompt from standard input. Raises `OptionError`."""
    from penstock_io.cli.config import OptionError  # noqa: PLC0415 - the start is fast until it is known what runs

    data = sys.stdin.buffer.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise OptionError(f"standard input: a prompt has less than {LONGEST:,} bytes")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise OptionError("standard input: the prompt is not UTF-8") from None


def buy(values: Values, given: str, console: Console, change: Change | None = None) -> int:
    """All of it, once the options are known; returns the exit code. A prompt of "-" is read from standard input.

    `change` makes another request of that which the options say. Raises `OptionError`, `UsageError`, `InvalidRequest`.
    """
    from attrs import evolve  # noqa: PLC0415 - as above

    from penstock.requests import Unsaid  # noqa: PLC0415 - as above
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above
    from penstock_io.cli import saving  # noqa: PLC0415 - as above
    from penstock_io.cli.bounds import heed, quote_of  # noqa: PLC0415 - as above
    from penstock_io.cli.buying import Previews, Spending, asking, request_of  # noqa: PLC0415 - as above
    from penstock_io.cli.config import overrides_of  # noqa: PLC0415 - as above
    from penstock_io.cli.connecting import connect  # noqa: PLC0415 - as above
    from penstock_io.cli.consent import price_reason, refusal  # noqa: PLC0415 - as above
    from penstock_io.cli.funds import booked, funds_of  # noqa: PLC0415 - as above
    from penstock_io.words import at_most, count  # noqa: PLC0415 - as above

    prompt = _read() if given == "-" else given
    _agree(values)
    n, format_, budget = values.get(N) or 1, values.get(OUTPUT_FORMAT), values.get(BUDGET)
    files = saving.plan(
        values.get(FILE), prompt, n=n, output_format=format_, overwrite=values[OVERWRITE],
        origin=values.origin(OUTPUT_FORMAT),
    )  # fmt: skip
    connection = connect(values, os.environ)
    asked = request_of(values, prompt, files.format)
    request = asked if change is None else change(asked)
    prices, unsaid = overrides_of(values), Unsaid(values[UNSAID])
    spending = Spending(budget, values[ALLOW_UNKNOWN_PRICE], prices, funds_of(values), unsaid)
    unheard = heed(values, request.model, connection.base_url, spending.prices)
    quote = quote_of(request, spending.prices, connection.dialect, spending.unsaid)
    pictures = count(n, "picture")
    price = at_most(quote.bound)
    console.tell(f"{pictures} of {request.model} for {price}")
    for warning in (*unheard, *quote.warnings):
        console.tell(warning, Level.WARNING)
    if quote.bound is None and spending.bounded:
        return _failed(console, "unknown_price", quote.unpriced, BUDGET_OUT, as_json=values[JSON])
    reason = price_reason(quote.bound, pictures, None if quote.bound is None else budget)
    message = refusal([] if reason is None else [reason], console, yes=values[YES])
    if message is not None:
        return _failed(console, "declined", message, USAGE, as_json=values[JSON])
    previews = Previews(files, console)
    with booked(values, spending.funds, console) as funds, asking(console, previews.came) as ask:
        bought = ask(request, connection, evolve(spending, funds=funds))
        return _report(bought, previews, connection, console, frozenset(quote.warnings), as_json=values[JSON])


def _agree(values: Values) -> None:
    """Raise `OptionError` where standard output would take more than one picture's bytes."""
    from penstock_io.cli import saving  # noqa: PLC0415 - as above

    if values.get(FILE) == saving.STDOUT:
        if values[JSON]:
            raise values.wrong(JSON, "standard output takes the picture: name a file with --out")
        if values.get(PREVIEWS) not in (None, 0):
            raise values.wrong(PREVIEWS, "standard output takes the picture alone: name a file with --out")


def _report(
    bought: Bought, previews: Previews, connection: Connection, console: Console, told: frozenset[str], *, as_json: bool
) -> int:
    """Save what came, and say what became of it, but no warnings that were `told`; returns the exit code."""
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above
    from penstock_io.cli import saving  # noqa: PLC0415 - as above

    result, files = bought.result, previews.files
    pictures = [(image.format, image.data) for image in result.images]
    try:
        saved = saving.save(files, pictures)
    except OSError as fault:
        message = f"the picture cannot be written anywhere: {fault.strerror or fault}"
        return _failed(console, "disk", message, HALTED, as_json=as_json)
    for warning in (*result.warnings, *saved.warnings):
        if warning not in told:
            console.tell(warning, Level.WARNING)
    code = _code(result.error) if result.error is not None else DONE
    if bought.interrupted:
        code = INTERRUPTED
    if result.error is not None:
        console.tell(_explained(result.error, connection), Level.ERROR)
    if as_json:
        console.result(json.dumps(_object(bought, saved, previews, code), ensure_ascii=False))
    elif files.streamed:
        sys.stdout.buffer.write(b"".join(data for _, data in pictures[:1]))
        sys.stdout.buffer.flush()
        console.tell(_line(bought, saved))
    elif saved.paths:
        console.result(_line(bought, saved))
    return code


def _failed(console: Console, kind: str, message: str, code: int, *, as_json: bool) -> int:
    """End without pictures; returns the code."""
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above

    console.tell(message, Level.ERROR)
    if as_json:
        print_error(kind, message, code)
    return code


def _code(error: PenstockError) -> int:
    """The exit code of a named error."""
    from penstock.errors import (  # noqa: PLC0415 - as above
        BudgetExceeded,
        CredentialRejected,
        Halted,
        InvalidRequest,
        JobError,
    )

    if isinstance(error, InvalidRequest):
        return USAGE
    if isinstance(error, BudgetExceeded):
        return BUDGET_OUT
    if isinstance(error, CredentialRejected | Halted):
        return HALTED
    trouble = error.outcome.error if isinstance(error, JobError) else None
    return HALTED if trouble is not None and trouble.kind in UNREACHED else SOME


def _explained(error: PenstockError, connection: Connection) -> str:
    """A named error with what can be done about it."""
    from penstock.errors import JobError  # noqa: PLC0415 - as above
    from penstock_io.words import at_most  # noqa: PLC0415 - as above

    told = f"{type(error).__name__}: {str(error).rstrip('.')}."
    kind = type(error).__name__
    outcome = error.outcome if isinstance(error, JobError) else None
    if outcome is not None and outcome.error is not None and outcome.error.kind in UNREACHED:
        return f"{told} Is {connection.base_url} the address of the API? It is given with --base-url or --provider."
    if outcome is not None and outcome.error is not None and outcome.error.kind == "patience":
        told = f"{kind}: {outcome.error.message}; try again later, or let `penstock batch` wait."
    remedy = REMEDIES.get(kind, "").format(
        keys=" and ".join(connection.keys),
        maybe="nothing" if outcome is None else at_most(outcome.maybe + outcome.pending),
    )
    return f"{told} {remedy}".rstrip()


def _line(bought: Bought, saved: Saved) -> str:
    """What was made, in a line."""
    from penstock_io.words import at_most, count, money, span  # noqa: PLC0415 - as above

    result = bought.result
    charge = result.outcome.charge
    first = result.images[0] if result.images else None
    names = ", ".join(str(path) for path in saved.paths[:4])
    if len(saved.paths) > 4:
        names += f" and {len(saved.paths) - 4} more"
    parts = [
        result.request.model,
        "" if first is None else first.size,
        "an unknown price" if charge is None else money(charge),
        span(bought.seconds),
        count(result.attempts, "attempt") if result.attempts > 1 else "",
    ]
    maybe = result.outcome.maybe + result.outcome.pending
    if maybe:
        parts.append(f"{at_most(maybe)} maybe billed besides")
    return f"{names}: {', '.join(part for part in parts if part)}".removeprefix(": ")


def _object(bought: Bought, saved: Saved, previews: Previews, code: int) -> dict[str, object]:
    """The same for a program. Money is exact dollars as a text, null where it is not known."""
    from attrs import asdict  # noqa: PLC0415 - as above

    from penstock.errors import JobError  # noqa: PLC0415 - as above
    from penstock_io.resources import dollars, tokens_told  # noqa: PLC0415 - as above

    result, error = bought.result, bought.result.error
    outcome, request = result.outcome, result.request
    trouble = error.outcome.error if isinstance(error, JobError) else outcome.error
    told: dict[str, object] = {
        "files": [str(path) for path in saved.paths],
        "previews": [str(path) for path in previews.paths],
        "model": request.model,
        "size": request.size,
        "quality": request.quality,
        "cost_usd": _usd(result.cost),
        "maybe_billed_usd": _usd(dollars(outcome.maybe + outcome.pending)),
        "usage": tokens_told(outcome.usage),
        "attempts": outcome.attempts,
        "seconds": round(bought.seconds, 3),
        "revised_prompt": next((image.revised_prompt for image in result.images), None),
        "warnings": [*result.warnings, *saved.warnings],
    }
    said = asdict(trouble, filter=lambda one, _: one.name != "cause") if trouble else {"message": str(error)}
    told["error"] = None if error is None else {"name": type(error).__name__, **said}
    return {**told, "exit_code": code}


def _usd(amount: Decimal | None) -> str | None:
    """Dollars as a decimal text without exponent."""
    return None if amount is None else f"{amount.normalize():f}"
