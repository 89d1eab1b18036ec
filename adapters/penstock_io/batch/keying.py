"""Rows with the keys, names and prices of their pictures: checked against what models take before anything is sent.

Names that pictures have in the folder stay as they are, and a row that the folder knows keeps its variant: so a rerun
finds what is paid, whatever was inserted, deleted or sorted in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from attrs import evolve, field, frozen

from penstock.cache import places
from penstock.cache.key import keys as keys_of
from penstock.catalog import NO_OVERRIDES, Overrides
from penstock.config import Config
from penstock.ids import Handle, Key
from penstock.prepare import prepare
from penstock.requests import ImageRequest, Options, Refusal, Unsaid
from penstock.wire import dialect, plainly
from penstock.work import CachePolicy, Target
from penstock_io._access import PROVIDER
from penstock_io.batch.models import meant, slip
from penstock_io.batch.naming import MissingField, Namer, Sampler, Template, folded
from penstock_io.batch.rows import InputError, Invalid, Mistake, Row, Rows, together
from penstock_io.batch.settings import Choices, Repeats
from penstock_io.batch.states import NEW, RowState, here_of
from penstock_io.journal import Account
from penstock_io.pricing import unpriced

ALIKE = 3
"""So many rows with the same mistake are told one by one; of more, the first is told with their number."""


@frozen
class Keyed:
    """A row with what it is asked for as now: its request, and for each picture a key and a name without extension.

    `sample` is the number of its first picture; `cache` says whether any may be bought. `bound` and `expected` are
    picodollars for all its pictures (None: no price or formula is known).
    """

    row: Row
    request: ImageRequest = field(repr=False)
    keys: tuple[Key, ...]
    stems: tuple[str, ...]
    sample: int = 0
    bound: int | None = None
    expected: int | None = None
    unsaid: Unsaid = Unsaid.DROP
    warnings: tuple[str, ...] = ()
    cache: CachePolicy = CachePolicy.USE

    @property
    def id(self) -> str:
        """The row's name."""
        return self.row.id

    @property
    def index(self) -> int:
        """The row's place in the input."""
        return self.row.index

    @property
    def options(self) -> Options:
        """How it is submitted."""
        return Options(sample=self.sample, unsaid=self.unsaid, cache=self.cache)


def key_rows(
    rows: Rows,
    choices: Choices,
    *,
    budget: bool,
    states: Mapping[str, RowState],
    account: Account,
    skip_invalid: bool = False,
) -> tuple[list[Keyed], list[Invalid]]:
    """All rows of an input with their keys, and its bad ones, in its order.

    What a model does not take, or has no price under a budget, raises `InputError`; with `skip_invalid` it is one of
    the bad ones.
    """
    keyer = Keyer(choices, budget=budget, states=states, account=account, file=rows.file, rows=rows.rows)
    keyed: list[Keyed] = []
    bad: list[Invalid] = []
    for row in rows.rows:
        made = keyer.key(row)
        if isinstance(made, Keyed):
            keyed.append(made)
        else:
            bad.append(Invalid(row.id if row.explicit else None, row.index, row.line, made))
    if bad and not skip_invalid:
        raise InputError(together([mistake for one in bad for mistake in one.mistakes], len(rows.rows), ALIKE))
    return keyed, sorted([*rows.invalid, *bad], key=lambda one: one.index)


class Keyer:
    """Keys rows one at a time. `rows` are all of them where they are known (None: they come one by one)."""

    def __init__(
        self,
        choices: Choices,
        *,
        budget: bool,
        states: Mapping[str, RowState],
        account: Account,
        file: str,
        rows: Iterable[Row] | None = None,
    ) -> None:
        self._budget = budget
        self._strict = choices.strict
        self._priced = choices.priced
        self._states = states
        self._account = account
        self._file = file
        self._server = choices.server
        self._unsaid = choices.unsaid
        self._shapes = Shapes(choices.prices, choices.dialect, choices.unsaid, choices.server)
        self._namer = Namer(Template.parse(choices.name), taken_names(states, account))
        pairs = [(name, state.content) for name, state in states.items()]
        if rows is not None:
            pairs = [(row.id, row.content) for row in rows]
        self._known, used = known_samples(pairs, states, choices.repeats)
        self._sampler = Sampler(self._known, used) if choices.repeats is Repeats.NEW else None

    def key(self, row: Row) -> Keyed | tuple[Mistake, ...]:
        """A row with its keys, or what is wrong with it."""
        state = self._states.get(row.id, NEW)
        sample = self._sample(row, state)
        near = meant(row.request.model, self._priced) if self._strict else ""
        if near:
            return (self._wrong(row, "model", slip(row.request.model, near)),)
        target = self._shapes.target(row.request)
        if isinstance(target, Refusal):
            field = target.field.replace("images", "image")
            return (self._wrong(row, field, target.message.removeprefix(target.field).lstrip(": ")),)
        if self._budget and target.quote is None:
            return (self._wrong(row, "model", unpriced(target)),)
        request = row.request
        try:
            stems = self._namer.stems(row, request.n)
        except MissingField as missing:
            return (self._wrong(row, missing.field, str(missing)),)
        keys = keys_of(
            plainly(request, dialect(target.dialect), self._unsaid),
            provider=PROVIDER,
            dialect=target.dialect,
            model=target.model,
            tenant="",
            first=sample,
            samples=request.n,
            server=places.server(self._server, target.model),
        )
        keyed = Keyed(
            row=row,
            request=request,
            keys=keys,
            stems=stems,
            sample=sample,
            bound=None if target.quote is None else target.quote * request.n,
            expected=None if target.expected is None else target.expected * request.n,
            unsaid=self._unsaid,
            warnings=target.warnings,
        )
        return evolve(keyed, stems=_kept_stems(keyed, state, self._account)) if state.jobs else keyed

    def _sample(self, row: Row, state: RowState) -> int:
        if self._sampler is not None and (state.content == row.content or row.id not in self._known):
            return self._sampler.sample(row)
        return self._known.get(row.id, 0) if state.content == row.content else 0

    def _wrong(self, row: Row, name: str, message: str) -> Mistake:
        return Mistake(self._file, row.line, name, message)


class Shapes:
    """What models say of requests, asked once for all that differ in the words of their prompts alone."""

    def __init__(
        self,
        prices: Overrides = NO_OVERRIDES,
        dialect: str = "openai",
        unsaid: Unsaid = Unsaid.DROP,
        server: str = "",
    ) -> None:
        self._prices, self._dialect, self._server = prices, dialect, server
        self._options = Options(unsaid=unsaid)
        self._unix = time.time()
        self._seen: dict[tuple[object, ...], Target | Refusal] = {}

    def target(self, request: ImageRequest) -> Target | Refusal:
        """How a request like this is prepared (keys and words of the prompt apart), or what its model does not take."""
        shape = _shape(request)
        found = self._seen.get(shape)
        if found is None:
            made = prepare(
                request,
                self._options,
                Config(),
                handle=Handle(0),
                unix=self._unix,
                provider=PROVIDER,
                dialect=self._dialect,
                prices=self._prices,
                server=self._server,
            )
            found = self._seen[shape] = made if isinstance(made, Refusal) else made.work.targets[0]
        return found


def _shape(request: ImageRequest) -> tuple[object, ...]:
    """All of a request but its prompt, of which models and prices know only the length, and what its seed is.

    Of images they know no more than what their heads say.
    """
    prompt = request.prompt
    return (
        len(prompt),
        len(prompt) if prompt.isascii() else len(prompt.encode()),
        request.model,
        request.size,
        request.quality,
        request.n,
        request.background,
        request.moderation,
        request.output_format,
        request.output_compression,
        request.user,
        request.complexity,
        request.seed is None,
        request.negative_prompt,
        request.steps,
        request.guidance,
        request.strength,
        request.input_fidelity,
        len(request.images),
        tuple(
            [
                (one.format, one.width, one.height, one.nbytes, one.has_alpha, one.elsewhere, bool(one.file_id))
                for one in request.inputs
            ]
        ),
        request.extra,
    )


def taken_names(states: Mapping[str, RowState], account: Account) -> dict[str, str]:
    """The names of pictures in the folder as a disk may confuse them, each with the row that owns it."""
    return {
        folded(PurePosixPath(file).stem): name
        for name, state in states.items()
        for file in here_of(state, account).values()
    }


def known_samples(
    pairs: Iterable[tuple[str, str]], states: Mapping[str, RowState], repeats: Repeats
) -> tuple[dict[str, int], dict[str, set[int]]]:
    """The variants that rows (id, content) keep from earlier runs, and which of a content are in use so.

    Where each row is to have its own, only the first of those that shared one keeps it.
    """
    known: dict[str, int] = {}
    used: dict[str, set[int]] = {}
    for name, content in pairs:
        state = states.get(name)
        if state is None or not content or state.content != content:
            continue
        mine = used.setdefault(content, set())
        if repeats is Repeats.SHARE or state.sample not in mine:
            known[name] = state.sample
            mine.add(state.sample)
    return known, used


def _kept_stems(keyed: Keyed, state: RowState, account: Account) -> tuple[str, ...]:
    """Names for a row's pictures: those that they have already, be it under other keys, else its own, no two alike."""
    stems, keys = keyed.stems, keyed.keys
    here = {key: PurePosixPath(file).stem for key, file in here_of(state, account).items()}
    if not here:
        return stems
    kept = [here.get(key) for key in (state.keys if state.same(keys, keyed.request, keyed.sample) else keys)]
    taken = {folded(stem) for stem in kept if stem is not None}
    return tuple(
        mine if mine is not None else f"{stem}~{key[:8]}" if folded(stem) in taken else stem
        for mine, stem, key in zip(kept, stems, keys, strict=True)
    )
