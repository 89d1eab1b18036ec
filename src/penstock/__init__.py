"""penstock: requests in, pictures out, within the limits and the budget, paid once.

The names below are loaded when they are first used, so that `import penstock` costs nothing but attrs. The function
`penstock.prepare.prepare` and the values of `penstock.events` and `penstock.commands` are taken from their own modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.config import Ambiguity, Budget, BudgetPolicy, Config, Credential, Limits, Retry
    from penstock.engine import Engine, Snapshot
    from penstock.errors import (
        Ambiguous,
        BudgetExceeded,
        Cancelled,
        ContentRefused,
        CredentialRejected,
        DeadlineExceeded,
        Halted,
        InvalidRequest,
        JobError,
        NotStored,
        PenstockError,
        ProviderError,
        QueueFull,
        ScreenFailed,
        UsageError,
    )
    from penstock.outcomes import Outcome, Route, Source, Status, Trouble
    from penstock.readings import Verdict
    from penstock.requests import ImageRequest, InputImage, Options
    from penstock.work import CachePolicy, OnAmbiguous, Priority, Screen, Timeouts

__all__ = [
    "Ambiguity",
    "Ambiguous",
    "Budget",
    "BudgetExceeded",
    "BudgetPolicy",
    "CachePolicy",
    "Cancelled",
    "Config",
    "ContentRefused",
    "Credential",
    "CredentialRejected",
    "DeadlineExceeded",
    "Engine",
    "Halted",
    "ImageRequest",
    "InputImage",
    "InvalidRequest",
    "JobError",
    "Limits",
    "NotStored",
    "OnAmbiguous",
    "Options",
    "Outcome",
    "PenstockError",
    "Priority",
    "ProviderError",
    "QueueFull",
    "Retry",
    "Route",
    "Screen",
    "ScreenFailed",
    "Snapshot",
    "Source",
    "Status",
    "Timeouts",
    "Trouble",
    "UsageError",
    "Verdict",
    "__version__",
]

__version__ = "0.1.0"


if not TYPE_CHECKING:  # a type checker would believe any name of a module that has a __getattr__

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'penstock' has no attribute {name!r}")
        from penstock import config, engine, errors, outcomes, readings, requests, work  # noqa: PLC0415 - on first use

        rooms = (config, engine, errors, outcomes, readings, requests, work)
        found: object = next(getattr(room, name) for room in rooms if hasattr(room, name))
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
