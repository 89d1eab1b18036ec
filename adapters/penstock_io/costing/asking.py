"""What a quote is of: the rows of an input, less what a folder has paid already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from penstock.catalog import parting
from penstock.ids import Key
from penstock.requests import ImageRequest, Refusal
from penstock_io.batch.keying import Keyed, Shapes, key_rows
from penstock_io.batch.plan import make_plan
from penstock_io.batch.rows import Invalid, Rows
from penstock_io.batch.settings import Choices
from penstock_io.batch.states import RowState
from penstock_io.costing.quoting import Amount, Ask, Option, Quoter, by_batch, by_setting, cheaper, group
from penstock_io.journal import Account
from penstock_io.pricing import lines_for


@frozen
class Missing:
    """A model whose bound nobody knows: `lines` of a file of --config say it, in the units of `meaning`.

    `gone` says of a model that is shut down what to use instead ("": it is not).
    """

    model: str
    pictures: int
    lines: str
    meaning: str
    gone: str = ""


@frozen
class Quoted:
    """A whole input, quoted. `repeats` rows ask for what rows before them do; `paid` pictures are in the folder.

    `rows` are all that are valid; `left` of them are not to be sent in this run, for another reason than being done.
    `warnings` are those of models that are, or soon will be, shut down.
    """

    rows: int
    invalid: tuple[Invalid, ...]
    repeats: int
    paid: int
    left: int
    amount: Amount
    settings: Mapping[tuple[str, str, str], Amount]
    cheaper: tuple[Option, ...]
    batch: Option | None
    missing: tuple[Missing, ...]
    warnings: tuple[str, ...] = ()


def quote_rows(
    rows: Rows,
    choices: Choices,
    states: Mapping[str, RowState],
    account: Account,
    *,
    unix: float,
    skip_invalid: bool = False,
) -> Quoted:
    """Quote an input as a batch with these choices would buy it. Raises `InputError`. `unix` is seconds."""
    keyed, invalid = key_rows(rows, choices, budget=False, states=states, account=account, skip_invalid=skip_invalid)
    plan = make_plan(keyed, states, account, choices)
    wants, paid = _wanted(plan.send, account)
    asks = group(wants)
    quoter = Quoter(unix, choices.prices, dialect=choices.dialect)
    done = {key for one in keyed for key in one.keys if key in account.prices}
    return Quoted(
        rows=len(keyed),
        invalid=tuple(invalid),
        repeats=_repeats(keyed),
        paid=len(done | paid),
        left=plan.final + plan.left + plan.held_back,
        amount=quoter.amount(asks),
        settings=by_setting(quoter, asks),
        cheaper=tuple(cheaper(quoter, asks)),
        batch=by_batch(quoter, asks),
        missing=_missing(quoter, asks, Shapes(choices.prices, choices.dialect), unix),
        warnings=tuple(said for name in sorted({ask.request.model for ask in asks}) if (said := parting(name, unix))),
    )


def _wanted(send: Sequence[Keyed], account: Account) -> tuple[list[tuple[ImageRequest, int]], set[Key]]:
    """What is to be bought, each picture once whoever wants it; and what of it is paid."""
    seen: set[Key] = set()
    paid: set[Key] = set()
    wants: list[tuple[ImageRequest, int]] = []
    for one in send:
        paid.update(key for key in one.keys if key in account.prices)
        new = [key for key in one.keys if key not in account.prices and key not in seen]
        seen.update(new)
        wants.append((one.request, len(new)))
    return wants, paid


def _repeats(keyed: Sequence[Keyed]) -> int:
    """Rows that ask for nothing that rows before them did not ask for."""
    seen: set[Key] = set()
    repeats = 0
    for one in keyed:
        repeats += all(key in seen for key in one.keys)
        seen.update(one.keys)
    return repeats


def _missing(quoter: Quoter, asks: Sequence[Ask], shapes: Shapes, unix: float) -> tuple[Missing, ...]:
    """What has no bound, by model, with the lines that would give it one."""
    found: dict[str, Missing] = {}
    for ask in asks:
        amount, model = quoter.amount([ask]), ask.request.model
        target = shapes.target(ask.request)
        if not amount.unbounded or isinstance(target, Refusal):
            continue
        before = found[model].pictures if model in found else 0
        gone = "" if quoter.price(model).rates is not None else parting(model, unix)
        found[model] = Missing(model, before + amount.unbounded, *lines_for(target), gone)
    return tuple(found[model] for model in sorted(found))
