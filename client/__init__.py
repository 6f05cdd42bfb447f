"""The client of a training job: fetch a table, verify it, apply it. No torch at import."""

# package of the distribution lrtables

from client.client import Client
from client.errors import (
    AmendmentRefusedError,
    BundleError,
    ClientError,
    DeadlineExceededError,
    DigestMismatchError,
    FieldError,
    NotAllowedError,
    OfflineError,
    OutcomeUnknownError,
    RankFailedError,
    RanksDisagreeError,
    RankTimeoutError,
    RequestRefusedError,
    RunChangedError,
    RunLockedError,
    RunNotFoundError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from client.runs.documents import Run

__all__ = [
    "AmendmentRefusedError",
    "BundleError",
    "Client",
    "ClientError",
    "DeadlineExceededError",
    "DigestMismatchError",
    "FieldError",
    "NotAllowedError",
    "OfflineError",
    "OutcomeUnknownError",
    "RankFailedError",
    "RankTimeoutError",
    "RanksDisagreeError",
    "RequestRefusedError",
    "Run",
    "RunChangedError",
    "RunLockedError",
    "RunNotFoundError",
    "ServiceUnreachableError",
    "UnexpectedResponseError",
]
