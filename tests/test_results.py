"""What a user sees of a result: named errors with their outcome, and words that say what to do."""

from __future__ import annotations

import pytest

from penstock import errors
from penstock.errors import InvalidRequest, JobError, PenstockError
from penstock.outcomes import Outcome, Route, Status, Trouble
from penstock.requests import ImageRequest
from penstock_io._naming import error_of
from penstock_io.resources import Result, refused

REQUEST = ImageRequest(prompt="a kettle", model="gpt-image-2")

NAMED = (
    (Status.REFUSED, "moderation", errors.ContentRefused),
    (Status.REFUSED, "refused", errors.ContentRefused),
    (Status.FAILED, "budget", errors.BudgetExceeded),
    (Status.FAILED, "unknown_price", errors.BudgetExceeded),
    (Status.FAILED, "unbounded", errors.BudgetExceeded),
    (Status.FAILED, "credential", errors.CredentialRejected),
    (Status.FAILED, "patience", errors.DeadlineExceeded),
    (Status.FAILED, "account", errors.CredentialRejected),
    (Status.FAILED, "blocked", errors.ProviderError),
    (Status.EXPIRED, "expired", errors.DeadlineExceeded),
    (Status.AMBIGUOUS, "ambiguous", errors.Ambiguous),
    (Status.CANCELLED, "cancelled", errors.Cancelled),
    (Status.CANCELLED, "credential", errors.Halted),
    (Status.CANCELLED, "model_not_found", errors.Halted),
    (Status.CANCELLED, "unrecorded", errors.Halted),
    (Status.FAILED, "no_lane", errors.Halted),
    (Status.FAILED, "removed", errors.Halted),
    (Status.FAILED, "quota_exhausted", errors.Halted),
    (Status.FAILED, "not_stored", errors.NotStored),
    (Status.FAILED, "queue_full", errors.QueueFull),
    (Status.FAILED, "screen_fault", errors.ScreenFailed),
    (Status.FAILED, "model_not_found", errors.ProviderError),
    (Status.FAILED, "forbidden", errors.ProviderError),
    (Status.FAILED, "no_endpoint", errors.ProviderError),
    (Status.FAILED, "server_error", errors.ProviderError),
    (Status.PARTIAL, "lost", errors.ProviderError),
    (Status.PARTIAL, "budget", errors.BudgetExceeded),
)


@pytest.mark.parametrize(("status", "kind", "named"), NAMED)
def test_each_end_has_its_named_error(status: Status, kind: str, named: type[JobError]) -> None:
    """The error is of the name that fits and carries the outcome."""
    outcome = Outcome(status, error=Trouble(kind, "something happened"))
    error = error_of(outcome)
    assert named is type(error)
    assert outcome is getattr(error, "outcome", None)


def test_every_named_error_is_used() -> None:
    """No name of `penstock.errors` is left that nothing ends with."""
    used = {named for _, _, named in NAMED} | {InvalidRequest, JobError, PenstockError, errors.UsageError}
    there = {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, PenstockError)}
    assert there == used


def test_what_an_error_says() -> None:
    """What happened, what to do, and in brackets what support asks for."""
    trouble = Trouble("credential", "Incorrect API key provided: ***", 401, "invalid_api_key", "req_7")
    said = str(error_of(Outcome(Status.FAILED, error=trouble)))
    assert "Incorrect API key provided: ***; set a valid key (credential, 401, invalid_api_key, req_7)" == said
    assert "it is gone (lost)" == str(error_of(Outcome(Status.PARTIAL, error=Trouble("lost", "it is gone"))))
    assert "deferred" == str(error_of(Outcome(Status.DEFERRED)))


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.CACHED, Status.SIMILAR])
def test_what_is_all_there_has_no_error(status: Status) -> None:
    """Whatever the outcome says besides."""
    assert error_of(Outcome(status)) is None


def test_a_request_that_could_not_be_sent() -> None:
    """Its result and its error have the same outcome, which names the field; an outcome that is there stays."""
    error = InvalidRequest("size 17x3 does not fit", field="size")
    result = refused(REQUEST, error, 3)
    assert (3, Trouble("invalid", "size 17x3 does not fit", None, "size")) == (result.index, result.outcome.error)
    assert result.outcome is error.outcome
    assert None is result.route
    with pytest.raises(InvalidRequest) as caught:
        result.checked()
    assert error is caught.value
    assert result.outcome is refused(REQUEST, error, 4).outcome


def test_a_result_says_its_route() -> None:
    """As the outcome has it."""
    route = Route("default", "gpt-image-2", 1)
    assert route == Result(REQUEST, Outcome(Status.COMPLETED, route=route)).route
