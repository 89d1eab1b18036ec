"""Which named error the end of a job is."""

from __future__ import annotations

from penstock.errors import (
    Ambiguous,
    BudgetExceeded,
    Cancelled,
    ContentRefused,
    CredentialRejected,
    DeadlineExceeded,
    Halted,
    JobError,
    NotStored,
    ProviderError,
    QueueFull,
    ScreenFailed,
)
from penstock.outcomes import Outcome, Status

_BY_STATUS: dict[Status, type[JobError]] = {
    Status.REFUSED: ContentRefused,
    Status.EXPIRED: DeadlineExceeded,
    Status.AMBIGUOUS: Ambiguous,
    Status.CANCELLED: Cancelled,
    Status.DEFERRED: JobError,
    Status.FAILED: ProviderError,
    Status.PARTIAL: ProviderError,
}
_BY_KIND: dict[str, type[JobError]] = {
    "budget": BudgetExceeded,
    "unknown_price": BudgetExceeded,
    "unbounded": BudgetExceeded,
    "account": CredentialRejected,
    "credential": CredentialRejected,
    "no_lane": Halted,
    "patience": DeadlineExceeded,
    "removed": Halted,
    "quota_exhausted": Halted,
    "not_stored": NotStored,
    "queue_full": QueueFull,
    "screen_fault": ScreenFailed,
}
"""Failures that are not the provider's.

`Halted` is what no other request to the same provider would escape either, until somebody does something about it: no
credential for it, no credit. A model that is gone or forbidden is the provider's refusal of what was asked: another
model may go. Whatever had to be given up because the engine was halted is `Halted`, too, whatever halted it.
"""


def error_of(outcome: Outcome) -> JobError | None:
    """The named error of an outcome; None where everything asked for is there.

    It says what happened and what to do, then in brackets the kind, and the provider's status, code and request id.
    """
    kind = _BY_STATUS.get(outcome.status)
    if kind is None:
        return None
    trouble = outcome.error
    if trouble is None:
        return kind(outcome.status.value, outcome)
    if outcome.status in {Status.FAILED, Status.PARTIAL}:
        kind = _BY_KIND.get(trouble.kind, kind)
    elif outcome.status is Status.CANCELLED and trouble.kind != "cancelled":
        kind = Halted
    codes = (trouble.kind, trouble.status, trouble.code, trouble.request_id)
    return kind(f"{trouble.text} ({', '.join(str(code) for code in codes if code is not None)})", outcome)
