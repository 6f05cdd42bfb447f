"""The HTTP status, problem code and retryability of each exception."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect

from scheduler import TableError
from service.errors import (
    AmendmentRefusedError,
    BodyTooLargeError,
    ComputationLostError,
    DatabaseError,
    DeadlineExceededError,
    FeedReplacedError,
    ForbiddenError,
    GuardRailError,
    InvalidRequestError,
    KindNotFoundError,
    LimitExceededError,
    MalformedBodyError,
    NotAcceptableError,
    NotComputableError,
    NotReadyError,
    PreconditionFailedError,
    PreconditionRequiredError,
    ProposalDecidedError,
    ProposalNotFoundError,
    ProposalOutdatedError,
    QueryTooLongError,
    QueueFullError,
    RangeNotSatisfiableError,
    RateLimitedError,
    RunDeletedError,
    RunLockedError,
    RunNotFoundError,
    StorageError,
    TableLostError,
    TableNotFoundError,
    UnauthenticatedError,
    UnsupportedMediaTypeError,
    VersionNotFoundError,
)


class ErrorStatus(NamedTuple):
    """The HTTP status of an exception, its problem code, which never changes, and whether a retry may succeed."""

    status: int
    code: str
    retryable: bool = False


ERROR_STATUSES: Mapping[type[Exception], ErrorStatus] = MappingProxyType(
    {
        MalformedBodyError: ErrorStatus(400, "malformed-body"),
        TableNotFoundError: ErrorStatus(404, "table-not-found"),
        RunNotFoundError: ErrorStatus(404, "run-not-found"),
        VersionNotFoundError: ErrorStatus(404, "version-not-found"),
        KindNotFoundError: ErrorStatus(404, "kind-not-found"),
        ProposalNotFoundError: ErrorStatus(404, "proposal-not-found"),
        AmendmentRefusedError: ErrorStatus(409, "amendment-refused"),
        ProposalOutdatedError: ErrorStatus(409, "proposal-outdated"),
        ProposalDecidedError: ErrorStatus(409, "proposal-decided"),
        FeedReplacedError: ErrorStatus(409, "feed-replaced"),
        UnauthenticatedError: ErrorStatus(401, "unauthenticated"),
        ForbiddenError: ErrorStatus(403, "forbidden"),
        NotAcceptableError: ErrorStatus(406, "not-acceptable"),
        RunDeletedError: ErrorStatus(410, "run-deleted"),
        PreconditionFailedError: ErrorStatus(412, "precondition-failed"),
        BodyTooLargeError: ErrorStatus(413, "body-too-large"),
        QueryTooLongError: ErrorStatus(414, "query-too-long"),
        UnsupportedMediaTypeError: ErrorStatus(415, "unsupported-media-type"),
        RangeNotSatisfiableError: ErrorStatus(416, "range-not-satisfiable"),
        InvalidRequestError: ErrorStatus(422, "invalid-request"),
        RequestValidationError: ErrorStatus(422, "invalid-request"),
        LimitExceededError: ErrorStatus(422, "limit-exceeded"),
        GuardRailError: ErrorStatus(422, "guard-rail"),
        NotComputableError: ErrorStatus(422, "not-computable"),
        RunLockedError: ErrorStatus(423, "run-locked"),
        PreconditionRequiredError: ErrorStatus(428, "precondition-required"),
        RateLimitedError: ErrorStatus(429, "rate-limited", retryable=True),
        TableLostError: ErrorStatus(500, "table-lost"),
        ClientDisconnect: ErrorStatus(400, "client-disconnected"),  # nobody reads it, but a 5xx would count as ours
        # the file was found damaged while it was read: the next request computes it again
        TableError: ErrorStatus(503, "table-damaged", retryable=True),
        NotReadyError: ErrorStatus(503, "not-ready", retryable=True),
        QueueFullError: ErrorStatus(503, "queue-full", retryable=True),
        DeadlineExceededError: ErrorStatus(503, "deadline-exceeded", retryable=True),
        ComputationLostError: ErrorStatus(503, "computation-lost", retryable=True),
        StorageError: ErrorStatus(503, "storage-unavailable", retryable=True),
        DatabaseError: ErrorStatus(503, "database-unavailable", retryable=True),
        Exception: ErrorStatus(500, "internal-error"),
    }
)


def error_status(error: Exception) -> ErrorStatus:
    """Return the status of an exception's class, or of the nearest base class that has one."""
    return next(ERROR_STATUSES[base] for base in type(error).__mro__ if base in ERROR_STATUSES)
