"""What tests of planning share: rows, and a folder whose runs buy pictures of a provider that never fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from attrs import frozen

from penstock.entries import Entry, Intent, Lane, Published, Settled
from penstock.ids import AttemptId, CallId, JobId, Key, Ref
from penstock.outcomes import Outcome, Status, Trouble
from penstock.work import Purpose
from penstock_io.batch.folder import Prepared, prepare_folder
from penstock_io.batch.inputs import parse_rows
from penstock_io.batch.keying import Keyed, key_rows
from penstock_io.batch.plan import Plan, make_plan
from penstock_io.batch.rows import Defaults, Row, Rows
from penstock_io.batch.settings import Choices
from penstock_io.batch.states import NEW, RowState, dump_state, here_of, load_states
from penstock_io.journal import Account, Disk, Journal

LOW = Defaults("gpt-image-2", "1024x1024", "low")
HIGH = Defaults("gpt-image-2", "1024x1024", "high")
EACH = 50
"""What a picture costs, in picodollars."""


def rows_of(*fields: Mapping[str, object] | str, defaults: Defaults = LOW) -> tuple[Row, ...]:
    """Rows of these fields, or prompts."""
    if not fields:
        return ()
    records = [{"prompt": one} if isinstance(one, str) else one for one in fields]
    return parse_rows("\n".join(map(json.dumps, records)).encode(), "in.jsonl", defaults).rows


def keyed_of(
    rows: Sequence[Row],
    states: Mapping[str, RowState] | None = None,
    account: Account | None = None,
    choices: Choices | None = None,
) -> list[Keyed]:
    """The same with keys."""
    given = Rows("in.jsonl", tuple(rows))
    keyed, _ = key_rows(given, choices or Choices(), budget=False, states=states or {}, account=account or Account())
    return keyed


def files_of(state: RowState, account: Account) -> dict[str, str]:
    """The files of what a row's last job asked for, whichever job published them, by name without the extension."""
    return {PurePosixPath(file).stem: file for key, file in here_of(state, account).items() if key in state.keys}


def picture_of(key: Key) -> bytes:
    """The bytes of a key's picture."""
    return b"\x89PNG\r\n\x1a\n" + key.encode()


@frozen
class Ran:
    """What a run did: its plan, what was left to be sent, how many pictures were bought."""

    plan: Plan
    prepared: Prepared
    bought: int


class Shop:
    """A folder and a provider whose pictures are made of their keys; `bought` counts all of each key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bought: dict[Key, int] = {}
        self.told: list[str] = []

    def look(self, rows: Sequence[Row], choices: Choices | None = None) -> Plan:
        """What would be done."""
        with Journal.open(self.folder) as journal:
            return plan_of(journal, rows, choices or Choices())

    def run(
        self,
        rows: Sequence[Row],
        choices: Choices | None = None,
        *,
        disk: Disk | None = None,
        fails: Mapping[str, str] | None = None,
        lost: Collection[str] = (),
    ) -> Ran:
        """Do it. `fails` are rows that end with a trouble of this kind, `lost` ones whose attempt never ends."""
        with Journal.open(self.folder, disk=disk) as journal:
            plan = plan_of(journal, rows, choices or Choices())
            states = load_states(journal.rows())
            prepared = prepare_folder(journal, plan, states, self.told.append)
            before = sum(self.bought.values())
            for number, keyed in enumerate(prepared.send, 1):
                state = states.get(keyed.id, NEW)
                sent = state.sent(
                    (journal.run, JobId(number)), keyed.keys, keyed.request, keyed.row.content, keyed.sample
                )
                journal.put_row(keyed.id, dump_state(sent))
                if keyed.id in lost:
                    journal.append([_intent(number, keyed, [key for key in keyed.keys if not journal.look_up(key)])])
                elif fails is not None and keyed.id in fails:
                    ended = sent.ended(Outcome(Status.FAILED, error=Trouble(fails[keyed.id], "said")), 1.0)
                    journal.put_row(keyed.id, dump_state(ended))
                else:
                    self._buy(journal, number, keyed)
                    journal.put_row(keyed.id, dump_state(sent.ended(Outcome(Status.COMPLETED), 1.0)))
            return Ran(plan, prepared, sum(self.bought.values()) - before)

    def _buy(self, journal: Journal, number: int, keyed: Keyed) -> None:
        missing = [key for key in keyed.keys if journal.look_up(key) is None]
        if missing:
            refs = tuple(journal.payloads.keep(picture_of(key)) for key in missing)
            paid = Settled(AttemptId(number), tuple(missing), refs, None, EACH * len(missing), 2.0)
            _append(journal, [_intent(number, keyed, missing), paid])
        for key in missing:
            self.bought[key] = self.bought.get(key, 0) + 1
        journal.name(JobId(number), dict(zip(keyed.keys, keyed.stems, strict=True)))
        found = [journal.look_up(key) for key in keyed.keys]
        refs = tuple(Ref("") if one is None else one[1] for one in found)
        _append(journal, [Published(JobId(number), keyed.keys, refs, 3.0)])
        journal.release(refs)

    def pictures(self) -> dict[str, list[str]]:
        """The names of pictures by folder, without those of a run under way."""
        return {
            name: sorted(path.name for path in (self.folder / name).iterdir())
            for name in ("images", "originals", "superseded")
            if (self.folder / name).is_dir()
        }

    def files(self) -> dict[str, dict[str, str]]:
        """What each row shows."""
        with Journal.open(self.folder) as journal:
            account, states = journal.account(), load_states(journal.rows())
            return {name: files_of(state, account) for name, state in states.items()}

    def ask(self, question: Callable[[Journal], object]) -> None:
        """Look into the journal."""
        with Journal.open(self.folder) as journal:
            question(journal)


def plan_of(journal: Journal, rows: Sequence[Row], choices: Choices) -> Plan:
    """The plan for rows as an open folder stands."""
    states, account = load_states(journal.rows()), journal.account()
    return make_plan(keyed_of(rows, states, account, choices), states, account, choices)


def _intent(number: int, keyed: Keyed, keys: Sequence[Key]) -> Intent:
    return Intent(
        AttemptId(number), CallId(number), Purpose.GENERATE, "images.generate", Lane("k", keyed.request.model),
        tuple(keys), ((JobId(number), tuple(range(len(keys)))),), (("run",),), EACH * len(keys), 1.0,
    )  # fmt: skip


def _append(journal: Journal, entries: list[Entry]) -> None:
    for written in journal.append(entries):
        if written.fault is not None:
            raise OSError(written.fault)
