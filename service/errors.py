"""The exceptions that the service raises. `http/error_status.py` maps each to an HTTP status and a problem code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from scheduler.texts import encodable

MOST_ERRORS = 20
"""Maximum number of invalid values in one response: a list of a thousand bad schedules has a thousand of them."""
_LONGEST = 100  # characters of an invalid value that a response quotes
_LONGEST_POINTER = 1000  # characters
MOST_INTEGER = 2**53 - 1
"""The largest integer that every reader of JSON keeps: many would round a larger one."""
_ABSENT = object()


@dataclass(frozen=True)
class FieldError:
    """One invalid value: its place (a JSON pointer into the body, or a parameter's name), what is wrong, the value."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    value: Any = _ABSENT

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON data. Long values are abbreviated; a long pointer is cut to its first parts."""
        data = {"pointer": _short(self.pointer), "parameter": abbreviate(self.parameter), "detail": self.detail}
        if self.value is not _ABSENT:
            data["value"] = abbreviate(self.value)
        return {name: value for name, value in data.items() if value is not None or name == "value"}


def _short(pointer: str | None) -> str | None:
    """Return a pointer of limited length: the first parts of a long one, which point to a parent of the value."""
    if pointer is None or len(pointer) <= _LONGEST_POINTER:
        return pointer
    return pointer[: pointer.rfind("/", 0, _LONGEST_POINTER)]


def abbreviate(value: Any) -> Any:
    """Return a value as an error quotes it: unchanged if it is short and valid JSON, else a text that describes it."""
    if isinstance(value, (dict, list, tuple)):
        return f"an object with {len(value)} members" if isinstance(value, dict) else f"a list of {len(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, str) or (isinstance(value, int) and abs(value) > MOST_INTEGER):
        text = encodable(str(value))  # a lone surrogate could not be sent
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
    return value


class ServiceError(Exception):
    """A request that the service rejects or cannot fulfil. The message and the invalid values are for the caller."""

    def __init__(
        self, detail: str, errors: Sequence[FieldError] = (), *, members: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        super().__init__(detail)
        self.errors = errors
        self.members = members
        """What a problem document has beside its standard members: JSON data by name."""


class InvalidRequestError(ServiceError):
    """The request has invalid values."""

    @classmethod
    def of_parameter(cls, name: str, detail: str, value: object) -> Self:
        """Return the error for one URL parameter or header."""
        return cls(detail, [FieldError(detail, parameter=name, value=value)])


class LimitExceededError(InvalidRequestError):
    """The request exceeds a limit in the server's settings."""


class NotComputableError(InvalidRequestError):
    """A valid spec has no table: its values overflow float64, or it refers to a table that does not exist."""


class MalformedBodyError(ServiceError):
    """The body is not valid JSON (RFC 8259), or it is ambiguous."""


class BodyTooLargeError(ServiceError):
    """The body is longer than allowed."""


class QueryTooLongError(ServiceError):
    """The query string is longer than allowed."""


class UnsupportedMediaTypeError(ServiceError):
    """The route does not accept the body's format."""


class NotAcceptableError(ServiceError):
    """The client accepts none of the available formats."""


class TableNotFoundError(ServiceError):
    """There is no table with this digest."""


class RunNotFoundError(ServiceError):
    """There is no run of this name."""


class VersionNotFoundError(ServiceError):
    """The run has no such version."""


class RunDeletedError(ServiceError):
    """The run was deleted. Its versions can still be read."""


class RunLockedError(ServiceError):
    """The run is locked, and refuses every new version."""


class AmendmentRefusedError(ServiceError):
    """The change would touch rows that a worker may have passed, or none at all."""


class GuardRailError(ServiceError):
    """The change breaks a guard rail of the run."""


class ProposalNotFoundError(ServiceError):
    """The run has no such proposal."""


class ProposalOutdatedError(ServiceError):
    """The run has changed since the proposal was made."""


class ProposalDecidedError(ServiceError):
    """The proposal was approved or rejected before."""


class FeedReplacedError(ServiceError):
    """The feed of changes has no change with the reader's number: the database was restored from a backup."""


class KindNotFoundError(ServiceError):
    """There is no schedule of this kind."""


class TableLostError(ServiceError):
    """A stored table is damaged, and cannot be computed again with the same digest."""


class PreconditionFailedError(ServiceError):
    """The If-Match or If-None-Match header does not match what is there."""


class PreconditionRequiredError(ServiceError):
    """The request must say in If-Match or If-None-Match which version it expects."""


class RangeNotSatisfiableError(ServiceError):
    """The requested byte range starts past the end."""


class UnauthenticatedError(ServiceError):
    """The token is missing, unknown, expired or revoked."""


class ForbiddenError(ServiceError):
    """The token does not allow this request. `scope` is the scope that it needs."""

    def __init__(self, detail: str, scope: str) -> None:
        super().__init__(detail)
        self.scope = scope


class BusyError(ServiceError):
    """The server is busy. The same request may succeed after `retry_after` seconds."""

    def __init__(self, detail: str, retry_after: int = 1, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail, errors)
        self.retry_after = retry_after


class QueueFullError(BusyError):
    """A queue of the server is full, such as that of computations, which holds `max_queue`."""


class DeadlineExceededError(BusyError):
    """A computation took longer than `compute_seconds`, or a table did not arrive in time."""


class ComputationLostError(BusyError):
    """The worker process ended before it had computed the table, or could not be started."""


class NotReadyError(BusyError):
    """The server cannot serve tables yet, or no longer."""


class RateLimitedError(BusyError):
    """The token has exceeded its rate limit."""


class StorageError(Exception):
    """The store failed, for instance because it is full, read-only or unreachable. A retry may succeed."""


class DatabaseError(StorageError):
    """The database failed, for instance because it is unreachable, too slow or full."""
