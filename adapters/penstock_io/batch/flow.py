"""Which rows of a run are in flight, and how many requests went out for each, heard from what a client sends and hears.

Rows are counted, not requests: several rows may wait for one picture, and one row for several requests. What is neither
done nor in flight waits to be sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from attrs import define, field

from penstock.commands import Send
from penstock.events import Event, Failed, Fetched, Responded
from penstock.ids import AttemptId, JobId, Key
from penstock.readings import Reached, Success
from penstock.work import Purpose

NOBODY = frozenset({Reached.NOTHING, Reached.CONNECTED})
"""How far an exchange gets where nobody is there: its request never went out."""


@define
class Flow:
    """Rows whose jobs are unfinished.

    A row is in flight while a request for one of its pictures is out, and while they are saved: from when all have come
    until its job is over.
    """

    _keys: dict[JobId, tuple[Key, ...]] = field(factory=dict[JobId, tuple[Key, ...]])
    _went: Counter[JobId] = field(factory=Counter[JobId])
    _sent: dict[AttemptId, tuple[tuple[JobId, ...], tuple[Key | None, ...]]] = field(
        factory=dict[AttemptId, tuple[tuple[JobId, ...], tuple[Key | None, ...]]]
    )
    _out: Counter[Key] = field(factory=Counter[Key])
    _came: set[Key] = field(factory=set[Key])

    def begun(self, job: JobId, keys: Sequence[Key]) -> None:
        """A row's job is about to be submitted."""
        self._keys[job] = tuple(keys)

    def over(self, job: JobId) -> int:
        """A row's job ended; how many requests went out that it paid."""
        self._keys.pop(job, None)
        return self._went.pop(job, 0)

    def sent(self, send: Send) -> None:
        """An exchange is about to begin; a download is none of these."""
        if send.purpose is Purpose.FETCH:
            return
        jobs = tuple(job for job, _ in send.parts)
        keys = tuple(self._key(job, sample) for job, samples in send.parts for sample in samples)
        self._sent[send.attempt] = jobs, keys
        self._out.update(key for key in keys if key is not None)
        self._went.update(jobs)

    def _key(self, job: JobId, sample: int) -> Key | None:
        """A picture of a job; None once that is over, for somebody else may still pay for it."""
        keys = self._keys.get(job, ())
        return keys[sample] if sample < len(keys) else None

    def heard(self, event: Event) -> None:
        """An exchange ended, perhaps."""
        if not isinstance(event, Responded | Failed | Fetched) or event.attempt not in self._sent:
            return
        jobs, keys = self._sent.pop(event.attempt)
        for key in keys:
            if key is None:
                continue
            self._out[key] -= 1
            if not self._out[key]:
                del self._out[key]
        if isinstance(event, Failed) and event.reached in NOBODY:
            self._went.subtract(jobs)
        elif isinstance(event, Responded) and isinstance(event.reading, Success):
            came = {part.index for part in event.reading.parts}
            self._came.update(key for place, key in enumerate(keys) if key is not None and place in came)

    @property
    def rows(self) -> int:
        """How many rows are in flight."""
        return sum(self._flies(keys) for keys in self._keys.values())

    def _flies(self, keys: Collection[Key]) -> bool:
        return any(key in self._out for key in keys) or all(key in self._came for key in keys)
