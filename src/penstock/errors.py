"""Errors that penstock raises.

What a server, a store or a user's data did is a value (an `Outcome`), never one of these, until a caller asks for the
result of a job that has none: then it is a `JobError` carrying its outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.outcomes import Outcome


class PenstockError(Exception):
    """The root of all."""


class UsageError(PenstockError):
    """A driver or caller broke the contract: unknown attempt, second answer, used id. Nothing has changed."""


class InvalidRequest(PenstockError):
    """A request that cannot be sent: what is wrong, in which field, and what to do.

    `outcome` is that of its job; None where there was none, because the `ImageRequest` could not even be made.
    """

    def __init__(self, message: str, *, field: str | None = None, outcome: Outcome | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.outcome = outcome


class JobError(PenstockError):
    """A job ended without what was asked for. `outcome` says everything."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class ContentRefused(JobError):
    """The provider's moderation or a screen said no."""


class BudgetExceeded(JobError):
    """No cap leaves room for it."""


class CredentialRejected(JobError):
    """No credential is accepted any more."""


class DeadlineExceeded(JobError):
    """Its time was over, or the wait that it was asked for is longer than its patience."""


class Ambiguous(JobError):
    """It may have been executed and billed; nobody can know."""


class ProviderError(JobError):
    """The provider failed or refused."""


class Halted(JobError):
    """Nothing can be sent any more; the outcome says why. The work is still to be done."""


class ScreenFailed(JobError):
    """A screen could not say whether it may be sent or shown."""


class NotStored(JobError):
    """It is not in the store, and its cache policy never buys."""


class QueueFull(JobError):
    """As many jobs wait as the configuration allows."""


class Cancelled(JobError):
    """It was given up before it was done."""
